package decode

import "testing"

func FuzzDecode(f *testing.F) {
	for _, s := range samples() {
		f.Add(s.frame, uint16(s.link), 0)
		f.Add(s.frame[:len(s.frame)*3/4], uint16(s.link), len(s.frame))
	}
	f.Fuzz(func(t *testing.T, frame []byte, link uint16, wireLen int) {
		p, status := check(t, frame, Link(link), wireLen)
		if status >= NumStatus {
			t.Fatalf("status %d", status)
		}
		if (status == OK || status == FragmentLater) != (p.Family != 0 && p.Payload != nil) {
			t.Fatalf("%v with %+v", status, p)
		}
		if !p.Fragmented {
			return
		}
		data := p.Fragment
		if status := Reassembled(&p, data); status == FragmentLater || p.Fragmented || !within(p.Payload, data) {
			t.Fatalf("reassembled: %v with %+v", status, p)
		}
	})
}
