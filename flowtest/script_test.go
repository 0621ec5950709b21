package flowtest_test

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/protocol/http1"
)

func newDriver(cfg flowscope.Config) (flowtest.Scripted, error) {
	return flowscope.NewFlowSessionDriver(flowscope.FiveTuple{}, cfg, http1.Factory{})
}

func TestScripts(t *testing.T) {
	flowtest.Scripts(t, "testdata/scripts/*.txt", flowscope.Config{}, newDriver)
}

// A test of a driver of one's own: the file has the packets, and the events that they must cause.
func ExampleScript() {
	t := &testing.T{} // as a test gets it

	flowtest.Script(t, "testdata/hello.txt", flowscope.Config{}, func(cfg flowscope.Config) (flowtest.Scripted, error) {
		return flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, cfg)
	})

	fmt.Println(t.Failed())
	// Output: false
}

// fake is no tracker at all: it keeps what it is given, and says what it is told to say.
type fake struct {
	cfg    flowscope.Config
	views  []flowscope.PacketView
	closed []flowscope.FiveTupleKey
	limit  int
	says   []flowscope.Event
}

func (f *fake) Track(v flowscope.PacketView) []flowscope.Event {
	f.views = append(f.views, v)
	return f.says
}
func (f *fake) Sweep(flowscope.Timestamp) []flowscope.Event { panic("swept") }
func (f *fake) Finish() []flowscope.Event                   { return nil }
func (f *fake) ForceClose(key flowscope.FiveTupleKey) bool {
	f.closed = append(f.closed, key)
	return false
}
func (f *fake) SetMaxFlows(n int) bool {
	f.limit = n
	return n >= 0
}

// playText plays a script that is in a file x.txt, and gives what fails and what is logged.
func playText(t *testing.T, text string, cfg flowscope.Config, driver *fake) *recorder {
	t.Helper()
	update := flag.Lookup("flowtest.update").Value
	before := update.String()
	defer update.Set(before)
	require.NoError(t, update.Set("false"))
	name := filepath.Join(t.TempDir(), "x.txt")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
	r := &recorder{TB: t}
	func() {
		defer func() { recover() }()
		flowtest.Script(r, name, cfg, func(cfg flowscope.Config) (flowtest.Scripted, error) {
			driver.cfg = cfg
			return driver, nil
		})
	}()
	for _, said := range [][]string{r.failed, r.logged} {
		for i := range said {
			said[i] = strings.ReplaceAll(said[i], name, "x.txt")
		}
	}
	return r
}

