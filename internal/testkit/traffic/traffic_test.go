package traffic

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/flowscope-go/flowscope/internal/testkit/allocs"
	"github.com/flowscope-go/flowscope/internal/testkit/race"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// each makes n packets of every mix, in memory for a few of them, so that every kind is written over every other.
func each(t *testing.T, flows, frame, n int, f func(t *testing.T, g *Generator, packets []Packet)) {
	for _, m := range Mixes() {
		t.Run(m.String(), func(t *testing.T) {
			g := New(Config{Mix: m, Flows: flows, Frame: frame, Seed: 7})
			var all []Packet
			for r := NewRing(g, min(n, 60)); len(all) < n; {
				for _, p := range r.Next() {
					all = append(all, Packet{bytes.Clone(p.Frame), p.Stamp})
				}
			}
			f(t, g, all)
		})
	}
}

func TestGopacketReadsEveryFrameAndItsChecksums(t *testing.T) {
	for _, frame := range []int{MinFrame, 65, 1514, MaxFrame} {
		largest := 0
		each(t, 3, frame, 600, func(t *testing.T, g *Generator, packets []Packet) {
			for _, p := range packets {
				largest = max(largest, len(p.Frame))
				d := gopacket.NewPacket(p.Frame, layers.LayerTypeEthernet, gopacket.DecodeOptions{NoCopy: true})
				if d.TransportLayer() == nil || d.Metadata().Truncated { // what the payload means does not matter
					t.Fatal(d)
				}
				ip, l4 := p.Frame[14:34], p.Frame[34:]
				if checksum(sumOf(ip)) != 0 {
					t.Fatalf("IP header sums to %04x", checksum(sumOf(ip)))
				}
				padded := append(append([]byte{ip[12], ip[13], ip[14], ip[15], ip[16], ip[17], ip[18], ip[19], 0, ip[9],
					byte(len(l4) >> 8), byte(len(l4))}, l4...), 0)
				if sum := checksum(sumOf(padded)); sum != 0 {
					t.Fatalf("transport sums to %04x: %v", sum, d)
				}
				if app := d.TransportLayer().LayerPayload(); len(bytes.Trim(app, string(rune(filler)))) > 0 {
					t.Fatalf("payload %x", app)
				}
			}
		})
		if largest > frame || frame < MaxFrame && largest < frame {
			t.Errorf("frames of %d bytes, asked for %d", largest, frame)
		}
	}
}

func TestTheSameConfigMakesTheSamePackets(t *testing.T) {
	make200 := func(m Mix, seed uint64) (all []byte) {
		g := New(Config{Mix: m, Flows: 10, Seed: seed})
		for _, p := range NewRing(g, 200).Next() {
			all = append(binary.AppendVarint(all, p.Stamp), p.Frame...)
		}
		return all
	}
	for _, m := range Mixes() {
		if !bytes.Equal(make200(m, 1), make200(m, 1)) {
			t.Errorf("%v differs from itself", m)
		}
		if bytes.Equal(make200(m, 1), make200(m, 2)) {
			t.Errorf("%v does not depend on the seed", m)
		}
	}
}

func TestTimestampsRiseAndAPassTakesTheGap(t *testing.T) {
	each(t, 1000, 0, 20000, func(t *testing.T, g *Generator, packets []Packet) {
		for i := 1; i < len(packets); i++ {
			if packets[i].Stamp < packets[i-1].Stamp {
				t.Fatalf("packet %d runs back", i)
			}
		}
		// The first passes have gaps where conversations have not begun.
		late := packets[8000:]
		if took := late[10000].Stamp - late[0].Stamp; took != 10*int64(g.cfg.Gap) {
			t.Errorf("10 passes took %d ns", took)
		}
	})
}

// TestNoTupleComesBack also says how many conversations there are: as many as places, and one more for each that ends.
func TestNoTupleComesBack(t *testing.T) {
	each(t, 100, 0, 50000, func(t *testing.T, g *Generator, _ []Packet) {
		seen := map[[3]uint64]bool{}
		for n := range g.next {
			src, dst, sport, dport := g.addresses(n)
			k := [3]uint64{uint64(src), uint64(dst), uint64(sport)<<16 | uint64(dport)}
			if seen[k] {
				t.Fatalf("conversation %d has addresses of an earlier one", n)
			}
			seen[k] = true
		}
		if len(seen) < 100 {
			t.Errorf("only %d conversations", len(seen))
		}
	})
}

// TestScriptsAreConnectionsThatMakeSense holds what a receiver would hold: confirmations never fall, nor run ahead of
// what was sent; data in order begins where it ended, except in Rough, where every byte comes or is confirmed.
func TestScriptsAreConnectionsThatMakeSense(t *testing.T) {
	for _, m := range Mixes() {
		g := New(Config{Mix: m, Frame: 200})
		if g.kind.udp {
			continue
		}
		late, holes := 0, 0
		for v, script := range g.scripts {
			var end, acked [2]uint32
			for i, s := range script {
				if s.at > end[s.side] {
					holes++
				} else if s.at < end[s.side] {
					late++
				}
				past := s.at + uint32(s.size)
				if s.flags&(syn|fin) != 0 {
					past++
				}
				end[s.side] = max(end[s.side], past)
				if s.flags&ack != 0 && s.acked < acked[s.side] {
					t.Fatalf("%v %d: step %d confirms less than before", m, v, i)
				}
				acked[s.side] = max(acked[s.side], s.acked)
			}
			if last := script[len(script)-1]; m != Scan && m != Flood && (acked != [2]uint32{end[1], end[0]} || last.flags != ack) {
				t.Errorf("%v %d: %v confirmed of %v", m, v, acked, end)
			}
		}
		if rough := m == Rough; rough != (late > 0) || rough != (holes > 0) {
			t.Errorf("%v: %d late segments, %d beyond a hole", m, late, holes)
		}
	}
}

// TestEveryKindOfPacketComesInItsShare: once warm, a slice of a pass shows what whole passes show. Otherwise what is
// measured with many flows would be the handshakes alone.
func TestEveryKindOfPacketComesInItsShare(t *testing.T) {
	shares := func(packets []Packet) (share [256]float64) {
		for _, p := range packets {
			flags := 0xff
			if p.Frame[23] == 6 {
				flags = int(p.Frame[47])
			} else if binary.BigEndian.Uint16(p.Frame[34:]) == 53 {
				flags = 0xfe
			}
			if flags == ack && len(p.Frame) > headersTCP {
				flags = 0x7f
			}
			share[flags] += 1 / float64(len(packets))
		}
		return share
	}
	for _, m := range []Mix{Web, DNS, Scan, Flood} {
		g := New(Config{Mix: m, Flows: 20000, Frame: 100})
		NewRing(g, g.WarmUp()).Next()
		slice, long := shares(NewRing(g, 4000).Next()), shares(NewRing(g, race.Seeds(40)*20000).Next())
		for flags := range slice {
			if a, b := slice[flags], long[flags]; b > 0 && (a < b/2-0.005 || a > 2*b+0.005) {
				t.Errorf("%v: %.3f of the slice is of kind %#x, %.3f in the long run", m, a, flags, b)
			}
		}
	}
}

func TestARingUsesItsMemoryAgain(t *testing.T) {
	g := New(Config{Mix: Web, Flows: 100_000})
	r := NewRing(g, 64)
	allocs.None(t, 64, func() { r.Next() })
}
