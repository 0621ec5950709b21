package traffic

import "fmt"

// Rows are the Configs that are measured: every mix with 1, 1,000 and 100,000 conversations and some with a million.
// Frames have at most 1,514 bytes, except in three rows that show what smaller and larger ones cost.
func Rows() (rows []Config) {
	for _, m := range Mixes() {
		for _, flows := range []int{1, 1_000, 100_000, 1_000_000} {
			switch {
			case flows == 1 && (m == Scan || m == Flood), // need many to be what they are
				flows == 1_000_000 && m != Web && m != DNS:
			default:
				rows = append(rows, Config{Mix: m, Flows: flows, Frame: 1514})
			}
		}
		if m == Bulk {
			for _, frame := range []int{MinFrame, 9014, MaxFrame} {
				rows = append(rows, Config{Mix: m, Flows: 1_000, Frame: frame})
			}
		}
	}
	return rows
}

// String is what matters of it in the form of a benchmark's name.
func (c Config) String() string {
	return fmt.Sprintf("mix=%v/flows=%d/frame=%d", c.Mix, c.Flows, c.Frame)
}
