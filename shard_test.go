package flowscope_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/internal/testkit/allocs"
)

// shardLog is what one driver says of each flow, without what depends on who shares the driver: the flows' numbers,
// and which packet's call an event came with.
type shardLog struct {
	d     *testkit.Driver
	flows map[flowscope.FlowID][]byte
	swept bool // the driver is told the time of each packet
}

func newShardLog(tb testing.TB, cfg flowscope.Config) *shardLog {
	tb.Helper()
	d, err := flowscope.NewFlowDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), nil, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return &shardLog{d: d, flows: map[flowscope.FlowID][]byte{}}
}

// hear enters the events of a call. No setting turns off that a reset in doubt ends its flow after a second of silence.
// When that shows depends on the packets of other flows, unless the driver is told the time of each packet.
func (l *shardLog) hear(events []testkit.Event) {
	silent := map[flowscope.FlowID]bool{}
	for i := range events {
		ev := &events[i]
		silent[ev.Flow] = silent[ev.Flow] || !l.swept && ev.Kind == flowscope.EventEnded && ev.Reason == flowscope.EndRST && ev.State != flowscope.StateReset
	}
	for i := range events {
		ev := &events[i]
		if ev.Flow == 0 {
			continue // about the driver as a whole
		}
		at := fmt.Sprint(ev.Timestamp)
		if silent[ev.Flow] && ev.Kind != flowscope.EventData {
			at = "in silence"
		}
		b := l.flows[ev.Flow]
		b = fmt.Appendf(b, "%v %v %v %v %v %v>%v %v %v %v %v %d/%d @%v %d+%d %q", ev.Key, ev.L4, ev.Kind, ev.Side,
			ev.Orientation, ev.From, ev.State, ev.Reason, ev.Anomaly, ev.Cause, ev.History, ev.ICMPType, ev.ICMPCode,
			at, ev.Offset, ev.Len, ev.Bytes)
		if ev.Stats != nil {
			b = fmt.Appendf(b, " %+v", *ev.Stats)
		}
		l.flows[ev.Flow] = append(b, '\n')
	}
}

// shardPlay shows the packets to n drivers and gives how often each log of a flow is there, by its hash, and the logs.
//
// What happens to a flow depends on other flows' packets through the clock alone, which moves with all of them. So the
// timestamps must not run back, ClockJump must be Never, and either no timeout ever comes or, with sweep, each driver is
// told the time of each packet.
func shardPlay(tb testing.TB, views []flowscope.PacketView, n int, cfg flowscope.Config, sweep bool, shard func(flowscope.PacketView) int) shardTold {
	tb.Helper()
	cfg.Events, cfg.ClockJump = flowscope.AllEvents, flowscope.Never
	cfg.MaxFlows, cfg.MaxAnomalies = 10_000, 1<<20 // limits of a whole driver: beyond any need
	var all []*shardLog
	for range n {
		all = append(all, newShardLog(tb, cfg))
		all[len(all)-1].swept = sweep
	}
	end := flowscope.Timestamp(0) // of the capture; the same for all
	for _, v := range views {
		end = v.Timestamp
		to := shard(v)
		for k, l := range all {
			if k == to {
				l.hear(l.d.Track(v))
			} else if sweep {
				l.hear(l.d.Sweep(v.Timestamp))
			}
		}
	}
	told := shardTold{map[string]int{}, map[string][]byte{}}
	for _, l := range all {
		l.hear(l.d.Sweep(end))
		l.hear(l.d.Finish())
		if st := l.d.Stats(); st.FlowsEvicted+st.Fragments.Limited+st.BudgetGaps != 0 {
			tb.Fatal("a limit bit, and drivers do not share their limits")
		}
		for _, b := range l.flows {
			sum := fmt.Sprintf("%x", sha256.Sum256(b))
			told.sums[sum]++
			told.logs[sum] = b
		}
	}
	return told
}

