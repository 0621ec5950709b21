package decode

import (
	"testing"

	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// optionsOf makes options out of a number: any mask and depth, and ports that mean every tunnel in
// turn.
func optionsOf(n uint32) *Options {
	o := &Options{Peel: Peel(n) & PeelAll, Depth: int(n >> 16 & 7), Ports: nil}
	if n>>20&1 == 1 {
		kinds := []Tunnel{VXLAN, VXLANGPE, Geneve, GTPU, Teredo, AYIYA, L2TP, GRE, MPLS, TZSP}
		o.Ports = append(DefaultPorts(), Port{uint16(n >> 16), kinds[int(n>>21)%len(kinds)]}, Port{443, Geneve}, Port{443, Teredo})
	}
	return o
}

// The decoder and the reference on whatever there is in tunnels, and then once more on the inside
// taken for all of a datagram put together from fragments.
func FuzzTunnels(f *testing.F) {
	for _, s := range tunnelSamples() {
		f.Add(s.frame, uint32(PeelAll), 0)
		f.Add(s.frame[:len(s.frame)*3/4], uint32(PeelAll|1<<20), len(s.frame))
	}
	for _, c := range ignoredBits() {
		_, b := c.in()
		frame := frames.Ethernet(c.put(b))
		for i, bits := range c.mask {
			frame[14+c.at+i] |= bits
		}
		f.Add(frame, uint32(PeelAll), 0)
	}
	ip := insideTCP4.IP()
	for n := range 9 {
		ip = nestings[n%len(nestings)](ip)
		for depth := range 8 {
			f.Add(append([]byte("------------\x08\x00"), ip...), uint32(PeelAll)|uint32(depth)<<16, 0)
		}
	}
	f.Fuzz(func(t *testing.T, frame []byte, n uint32, wireLen int) {
		o := optionsOf(n)
		p, status := checkWith(t, frame, LinkEthernet, wireLen, o)
		plain, plainStatus := checkWith(t, frame, LinkEthernet, wireLen, nil)
		switch {
		case status >= NumStatus, int(p.Tunnels) > max(o.Depth, DefaultDepth), p.Peeled&^o.Peel != 0, (p.Peeled == 0) != (p.Tunnels == 0):
			t.Fatalf("%v with %+v", status, p)
		case p.Tunnels == 0 && status != TooManyTunnels && p.Family != 0 && (status != plainStatus || !samePacket(p, plain)):
			t.Fatalf("nothing peeled, and yet %v %+v, not %v %+v", status, p, plainStatus, plain)
		case plainStatus == OK && !plain.Fragmented && status != OK && p.Tunnels == 0 && status != TooManyTunnels:
			t.Fatalf("a readable packet became unreadable: %v", status)
		}
		if !p.Fragmented {
			return
		}
		data := p.Fragment
		if status := Reassembled(&p, data, NewPeeler(*o)); status == OK && !within(p.Payload, data) {
			t.Fatalf("reassembled: %v with %+v", status, p)
		}
		Checksum(&p, data)
	})
}

func FuzzDecode(f *testing.F) {
	seeds := samples()
	for _, s := range tunnelSamples() {
		if s.link != LinkEthernet {
			seeds = append(seeds, s.sample)
		}
	}
	for _, s := range seeds {
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
		if status := Reassembled(&p, data, nil); status == FragmentLater || p.Fragmented || !within(p.Payload, data) {
			t.Fatalf("reassembled: %v with %+v", status, p)
		}
	})
}
