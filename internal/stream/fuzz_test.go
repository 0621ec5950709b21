package stream

import "testing"

// FuzzStream reads a small language: two bytes choose the rules, then four bytes
// are one operation on a stream that the model watches.
//
//	op  at  size  fill
//	op%16: 0..11 insert, 12 insert with missing bytes, 13 skip, 14 finish, 15 drop
func FuzzStream(f *testing.F) {
	f.Add([]byte{0, 0, 0, 5, 3, 1, 0, 0, 5, 2})                             // a hole and what fills it
	f.Add([]byte{1, 0, 0, 5, 9, 1, 0, 7, 2, 2, 14, 0, 0, 0})                // last splits an extent
	f.Add([]byte{2, 0, 0, 5, 3, 1, 0, 4, 9, 2, 0, 6, 9, 3, 13, 9, 0, 0})    // linux, then a skip
	f.Add([]byte{0, 1, 0, 9, 3, 1, 0, 5, 3, 2, 0, 1, 3, 3, 0, 40, 3, 4})    // too many pieces
	f.Add([]byte{1, 2, 0, 9, 200, 1, 0, 5, 200, 2, 0, 3, 90, 3, 14, 9, 9})  // too many bytes
	f.Add([]byte{0, 3, 0, 0, 9, 1, 0, 0, 9, 2, 13, 20, 0, 0, 0, 0, 60, 3})  // kept bytes differ, then late
	f.Add([]byte{0, 0, 12, 0, 3, 9, 12, 8, 3, 4, 0, 2, 9, 1, 15, 0, 0, 0})  // missing bytes
	f.Add([]byte{2, 4, 0, 3, 60, 1, 0, 2, 60, 2, 0, 1, 250, 3, 0, 0, 1, 4}) // a tiny total
	f.Add([]byte("090200.0000\x0600"))                                      // a finished stream keeps no bytes
	limits := []Limits{
		{},
		{SidePieces: 3},
		{SideBytes: 700, SidePieces: 8},
		{Keep: 7, SideBytes: 900},
		{TotalBytes: 3000},
		{SideBytes: -1},
	}
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) < 2 || len(ops) > 1000 {
			return
		}
		l := limits[int(ops[1])%len(limits)]
		l.Policy = Policy(ops[0] % 4)
		r := newRig(t, l)
		r.noText = true
		for n := uint64(1); len(ops) >= 6; n++ {
			op, at, size, fill := ops[2], ops[3], ops[4], ops[5]
			ops = ops[4:]
			pos := r.s.Next() + int64(at) - 16
			switch op % 16 {
			case 13:
				r.skip(pos, Expired)
			case 14:
				r.finish(pos)
			case 15:
				r.a.Reclaim()
				r.again()
			default:
				seg := Segment{Pos: pos, Bytes: make([]byte, size), Time: int64(n), Now: int64(n), ID: n}
				for i := range seg.Bytes {
					// Few values, so that copies agree often but not always.
					seg.Bytes[i] = 'a' + byte(pos+int64(i))%3 + fill>>(i%8)&1
				}
				if op%16 == 12 {
					seg.Missing = int(fill)
				}
				r.insert(seg)
			}
		}
		r.finish(-1)
		must(t, r.a.HeldBytes() == 0, "nothing is held after the end")
	})
}
