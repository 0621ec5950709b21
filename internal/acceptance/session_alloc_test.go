package acceptance

import (
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/internal/testkit/allocs"
)

// allocatedBeside plays rounds of packets on a driver without parsers and on one with all, the first ones to warm up, and
// gives what each allocates for the rest. It is the least of three, since the runtime allocates for itself now and then.
func allocatedBeside(t *testing.T, warm int, rounds [][]flowscope.PacketView) (plain, reading, messages uint64) {
	t.Helper()
	least := func(make func() *testkit.Driver) uint64 {
		best := ^uint64(0)
		for range 3 {
			d := make()
			play := func(rounds [][]flowscope.PacketView) func() {
				return func() {
					for _, views := range rounds {
						for _, v := range views {
							d.Track(v)
						}
					}
				}
			}
			play(rounds[:warm])()
			before := d.Stats().Sessions.Messages
			best = min(best, allocs.Count(play(rounds[warm:])))
			messages = d.Stats().Sessions.Messages - before
		}
		return best
	}
	cfg := flowscope.Config{Events: flowscope.DefaultEvents | flowscope.Events(flowscope.EventMessage), MaxFlows: 20_000}
	plain = least(func() *testkit.Driver { return testkit.NewDriver(t, nil, cfg) })
	reading = least(func() *testkit.Driver { return newSessionDriver(t, cfg, protocols()...) })
	return plain, reading, messages
}

// A driver with all protocols allocates nothing more than one without on steady traffic: exchanges over a connection that
// stays, handshakes on connections that come and go, and DNS transactions.
func TestParsersOfADriverAllocateNothingMore(t *testing.T) {
	if slowBuild {
		t.Skip("this build allocates for itself")
	}
	var hello *sessionTalk
	for _, s := range sessionTalks(t) {
		if hello == nil && s.l4 == flowscope.L4TCP && len(s.turns) > 0 && len(s.turns[0].bytes) > 5 && s.turns[0].bytes[0] == 22 {
			hello = s
		}
	}
	for name, write := range map[string]func(w *sessionWire, round int, stay *wireFlow){
		"HTTP keep-alive": func(_ *sessionWire, _ int, stay *wireFlow) {
			for range 200 {
				stay.say(0, webQuestion).say(1, webAnswer)
			}
		},
		"TLS": func(w *sessionWire, round int, _ *wireFlow) {
			for i := range 20 {
				hello.write(w, 1+i, 1400, nil)
			}
			w.now = w.now.Add(400 * time.Second) // they come again
		},
		"DNS": func(w *sessionWire, round int, _ *wireFlow) {
			for i := range 200 {
				f := w.tcp(10+i%20, [2]uint16{5000, 53})
				f.datagram(0, dnsMessage(uint16(i), "www.example.net", false)).datagram(1, dnsMessage(uint16(i), "www.example.net", true))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newSessionWire()
			stay := w.tcp(1, [2]uint16{40000, 80}).open()
			var rounds [][]flowscope.PacketView
			for round := range 20 {
				from := len(w.views)
				write(w, round, stay)
				rounds = append(rounds, w.views[from:])
			}
			plain, reading, messages := allocatedBeside(t, 5, rounds)
			t.Logf("%d allocations without parsers, %d with, for %d messages", plain, reading, messages)
			if messages < 300 {
				t.Errorf("only %d messages", messages)
			}
			if reading > plain+5 {
				t.Errorf("%d allocations without parsers, %d with, for %d messages", plain, reading, messages)
			}
		})
	}
}

// Over whole connections of all kinds a driver with parsers may allocate this many times more in ten rounds, since pools
// grow to what the rounds need.
func TestParsersOfADriverAllocateLittleOverWholeCaptures(t *testing.T) {
	if slowBuild {
		t.Skip("this build allocates for itself")
	}
	const more = 60
	capture := testkit.Load(t, testkit.Path("testdata/captures/sessions.pcap"))
	span := capture[len(capture)-1].Timestamp.Sub(capture[0].Timestamp) + 400*time.Second
	var rounds [][]flowscope.PacketView
	for round := range 12 {
		var views []flowscope.PacketView
		for _, v := range capture {
			v.Timestamp = v.Timestamp.Add(time.Duration(round) * span)
			views = append(views, v)
		}
		rounds = append(rounds, views)
	}
	plain, reading, messages := allocatedBeside(t, 2, rounds)
	t.Logf("%d allocations without parsers, %d with, for %d messages", plain, reading, messages)
	if messages < 100 {
		t.Errorf("only %d messages", messages)
	}
	if reading > plain+more {
		t.Errorf("%d allocations without parsers, %d with, for %d messages", plain, reading, messages)
	}
}
