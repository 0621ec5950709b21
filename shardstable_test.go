package flowscope_test

import (
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/dgryski/go-wyhash"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// promised is the hash that the comment of Sharder promises, written as it is told there.
func promised(a, b string) uint32 {
	lo, hi := netip.MustParseAddr(a).As16(), netip.MustParseAddr(b).As16()
	if slices.Compare(hi[:], lo[:]) < 0 {
		lo, hi = hi, lo
	}
	bytes := append(lo[:], hi[:]...)
	for i := 0; i < len(bytes); i += 8 {
		slices.Reverse(bytes[i : i+8])
	}
	return uint32(wyhash.Hash(bytes, 0))
}

// goldenPairs are addresses with their hashes, as a program in another language computed them. If this test fails, the
// function has changed, and with it where the records of every archive are: that must not be.
var goldenPairs = []struct {
	a, b string
	hash uint32
}{
	{"10.0.0.1", "10.0.0.2", 0x0dd337e9},
	{"192.0.2.10", "198.51.100.20", 0xa0a5a431},
	{"0.0.0.0", "255.255.255.255", 0x4ed6712f},
	{"0.0.0.0", "0.0.0.0", 0xbca60f8d},
	{"127.0.0.1", "127.0.0.1", 0xc0e30d16},
	{"10.1.2.3", "224.0.0.251", 0xf3b0a97d},
	{"2001:db8::1", "2001:db8::2", 0x270370bb},
	{"2001:db8:ffff::1", "2001:db8::ffff", 0x01901bf2},
	{"fe80::1", "ff02::fb", 0xdda029ea},
	{"::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0xb40f1b51},
	{"::1", "::1", 0x9ce83e05},
	{"::ffff:10.0.0.1", "::ffff:10.0.0.2", 0x0dd337e9}, // as those of IPv4
	{"2001:0:1::1", "2001:0:1::2", 0x499e6202},         // which Teredo can carry
	{"2002::", "::2002", 0xefcb879c},
}

// goldenFrames are the frames of a pair, each way a packet of it can be captured.
func goldenFrames(a, b string) map[string][][]byte {
	udp := frames.UDP{
		Src: netip.AddrPortFrom(netip.MustParseAddr(a), 1234).String(), Dst: netip.AddrPortFrom(netip.MustParseAddr(b), 80).String(),
		Payload: make([]byte, 1200),
	}.IP()
	all := map[string][][]byte{
		"plain":     {frames.Ethernet(udp)},
		"VLAN":      {frames.Ethernet(udp, 7, 9)},
		"fragments": etherAll(frames.Fragments(udp, 600, 77)),
	}
	for _, e := range testkit.Encapsulations() {
		whole := e.Put(0, udp)
		if e.Name == "Teredo" && !strings.HasPrefix(a, "2001:0:") && !strings.HasPrefix(b, "2001:0:") {
			continue // it carries IPv6 of its own prefix
		}
		all[e.Name] = [][]byte{whole}
		if whole[12] == 8 && whole[13] == 0 {
			all["fragments of "+e.Name] = etherAll(frames.Fragments(whole[14:], 600, 78))
		}
	}
	return all
}

func TestWorkersAreThePromisedOnes(t *testing.T) {
	const most = 4096
	sharders := make([]*flowscope.Sharder, most+1)
	for n := range sharders {
		sharders[n] = flowscope.NewSharder(n)
	}
	arp := append([]byte("\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x06"), make([]byte, 46)...)
	tried := 0
	for _, g := range goldenPairs {
		if got := promised(g.a, g.b); got != g.hash {
			t.Errorf("%s and %s: the hash is %#x, not %#x", g.a, g.b, got, g.hash)
		}
		for _, ends := range [][2]string{{g.a, g.b}, {g.b, g.a}} {
			for name, all := range goldenFrames(ends[0], ends[1]) {
				tried++
				for n := 1; n <= most; n++ {
					if name != "plain" && n&(n-1) != 0 && n%97 != 0 {
						continue // time
					}
					want := int(uint64(g.hash) * uint64(n) >> 32)
					for k, frame := range all {
						if got := sharders[n].Shard(flowscope.PacketView{Frame: frame}); got != want {
							t.Fatalf("%v, %s, frame %d: worker %d of %d, not %d", ends, name, k, got, n, want)
						}
					}
				}
			}
		}
	}
	for n := 1; n <= most; n++ {
		if got := sharders[n].Shard(flowscope.PacketView{Frame: arp}); got != 0 {
			t.Fatalf("ARP: worker %d of %d, not 0", got, n)
		}
	}
	if tried < 1000 {
		t.Errorf("only %d pairs and ways were tried", tried)
	}
}

// TestWorkersOfMixedTrafficStay also covers what is remembered of fragments, in every mixture.
func TestWorkersOfMixedTrafficStay(t *testing.T) {
	views := shardTraffic(rand.New(rand.NewPCG(22, 1)), 400)
	for n, want := range map[int]uint64{
		1: 0x5c277de2361ab035,
		2: 0x22f8ab57f46ef885, 3: 0x4be9b19dd6b0f362, 4: 0xa0eb3a7a72a43ac2, 32: 0xbe006f0aae1092a4, 1000: 0x5dc523adf00ae3f5, 4096: 0x2c7bd1e279b4bbac,
	} {
		s, sum := flowscope.NewSharder(n), fnv.New64a()
		for _, v := range views {
			sum.Write(binary.BigEndian.AppendUint32(nil, uint32(s.Shard(v))))
		}
		if got := sum.Sum64(); got != want {
			t.Errorf("%d workers, %d packets: %#x, not %#x", n, len(views), got, want)
		}
	}
}

// TestOnlyFragmentsDependOnOthers takes a Sharder that has seen other packets before, and one that has seen none.
func TestOnlyFragmentsDependOnOthers(t *testing.T) {
	views := shardTraffic(rand.New(rand.NewPCG(22, 2)), 300)
	old := flowscope.NewSharder(1 << 16)
	fragments, differ := 0, 0
	for _, v := range views {
		fresh := flowscope.NewSharder(1 << 16)
		one, other := old.Shard(v), fresh.Shard(v)
		switch {
		case fresh.IsFragment(v):
			fragments++
			if one != other {
				differ++
			}
		case one != other:
			t.Errorf("worker %d, and without the packets before it %d", one, other)
		}
	}
	if fragments < 500 || differ < 100 || fragments > len(views)*9/10 {
		t.Errorf("of %d packets %d are fragments, and %d depend on others", len(views), fragments, differ)
	}
}

func TestFragmentsAreToldByTheirHeaders(t *testing.T) {
	s := flowscope.NewSharder(4)
	for way, carry := range shardCarriers {
		r := rand.New(rand.NewPCG(7, 8))
		p := newShardPair(r, false)
		all := carry(p, 0, p.udp(0, 700))
		for k, frame := range all {
			if got, want := s.IsFragment(flowscope.PacketView{Frame: frame}), len(all) > 1; got != want {
				t.Errorf("%s, frame %d: %v", way, k, got)
			}
		}
		for k, frame := range carry(p, 0, p.tcp(0, "A", 1, 1, "")) {
			if got, want := s.IsFragment(flowscope.PacketView{Frame: frame}), len(carry(p, 0, p.tcp(0, "A", 1, 1, ""))) > 1; got != want {
				t.Errorf("%s, segment %d: %v", way, k, got)
			}
		}
	}
	for name, v := range map[string]flowscope.PacketView{
		"nothing": {}, "junk": {Frame: []byte("junk")}, "an unknown link": {Frame: make([]byte, 60), LinkType: 999},
	} {
		if s.IsFragment(v) {
			t.Errorf("%s is a fragment", name)
		}
	}
}
