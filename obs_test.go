package flowscope_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// anomalyCase is a minimal way to a kind.
type anomalyCase struct {
	kind     flowscope.AnomalyKind
	name     string
	severity flowscope.Severity
	script   string
	cfg      flowscope.Config
	buffered bool // with BufferedReassemblers of 4 bytes

	frames [][]byte // after the script; nil lets a minute pass
}

var anomalyCases = []anomalyCase{
	{flowscope.AnomalyBufferOverflow, "buffer_overflow", flowscope.SeverityError, "hs >0:abcdefg", flowscope.Config{}, true, nil},
	{flowscope.AnomalyOutOfOrderSegment, "ooo_segment", flowscope.SeverityInfo, "hs >3:x", flowscope.Config{}, false, nil},
	{flowscope.AnomalyFlowTableEvictionPressure, "flow_table_eviction", flowscope.SeverityWarning, ">S >S/t1", flowscope.Config{MaxFlows: 1}, false, nil},
	{flowscope.AnomalyConflictingOverlap, "conflicting_overlap", flowscope.SeverityError, "hs >1:aa >1:bb", flowscope.Config{}, false, nil},
	{flowscope.AnomalyGap, "gap", flowscope.SeverityWarning, "hs >0:ab/c1", flowscope.Config{}, false, nil},
	{flowscope.AnomalyMemoryCap, "memory_cap", flowscope.SeverityError, "hs >1:a >3:b", flowscope.Config{SidePieces: 1}, false, nil},
	{flowscope.AnomalyImplausibleRST, "implausible_rst", flowscope.SeverityWarning, "hs >R@5", flowscope.Config{}, false, nil},
	{flowscope.AnomalyImplausibleSYN, "implausible_syn", flowscope.SeverityWarning, "hs <SA/n77", flowscope.Config{}, false, nil},
	{flowscope.AnomalyImplausibleACK, "implausible_ack", flowscope.SeverityWarning, "hs >0:x/a1500000000", flowscope.Config{}, false, nil},
	{flowscope.AnomalyOutOfWindow, "out_of_window", flowscope.SeverityWarning, "hs >5000000:x", flowscope.Config{}, false, nil},
	{flowscope.AnomalyFINConflict, "fin_conflict", flowscope.SeverityWarning, "hs >F@0 >F@5", flowscope.Config{}, false, nil},
	{flowscope.AnomalyDataAfterClose, "data_after_close", flowscope.SeverityWarning, "hs >F@0 >0:x", flowscope.Config{}, false, nil},
	{flowscope.AnomalyDataWithoutACK, "data_without_ack", flowscope.SeverityWarning, "hs >0:x/fP", flowscope.Config{}, false, nil},
	{flowscope.AnomalyDataOnRST, "data_on_rst", flowscope.SeverityInfo, "hs >R@0/dxyz", flowscope.Config{}, false, nil},
	{flowscope.AnomalyDataBeforeHandshake, "data_before_handshake", flowscope.SeverityWarning, ">S <0:x", flowscope.Config{}, false, nil},
	{flowscope.AnomalySYNDataIgnored, "syn_data_ignored", flowscope.SeverityInfo, ">S/dab <SA0", flowscope.Config{}, false, nil},
	{flowscope.AnomalyLateData, "late_data", flowscope.SeverityWarning, "hs >0:a >4:x +30s sweep >1:bcd", flowscope.Config{}, false, nil},
	{flowscope.AnomalyClockBackward, "clock_backward", flowscope.SeverityInfo, "hs +-1s >0:x", flowscope.Config{}, false, nil},
	{flowscope.AnomalyClockJump, "clock_jump", flowscope.SeverityWarning, "hs +2h >0:x", flowscope.Config{}, false, nil},
	{flowscope.AnomalyUnconfirmed, "unconfirmed", flowscope.SeverityWarning, ">S >A0 >0:x >1:y finish", flowscope.Config{}, false, nil},
	{flowscope.AnomalyFragmentOverlap, "fragment_overlap", flowscope.SeverityError, "", flowscope.Config{}, false, [][]byte{
		testkit.Piece{More: true, Body: testkit.WholeDatagram[:16]}.Frame(), testkit.Piece{More: true, Offset: 8, Body: testkit.WholeDatagram[8:24]}.Frame(),
	}},
	{flowscope.AnomalyBadFragment, "bad_fragment", flowscope.SeverityWarning, "", flowscope.Config{}, false, [][]byte{
		testkit.Piece{More: true, Offset: 8, Body: testkit.WholeDatagram[:7]}.Frame(),
	}},
	{flowscope.AnomalyFragmentLimit, "fragment_limit", flowscope.SeverityWarning, "", flowscope.Config{FragmentDatagrams: 1}, false, [][]byte{
		testkit.Piece{More: true, ID: 1, Body: testkit.WholeDatagram[:16]}.Frame(), testkit.Piece{More: true, ID: 2, Body: testkit.WholeDatagram[:16]}.Frame(),
	}},
	{flowscope.AnomalyFragmentTimeout, "fragment_timeout", flowscope.SeverityWarning, "", flowscope.Config{}, false, [][]byte{
		testkit.Piece{More: true, Body: testkit.WholeDatagram[:16]}.Frame(), nil,
	}},
	{flowscope.AnomalyBadChecksum, "bad_checksum", flowscope.SeverityWarning, "", flowscope.Config{Checksums: flowscope.ChecksumVerify}, false, [][]byte{
		testkit.UDP(testkit.Client, testkit.Server), testkit.Changed(testkit.UDP(testkit.Client, testkit.Server), testkit.SumUDP4, 1),
	}},
	{flowscope.AnomalyChecksumOffload, "checksum_offload", flowscope.SeverityInfo, "", flowscope.Config{Checksums: flowscope.ChecksumAuto}, false,
		slices.Repeat([][]byte{testkit.Changed(testkit.UDP(testkit.Client, testkit.Server), testkit.SumUDP4, 1)}, 1001)},
	{flowscope.AnomalyImplausibleICMP, "implausible_icmp", flowscope.SeverityWarning, "", flowscope.Config{}, false, [][]byte{
		testkit.TCP(testkit.Client, testkit.Server, "S", 1, 0, ""), frames.Ethernet(testkit.ICMPError("10.0.0.9", "10.0.0.1", 3, 1, testkit.TCP(testkit.Client, testkit.Server, "S", 9, 0, "")[14:])),
	}},
	{flowscope.AnomalySessionLimit, "session_limit", flowscope.SeverityWarning, "hs >0:A:x", flowscope.Config{SessionBytes: 1}, false, nil},
}

