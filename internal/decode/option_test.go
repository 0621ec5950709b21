package decode

import (
	"testing"

	"github.com/flowscope-go/flowscope/internal/testkit/frames"
)

func segment(flags string, options ...byte) []byte {
	b := frames.TCP{Src: "10.0.0.1:1234", Dst: "10.0.0.2:80", Flags: flags}.IP()
	for len(options)%4 != 0 {
		options = append(options, 0)
	}
	b = append(b, options...)
	b[3], b[32] = byte(len(b)), byte(5+len(options)/4)<<4
	return b
}

func TestWindowScaleIsReadFromWhateverOptionsThereAre(t *testing.T) {
	for _, c := range []struct {
		name    string
		flags   string
		options []byte
		has     bool
		scale   uint8
	}{
		{"none", "S", nil, false, 0},
		{"alone", "S", []byte{3, 3, 7}, true, 7},
		{"shift 0 is there", "S", []byte{3, 3, 0}, true, 0},
		{"of a SYN+ACK", "SA", []byte{2, 4, 5, 180, 3, 3, 9}, true, 9},
		{"after no-operations", "S", []byte{1, 1, 1, 1, 1, 3, 3, 8}, true, 8},
		{"above 14 counts as 14", "S", []byte{3, 3, 200}, true, 14},
		{"not on a segment without SYN", "A", []byte{3, 3, 7}, false, 0},
		{"not after the end of the list", "S", []byte{0, 2, 3, 3, 7}, false, 0},
		{"not after an option of length 0", "S", []byte{2, 0, 3, 3, 7}, false, 0},
		{"not after an option of length 1", "S", []byte{2, 1, 3, 3, 7}, false, 0},
		{"not after an option past the end", "S", []byte{2, 9, 3, 3, 7}, false, 0},
		{"not of another length", "S", []byte{3, 4, 7, 7}, false, 0},
		{"not without room for a length", "S", []byte{1, 1, 1, 3}, false, 0},
		{"not without room for a shift", "S", []byte{1, 1, 3, 3}, false, 0},
		{"the last of two", "S", []byte{3, 3, 7, 3, 3, 5}, true, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, status := check(t, segment(c.flags, c.options...), LinkIPv4, 0)
			if status != OK || p.HasWindowScale != c.has || p.WindowScale != c.scale || len(p.Payload) != 0 {
				t.Fatalf("%v, %v %d, want %v %d", status, p.HasWindowScale, p.WindowScale, c.has, c.scale)
			}
		})
	}
}

func TestOptionsCutByTheSnapLengthAreMissingAndNoMore(t *testing.T) {
	whole := segment("S", 2, 4, 5, 180, 3, 3, 7, 0)
	for n := 40; n < len(whole); n++ {
		p, status := check(t, whole[:n], LinkIPv4, len(whole))
		if status != OK || p.HasWindowScale != (n >= 47) || p.Missing != 0 {
			t.Errorf("%d bytes: %v, %+v", n, status, p)
		}
	}
}
