package capfile

import (
	"bytes"
	"io"
	"math"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// FuzzReader checks what holds for every input: the Reader agrees with the slow
// one, gives the same however the input is chopped, keeps its bounds, and stays
// with its last word.
func FuzzReader(f *testing.F) {
	for _, s := range samples() {
		f.Add(s.data)
		f.Add(s.data[:len(s.data)*2/3])
		f.Add(zip(s.data))
		f.Add(zip(s.data[:50], s.data[50:]))
	}
	for _, data := range hugeClaims() {
		f.Add(data)
	}
	f.Add([]byte{})
	f.Add([]byte{0x1f, 0x8b})
	f.Add(pcapHead(be, magicNano, 0x24000114))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewReader(bytes.NewReader(data))
		var got []Packet
		var p Packet
		var last error
		total := int64(0)
		for {
			last = r.Next(&p)
			if last != nil {
				break
			}
			require.LessOrEqual(t, len(p.Data), MaxRecord)
			require.GreaterOrEqual(t, p.WireLen, len(p.Data))
			require.LessOrEqual(t, p.WireLen, math.MaxInt32)
			require.GreaterOrEqual(t, p.Interface, 0)
			total += int64(len(p.Data))
			p.Data = bytes.Clone(p.Data)
			got = append(got, p)
		}
		require.True(t, r.Next(&p) == last, "the last word changed")
		if last != io.EOF {
			v := verdictOf(last)
			require.Contains(t, []error{ErrFormat, ErrTruncated, ErrCorrupt}, v.kind)
			require.GreaterOrEqual(t, v.offset, int64(0))
			require.LessOrEqual(t, v.offset, r.src.offset+int64(r.src.hi-r.src.lo))
		}
		require.LessOrEqual(t, total, r.src.offset, "more came out than went in")

		chopped, err := readAll(iotest.OneByteReader(bytes.NewReader(data)))
		if last == io.EOF {
			last = nil
		}
		require.Equal(t, last, err)
		requireSame(t, got, chopped)

		if len(data) >= 2 && isGzip(data[:2]) {
			return // the slow reader reads plain files only
		}
		want, v := slowRead(data)
		require.Equal(t, v, verdictOf(last))
		requireSame(t, want, got)
	})
}
