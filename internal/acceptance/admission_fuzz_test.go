package acceptance

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// rubble turns any bytes into packets that have much to pass on their way to a flow: tunnels around fragments and
// fragments of tunnels, wrong checksums, ICMP errors, cut frames. What is made goes to a heap, from which it is taken
// in any order, twice or never:
//
//	byte   make one packet: what, ends, length, damage, tunnel, size of fragments inside and outside, ...
//	byte   take the n-th of the heap, cut it, let time pass
//
// Some connections are refused at once: their packets come in order, and more of them lies on the heap.
type rubble struct {
	in    []byte
	heap  [][]byte
	soon  [][]byte // what comes before the heap is asked again
	last  []byte   // the packet that an ICMP error quotes
	seq   uint32
	now   int64
	id    uint64
	carry []testkit.Encapsulation
}

func (r *rubble) byte() int {
	if len(r.in) == 0 {
		return 0
	}
	b := r.in[0]
	r.in = r.in[1:]
	return int(b)
}

var rubbleEnds = [...][2]string{
	{"10.0.0.1:1000", "10.0.0.2:80"}, {"10.0.0.3:7", "10.0.0.3:7"}, {"[2001:0:1::1]:5", "[2001:0:1::2]:5"}, {"10.0.0.1:50000", "10.0.0.2:4789"},
}

// ip makes a packet without a link header.
func (r *rubble) ip() []byte {
	what, who, size := r.byte(), r.byte(), r.byte()
	ends := rubbleEnds[who>>1%len(rubbleEnds)]
	from, to := ends[who&1], ends[1-who&1]
	payload := bytes.Repeat([]byte{byte(size)}, size)
	switch what % 8 {
	case 0, 1:
		return frames.UDP{Src: from, Dst: to, Payload: payload}.IP()
	case 2:
		return frames.ICMPEcho{Src: testkit.HostOf(from), Dst: testkit.HostOf(to), ID: 1, Payload: payload}.IP()
	case 3:
		if len(r.last) == 0 {
			break
		}
		src, kind := netip.AddrFrom4([4]byte(r.last[12:16])), byte(3)
		if r.last[0]>>4 == 6 {
			src, kind = netip.AddrFrom16([16]byte(r.last[8:24])), 1
		}
		return testkit.ICMPError(src.String(), src.String(), kind, byte(size), r.last[:min(len(r.last), 60+size)])
	case 4:
		return frames.IP{Src: testkit.HostOf(from), Dst: testkit.HostOf(to), Proto: uint8(size), Payload: payload}.IP()
	}
	flags := []string{"S", "SA", "A", "PA", "PA", "FA", "R"}[what>>3%7]
	r.seq += uint32(size)
	if flags == "R" && what>>3 >= 20 {
		from, flags = netip.AddrPortFrom(netip.MustParseAddrPort(from).Addr(), uint16(2000+size)).String(), "PA"
		r.refuse(from, to)
	}
	return frames.TCP{Src: from, Dst: to, Seq: r.seq, Ack: r.seq, Flags: flags, Window: 1000, Payload: payload}.IP()
}

// refuse lets a SYN come, the reset that refuses it, which ends a flow for certain, and a packet that is late then.
func (r *rubble) refuse(from, to string) {
	for _, g := range []frames.TCP{
		{Src: from, Dst: to, Seq: r.seq, Flags: "S", Window: 1000},
		{Src: to, Dst: from, Ack: r.seq + 1, Flags: "RA"},
		{Src: from, Dst: to, Seq: r.seq + 1, Ack: 1, Flags: "A", Window: 1000},
	} {
		r.soon = append(r.soon, frames.Ethernet(g.IP()))
	}
}

// make puts the frames of one packet onto the heap.
func (r *rubble) make() {
	ip := r.ip()
	if ip[0]>>4 == 6 && ip[6] != 58 || ip[0] == 0x45 && ip[9] != 1 {
		r.last = ip
	}
	if damage := r.byte(); damage > 200 {
		ip = slices.Clone(ip)
		ip[damage%len(ip)] ^= byte(damage)
	}
	pieces := r.pieces(ip)
	dir, how := r.byte()&1, r.byte()
	for _, p := range pieces {
		e := r.carry[how%len(r.carry)]
		if e.V6 {
			e = r.carry[0]
		}
		f := e.Put(dir, p)
		if how&64 != 0 {
			f = testkit.VXLANOf(uint32(how&1), f[14:]) // may be nonsense by now
		}
		if binary.BigEndian.Uint16(f[12:]) != 0x0800 || f[14]>>4 != 4 {
			r.heap = append(r.heap, f)
			continue
		}
		for _, p := range r.pieces(f[14:]) {
			r.heap = append(r.heap, frames.Ethernet(p))
		}
	}
}