// useParsers gives the driver a parser, if the case is about their memory.
func (a anomalyCase) useParsers(t *testing.T, d *testkit.Driver) {
	if a.cfg.SessionBytes != 0 {
		if err := d.UseParsers(testkit.Lines{Name: "A"}); err != nil {
			t.Fatal(err)
		}
	}
}

// after plays the frames that come after the script.
func (a anomalyCase) after(p *testkit.Play, hear func([]testkit.Event)) {
	for _, f := range a.frames {
		if f == nil {
			p.Now += time.Minute
			hear(p.Driver.Sweep(p.At()))
			continue
		}
		p.ID++
		hear(p.Driver.Track(flowscope.PacketView{Frame: f, Timestamp: p.At(), ID: p.ID}))
	}
}

func TestEachAnomalyIsEmittedOnceAndCounted(t *testing.T) {
	for _, a := range anomalyCases {
		t.Run(a.name, func(t *testing.T) {
			if a.kind.String() != a.name || a.kind.Severity() != a.severity {
				t.Errorf("is called %v, %v", a.kind, a.kind.Severity())
			}
			var f flowscope.ReassemblerFactory[testkit.Key]
			if a.buffered {
				f = flowscope.BufferedReassemblerFactory[testkit.Key]{MaxBuffer: 4}
			}
			p := testkit.NewPlay(t, f, a.cfg)
			a.useParsers(t, p.Driver)
			p.Play(a.script)
			a.after(p, p.Hear)
			if st := p.Driver.Stats(); p.Seen[a.kind] != 1 || st.Anomalies[a.kind] != 1 || st.AnomaliesSuppressed != 0 {
				t.Errorf("emitted %d, counted %d, suppressed %d; all: %s", p.Seen[a.kind], st.Anomalies[a.kind], st.AnomaliesSuppressed, p.Anomalies())
			}
			cfg := a.cfg
			cfg.Events = flowscope.DefaultEvents
			d := testkit.NewDriver(t, f, cfg)
			a.useParsers(t, d)
			quiet := &testkit.Play{Book: &testkit.Book{TB: t, Driver: d, Flows: map[flowscope.FlowID]*testkit.BookFlow{}}, ISN: p.ISN}
			silent := func(events []testkit.Event) {
				for i := range events {
					if events[i].Kind == flowscope.EventAnomaly {
						t.Error("emitted although nobody asked")
					}
				}
			}
			for _, step := range strings.Fields(strings.Replace(a.script, "hs", ">S <SA >A0", 1)) {
				var events []testkit.Event
				switch {
				case step[0] == '+':
					quiet.Step(step)
				case step == "sweep":
					events = d.Sweep(quiet.At())
				case step == "finish":
					events = d.Finish()
				default:
					events = d.Track(quiet.View(step))
				}
				silent(events)
			}
			a.after(quiet, silent)
			if st := d.Stats(); st.Anomalies[a.kind] != 1 || st.AnomaliesSuppressed != 0 {
				t.Errorf("unasked: counted %d, suppressed %d", st.Anomalies[a.kind], st.AnomaliesSuppressed)
			}
		})
	}
}