func TestAScriptMakesThePacketsThatItNames(t *testing.T) {
	tcp := frames.TCP{Src: "10.0.0.1:1000", Dst: "10.0.0.14:80", Flags: "S", Seq: 4294967295, Window: 8192}
	with := func(change func(*frames.TCP)) []byte {
		c := tcp
		change(&c)
		return c.Ethernet()
	}
	for step, want := range map[string][]byte{
		"A>N S 4294967295":                 tcp.Ethernet(),
		"A>N SA 4294967295/7":              with(func(s *frames.TCP) { s.Flags, s.Ack = "SA", 7 }),
		"A>N . 4294967295":                 with(func(s *frames.TCP) { s.Flags = "" }),
		"A>N FSRPAUEC":                     with(func(s *frames.TCP) { s.Flags, s.Seq = "FSRPAUEC", 0 }),
		"A>N S 4294967295 w0":              with(func(s *frames.TCP) { s.Window = 0 }),
		"A>N ws9 S 4294967295":             nil,
		"A>N S ws9 4294967295":             with(func(s *frames.TCP) { s.Options = append(s.Options, frames.WindowScale(9)) }),
		"A>N S 4294967295 +3":              with(func(s *frames.TCP) { s.Payload = make([]byte, 3) }),
		`A>N S "# \x00 \"" 4294967295 # "`: with(func(s *frames.TCP) { s.Payload = []byte("# \x00 \"") }),
		"M:5>Z:6 udp":                      frames.UDP{Src: "10.0.0.13:5", Dst: "10.0.0.26:6"}.Ethernet(),
		`[fd00::1]:5>[fd00::2]:6 udp "x"`:  frames.UDP{Src: "[fd00::1]:5", Dst: "[fd00::2]:6", Payload: []byte("x")}.Ethernet(),
		"192.0.2.1:0>M icmp 7 +2":          frames.ICMPEcho{Src: "192.0.2.1", Dst: "10.0.0.13", ID: 7, Payload: make([]byte, 2)}.Ethernet(),
		"A>B icmp 65535 reply":             frames.ICMPEcho{Src: "10.0.0.1", Dst: "10.0.0.2", ID: 65535, Reply: true}.Ethernet(),
		"A>B ip 255 +1":                    frames.IP{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: 255, Payload: []byte{0}}.Ethernet(),
		"raw 00fF":                         {0, 255},
	} {
		f := &fake{}
		r := playText(t, "@1.5 "+step+"\n@-2.000000001 raw 01\n", flowscope.Config{}, f)
		if want == nil {
			assert.NotEmpty(t, r.failed, step)
			continue
		}
		assert.Empty(t, r.failed, step)
		assert.Equal(t, []flowscope.PacketView{
			{Frame: want, Timestamp: 1_500_000_000, ID: 1}, {Frame: []byte{1}, Timestamp: -2_000_000_001, ID: 2},
		}, f.views, step)
	}

	f := &fake{}
	assert.Empty(t, playText(t, "@max A>N udp +9 cut=40\n@min A>N udp cut=400\n", flowscope.Config{}, f).failed)
	require.Len(t, f.views, 2)
	assert.Equal(t, []int{40, 51, 42, 42}, []int{len(f.views[0].Frame), f.views[0].WireLen, len(f.views[1].Frame), f.views[1].WireLen})
	assert.Equal(t, []flowscope.Timestamp{math.MaxInt64, math.MinInt64}, []flowscope.Timestamp{f.views[0].Timestamp, f.views[1].Timestamp})
}

func TestAScriptMakesTheCallsThatItNames(t *testing.T) {
	f := &fake{}
	assert.Empty(t, playText(t, "@0 close A>N tcp\n@0 limit 7\n@0 close B:5>N udp\n", flowscope.Config{}, f).failed)
	assert.Equal(t, 7, f.limit)
	require.Len(t, f.closed, 2)
	for i, want := range []string{"tcp 10.0.0.1:1000 <-> 10.0.0.14:80", "udp 10.0.0.2:5 <-> 10.0.0.14:80"} {
		assert.Equal(t, want, f.closed[i].String())
	}
}

// Every field of Config can be set.
func TestAScriptConfigures(t *testing.T) {
	fields := reflect.TypeFor[flowscope.Config]()
	for i := range fields.NumField() {
		field := fields.Field(i)
		value := map[string]string{
			"time.Duration": "1m1.5s", "int": "7", "int64": "7", "flowscope.OverlapPolicy": "last", "flowscope.OverflowPolicy": "drop_flow",
			"flowscope.FragmentPolicy": "ignore", "flowscope.ChecksumMode": "verify", "flowscope.Details": "all", "flowscope.EventMask": "started",
		}[field.Type.String()]
		f := &fake{}
		assert.Empty(t, playText(t, "config "+field.Name+"="+value+"\n@0 raw 00\n", flowscope.Config{}, f).failed, field.Name)
		got := reflect.ValueOf(f.cfg).Field(i)
		assert.False(t, got.IsZero(), field.Name)
		if field.Type == reflect.TypeFor[time.Duration]() {
			assert.Equal(t, 61500*time.Millisecond, got.Interface(), field.Name)
		}
	}

	for text, want := range map[string]flowscope.EventMask{
		"":                         flowscope.DefaultEvents,
		"Events=+late,-packet":     flowscope.DefaultEvents&^flowscope.Events(flowscope.EventPacket) | flowscope.Events(flowscope.EventLate),
		"Events=packet|late":       flowscope.Events(flowscope.EventPacket, flowscope.EventLate),
		"Events=none Events=+late": flowscope.Events(flowscope.EventLate),
		"Events=late Events=-late": flowscope.NoEvents,
	} {
		f := &fake{}
		assert.Empty(t, playText(t, "config "+text+" HoleTimeout=never\n@0 raw 00\n", flowscope.Config{MaxFlows: 3}, f).failed, text)
		assert.Equal(t, flowscope.Config{MaxFlows: 3, HoleTimeout: flowscope.Never, Events: want | f.cfg.Events&flowscope.NoEvents}, f.cfg, text)
	}
}

