package acceptance

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// A27. What differs in family, protocol, port, VLAN or identifier is another flow, however alike the numbers are.
func TestA27WhatOnlyLooksAlikeIsAnotherFlow(t *testing.T) {
	const port = 7
	sctp := frames.Ethernet(frames.SCTP{Src: "10.0.0.1:7", Dst: "10.0.0.2:7"}.IP())
	views := map[string][]byte{
		"TCP":                 testkit.TCP("10.0.0.1:7", "10.0.0.2:7", "S", 1, 0, ""),
		"UDP":                 testkit.UDP("10.0.0.1:7", "10.0.0.2:7"),
		"SCTP":                sctp,
		"ICMP":                frames.ICMPEcho{Src: "10.0.0.1", Dst: "10.0.0.2", ID: port}.Ethernet(),
		"another ICMP":        frames.ICMPEcho{Src: "10.0.0.1", Dst: "10.0.0.2", ID: port + 1}.Ethernet(),
		"GRE":                 frames.IP{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: 50, Payload: make([]byte, 20)}.Ethernet(),
		"IPv4 1.2.3.4":        testkit.UDP("1.2.3.4:7", "1.2.3.5:7"),
		"IPv6 ::1.2.3.4":      testkit.UDP("[::1.2.3.4]:7", "[::1.2.3.5]:7"),
		"IPv6 ::ffff:1.2.3.4": udp6("::ffff:1.2.3.4", "::ffff:1.2.3.5"),
		"VLAN 10":             frames.UDP{Src: "10.0.0.1:7", Dst: "10.0.0.2:7", VLANs: []uint16{10}}.Ethernet(),
		"VLAN 20":             frames.UDP{Src: "10.0.0.1:7", Dst: "10.0.0.2:7", VLANs: []uint16{20}}.Ethernet(),
		"ports crossed":       testkit.UDP("10.0.0.1:8", "10.0.0.2:9"),
		"ports crossed back":  testkit.UDP("10.0.0.1:9", "10.0.0.2:8"),
	}
	tr, err := flowscope.NewFlowTracker(flowscope.FiveTuple{VLAN: true}, flowscope.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // a second time they are found again
		for _, name := range sortedNames(views) {
			events := tr.Track(flowscope.PacketView{Frame: views[name], Timestamp: 1})
			if len(events) == 0 || events[0].Flow == 0 {
				t.Fatalf("%s belongs to no flow", name)
			}
		}
	}
	if tr.Len() != len(views) {
		t.Errorf("%d flows of %d", tr.Len(), len(views))
	}
}

// udp6 is a datagram between IPv6 addresses, also those that embed IPv4 ones.
func udp6(src, dst string) []byte {
	f := testkit.UDP("[fd00::1]:7", "[fd00::2]:7")
	copy(f[14+8:], addr16(src))
	copy(f[14+24:], addr16(dst))
	return f
}

func addr16(s string) []byte {
	var b [16]byte
	switch s { // written out: packages for addresses are tempted to unmap them
	case "::ffff:1.2.3.4":
		b = [16]byte{10: 0xff, 11: 0xff, 12: 1, 13: 2, 14: 3, 15: 4}
	case "::ffff:1.2.3.5":
		b = [16]byte{10: 0xff, 11: 0xff, 12: 1, 13: 2, 14: 3, 15: 5}
	}
	return b[:]
}

// A27. What an ICMP error quotes makes no flow, and the flow that it is about stays as it is: anybody can send one.
func TestA27AnICMPErrorTouchesNoFlowThatItQuotes(t *testing.T) {
	quoted := frames.TCP{Src: "10.0.0.1:1234", Dst: "10.0.0.2:80", Seq: 101, Flags: "R"}.IP()
	unreachable := func() []byte {
		return frames.IP{Src: "10.9.9.9", Dst: "10.0.0.1", Proto: 1, Payload: append([]byte{3, 1, 0, 0, 0, 0, 0, 0}, quoted...)}.Ethernet()
	}
	for _, known := range []bool{false, true} {
		l := testkit.NewAudited(t, flowscope.FiveTuple{}, flowscope.Config{})
		if known {
			l.Track(flowscope.PacketView{Frame: testkit.TCP(testkit.Client, testkit.Server, "S", 100, 0, ""), Timestamp: 1, ID: 1})
		}
		before := l.Tracker.Stats().FlowsCreated
		for i := range 3 {
			for _, ev := range l.Track(flowscope.PacketView{Frame: unreachable(), Timestamp: 2, ID: uint64(i + 2)}) {
				if ev.L4 == flowscope.L4TCP && ev.Kind.String() != "icmp_error" {
					t.Errorf("%v of %v", ev.Kind, ev.Key)
				}
			}
		}
		if made := l.Tracker.Stats().FlowsCreated - before; made > 1 {
			t.Errorf("%d flows for the errors of one host", made)
		}
		if f, ok := l.Tracker.Get(flowOfTCP(t)); ok != known || known && (f.State != flowscope.StateSynSent || f.Stats.Packets != [2]uint64{1, 0}) {
			t.Errorf("the flow that is quoted: %v %+v", ok, f)
		}
	}
}