// steady makes timestamps that do not run back.
func steady(views []flowscope.PacketView) []flowscope.PacketView {
	for i := range views {
		if i > 0 {
			views[i].Timestamp = max(views[i].Timestamp, views[i-1].Timestamp)
		}
	}
	return views
}

// timeless has no timeout.
var timeless = flowscope.Config{
	OpeningTimeout: flowscope.Never, EstablishedTimeout: flowscope.Never, ClosingTimeout: flowscope.Never, ResetTimeout: flowscope.Never,
	UDPTimeout: flowscope.Never, ICMPTimeout: flowscope.Never, OtherTimeout: flowscope.Never, LingerTimeout: flowscope.Never,
	HoleAckedTimeout: flowscope.Never, HoleTimeout: flowscope.Never, HoleOneSidedTimeout: flowscope.Never,
	FragmentTimeout: flowscope.Never,
}

// shardTold is what shardPlay gives.
type shardTold struct {
	sums map[string]int
	logs map[string][]byte
}

// differ are the logs that are not in both as often.
func (want shardTold) differ(got shardTold) (all []string) {
	for sum, n := range want.sums {
		if got.sums[sum] != n {
			all = append(all, fmt.Sprintf("%d, not %d:\n%.2000s", got.sums[sum], n, want.logs[sum]))
		}
	}
	for sum, n := range got.sums {
		if want.sums[sum] == 0 {
			all = append(all, fmt.Sprintf("%d, not 0:\n%.2000s", n, got.logs[sum]))
		}
	}
	slices.Sort(all)
	return all
}

func shardCompare(t *testing.T, name string, views []flowscope.PacketView) (flows int) {
	t.Helper()
	steady(views)
	workers := []int{1, 2, 3, 4, 8}
	if testing.Short() {
		workers = []int{3}
	}
	for _, c := range []struct {
		name  string
		cfg   flowscope.Config
		sweep bool
	}{{"no timeouts", timeless, false}, {"timeouts", flowscope.Config{}, true}} {
		want := shardPlay(t, views, 1, c.cfg, c.sweep, func(flowscope.PacketView) int { return 0 })
		for _, n := range workers {
			got := shardPlay(t, views, n, c.cfg, c.sweep, flowscope.NewSharder(n).Shard)
			if differ := want.differ(got); len(differ) > 0 {
				t.Errorf("%s, %s, %d workers: %d of %d flows differ\n%s", name, c.name, n, len(differ), len(want.sums), differ[0])
				return 0
			}
		}
		flows = len(want.logs)
	}
	return flows
}

func TestWorkersSayOfEachFlowWhatOneSays(t *testing.T) {
	t.Run("made", func(t *testing.T) {
		for seed := range uint64(4) {
			views := shardTraffic(rand.New(rand.NewPCG(seed, 5)), 60)
			if flows := shardCompare(t, fmt.Sprint("seed ", seed), views); flows < 60 {
				t.Errorf("only %d flows", flows)
			}
		}
	})
	t.Run("own captures", func(t *testing.T) {
		for _, name := range []string{"http", "lossy", "tunnels"} {
			shardCompare(t, name, testkit.Load(t, "testdata/captures/"+name+".pcap"))
		}
	})
	t.Run("captures", func(t *testing.T) {
		flows := 0
		for _, name := range testkit.Captures(t) {
			flows += shardCompare(t, filepath.Base(name), testkit.Load(t, name))
		}
		if flows < 500 {
			t.Errorf("only %d flows", flows)
		}
	})
}

// TestTheOutermostAddressesWouldNotDo shows that the test above can fail.
func TestTheOutermostAddressesWouldNotDo(t *testing.T) {
	outermost := func(v flowscope.PacketView) int {
		var x flowscope.Extracted[flowscope.IPPairKey]
		flowscope.IPPair{}.Extract(v, &x)
		sum := sha256.Sum256(fmt.Append(nil, x.Key))
		return int(sum[0] % 2)
	}
	views := steady(shardTraffic(rand.New(rand.NewPCG(1, 5)), 60))
	want := shardPlay(t, views, 1, timeless, false, func(flowscope.PacketView) int { return 0 })
	if len(want.differ(shardPlay(t, views, 2, timeless, false, outermost))) == 0 {
		t.Error("no flow was taken apart")
	}
}