// said is a message with a text, and unsaid one without.
type (
	said   struct{ text string }
	unsaid struct{}
)

func (m *said) CloneMessage() flowscope.Message   { return m }
func (m *said) String() string                    { return m.text }
func (m *unsaid) CloneMessage() flowscope.Message { return m }

func TestAScriptShowsEvents(t *testing.T) {
	ip := frames.UDP{Src: "10.0.0.27:5", Dst: "10.0.0.2:1000"}.IP()
	tunneled := frames.IP{Src: "192.0.2.1", Dst: "192.0.2.2", Proto: 4, Payload: ip}.Ethernet()
	var x flowscope.Extracted[flowscope.FiveTupleKey]
	require.True(t, flowscope.AutoDetectEncap(flowscope.FiveTuple{}).Extract(flowscope.PacketView{Frame: tunneled}, &x))
	stats := &flowscope.FlowStats{Packets: [2]uint64{1, 2}, Payload: [2]uint64{3, 4}, Late: [2]uint64{5, 6}, Midstream: true}
	const second = 1_000_000_000
	for _, c := range []struct {
		ev   flowscope.Event
		want string
	}{
		{flowscope.Event{Kind: flowscope.EventStarted, L4: flowscope.L4UDP, Key: x.Key, Orientation: x.Orientation}, "started udp 10.0.0.27:5>B tunneled"},
		{flowscope.Event{Kind: flowscope.EventStarted, L4: flowscope.L4UDP, Key: x.Key, Orientation: x.Orientation, Side: 1}, "started udp B>10.0.0.27:5 tunneled by the responder"},
		{flowscope.Event{Kind: flowscope.EventPacket, Side: 1, Bytes: []byte("xy"), Len: 60}, "packet responder +2"},
		{flowscope.Event{Kind: flowscope.EventLate, Len: 60}, "late initiator"},
		{flowscope.Event{Kind: flowscope.EventEstablished}, "established"},
		{flowscope.Event{Kind: flowscope.EventStateChange, From: flowscope.StateEstablished, State: flowscope.StateFinWait}, "established -> fin_wait"},
		{flowscope.Event{Kind: flowscope.EventData, Offset: 5, Len: 3, Bytes: make([]byte, 3)}, "data initiator 5..8 +3"},
		{flowscope.Event{Kind: flowscope.EventData, Offset: 5, Len: 3, Bytes: []byte("\x00a\n")}, `data initiator 5..8 "\x00a\n"`},
		{flowscope.Event{Kind: flowscope.EventData, Len: 65, Bytes: []byte(strings.Repeat("x", 65))}, `data initiator 0..65 "` + strings.Repeat("x", 64) + `"`},
		{flowscope.Event{Kind: flowscope.EventGap, Side: 1, Offset: 5, Len: 3, Cause: flowscope.GapCut}, "gap responder 5..8 cut"},
		{flowscope.Event{Kind: flowscope.EventSideClosed, Offset: 5}, "side_closed initiator 5"},
		{flowscope.Event{Kind: flowscope.EventSideClosed, Offset: 5, Reason: flowscope.EndRST}, "side_closed initiator 5 rst"},
		{flowscope.Event{Kind: flowscope.EventUrgent, Side: 1, Offset: 5}, "urgent responder 5"},
		{flowscope.Event{Kind: flowscope.EventAnomaly, Anomaly: flowscope.AnomalyImplausibleRST}, "anomaly implausible_rst"},
		{flowscope.Event{Kind: flowscope.EventICMPError, ICMPType: 3, ICMPCode: 1}, "icmp_error initiator 3/1"},
		{flowscope.Event{Kind: flowscope.EventMessage, Side: 1, Message: &said{"hello, world"}}, "message responder hello, world"},
		{flowscope.Event{Kind: flowscope.EventMessage, Message: &said{"two\nlines"}}, `message initiator "two\nlines"`},
		{flowscope.Event{Kind: flowscope.EventMessage, Message: &unsaid{}}, "message initiator *flowtest_test.unsaid"},
		{flowscope.Event{Kind: flowscope.EventEnded, Reason: flowscope.EndFIN, State: flowscope.StateClosed, Stats: stats}, "ended fin closed 1+2 payload 3+4 late 5+6 midstream"},
		{flowscope.Event{Kind: flowscope.EventReleased, Reason: flowscope.EndFIN, State: flowscope.StateClosed, Stats: &flowscope.FlowStats{}}, "released fin closed 0+0"},
		{flowscope.Event{Kind: flowscope.EventReport, State: flowscope.StateActive, Stats: &flowscope.FlowStats{}}, "report active 0+0"},
	} {
		c.ev.Flow = 7
		for at, more := range map[flowscope.Timestamp]string{second: "", 0: " at 0.000000000"} {
			c.ev.Timestamp = at
			f := &fake{says: []flowscope.Event{c.ev}}
			text := "@1 raw 00\n  7 " + c.want + more + "\n"
			assert.Empty(t, playText(t, text, flowscope.Config{Events: flowscope.AllEvents}, f).failed)
			wrong := playText(t, text+"  7 and more\n", flowscope.Config{Events: flowscope.AllEvents}, f).failed
			assert.Len(t, wrong, 1)
			assert.Empty(t, playText(t, "@1 raw 00\n", flowscope.Config{Events: flowscope.AllEvents &^ flowscope.Events(c.ev.Kind)}, f).failed, "not asked for")
		}
	}
}