func flowOfTCP(t *testing.T) testkit.Key {
	t.Helper()
	var x flowscope.Extracted[testkit.Key]
	if !(flowscope.FiveTuple{}).Extract(flowscope.PacketView{Frame: testkit.TCP(testkit.Client, testkit.Server, "S", 1, 0, "")}, &x) {
		t.Fatal("no flow")
	}
	return x.Key
}

// scrap is an early segment of letters.
type scrap struct {
	pos  int
	data string
}

// conflictsOf counts by hand, byte by byte, how often an arriving scrap differs from what is held, once for each
// unbroken range that it meets.
//
//	there      .aaa.bb
//	arriving   .aXaXbb      one range: "aaa" differs; another: "bb" does not
func conflictsOf(pieces []scrap, last bool) (n int) {
	held := map[int]byte{}
	for _, p := range pieces {
		differs := false
		for i := range len(p.data) {
			b, there := held[p.pos+i]
			if there && b != p.data[i] {
				differs = true
			}
			if _, more := held[p.pos+i+1]; differs && (!more || i == len(p.data)-1) {
				n++
				differs = false
			}
		}
		for i := range len(p.data) {
			if _, there := held[p.pos+i]; !there || last {
				held[p.pos+i] = p.data[i]
			}
		}
	}
	return n
}

// A36. Copies of the same bytes that differ are reported once for each range, and nothing else is.
func TestA36EachConflictingRangeIsReportedOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(36, 1))
	found := 0
	for round := range sized(300, 4000, 20_000) {
		pieces := make([]scrap, 2+r.IntN(8))
		script := make([]string, 0, len(pieces)+2)
		script = append(script, "hs")
		for i := range pieces {
			// Mostly the same text, so that many copies agree.
			pos, n, text := 1+r.IntN(20), 1+r.IntN(8), strings.Repeat("abcdefgh", 5)
			if r.IntN(3) == 0 {
				text = strings.Repeat("abcdeFGh", 5)
			}
			pieces[i] = scrap{pos, text[pos : pos+n]}
			script = append(script, fmt.Sprintf(">%d:%s", pos, pieces[i].data))
		}
		for policy, last := range []bool{false, true} {
			p := testkit.NewPlay(t, nil, flowscope.Config{Overlap: flowscope.OverlapPolicy(policy), MaxFlows: 4})
			p.Play(strings.Join(append(script, "finish"), " "))
			want := conflictsOf(pieces, last)
			found += want
			st := p.Driver.Stats()
			if got := st.Streams.Conflicts; got != uint64(want) || st.Anomalies[flowscope.AnomalyConflictingOverlap] != uint64(want) {
				t.Fatalf("round %d, %v: %d conflicts, %d anomalies, want %d: %v", round, flowscope.OverlapPolicy(policy), got,
					st.Anomalies[flowscope.AnomalyConflictingOverlap], want, script)
			}
		}
	}
	if found < 100 {
		t.Errorf("only %d conflicts", found)
	}
}

// A38. What Config leaves out has a finite default, and what makes no sense is refused by name: nothing is unlimited
// by accident.
func TestA38ConfigIsBoundedOrRefused(t *testing.T) {
	made, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{})
	if err != nil {
		t.Fatal(err)
	}
	filled := reflect.ValueOf(made.Config())
	for i := range filled.NumField() {
		name, v := filled.Type().Field(i).Name, filled.Field(i)
		switch name {
		case "Overlap", "Overflow", "KeepDelivered", "Fragments", "Checksums", "ReportEvery", "Details": // whose zero means what it says
			continue
		}
		switch {
		case v.CanInt() && (v.Int() <= 0 || v.Int() == math.MaxInt64):
			t.Errorf("%s is %d by default", name, v.Int())
		case v.CanUint() && v.Uint() == 0:
			t.Errorf("%s is 0 by default", name)
		}
		refused := func(n int64) {
			var cfg flowscope.Config
			f := reflect.ValueOf(&cfg).Elem().Field(i)
			if f.OverflowInt(n) {
				return
			}
			f.SetInt(n)
			_, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, cfg)
			_, err2 := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, cfg)
			if !errors.Is(err, flowscope.ErrConfig) || !errors.Is(err2, flowscope.ErrConfig) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s %d: %v, %v", name, n, err, err2)
			}
		}
		if v.CanInt() {
			refused(-1)
			refused(math.MinInt64)
			refused(math.MinInt32)
			if v.Kind() == reflect.Int {
				refused(math.MaxInt32)
				refused(math.MaxInt64)
			}
		}
	}
}