// pieces are the fragments of a packet, of which one may be changed.
func (r *rubble) pieces(ip []byte) [][]byte {
	how := r.byte()
	if how < 100 || len(ip) < 60 || ip[0] != 0x45 && ip[0]>>4 != 6 {
		return [][]byte{ip}
	}
	out := frames.Fragments(ip, 8*(how%32), uint32(how&3))
	if how > 220 {
		p, at := out[how%len(out)], 6
		if p[0]>>4 == 6 {
			at = 42
		}
		binary.BigEndian.PutUint16(p[at:], binary.BigEndian.Uint16(p[at:])+uint16(r.byte())-4)
	}
	return out
}

// take is a frame of the heap, or nil if one was made instead.
func (r *rubble) take() []byte {
	op := r.byte()
	if op < 100 || len(r.heap) == 0 {
		if r.make(); len(r.heap) > 60 {
			r.heap = r.heap[len(r.heap)-60:]
		}
		return nil
	}
	n := op % len(r.heap)
	f := r.heap[n]
	if op < 250 {
		r.heap = slices.Delete(slices.Clone(r.heap), n, n+1)
	}
	return f
}

// step gives the next view, or false at the end.
func (r *rubble) step() (v flowscope.PacketView, ok bool) {
	for len(r.in) > 0 {
		var f []byte
		if len(r.soon) > 0 {
			f, r.soon = r.soon[0], r.soon[1:]
		} else if f = r.take(); f == nil {
			continue
		}
		r.id++
		v = flowscope.PacketView{Frame: f, WireLen: len(f), ID: r.id}
		switch t := r.byte(); {
		case t > 250:
			v.Frame = f[:min(len(f), 4*r.byte())]
		case t > 240:
			r.now += 31e9
		case t > 100:
			r.now += int64(t) * 1e6
		}
		v.Timestamp = flowscope.Timestamp(r.now)
		return v, true
	}
	return v, false
}

func rubbleViews(in []byte) (views []flowscope.PacketView) {
	r := &rubble{in: in, now: 1e18, carry: testkit.Encapsulations()}
	for {
		v, ok := r.step()
		if !ok {
			return views
		}
		views = append(views, v)
	}
}

// admitAll plays the views twice, once with frames that are overwritten after each call, and holds both to the
// ledger, to the bounds of reassembly, and to one another.
func admitAll[K comparable](tb testing.TB, name string, ex flowscope.FlowExtractor[K], cfg flowscope.Config, views []flowscope.PacketView) {
	tb.Helper()
	var logs [2][]testkit.Fact[K]
	buffer := make([]byte, 1<<17)
	for round := range logs {
		newLedger := func() *testkit.Ledger[K] { return testkit.NewAudited(tb, ex, cfg) }
		l := newLedger()
		if round == 1 {
			l = testkit.WithoutFastPaths(newLedger)
		}
		l.Oversized, l.Keep = true, true
		for _, v := range views {
			kept := v.Frame
			if round == 1 {
				v.Frame = buffer[:copy(buffer, v.Frame)]
			}
			l.Track(v)
			if !bytes.Equal(kept, v.Frame) {
				tb.Fatalf("%s: frame %x was written to: %x", name, kept, v.Frame)
			}
			clear(v.Frame[:len(v.Frame)*round])
			st := l.Tracker.Stats().Fragments
			if cfg := l.Tracker.Config(); st.Bytes > cfg.FragmentBytes || st.Waiting > cfg.FragmentDatagrams || st.Waiting < 0 {
				tb.Fatalf("%s: beyond the bounds: %+v", name, st)
			}
		}
		l.Finish()
		if st := l.Tracker.Stats().Fragments; st.Waiting != 0 || st.Bytes != 0 {
			tb.Fatalf("%s: after Finish: %+v", name, st)
		}
		logs[round] = l.Log
	}
	for i := range logs[0] {
		if i >= len(logs[1]) || logs[0][i] != logs[1][i] {
			tb.Fatalf("%s: event %d is %+v, and not on the slow paths, with frames that do not last", name, i, logs[0][i])
		}
	}
	if len(logs[0]) != len(logs[1]) {
		tb.Fatalf("%s: %d events, then %d", name, len(logs[0]), len(logs[1]))
	}
}

// ownReader reads IPv4 packets and frames by itself, as one that knows nothing of the library's readers does.
type ownReader struct{}

type ownKey struct{ src, dst uint32 }

