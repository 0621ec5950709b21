package acceptance

import (
	"encoding/hex"
	"flag"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

var update = flag.Bool("update", false, "rewrite the expected events in testdata/scripts with those that came; read the difference before you keep it")

// TestScripts plays testdata/scripts: packets in, events out. A script is lines of steps, each followed by the
// events that it must cause, indented:
//
//	# pins: what the script is there for                     (the first line, always)
//	config udp=10s max=2 events=+released,-packet            (before the first step)
//	@0     A>B S 100                                         time in seconds, from and to, flags, number
//	  1 started tcp A>B
//	@0.5   B>A SA 300/101 +5 w0 ws7 cut=60                    number/ACK, payload, window, scale, snap length
//	@1     A>B udp +9                                         also: icmp ID, icmp ID reply, ip PROTO
//	@1     raw 00112233                                       any Ethernet frame
//	@60    sweep
//	@60    finish                                             no packets any more
//	@60    close A>B tcp                                      ForceClose; says nothing itself
//	@60    limit 2                                            SetMaxFlows; says nothing itself
//	@60    flows                                              lists the live flows
//	@60    count                                              lists the counters that are not 0
//
// Each script is played without fast paths at the same time, and all events of both must be equal.
//
// Ends are letters, A to Z, with a port behind where it is not the usual one (A to M 1000, N to Z 80, so that
// A>N looks like a client and a server): A:1001>N. An event begins with the number of its flow. Its time is
// only shown where it is not that of the step.
func TestScripts(t *testing.T) {
	names, err := filepath.Glob("testdata/scripts/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := playScript(t, string(text))
			if got == string(text) {
				return
			}
			if *update {
				if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("the events differ; - is the script, + is what came\n%s", testkit.LineDiff(string(text), got))
		})
	}
}

// script is one being played.
type script struct {
	t       *testing.T
	cfg     flowscope.Config
	tracker *testkit.Ledger[flowscope.FiveTupleKey]
	slow    *testkit.Ledger[flowscope.FiveTupleKey] // the same without fast paths
	at      flowscope.Timestamp
	packets uint64
	out     strings.Builder
}

// playScript gives back the script with the events that came in place of those that are in it.
func playScript(t *testing.T, text string) string {
	s := &script{t: t}
	s.cfg.Events = flowscope.DefaultEvents | flowscope.Events(flowscope.EventLate)
	s.cfg.Events &^= flowscope.Events(flowscope.EventData, flowscope.EventGap, flowscope.EventSideClosed)
	if !strings.HasPrefix(text, "# pins: ") {
		t.Fatal("line 1: what does the script pin?")
	}
	for n, line := range strings.SplitAfter(text, "\n") {
		bare, _, _ := strings.Cut(line, "#")
		words := strings.Fields(bare)
		switch {
		case strings.HasPrefix(line, " "), line == "":
			continue // events of the last playing
		case len(words) == 0:
		case words[0] == "config":
			s.config(n+1, words[1:])
		case words[0][0] == '@' && len(words) > 1:
			s.out.WriteString(line)
			s.step(n+1, words)
			continue
		default:
			t.Fatalf("line %d: %q", n+1, line)
		}
		s.out.WriteString(line)
	}
	return s.out.String()
}

func (s *script) fatal(line int, format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("line %d: %s", line, fmt.Sprintf(format, args...))
}

func (s *script) config(line int, words []string) {
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "max":
			s.cfg.MaxFlows, _ = strconv.Atoi(value)
			continue
		case "events":
			for _, kind := range strings.Split(value, ",") {
				s.choose(line, kind)
			}
			continue
		}
		d := flowscope.Never
		if value != "never" {
			var err error
			if d, err = time.ParseDuration(value); err != nil {
				s.fatal(line, "%v", err)
			}
		}
		field, ok := map[string]*time.Duration{
			"opening": &s.cfg.OpeningTimeout, "established": &s.cfg.EstablishedTimeout, "closing": &s.cfg.ClosingTimeout,
			"udp": &s.cfg.UDPTimeout, "icmp": &s.cfg.ICMPTimeout, "other": &s.cfg.OtherTimeout,
			"linger": &s.cfg.LingerTimeout, "jump": &s.cfg.ClockJump,
		}[name]
		if !ok {
			s.fatal(line, "no such setting: %s", name)
		}
		*field = d
	}
}

func (s *script) choose(line int, kind string) {
	for k := flowscope.EventStarted; flowscope.AllEvents.Has(k); k++ {
		switch kind {
		case "+" + k.String():
			s.cfg.Events |= flowscope.Events(k)
			return
		case "-" + k.String():
			s.cfg.Events &^= 1 << k
			return
		}
	}
	s.fatal(line, "no such kind: %s", kind)
}