// A38. Limits that contradict each other are all held: the tightest wins.
func TestA38LimitsThatContradictEachOtherAreAllHeld(t *testing.T) {
	views := mixed(t, sized(500, 3000, 20_000))
	for _, cfg := range []flowscope.Config{
		{SideBytes: 256 << 20, TotalBytes: 1000},
		{SideBytes: 1, SidePieces: 1 << 20, TotalBytes: 1 << 40},
		{SidePieces: 1, TotalBytes: 1, KeepDelivered: 1 << 20},
		{KeepDelivered: 1 << 20, TotalBytes: 100_000},
		{MaxFlows: 1, MaxAnomalies: 1 << 20},
		{ClosingTimeout: flowscope.Never, LingerTimeout: flowscope.Never, EstablishedTimeout: 1, MaxFlows: 10},
		{HoleTimeout: 1, HoleAckedTimeout: flowscope.Never, HoleOneSidedTimeout: flowscope.Never, OpeningTimeout: 1},
		{ClockJump: 1}, {TotalBytes: math.MaxInt64, HoleTimeout: math.MaxInt64 - 1, UDPTimeout: math.MaxInt64 - 1},
	} {
		d := testkit.NewDriver(t, nil, cfg)
		b := testkit.NewBook(t, d)
		cfg = d.Config()
		for _, v := range views {
			b.Take(d.Track(v))
			if st := d.Stats(); st.MemoryBytes-64<<10 > cfg.TotalBytes || int(st.FlowsActive+st.FlowsLingering) > cfg.MaxFlows {
				t.Fatalf("%+v: %d bytes, %d and %d flows", cfg, st.MemoryBytes, st.FlowsActive, st.FlowsLingering)
			}
		}
		b.Take(d.Finish())
		b.Finish()
	}
}

// FuzzConfig: any Config is refused, or makes a driver that keeps its promises.
func FuzzConfig(f *testing.F) {
	f.Add(0, 0, 0, int64(0), 0, 0, int64(0), int64(0), uint8(0), uint32(0), []byte{})
	f.Add(2, 100, 3, int64(1000), 5, 2, int64(1), int64(1e9), uint8(0x11), uint32(0), testkit.RandomBytes(1, 300))
	f.Add(-1, -1, -1, int64(-1), -1, -1, int64(-1), int64(-1), uint8(0xff), uint32(1<<31), testkit.RandomBytes(2, 300))
	f.Fuzz(func(t *testing.T, flows, side, pieces int, total int64, remember, anomalies int, wait, idle int64, policies uint8, events uint32, in []byte) {
		cfg := flowscope.Config{
			MaxFlows: flows, SideBytes: side, SidePieces: pieces, TotalBytes: total, KeepDelivered: remember, MaxAnomalies: anomalies,
			HoleTimeout: time.Duration(wait), HoleOneSidedTimeout: time.Duration(wait), EstablishedTimeout: time.Duration(idle),
			LingerTimeout: time.Duration(idle), ClockJump: time.Duration(wait ^ idle),
			Overlap: flowscope.OverlapPolicy(policies & 15), Overflow: flowscope.OverflowPolicy(policies >> 4),
			Events: flowscope.EventMask(events),
		}
		if flows > 1<<12 || len(in) > 1000 {
			return // the table sets memory aside for its flows, which is promised and would only be slow
		}
		d, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, cfg)
		if err != nil {
			if !errors.Is(err, flowscope.ErrConfig) || d != nil {
				t.Fatalf("%v, %v", d, err)
			}
			return
		}
		cfg.Events = flowscope.AllEvents
		testkit.RunCalls(t, testkit.NewDriver(t, nil, cfg), testkit.DriverCalls(in), true)
	})
}