// shardPair is two hosts and what lies between them: a router, and for each direction tunnel ends of its own, as
// where two switches mirror what they send.
type shardPair struct {
	host, near, far [2]string
	router          string
	serial          uint32 // of datagrams
}

func newShardPair(r *rand.Rand, v6 bool) *shardPair {
	addr := func() string {
		if v6 {
			return fmt.Sprintf("fd00:%x::%x", r.IntN(1<<16), r.IntN(1<<16))
		}
		return netip.AddrFrom4([4]byte{10, byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}).String()
	}
	outer := func() string { return fmt.Sprintf("172.16.%d.%d", r.IntN(256), r.IntN(256)) }
	return &shardPair{
		host: [2]string{addr(), addr()}, near: [2]string{outer(), outer()}, far: [2]string{outer(), outer()}, router: addr(),
		serial: r.Uint32(),
	}
}

func (p *shardPair) at(dir int, port [2]int) (src, dst string) {
	join := func(k int) string {
		return netip.AddrPortFrom(netip.MustParseAddr(p.host[k]), uint16(port[k])).String()
	}
	return join(dir), join(1 - dir)
}

func (p *shardPair) udp(dir, size int) []byte {
	src, dst := p.at(dir, [2]int{5000, 6000})
	return frames.UDP{Src: src, Dst: dst, Payload: make([]byte, size)}.IP()
}

func (p *shardPair) tcp(dir int, flags string, seq, ack uint32, payload string) []byte {
	src, dst := p.at(dir, [2]int{40000, 80})
	return frames.TCP{Src: src, Dst: dst, Flags: flags, Seq: seq, Ack: ack, Window: 60000, Payload: []byte(payload)}.IP()
}

// unreachable is what the router says to who sent a packet of direction dir; RFC 792, and RFC 4443 for IPv6.
func (p *shardPair) unreachable(dir int, about []byte, size int) []byte {
	proto, head := uint8(1), []byte{3, 1, 0, 0, 0, 0, 0, 0}
	if about[0]>>4 == 6 {
		proto, head[0], head[1] = 58, 1, 3
	}
	return frames.Over(p.router, p.host[dir], proto, append(head, about[:min(size, len(about))]...))
}

func (p *shardPair) fragments(ip []byte, size int) [][]byte {
	p.serial++
	return frames.Fragments(ip, size, p.serial)
}

