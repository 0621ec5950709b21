package stream

import (
	"bytes"
	"fmt"
	"testing"
)

// BenchmarkInsert: order is how many segments come in reverse before the one they
// wait for; 1 is in order, for which a caller would not even call Insert.
func BenchmarkInsert(b *testing.B) {
	for _, size := range []int{1, 1460} {
		for _, order := range []int{1, 2, 32, 512} {
			b.Run(fmt.Sprintf("size=%d/order=%d", size, order), func(b *testing.B) {
				a := NewArena(Limits{SideBytes: 1 << 20})
				var s Stream
				out := make([]Item, 0, 1024)
				frame := bytes.Repeat([]byte("x"), size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				k := 0
				first := int64(0)
				for b.Loop() {
					if k == 0 {
						k, first = order, s.Next()
					}
					k--
					a.Reclaim()
					out = out[:0]
					a.Insert(&s, Segment{Pos: first + int64(k*size), Bytes: frame}, &out)
				}
			})
		}
	}
}