func TestTheTableOfAnomaliesIsComplete(t *testing.T) {
	names := map[string]bool{}
	for k := flowscope.AnomalyKind(1); !strings.HasPrefix(k.String(), "AnomalyKind("); k++ {
		if names[k.String()] {
			t.Errorf("two are called %v", k)
		}
		names[k.String()] = true
		if !slices.ContainsFunc(anomalyCases, func(a anomalyCase) bool { return a.kind == k }) {
			t.Errorf("%v is not tried", k)
		}
	}
	if len(names) != len(anomalyCases) {
		t.Errorf("%d kinds, %d tried", len(names), len(anomalyCases))
	}
}

func TestAnomaliesOfOneKindInOneCallAreOne(t *testing.T) {
	p := testkit.NewPlay(t, nil, flowscope.Config{}).Play("hs >1:b >3:d")
	events := p.Driver.Finish()
	n := 0
	for i := range events {
		if ev := &events[i]; ev.Kind == flowscope.EventAnomaly {
			n++
			if ev.Anomaly != flowscope.AnomalyGap || ev.Offset != 0 || ev.Len != 2 {
				t.Error(testkit.EventText(ev))
			}
		}
	}
	if st := p.Driver.Stats(); n != 1 || st.Anomalies[flowscope.AnomalyGap] != 2 {
		t.Errorf("emitted %d, counted %d", n, st.Anomalies[flowscope.AnomalyGap])
	}
}

func TestEvictionsInOneCallAreOneAnomaly(t *testing.T) {
	p := testkit.NewPlay(t, nil, flowscope.Config{MaxFlows: 10}).Play(">S/t1 >S/t2 >S/t3 >S/t4")
	p.Driver.SetMaxFlows(1)
	p.Play("sweep")
	if n := p.Seen[flowscope.AnomalyFlowTableEvictionPressure]; n != 1 {
		t.Errorf("emitted %d times", n)
	}
	if st := p.Driver.Stats(); st.FlowsEvicted != 3 {
		t.Errorf("%d evicted", st.FlowsEvicted)
	}
}

func TestAnomaliesBeyondTheLimitAreCountedNotEmitted(t *testing.T) {
	p := testkit.NewPlay(t, nil, flowscope.Config{MaxAnomalies: 1}).Play("hs >R@5/dxyz")
	st := p.Driver.Stats()
	if len(p.Seen) != 1 || st.AnomaliesSuppressed != 1 || st.Anomalies[flowscope.AnomalyImplausibleRST] != 1 || st.Anomalies[flowscope.AnomalyDataOnRST] != 1 {
		t.Errorf("emitted %s, suppressed %d", p.Anomalies(), st.AnomaliesSuppressed)
	}
	p.Play(">R@5/dxyz")
	if st := p.Driver.Stats(); st.AnomaliesSuppressed != 2 {
		t.Errorf("suppressed %d after another", st.AnomaliesSuppressed)
	}
}