func (s *script) step(line int, words []string) {
	if s.tracker == nil {
		// The ledger wants to see every kind that it books.
		cfg := s.cfg
		cfg.Events = flowscope.AllEvents
		make := func() *testkit.Ledger[flowscope.FiveTupleKey] {
			return testkit.NewAudited(s.t, flowscope.FiveTuple{}, cfg)
		}
		s.tracker, s.slow = make(), testkit.WithoutFastPaths(make)
	}
	var err error
	if s.at, err = stamp(words[0][1:]); err != nil {
		s.fatal(line, "%v", err)
	}
	switch words[1] {
	case "sweep":
		s.both(line, func(l *testkit.Ledger[flowscope.FiveTupleKey]) []testkit.Event { return l.Sweep(s.at) })
	case "finish":
		s.both(line, func(l *testkit.Ledger[flowscope.FiveTupleKey]) []testkit.Event { return l.Finish() })
	case "close":
		v := s.packet(line, []string{words[2], strings.Join(words[3:], " ")})
		var x flowscope.Extracted[flowscope.FiveTupleKey]
		flowscope.FiveTuple{}.Extract(v, &x)
		s.tracker.ForceClose(x.Key)
		s.slow.ForceClose(x.Key)
	case "limit":
		n, _ := strconv.Atoi(words[2])
		s.tracker.SetMaxFlows(n)
		s.slow.SetMaxFlows(n)
	case "flows":
		s.flows()
	case "count":
		s.count()
	case "raw":
		b, err := hex.DecodeString(words[2])
		if err != nil {
			s.fatal(line, "%v", err)
		}
		s.track(line, flowscope.PacketView{Frame: b})
	default:
		s.track(line, s.packet(line, words[1:]))
	}
}

// both makes a call with fast paths and without, compares all events and counters, and shows the events.
func (s *script) both(line int, call func(*testkit.Ledger[flowscope.FiveTupleKey]) []testkit.Event) {
	fast, slow := call(s.tracker), call(s.slow)
	if len(fast) != len(slow) {
		s.fatal(line, "%d events, and %d without fast paths:\n%v\n%v", len(fast), len(slow), fast, slow)
	}
	for i := range fast {
		if a, b := testkit.FactOf(0, &fast[i]), testkit.FactOf(0, &slow[i]); a != b || fast[i].String() != slow[i].String() {
			s.fatal(line, "event %d differs without fast paths:\n%v\n%v\n%+v\n%+v", i, fast[i], slow[i], a, b)
		}
	}
	if a, b := s.tracker.Tracker.Stats(), s.slow.Tracker.Stats(); a != b {
		s.fatal(line, "the counters differ without fast paths:\n%+v\n%+v", a, b)
	}
	s.say(fast)
}

// timestamp reads a time in seconds, to the nanosecond.
func stamp(text string) (flowscope.Timestamp, error) {
	switch text {
	case "max":
		return math.MaxInt64, nil
	case "min":
		return math.MinInt64, nil
	}
	d, err := time.ParseDuration(text + "s")
	return flowscope.Timestamp(d), err
}

// packet makes the frame of a line such as "A>N PA 100/200 +5".
func (s *script) packet(line int, words []string) flowscope.PacketView {
	from, to, ok := strings.Cut(words[0], ">")
	if !ok || len(words) < 2 {
		s.fatal(line, "who says what to whom? %q", words)
	}
	src, dst := end(from), end(to)
	host := func(s string) string { h, _, _ := strings.Cut(s, ":"); return h }
	payload, cut := []byte(nil), 0
	tcp := frames.TCP{Src: src, Dst: dst, Window: 8192}
	var numbers []string
	for _, w := range words[1:] {
		n := func(prefix string) int {
			v, err := strconv.Atoi(strings.TrimPrefix(w, prefix))
			if err != nil {
				s.fatal(line, "%v", err)
			}
			return v
		}
		switch {
		case w[0] == '+':
			payload = make([]byte, n("+"))
		case strings.HasPrefix(w, "cut="):
			cut = n("cut=")
		case strings.HasPrefix(w, "ws"):
			tcp.Options = append(tcp.Options, frames.WindowScale(uint8(n("ws"))))
		case w[0] == 'w':
			tcp.Window = uint16(n("w"))
		default:
			numbers = append(numbers, w)
		}
	}
	number := func(i int) uint32 {
		if i >= len(numbers) {
			return 0
		}
		v, err := strconv.ParseUint(numbers[i], 10, 32)
		if err != nil {
			s.fatal(line, "%v", err)
		}
		return uint32(v)
	}
	var frame []byte
	switch numbers[0] {
	case "udp":
		frame = frames.UDP{Src: src, Dst: dst, Payload: payload}.Ethernet()
	case "icmp":
		frame = frames.ICMPEcho{Src: host(src), Dst: host(dst), ID: uint16(number(1)), Reply: len(numbers) > 2}.Ethernet()
	case "ip":
		frame = frames.IP{Src: host(src), Dst: host(dst), Proto: uint8(number(1)), Payload: payload}.Ethernet()
	default:
		if tcp.Flags = strings.Trim(numbers[0], "."); tcp.Flags == "tcp" {
			tcp.Flags = ""
		}
		if len(numbers) > 1 {
			seq, ack, _ := strings.Cut(numbers[1], "/")
			numbers = append([]string{seq}, ack)
			if tcp.Seq = number(0); ack != "" {
				tcp.Ack = number(1)
			}
		}
		tcp.Payload = payload
		frame = tcp.Ethernet()
	}
	v := flowscope.PacketView{Frame: frame}
	if cut > 0 {
		v.Frame, v.WireLen = frames.Cut(frame, cut), len(frame)
	}
	return v
}

