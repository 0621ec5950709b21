package attack

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// all are small samples of everything, with how many frames each must have.
func all() map[string]struct {
	frames Frames
	n      int
} {
	type row = struct {
		frames Frames
		n      int
	}
	m := map[string]row{
		"handshakes":  {Handshakes(0, 20), 60},
		"busy":        {Busy(0, 7, 100, 3), 100},
		"lifetimes":   {Lifetimes(0, 8), 8 + 6 + 5 + 1 + 9 + 7 + 6 + 2},
		"SYN flood":   {SYNFlood(500), 500},
		"SYN data":    {SYNData(3, 20, 1000), 20},
		"collisions":  {Collisions(50, 4, FNV1a), 50},
		"pieces":      {Pieces(0, 3, 10, 700, 3, Random), 30},
		"fragments 4": {Fragments4(10, 4000), 30},
		"fragments 6": {Fragments6(10, 4000), 30},
	}
	for _, o := range []Order{Ascending, Descending, Random} {
		m["islands "+o.String()] = row{Islands(5, 3, 40, o), 120}
	}
	for k := range NumChaff {
		m["chaff: "+k.String()] = row{k.Frames(1, 200), 200}
		m["honest: "+k.String()] = row{k.Honest(1), 1}
	}
	return m
}

func TestEveryFrameIsWhatGopacketReads(t *testing.T) {
	for name, a := range all() {
		n := 0
		for f := range a.frames {
			n++
			p := gopacket.NewPacket(f, layers.LayerTypeEthernet, gopacket.Default)
			if e := p.ErrorLayer(); e != nil {
				t.Fatalf("%s, frame %d: %v", name, n, e.Error())
			}
			if ip := p.Layer(layers.LayerTypeIPv4); ip != nil && int(ip.(*layers.IPv4).Length) != len(f)-ethernet {
				t.Fatalf("%s, frame %d: length %d of %d", name, n, ip.(*layers.IPv4).Length, len(f)-ethernet)
			}
			if ip := p.Layer(layers.LayerTypeIPv6); ip != nil && int(ip.(*layers.IPv6).Length) != len(f)-ethernet-ipv6 {
				t.Fatalf("%s, frame %d: length %d", name, n, ip.(*layers.IPv6).Length)
			}
		}
		assert.Equal(t, a.n, n, name)
	}
}

func TestTheSameFramesComeEachTime(t *testing.T) {
	for name, a := range all() {
		sum := func() string {
			h := sha256.New()
			for f := range a.frames {
				fmt.Fprintf(h, "%d %x\n", len(f), f)
			}
			return fmt.Sprintf("%x", h.Sum(nil))
		}
		assert.Equal(t, sum(), sum(), name)
	}
}

func TestASequenceMayBeLeftAnywhere(t *testing.T) {
	for name, a := range all() {
		for stop := range min(a.n, 12) {
			n := 0
			for range a.frames {
				if n++; n > stop {
					break
				}
			}
			assert.Equal(t, stop+1, n, name)
		}
	}
}

func TestNoTwoConnectionsHaveTheSameEnds(t *testing.T) {
	seen := map[Ends]uint32{}
	for _, first := range []uint32{0, 1 << 31} {
		for i := range uint32(100_000) {
			e := Connection(first + i)
			if other, ok := seen[e]; ok {
				t.Fatalf("%d and %d: %+v", other, first+i, e)
			}
			seen[e] = first + i
		}
	}
}

func TestCollisionsCollide(t *testing.T) {
	for name, hash := range map[string]func(Ends) uint64{"FNV-1a": FNV1a, "Jenkins": Jenkins} {
		for f := range Collisions(100, 7, hash) {
			ip, tcp := f[ethernet:], f[ethernet+ipv4:]
			e := Ends{
				Client: uint32(ip[12])<<24 | uint32(ip[13])<<16 | uint32(ip[14])<<8 | uint32(ip[15]),
				Server: uint32(ip[16])<<24 | uint32(ip[17])<<16 | uint32(ip[18])<<8 | uint32(ip[19]),
			}
			e.ClientPort, e.ServerPort = uint16(tcp[0])<<8|uint16(tcp[1]), uint16(tcp[2])<<8|uint16(tcp[3])
			require.Zero(t, hash(e)&127, name)
		}
	}
}

func TestNoDatagramOfFragmentsIsComplete(t *testing.T) {
	ends := map[uint16]bool{}
	begins := map[uint16]bool{}
	for f := range Fragments4(20, 5000) {
		ip := gopacket.NewPacket(f, layers.LayerTypeEthernet, gopacket.Default).Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		begins[ip.Id] = begins[ip.Id] || ip.FragOffset == 0
		ends[ip.Id] = ends[ip.Id] || ip.Flags&layers.IPv4MoreFragments == 0
	}
	require.Len(t, begins, 20)
	for id := range begins {
		assert.NotEqual(t, begins[id], ends[id], "datagram %d", id)
	}
}

func TestAMutatorFlipsOneBitInTenThousandAndLeavesTheOriginal(t *testing.T) {
	m := NewMutator(1)
	frame := bytes.Repeat([]byte{0x55}, 1500)
	kept := slices.Clone(frame)
	flips, bits, cut := 0, 0, 0
	for range 2000 {
		out := m.Frame(frame)
		if len(out) < len(frame) {
			cut++
		}
		for i, b := range out {
			for d := b ^ frame[i]; d != 0; d &= d - 1 {
				flips++
			}
		}
		bits += 8 * len(out)
	}
	assert.Equal(t, kept, frame)
	assert.InDelta(t, 1e-4, float64(flips)/float64(bits), 1e-5)
	assert.InDelta(t, 20, cut, 15)
	order := m.Order(10_000)
	moved := 0
	for i, k := range order {
		if i != k {
			moved++
		}
	}
	slices.Sort(order)
	assert.Equal(t, 9999, order[len(order)-1])
	assert.InDelta(t, 200, moved, 100)
}