func (ownReader) Extract(v flowscope.PacketView, x *flowscope.Extracted[ownKey]) bool {
	b := v.Frame
	if v.LinkType == 0 {
		if len(b) < 14 || b[12] != 8 || b[13] != 0 {
			return false
		}
		b = b[14:]
	}
	if len(b) < 28 || b[0] != 0x45 {
		return false
	}
	x.Key = ownKey{binary.BigEndian.Uint32(b[12:]), binary.BigEndian.Uint32(b[16:])}
	if x.Key.src > x.Key.dst {
		x.Key, x.Orientation = ownKey{x.Key.dst, x.Key.src}, flowscope.Reverse
	}
	x.L4, x.Payload = flowscope.L4Proto(b[9]), b[28:]
	return true
}

func FuzzAdmission(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(byte(seed), testkit.RandomBytes(seed+900, 400))
	}
	f.Fuzz(func(t *testing.T, how byte, in []byte) { admitRubble(t, how, in[:min(len(in), 500)]) })
}

func admitRubble(t testing.TB, how byte, in []byte) {
	views := rubbleViews(in)
	cfg := flowscope.Config{MaxFlows: 6, Checksums: flowscope.ChecksumMode(how % 3)}
	if how&4 != 0 {
		cfg.FragmentDatagrams = 3
	}
	if how&8 != 0 {
		cfg.FragmentBytes = 9000
	}
	if how&16 != 0 {
		cfg.Fragments = flowscope.FragmentsIgnore
	}
	five := flowscope.FiveTuple{VLAN: how&32 != 0, Directional: how&64 != 0}
	auto := flowscope.AutoDetectEncap(five)
	admitAll(t, "AutoDetectEncap", auto, cfg, views)
	admitAll(t, "PerTunnel", flowscope.PerTunnel(auto), cfg, views)
	switch how % 7 {
	case 0:
		admitAll(t, "FiveTuple", five, cfg, views)
	case 1:
		admitAll(t, "InnerVXLAN", flowscope.InnerVXLAN(five), cfg, views)
	case 2:
		admitAll(t, "MACPair", flowscope.AutoDetectEncap(flowscope.MACPair{}), cfg, views)
	case 3:
		admitAll(t, "IPPair", flowscope.AutoDetectEncap(flowscope.IPPair{}), cfg, views)
	case 4:
		admitAll(t, "own", ownReader{}, cfg, views)
	case 5:
		admitAll(t, "own in a combinator", flowscope.AutoDetectEncap(testkit.PortOnly{}), cfg, views)
	default:
		admitAll(t, "own with labels", flowscope.FlowLabel(flowscope.InnerGTPU(testkit.PortOnly{})), cfg, views)
	}
	d, err := flowscope.NewFlowDriver(auto, nil, flowscope.Config{
		MaxFlows: 6, Checksums: cfg.Checksums, FragmentBytes: cfg.FragmentBytes, Events: flowscope.AllEvents,
	})
	if err != nil {
		t.Fatal(err)
	}
	b := testkit.NewBook(t, d)
	for _, v := range views {
		b.Take(d.Track(v))
	}
	b.Take(d.Finish())
	b.Finish()
}

// TestRubbleIsAdmittedOrRefused is FuzzAdmission on a few hundred inputs, and sees to it that they lead somewhere.
func TestRubbleIsAdmittedOrRefused(t *testing.T) {
	n := uint64(150)
	if testing.Short() {
		n = 40
	}
	seen := map[string]uint64{}
	for seed := range n {
		in := testkit.RandomBytes(seed+5000, 800)
		admitRubble(t, byte(seed), in)
		cfg := flowscope.Config{Checksums: flowscope.ChecksumVerify, FragmentBytes: 20000}
		l := testkit.NewAudited(t, flowscope.AutoDetectEncap(flowscope.FiveTuple{}), cfg)
		l.Oversized = true
		for _, v := range rubbleViews(in) {
			l.Track(v)
		}
		l.Finish()
		st := l.Tracker.Stats()
		for name, n := range map[string]uint64{
			"datagrams": st.Fragments.Datagrams, "duplicates": st.Fragments.Duplicates, "bad fragments": st.Fragments.Bad,
			"overlaps": st.Fragments.Overlaps, "limited": st.Fragments.Limited, "cut": st.Fragments.Cut,
			"incomplete": st.Fragments.Incomplete, "unused": st.Fragments.Unused, "related": st.ICMPErrorsMatched,
			"bad": st.ChecksumsBad, "unknown": st.ChecksumsUnknown, "late": st.PacketsLate, "flows": st.FlowsCreated,
			"bad in a flow": st.Anomalies[flowscope.AnomalyBadChecksum], "implausible": st.Anomalies[flowscope.AnomalyImplausibleICMP],
			"refused for its checksum": st.Refused[flowscope.RefusedBadChecksum],
		} {
			seen[name] += n
		}
	}
	for name, n := range seen {
		if n == 0 {
			t.Errorf("never came to pass: %s", name)
		}
	}
	t.Log(fmt.Sprint(seen))
}