// A script whose events differ fails with them, and is renewed with all else as it was.
func TestAScriptIsRenewed(t *testing.T) {
	text := "# pins: nothing\n\n@0 A>N udp +3   # three\n  1 started udp A>N\n  1 packet initiator +4\n@1 sweep"
	name := filepath.Join(t.TempDir(), "x.txt")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
	update := flag.Lookup("flowtest.update").Value
	before := update.String()
	defer update.Set(before)

	require.NoError(t, update.Set("false"))
	r := &recorder{TB: t}
	flowtest.Script(r, name, flowscope.Config{}, newDriver)
	require.Len(t, r.failed, 1)
	assert.Contains(t, r.failed[0], "-   1 packet initiator +4\n")
	assert.Contains(t, r.failed[0], "+   1 packet initiator +3\n")

	require.NoError(t, update.Set("true"))
	flowtest.Script(t, name, flowscope.Config{}, newDriver)
	got, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.Equal(t, strings.Replace(text, "+4", "+3", 1)+"\n", string(got))
}

// What is wrong in a script is said with its file and line.
func TestAWrongScript(t *testing.T) {
	for step, want := range map[string]string{
		"nonsense":             "neither config, nor @TIME and a step",
		"@0":                   "neither config, nor @TIME and a step",
		"@ sweep":              "no time",
		"@1m sweep":            "no time",
		"@1-2 sweep":           "no time",
		"@99999999999 sweep":   "no time",
		"config MaxFlows=2":    "before the first step",
		"@0 sweep now":         "0 words behind it, not 1",
		"@0 limit":             "1 words behind it, not 0",
		"@0 limit few":         "no limit",
		"@0 limit -1":          "no limit",
		"@0 raw":               "1 words behind it, not 0",
		"@0 raw 0g":            "invalid byte",
		"@0 flows":             "*flowtest_test.fake has no method Flows",
		"@0 count":             "*flowtest_test.fake has no method Stats",
		"@0 close":             "no packet",
		"@0 close A>N":         "no packet",
		"@0 close A>N icmp":    "a number is missing",
		"@0 close raw 00":      "a packet of no flow: truncated_ethernet",
		"@0 sweeep":            "no packet",
		"@0 sweeep 5":          "neither FROM>TO nor another step",
		"@0 A>N":               "no packet",
		"@0 A>n udp":           `"n"`,
		"@0 >N udp":            `""`,
		"@0 AB>N udp":          `"AB" is no letter`,
		"@0 A:99999>N udp":     "value out of range",
		"@0 10.0.0.1>N udp":    `"10.0.0.1" is neither a letter nor`,
		"@0 [fd00::1]:1>N udp": "two families",
		"@0 A>N udb":           `"udb" is neither flags`,
		"@0 A>N udp 5":         `["5"] says nothing`,
		"@0 A>N udp w5":        `"w5" is of TCP`,
		"@0 A>N udp +65001":    "65001 bytes of payload",
		"@0 A>N udp +x":        `"+x"`,
		`@0 A>N udp "open`:     "no text in quotes",
		"@0 A>N udp cut=0":     "nothing is left",
		"@0 A>N S 1 w70000":    `"w70000"`,
		"@0 A>N S 1 ws256":     `"ws256"`,
		"@0 A>N S 4294967296":  "value out of range",
		"@0 A>N S 1/-1":        "invalid syntax",
		"@0 A>N S 1 2":         `["2"] says nothing`,
		"@0 A>N icmp":          "a number is missing",
		"@0 A>N icmp 65536":    "value out of range",
		"@0 A>N icmp 1 answer": `["answer"] says nothing`,
		"@0 A>N ip":            "a number is missing",
		"@0 A>N ip 256":        "value out of range",
	} {
		r := playText(t, "# a script\n@0 raw 00\n"+step+"\n@0 finish\n", flowscope.Config{}, &fake{})
		require.Len(t, r.failed, 1, step)
		assert.Regexp(t, "^x.txt:3: ", r.failed[0])
		assert.Contains(t, r.failed[0], want, step)
		assert.Empty(t, r.logged, step)
	}
	for word, want := range map[string]string{
		"maxflows=2":             `no field "maxflows"`,
		"MaxFlows":               "MaxFlows",
		"MaxFlows=many":          "MaxFlows",
		"UDPTimeout=2":           "missing unit",
		"Overlap=both":           "OverlapPolicy",
		"Events=nothing":         "nothing",
		"Events=+nothing":        `"+nothing" is neither`,
		"Events=+late,packet":    `"packet" is neither`,
		"Events=+none":           `"+none" is neither`,
		"Events=+EventKind(200)": `"+EventKind(200)" is neither`,
		"Events=+late,":          `"" is neither`,
		"Events=+-late":          `"+-late" is neither`,
	} {
		r := playText(t, "config ClockJump=never "+word+"\n@0 finish\n", flowscope.Config{}, &fake{})
		require.Len(t, r.failed, 1, word)
		assert.Regexp(t, "^x.txt:1: ", r.failed[0])
		assert.Contains(t, r.failed[0], want, word)
	}
	assert.Equal(t, []string{"x.txt:1: there is no step"}, playText(t, "# nothing\n", flowscope.Config{}, &fake{}).failed)
	assert.Equal(t, []string{"x.txt:0: there is no step"}, playText(t, "", flowscope.Config{}, &fake{}).failed)

	// What stops the test inside the driver is said too.
	r := playText(t, "@0 raw 00\n@0 sweep\n", flowscope.Config{}, &fake{})
	assert.Empty(t, r.failed)
	assert.Equal(t, []string{"x.txt:2: here the test was stopped"}, r.logged)

	r = &recorder{TB: t}
	refused := func(cfg flowscope.Config) (flowtest.Scripted, error) {
		return newDriver(flowscope.Config{MaxFlows: -1})
	}
	assert.PanicsWithValue(t, stopped, func() { flowtest.Script(r, filepath.Join("testdata", "hello.txt"), flowscope.Config{}, refused) })
	assert.Contains(t, r.failed[0], filepath.Join("testdata", "hello.txt")+":3: ")
	assert.PanicsWithValue(t, stopped, func() { flowtest.Script(r, "none.txt", flowscope.Config{}, newDriver) })
}

// The script in the comment of Script is played as it stands there.
func TestTheScriptOfTheComment(t *testing.T) {
	source, err := os.ReadFile("script.go")
	require.NoError(t, err)
	_, text, found := strings.Cut(strings.ReplaceAll(string(source), "\r", ""), "//\n//\t#")
	require.True(t, found)
	text, _, _ = strings.Cut("//\t#"+text, "//\n")
	name := filepath.Join(t.TempDir(), "x.txt")
	require.NoError(t, os.WriteFile(name, []byte(strings.ReplaceAll(text, "//\t", "")), 0o644))
	require.Contains(t, text, "finish")
	flowtest.Script(t, name, flowscope.Config{}, newDriver)
}