// shardCarriers are the ways a packet can go in: each gives the frames that carry an IP packet of direction dir.
var shardCarriers = map[string]func(p *shardPair, dir int, ip []byte) [][]byte{
	"plain": func(_ *shardPair, _ int, ip []byte) [][]byte { return [][]byte{frames.Ethernet(ip)} },
	"vlan": func(_ *shardPair, dir int, ip []byte) [][]byte {
		return [][]byte{frames.Ethernet(ip, uint16(7+dir), 9)}
	},
	"mpls": func(_ *shardPair, dir int, ip []byte) [][]byte {
		return [][]byte{frames.EtherFrame(0x8847, frames.MPLS(ip, 100, uint32(200+dir)))}
	},
	"ipip": func(p *shardPair, dir int, ip []byte) [][]byte {
		proto := uint8(4)
		if ip[0]>>4 == 6 {
			proto = 41
		}
		return [][]byte{frames.Ethernet(frames.Over(p.near[dir], p.far[dir], proto, ip))}
	},
	"gre": func(p *shardPair, dir int, ip []byte) [][]byte {
		return [][]byte{frames.Ethernet(frames.Over(p.near[dir], p.far[dir], 47, frames.GRE{}.Put(ip)))}
	},
	"gtpu": func(p *shardPair, dir int, ip []byte) [][]byte {
		return [][]byte{frames.Ethernet(frames.UDP{
			Src: p.near[dir] + ":2152", Dst: p.far[dir] + ":2152", Payload: frames.GTPU(uint32(7+dir), ip)}.IP())}
	},
	"vxlan": func(p *shardPair, dir int, ip []byte) [][]byte { return [][]byte{frames.Ethernet(p.vxlan(dir, ip))} },
	"vxlan in gre": func(p *shardPair, dir int, ip []byte) [][]byte {
		return [][]byte{frames.Ethernet(frames.Over(p.far[dir], p.near[1-dir], 47, frames.GRE{}.Put(p.vxlan(dir, ip))))}
	},
	"fragments": func(p *shardPair, _ int, ip []byte) [][]byte { return etherAll(p.fragments(ip, 64)) },
	"vxlan in fragments": func(p *shardPair, dir int, ip []byte) [][]byte {
		return etherAll(p.fragments(p.vxlan(dir, ip), 192))
	},
	"gre in fragments": func(p *shardPair, dir int, ip []byte) [][]byte {
		return etherAll(p.fragments(frames.Over(p.near[dir], p.far[dir], 47, frames.GRE{}.Put(ip)), 192))
	},
	"fragments in vxlan": func(p *shardPair, dir int, ip []byte) (out [][]byte) {
		for _, f := range p.fragments(ip, 64) {
			out = append(out, frames.Ethernet(p.vxlan(dir, f)))
		}
		return out
	},
	"fragments in vxlan in fragments": func(p *shardPair, dir int, ip []byte) (out [][]byte) {
		for _, f := range p.fragments(ip, 256) {
			out = append(out, etherAll(p.fragments(p.vxlan(dir, f), 192))...)
		}
		return out
	},
}

func (p *shardPair) vxlan(dir int, ip []byte) []byte {
	return frames.UDP{Src: p.near[dir] + ":3333", Dst: p.far[dir] + ":4789", Payload: frames.VXLAN(77, frames.Ethernet(ip))}.IP()
}

func etherAll(packets [][]byte) (out [][]byte) {
	for _, ip := range packets {
		out = append(out, frames.Ethernet(ip))
	}
	return out
}

// Conversation is a connection with a hole, two datagrams and an ICMP error, each packet carried on a way of its own.
func (p *shardPair) conversation(r *rand.Rand) (out [][]byte) {
	names := shardWays()
	send := func(dir int, ip []byte) {
		way := shardCarriers[names[r.IntN(len(names))]]
		out = append(out, way(p, dir, ip)...)
	}
	long := string(make([]byte, 400))
	send(0, p.tcp(0, "S", 0, 0, ""))
	send(1, p.tcp(1, "SA", 0, 1, ""))
	send(0, p.tcp(0, "A", 1, 1, ""))
	send(0, p.tcp(0, "PA", 1, 1, "hello"))
	send(1, p.tcp(1, "PA", 401, 6, long)) // 400 bytes are lost
	send(0, p.udp(0, 700))
	send(1, p.udp(1, 300))
	ip := p.udp(0, 30)
	send(0, ip)
	send(1, p.unreachable(0, ip, 576))
	send(1, p.unreachable(0, p.tcp(0, "PA", 1, 1, "hello"), 576))
	if r.IntN(2) == 0 {
		send(0, p.tcp(0, "FA", 6, 801, ""))
		send(1, p.tcp(1, "FA", 801, 7, ""))
		send(0, p.tcp(0, "A", 7, 802, ""))
	}
	return out
}