func TestSeveritiesHaveNames(t *testing.T) {
	for s, want := range []string{"info", "warning", "error", "Severity(3)"} {
		if got := flowscope.Severity(s).String(); got != want {
			t.Errorf("%d is called %q", s, got)
		}
	}
}

func TestMetricsAgreeWithTheCountersAndEachOther(t *testing.T) {
	cfg := flowscope.Config{MaxFlows: 4, SidePieces: 3}
	d := testkit.NewDriver(t, nil, cfg)
	for _, c := range testkit.DriverCalls(testkit.RandomBytes(5, 4000)) {
		switch c.Kind {
		case testkit.CallTrack:
			d.Track(c.View)
		case testkit.CallSweep:
			d.Sweep(c.At)
		}
	}
	d.Track(flowscope.PacketView{Frame: []byte("nothing")})
	st := d.Stats()
	sums, seen, help := map[string]float64{}, map[string]bool{}, map[string]string{}
	total := 0
	for m := range st.Metrics {
		total++
		id := m.Name + "/" + m.LabelValue
		if seen[id] || !strings.HasPrefix(m.Name, "flowscope_") || m.Help == "" || (m.Label == "") != (m.LabelValue == "") {
			t.Errorf("%+v", m)
		}
		if h, ok := help[m.Name]; ok && h != m.Help {
			t.Errorf("%s has two helps", m.Name)
		}
		if strings.HasSuffix(m.Name, "_total") == m.Gauge {
			t.Errorf("%s: gauge %v", m.Name, m.Gauge)
		}
		if strings.Contains(m.LabelValue, "(") {
			t.Errorf("%+v has no name", m)
		}
		seen[id], help[m.Name] = true, m.Help
		sums[m.Name] += m.Value
	}
	for name, want := range map[string]uint64{
		flowscope.MetricFlowsCreated: st.FlowsCreated, flowscope.MetricFlowsEnded: st.FlowsEnded, flowscope.MetricFlowsActive: st.FlowsActive,
		flowscope.MetricUnmatched: st.PacketsUnmatched, "flowscope_packets_refused_total": st.PacketsUnmatched,
		"flowscope_packets_total": st.Packets, "flowscope_stream_bytes_total": st.Streams.Delivered,
		"flowscope_stream_gap_bytes_total": st.Streams.GapBytes, flowscope.MetricDroppedOOO: st.Streams.DroppedSegments,
		flowscope.MetricDroppedOversize: st.Streams.DroppedBytes,
	} {
		if sums[name] != float64(want) {
			t.Errorf("%s is %v, want %d", name, sums[name], want)
		}
	}
	anomalies := uint64(0)
	for _, n := range st.Anomalies {
		anomalies += n
	}
	if sums[flowscope.MetricAnomalies] != float64(anomalies) || anomalies == 0 || st.FlowsEnded == 0 {
		t.Errorf("anomalies %v, counted %d", sums[flowscope.MetricAnomalies], anomalies)
	}
	if st.FlowsCreated != st.FlowsEnded+st.FlowsActive {
		t.Errorf("created %d, ended %d, active %d", st.FlowsCreated, st.FlowsEnded, st.FlowsActive)
	}
	for stop := range total { // whoever has had enough is not asked again
		n := 0
		for range st.Metrics {
			if n++; n > stop {
				break
			}
		}
	}
}

func TestAnEmptyDriverHasAllItsMetrics(t *testing.T) {
	d := testkit.NewDriver(t, nil, flowscope.Config{})
	names := func() (all []string) {
		st := d.Stats()
		for m := range st.Metrics {
			if m.Name != "flowscope_packets_refused_total" { // its values are those that occurred
				all = append(all, m.Name+m.LabelValue)
			}
		}
		return all
	}
	before := names()
	d.Track(flowscope.PacketView{Frame: testkit.Segment{Flags: "PA", Payload: []byte("x")}.Frame(), Timestamp: 1})
	d.Finish()
	if after := names(); !slices.Equal(before, after) {
		t.Errorf("%v, before %v", after, before)
	}
}