// end is the address and port of a letter, with or without a port.
func end(name string) string {
	letter, port, ok := strings.Cut(name, ":")
	if !ok {
		port = "1000"
		if letter[0] >= 'N' {
			port = "80"
		}
	}
	return fmt.Sprintf("10.0.0.%d:%s", letter[0]-'A'+1, port)
}

// name is the inverse of end.
func name(a netip.AddrPort) string {
	letter := string(rune('A' + a.Addr().As4()[3] - 1))
	if a.Port() == 0 || netip.MustParseAddrPort(end(letter)) == a {
		return letter
	}
	return fmt.Sprintf("%s:%d", letter, a.Port())
}

func (s *script) track(line int, v flowscope.PacketView) {
	s.packets++
	v.Timestamp, v.ID = s.at, s.packets
	s.both(line, func(l *testkit.Ledger[flowscope.FiveTupleKey]) []testkit.Event { return l.Track(v) })
}

func (s *script) line(format string, args ...any) {
	s.out.WriteString("  " + strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

func (s *script) say(events []flowscope.FlowEvent[flowscope.FiveTupleKey]) {
	for i := range events {
		ev := &events[i]
		if !s.cfg.Events.Has(ev.Kind) {
			continue
		}
		text := fmt.Sprintf("%d %v", ev.Flow, ev.Kind)
		switch ev.Kind {
		case flowscope.EventStarted:
			text += fmt.Sprintf(" %v %s", ev.L4, ends(ev.Key, ev.Orientation^flowscope.Orientation(ev.Side)))
			if ev.Side == flowscope.Responder {
				text += " by the responder"
			}
		case flowscope.EventPacket, flowscope.EventLate:
			text += fmt.Sprintf(" %v", ev.Side)
			if len(ev.Bytes) > 0 {
				text += fmt.Sprintf(" +%d", len(ev.Bytes))
			}
		case flowscope.EventStateChange:
			text = fmt.Sprintf("%d %v -> %v", ev.Flow, ev.From, ev.State)
		case flowscope.EventAnomaly:
			text += fmt.Sprintf(" %v", ev.Anomaly)
		case flowscope.EventEnded, flowscope.EventReleased:
			text += fmt.Sprintf(" %v %v %s", ev.Reason, ev.State, statsText(ev.Stats))
			if h := ev.History.String(); h != "" {
				text += " " + h
			}
		}
		if ev.Timestamp != s.at {
			text += fmt.Sprintf(" at %v", ev.Timestamp)
		}
		s.line("%s", text)
	}
}

func ends(k flowscope.FiveTupleKey, o flowscope.Orientation) string {
	from, to := k.Ends(o)
	return name(from) + ">" + name(to)
}

func statsText(st *flowscope.FlowStats) string {
	text := fmt.Sprintf("%d+%d", st.Packets[0], st.Packets[1])
	if st.Payload != [2]uint64{} {
		text += fmt.Sprintf(" payload %d+%d", st.Payload[0], st.Payload[1])
	}
	if st.Late != [2]uint64{} {
		text += fmt.Sprintf(" late %d+%d", st.Late[0], st.Late[1])
	}
	if st.Midstream {
		text += " midstream"
	}
	return text
}

func (s *script) flows() {
	for f := range s.tracker.Tracker.Flows() {
		s.line("%d %v %s %v %s %v", f.ID, f.L4, ends(f.Key, f.Orientation), f.State, statsText(&f.Stats), f.History)
	}
}

// Count lists the counters that are not 0. Those that are arrays go by their index's name.
func (s *script) count() {
	st := reflect.ValueOf(s.tracker.Tracker.Stats())
	for i := range st.NumField() {
		name, v := st.Type().Field(i).Name, st.Field(i)
		if v.Kind() == reflect.Uint64 {
			if v.Uint() != 0 {
				s.line("%s %d", name, v.Uint())
			}
			continue
		}
		if v.Kind() == reflect.Struct {
			for k := range v.NumField() {
				if f := v.Field(k); !f.IsZero() {
					s.line("%s.%s %v", name, v.Type().Field(k).Name, f)
				}
			}
			continue
		}
		for k := range v.Len() {
			if v.Index(k).Uint() == 0 {
				continue
			}
			switch name {
			case "Refused":
				s.line("%s %v %d", name, flowscope.Refusal(k), v.Index(k).Uint())
			case "Ended":
				s.line("%s %v %d", name, flowscope.EndReason(k), v.Index(k).Uint())
			}
		}
	}
}

func TestAScriptThatIsWrongFails(t *testing.T) {
	text := "# pins: nothing\n@0 A>N udp +3\n  1 started udp A>N\n  1 packet initiator +4\n"
	if got := playScript(t, text); got == text || !strings.Contains(got, "1 packet initiator +3\n") {
		t.Errorf("a wrong expectation went unnoticed:\n%s", got)
	}
}