func shardWays() (names []string) {
	for name := range shardCarriers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// shardTraffic is many conversations at once, with pauses that some timeouts and holes do not outlive.
func shardTraffic(r *rand.Rand, conversations int) (views []flowscope.PacketView) {
	var waiting [][][]byte
	for i := range conversations {
		waiting = append(waiting, newShardPair(r, i%3 == 0).conversation(r))
	}
	now := flowscope.Timestamp(1e18)
	for len(waiting) > 0 {
		k := r.IntN(len(waiting))
		now += flowscope.Timestamp(r.IntN(20e6))
		if r.IntN(300) == 0 {
			now += 25e9
		}
		views = append(views, flowscope.PacketView{Frame: waiting[k][0], Timestamp: now, ID: uint64(len(views) + 1)})
		if waiting[k] = waiting[k][1:]; len(waiting[k]) == 0 {
			waiting = slices.Delete(waiting, k, k+1)
		}
	}
	return views
}

func TestWhatBelongsTogetherMeets(t *testing.T) {
	for _, way := range shardWays() {
		t.Run(way, func(t *testing.T) {
			carry := shardCarriers[way]
			r := rand.New(rand.NewPCG(7, 7))
			s := flowscope.NewSharder(64)
			for i := range 40 { // so that no pair is where it is by chance
				p := newShardPair(r, i%2 == 0)
				home := s.Shard(flowscope.PacketView{Frame: frames.Ethernet(p.udp(0, 0))})
				for dir := range 2 {
					packets := map[string][]byte{
						"datagram":                 p.udp(dir, 700),
						"segment":                  p.tcp(dir, "PA", 1, 1, "hello"),
						"error about a datagram":   p.unreachable(dir, p.udp(dir, 200), 576),
						"error about a segment":    p.unreachable(dir, p.tcp(dir, "PA", 1, 1, "hello"), 576),
						"a router's short message": p.unreachable(dir, p.udp(dir, 200), 48),
					}
					for name, ip := range packets {
						for k, frame := range carry(p, dir, ip) {
							if to := s.Shard(flowscope.PacketView{Frame: frame}); to != home {
								t.Errorf("%v, %s, frame %d: worker %d, not %d", p.host, name, k, to, home)
							}
						}
					}
				}
			}
		})
	}
}

func TestFragmentsMeetInAnyOrderUnlessTheyHoldATunnel(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	s := flowscope.NewSharder(64)
	for i := range 100 {
		p := newShardPair(r, i%2 == 0)
		home := s.Shard(flowscope.PacketView{Frame: frames.Ethernet(p.udp(1, 0))})
		all := etherAll(p.fragments(p.udp(0, 700), 64))
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, frame := range all {
			if to := s.Shard(flowscope.PacketView{Frame: frame}); to != home {
				t.Errorf("%v: worker %d, not %d", p.host, to, home)
			}
		}
	}
}

func TestWhatHasNoAddressesGoesToTheFirstWorker(t *testing.T) {
	s := flowscope.NewSharder(64)
	arp := append([]byte("\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x06"), make([]byte, 46)...)
	for name, v := range map[string]flowscope.PacketView{
		"nothing": {}, "ARP": {Frame: arp}, "an unknown link": {Frame: arp, LinkType: 999},
		"half a header": {Frame: testkit.UDP(testkit.Client, testkit.Server)[:20]},
	} {
		if to := s.Shard(v); to != 0 {
			t.Errorf("%s: worker %d", name, to)
		}
	}
}

func TestFewerThanOneWorkerIsOne(t *testing.T) {
	for _, n := range []int{-1 << 31, -1, 0, 1} {
		s := flowscope.NewSharder(n)
		for _, v := range shardTraffic(rand.New(rand.NewPCG(1, 1)), 5) {
			if to := s.Shard(v); to != 0 {
				t.Fatalf("%d: worker %d", n, to)
			}
		}
	}
}

// TestJunkGoesSomewhere cuts and changes real packets.
func TestJunkGoesSomewhere(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 4))
	views := shardTraffic(r, 40)
	for _, n := range []int{1, 3, 1<<31 - 1} {
		a, b := flowscope.NewSharder(n), flowscope.NewSharder(n)
		for range 60_000 {
			v := views[r.IntN(len(views))]
			v.Frame = slices.Clone(v.Frame)[:r.IntN(len(v.Frame)+1)]
			for range r.IntN(5) {
				if len(v.Frame) > 0 {
					v.Frame[r.IntN(min(len(v.Frame), 100))] = byte(r.Uint32())
				}
			}
			if r.IntN(8) == 0 {
				v.LinkType = flowscope.LinkType(r.IntN(300))
			}
			to := a.Shard(v)
			if to < 0 || to >= n {
				t.Fatalf("worker %d of %d", to, n)
			}
			if again := b.Shard(v); again != to {
				t.Fatalf("worker %d the first time, then %d", to, again)
			}
		}
	}
}