// eventLog keeps the levels of records by message.
type eventLog struct {
	least  slog.Level
	levels map[string]slog.Level
	text   *bytes.Buffer
	slog.Handler
}

func (l *eventLog) Enabled(_ context.Context, level slog.Level) bool { return level >= l.least }

func (l *eventLog) Handle(ctx context.Context, r slog.Record) error {
	l.levels[r.Message] = r.Level
	return l.Handler.Handle(ctx, r)
}

func newEventLog(least slog.Level) *eventLog {
	var b bytes.Buffer
	return &eventLog{least: least, levels: map[string]slog.Level{}, text: &b, Handler: slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug})}
}

func TestEventsAreLoggedAtTheirLevels(t *testing.T) {
	const script = "hs >0:SECRET/u3 >20:SECRET >3:SECRET <0:x >20:secret +31s sweep >F@26 <F@1 >A2 <A27 <A27 <A27 +100s sweep"
	for _, least := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		l := newEventLog(least)
		p := testkit.NewPlay(t, nil, flowscope.Config{})
		for _, step := range strings.Fields(strings.Replace(script, "hs", ">S <SA >A0", 1)) {
			var events []testkit.Event
			switch {
			case step[0] == '+':
				p.Step(step)
			case step == "sweep":
				events = p.Driver.Sweep(p.At())
			default:
				events = p.Driver.Track(p.View(step))
			}
			p.Hear(events) // it knows then where an ACK of a side stands
			for i := range events {
				flowscope.LogEvent(slog.New(l), &events[i])
			}
		}
		want := map[string]slog.Level{
			"started": slog.LevelInfo, "ended": slog.LevelInfo, "gap": slog.LevelWarn, "packet": slog.LevelDebug, "data": slog.LevelDebug,
			"established": slog.LevelDebug, "state_change": slog.LevelDebug, "urgent": slog.LevelDebug, "side_closed": slog.LevelDebug,
			"late": slog.LevelDebug, "released": slog.LevelDebug,
		}
		for message, level := range want {
			if got, ok := l.levels[message]; ok != (level >= least) || ok && got != level {
				t.Errorf("least %v: %s was logged %v at %v", least, message, ok, got)
			}
		}
		text := l.text.String()
		if strings.Contains(strings.ToLower(text), "secret") {
			t.Errorf("payload in the log: %s", text)
		}
		if least == slog.LevelDebug && !strings.Contains(text, "10.0.0.1:40000") {
			t.Error("no key in the log")
		}
	}
}

// Events that a caller's test made have no Stats.
func TestEventsWithoutStatsAreLogged(t *testing.T) {
	for _, kind := range []flowscope.EventKind{flowscope.EventEnded, flowscope.EventReleased} {
		l := newEventLog(slog.LevelDebug)
		flowscope.LogEvent(slog.New(l), &testkit.Event{Kind: kind, Reason: flowscope.EndFIN})
		if text := l.text.String(); !strings.Contains(text, "reason=fin") || strings.Contains(text, "packets=") {
			t.Errorf("%v: %s", kind, text)
		}
	}
}

func TestAnomaliesAreLoggedByTheirSeverity(t *testing.T) {
	for _, a := range anomalyCases {
		l := newEventLog(slog.LevelDebug)
		ev := testkit.Event{Kind: flowscope.EventAnomaly, Anomaly: a.kind}
		flowscope.LogEvent(slog.New(l), &ev)
		want := []slog.Level{slog.LevelInfo, slog.LevelWarn, slog.LevelError}[a.severity]
		if strings.Contains(l.text.String(), "side=") || strings.Contains(l.text.String(), "flow=") {
			t.Errorf("a side of no flow: %s", l.text)
		}
		if l.levels["anomaly"] != want || !strings.Contains(l.text.String(), a.name) {
			t.Errorf("%v at %v: %s", a.kind, l.levels["anomaly"], l.text)
		}
	}
}
