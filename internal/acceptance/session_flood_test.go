package acceptance

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// Floods of what parsers hold stay within SessionBytes at each step. Connections that come while a flood lasts, and after
// it, are read.
func TestAFloodOfSessionsStaysWithinSessionBytes(t *testing.T) {
	const limit = 256 << 10
	flood := sized(1500, 6000, 100_000)
	for name, c := range map[string]struct {
		port uint16
		udp  bool
		say  string
	}{
		"endless heads":         {80, false, "GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 1200)},
		"half handshakes":       {443, false, "\x16\x03\x01\x3f\xf0\x01\x00\x3f\xec\x03\x03" + strings.Repeat("r", 1200)},
		"unanswered queries":    {53, true, dnsMessage(1, strings.Repeat("long.", 20)+"example.net", false)},
		"half messages of DNS":  {53, false, "\x3f\xff" + dnsMessage(1, strings.Repeat("long.", 20)+"example.net", false)},
		"undecided first bytes": {5000, false, "GE"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := flowscope.Config{SessionBytes: limit, Events: flowscope.Events(flowscope.EventMessage, flowscope.EventAnomaly)}
			play := func(d *testkit.Driver, each func([]testkit.Event)) int64 {
				before := testkit.Heap()
				w := newSessionWire()
				web := func(tuple int) {
					w.tcp(tuple, [2]uint16{30000, 80}).open().say(0, webQuestion).say(1, webAnswer).close()
				}
				track := func() {
					for _, v := range w.views {
						each(d.Track(v))
					}
					w.views = w.views[:0]
				}
				for i := range flood {
					f := w.tcp(i, [2]uint16{40000, c.port})
					if c.udp {
						f.datagram(0, c.say)
					} else if f.open().say(0, c.say); i%3 == 0 {
						f.say(0, c.say[2:])
					}
					if i%100 == 99 {
						web(i)
					}
					track()
				}
				grown := testkit.Heap() - before
				web(flood) // right after it
				track()
				return grown
			}
			plain := play(testkit.NewDriver(t, nil, cfg), func([]testkit.Event) {})
			d := newSessionDriver(t, cfg, protocols()...)
			exchanges := 0
			grown := play(d, func(events []testkit.Event) {
				for i := range events {
					if ev := &events[i]; ev.Kind == flowscope.EventMessage && strings.Contains(meaning(ev.Message, ev.Side), "Status:200") {
						exchanges++
					}
				}
				if held := d.Stats().Sessions.HeldBytes; held > limit {
					t.Fatalf("%d bytes held, at most %d", held, limit)
				}
			})
			st := d.Stats().Sessions
			t.Logf("heap %d KiB, without parsers %d KiB; %+v", grown>>10, plain>>10, st)
			assert.Equal(t, flood/100+1, exchanges, "connections that are read all the same")
			assert.Positive(t, st.Evicted)
			assert.Greater(t, st.HeldBytes, int64(limit/2), "the flood fills what there is")
			if !slowBuild {
				assert.Less(t, grown-plain, int64(4*limit+64*flood), "the heap grew")
			}
			d.Finish()
			testkit.HoldsNothing(t, d.Stats().Sessions)
		})
	}
}

// A flow that lost its parser says so when it goes on, and is read again.
func TestAFlowThatLostItsParserSaysSo(t *testing.T) {
	cfg := flowscope.Config{SessionBytes: 64 << 10, Events: flowscope.AllEvents, MaxAnomalies: 1000}
	d := newSessionDriver(t, cfg, protocols()...)
	w := newSessionWire()
	var flows []*wireFlow
	for i := range 200 {
		flows = append(flows, w.tcp(i, [2]uint16{40000, 80}).open().say(0, "GET / HTTP/1.1\r\nX: "+strings.Repeat("x", 1000)))
	}
	for _, f := range flows {
		f.say(0, "\r\n\r\n").say(0, webQuestion).say(1, webAnswer)
	}
	limits, later := uint64(0), 0
	for _, v := range w.views {
		for _, ev := range d.Track(v) {
			switch {
			case ev.Kind == flowscope.EventAnomaly && ev.Anomaly == flowscope.AnomalySessionLimit:
				limits++
			case ev.Kind == flowscope.EventMessage && strings.Contains(meaning(ev.Message, ev.Side), "Status:200"):
				later++
			}
		}
		require.LessOrEqual(t, d.Stats().Sessions.HeldBytes, int64(64<<10))
	}
	st := d.Stats().Sessions
	t.Logf("%d anomalies, %d flows read again, %+v", limits, later, st)
	assert.Positive(t, st.Evicted)
	assert.LessOrEqual(t, limits, st.Evicted+st.Refused)
	assert.Greater(t, limits, uint64(100), "most flows lost their parser before they went on")
	assert.Equal(t, limits, d.Stats().Anomalies[flowscope.AnomalySessionLimit])
	assert.Equal(t, 200, later)
}