func TestShardAllocatesNothing(t *testing.T) {
	views := shardTraffic(rand.New(rand.NewPCG(2, 4)), 40)
	s := flowscope.NewSharder(8)
	i := 0
	allocs.None(t, 1, func() { s.Shard(views[i%len(views)]); i++ })
}

// TestPairsSpreadEvenly also looks at where a flow table would put the flows of one worker. If the two hashes had
// to do with each other, a worker's flows would crowd in a part of its table.
func TestPairsSpreadEvenly(t *testing.T) {
	const places = 16
	for name, addr := range map[string]func(r *rand.Rand, b []byte){
		"random": func(r *rand.Rand, b []byte) {
			binary.BigEndian.PutUint32(b, r.Uint32())
			binary.BigEndian.PutUint32(b[4:], r.Uint32())
		},
		"one network": func(r *rand.Rand, b []byte) {
			binary.BigEndian.PutUint32(b, 10<<24|r.Uint32()%65536)
			binary.BigEndian.PutUint32(b[4:], 10<<24|r.Uint32()%256)
		},
	} {
		for _, n := range []int{2, 3, 4, 7, 8} {
			t.Run(fmt.Sprint(name, "/", n), func(t *testing.T) {
				r := rand.New(rand.NewPCG(uint64(n), 1))
				s := flowscope.NewSharder(n)
				const perWorker = 10_000
				count, filled := make([]int, n), make([][places]int, n)
				frame := testkit.UDP(testkit.Client, testkit.Server)
				var x flowscope.Extracted[flowscope.FiveTupleKey]
				for range n * perWorker {
					addr(r, frame[26:])
					v := flowscope.PacketView{Frame: frame}
					to := s.Shard(v)
					flowscope.FiveTuple{}.Extract(v, &x)
					count[to]++
					filled[to][x.Key.Hash(0)>>(64-bits.TrailingZeros(places))]++
				}
				for k := range n {
					if d := count[k] - perWorker; d > perWorker/20 || d < -perWorker/20 {
						t.Errorf("worker %d has %d of %d", k, count[k], n*perWorker)
					}
					// 15 degrees of freedom: beyond 45 once in 10,000 times.
					want, chi := float64(count[k])/places, 0.0
					for _, got := range filled[k] {
						chi += (float64(got) - want) * (float64(got) - want) / want
					}
					if chi > 45 {
						t.Errorf("worker %d: its table would be filled as %v", k, filled[k])
					}
				}
			})
		}
	}
}

// Every encapsulation of IPv6 in IPv4, whole and in fragments of the outer packet.
func TestTunnelsInFragmentsGoWhereTheyGoWhole(t *testing.T) {
	s := flowscope.NewSharder(1 << 16)
	shard := func(f []byte) int { return s.Shard(flowscope.PacketView{Frame: f}) }
	in := frames.UDP{Src: "[2001:0:1::1]:1234", Dst: "[2001:0:1::2]:80", Payload: make([]byte, 1200)}.IP()
	all := map[string][]byte{"teredo": testkit.OuterUDP(0, 3544, frames.Teredo(false, false, in))}
	for _, e := range testkit.Encapsulations() {
		all[e.Name] = e.Put(0, in)
	}
	tried := 0
	for name, f := range all {
		if f[12] != 8 || f[13] != 0 {
			continue // not over IPv4
		}
		tried++
		for _, p := range frames.Fragments(f[14:], 600, 77) {
			if got, want := shard(frames.Ethernet(p)), shard(f); got != want {
				t.Errorf("%s: a fragment goes to %d, the whole to %d", name, got, want)
			}
		}
	}
	if tried < 10 {
		t.Errorf("only %d were tried", tried)
	}
}

