package acceptance

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// exchange plays segments, or datagrams, between a client of its own and one server: ">S" is the client's SYN,
// ">A3" an ACK with three bytes, "<" the server's, ">U" a datagram. Numbers follow from what was sent.
func exchange(f *feeder, client int, said string) (events []testkit.Event) {
	ends := [2]string{fmt.Sprintf("10.1.%d.%d:1000", client/256, client%256), "10.0.0.2:80"}
	next := [2]uint32{100, 900}
	for _, s := range strings.Fields(said) {
		from := 0
		if s[0] == '<' {
			from = 1
		}
		if s[1:] == "U" {
			events = append(events, f.track(testkit.UDP(ends[from], ends[1-from]))...)
			continue
		}
		flags := strings.TrimRight(s[1:], "0123456789")
		payload := ""
		if n := len(s) - 1 - len(flags); n > 0 {
			payload = strings.Repeat("x", int(s[len(s)-1]-'0'))
		}
		ack := next[1-from]
		if !strings.Contains(flags, "A") {
			ack = 0
		}
		events = append(events, f.track(testkit.TCP(ends[from], ends[1-from], flags, next[from], ack, payload))...)
		next[from] += uint32(len(payload))
		if strings.ContainsAny(flags, "SF") {
			next[from]++
		}
	}
	return events
}

// A4. The order in which flows leave a full table: by what the owners of their ends have taken part in, and not by age.
func TestA4FlowsLeaveByWhatTheirEndsHaveDone(t *testing.T) {
	const hello = ">S <SA >A "
	classes := [][]string{ // in the order of leaving; within a class in that of filing
		{">S <RA", ">S <SA >RA"},                                           // over: they linger
		{">S", ">A9", ">U"},                                                // unanswered
		{">S <SA", ">S <SA <SA"},                                           // half-open
		{hello + ">FA <FA", hello + ">A5 <A5 >FA <FA"},                     // closing
		{hello, hello + ">A5 <A", hello + "<A5 >A", ">A9 <A >A", ">A <A5"}, // answered: no payload, or that of one side
		{hello + ">A5 <A5", ">U <U", ">A9 <A9 >A", hello + ">A5 <A5 >FA"},  // both sides have said something
	}
	var all []string
	for _, c := range classes {
		all = append(all, c...)
	}
	want := all[len(classes[0]):]
	// The order of coming must not matter across classes: the last class comes first.
	f := newFeeder(t, flowscope.Config{MaxFlows: len(all), Events: flowscope.Events(flowscope.EventEnded)}, time.Microsecond)
	name := map[string]string{}
	client := 0
	for i := len(classes) - 1; i >= 0; i-- {
		for _, said := range classes[i] {
			client++
			name[fmt.Sprintf("10.1.0.%d", client)] = said
			exchange(f, client, said)
		}
	}
	if n := int(f.d.Stats().FlowsLingering) + f.d.Len(); n != len(all) || len(name) != n {
		t.Fatalf("%d flows in the table, want %d", n, len(all))
	}
	// Each newcomer is in the last class before the next one comes, so it never leaves before the old ones.
	var left []string
	for range all {
		client++
		for _, ev := range exchange(f, client, ">U <U") {
			who := ev.Key.A().Addr().String()
			if ev.Reason != flowscope.EndEvicted {
				t.Fatalf("%s ended: %v", who, ev.Reason)
			}
			if who == "10.0.0.2" {
				who = ev.Key.B().Addr().String()
			}
			left = append(left, name[who])
		}
	}
	if got, want := strings.Join(left, "\n"), strings.Join(want, "\n"); got != want {
		t.Errorf("left:\n%s\nwant:\n%s", got, want)
	}
}

// A4. A flood that a server answers evicts itself, and neither connections that only keep themselves alive nor those
// that the flood itself has opened before with data on both sides.
func TestA4AFloodOfAnsweredSYNsEvictsItself(t *testing.T) {
	busy, flood, table := sized(100, 1_000, 1_000), sized(20_000, 300_000, 1_000_000), sized(1_000, 50_000, 50_000)
	cfg := flowscope.Config{MaxFlows: table, Events: flowscope.Events(flowscope.EventEnded)}
	f := newFeeder(t, cfg, time.Microsecond)
	for i := range busy {
		said := ">S <SA >A"
		if i%2 == 0 {
			said += " >A5 <A5"
		}
		exchange(f, i, said)
	}
	for i := range flood {
		for _, ev := range exchange(f, 2000+i%60_000, []string{">S <SA", ">S <SA <SA", ">A", ">U"}[i%4]) {
			if ev.Flow <= flowscope.FlowID(busy) {
				t.Fatalf("after %d of the flood flow %d ended: %v", i, ev.Flow, ev.Reason)
			}
		}
	}
	if n := f.d.Stats().FlowsEvicted; n == 0 {
		t.Error("nothing was evicted")
	}
}