func TestARememberedFragmentCatchesNoOtherDatagram(t *testing.T) {
	s := flowscope.NewSharder(1 << 16)
	shard := func(f []byte) int { return s.Shard(flowscope.PacketView{Frame: f}) }
	gre := testkit.OuterIP(0, 47, frames.GRE{}.Put(frames.UDP{Src: "10.0.0.1:1234", Dst: "10.0.0.2:80", Payload: make([]byte, 1200)}.IP()))
	for _, ends := range [][2]string{{"192.0.2.1:1234", "192.0.2.2:80"}, {"192.0.2.2:1234", "192.0.2.1:80"}} {
		for _, p := range frames.Fragments(gre[14:], 600, 9) {
			shard(frames.Ethernet(p))
		}
		u := frames.UDP{Src: ends[0], Dst: ends[1], Payload: make([]byte, 1200)}
		for _, p := range frames.Fragments(u.IP(), 600, 9) {
			if got, want := shard(frames.Ethernet(p)), shard(u.Ethernet()); got != want {
				t.Errorf("%v: a fragment goes to %d, the whole to %d", ends, got, want)
			}
		}
	}
}

// gtpu is a GTP-U tunnel's packet between two gateways.
func gtpu(ip []byte) []byte {
	g := frames.GTPU(7, ip)
	b := binary.BigEndian.AppendUint16(nil, 2152)
	b = binary.BigEndian.AppendUint16(b, 2152)
	b = binary.BigEndian.AppendUint16(b, uint16(len(g)+8))
	return frames.Over("192.0.2.1", "192.0.2.2", 17, append(append(b, 0, 0), g...))
}

// sharded shows frames to n trackers, each those that a Sharder gives it, cut by the capture.
func sharded(t *testing.T, n, snap int, packets [][]byte) (sum flowscope.TrackerStats) {
	sharder := flowscope.NewSharder(n)
	trackers := make([]*flowscope.FlowTracker[flowscope.FiveTupleKey, struct{}], n)
	for i := range trackers {
		var err error
		trackers[i], err = flowscope.NewFlowTracker(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{})
		require.NoError(t, err)
	}
	for _, p := range packets {
		f := frames.Ethernet(p)
		v := flowscope.PacketView{Frame: frames.Cut(f, snap), WireLen: len(f)}
		trackers[sharder.Shard(v)].Track(v)
	}
	for _, tr := range trackers {
		sum.FlowsCreated += tr.Stats().FlowsCreated
		sum.ICMPErrorsMatched += tr.Stats().ICMPErrorsMatched
	}
	return sum
}

func TestFragmentsThatTheCaptureCutAreShardedAsTheyAreTracked(t *testing.T) {
	var tunnels, errs [][]byte
	for k := byte(0); k < 8; k++ {
		host := "10.2.0." + string('0'+k) + ":2000"
		ip := frames.UDP{Src: "10.1.0." + string('0'+k) + ":1000", Dst: host, Payload: make([]byte, 1400)}.IP()
		tunnels = append(tunnels, frames.Fragments(gtpu(ip), 1400, uint32(k)+1)...)

		u := frames.UDP{Src: testkit.Client, Dst: host, Payload: make([]byte, 1000)}.IP()
		icmp := append([]byte{3, 1, 0, 0, 0, 0, 0, 0}, u...)
		errs = append(errs, u, frames.Fragments(frames.Over("10.7.7.7", "10.0.0.1", 1, icmp), 400, uint32(k)+1)[0])
	}
	for name, packets := range map[string][][]byte{"tunnels": tunnels, "ICMP errors": errs} {
		for _, snap := range []int{96, 1 << 16} {
			if one, many := sharded(t, 1, snap, packets), sharded(t, 8, snap, packets); one != many {
				t.Errorf("%s, %d bytes: one tracker makes %d flows and relates %d packets, 8 make %d and %d", name, snap,
					one.FlowsCreated, one.ICMPErrorsMatched, many.FlowsCreated, many.ICMPErrorsMatched)
			}
		}
	}
}
