package flowtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/flowscope-go/flowscope"
)

// Replayer is a tracker or a driver.
type Replayer[K comparable] interface {
	Track(v flowscope.PacketView) []flowscope.FlowEvent[K]
	Finish() []flowscope.FlowEvent[K]
}

// Replay shows the views to a tracker or driver, and then finishes it. The events are copies to keep.
func Replay[K comparable](r Replayer[K], views []flowscope.PacketView) (all []flowscope.FlowEvent[K]) {
	keep := func(events []flowscope.FlowEvent[K]) {
		for i := range events {
			all = append(all, events[i].Clone())
		}
	}
	for _, v := range views {
		keep(r.Track(v))
	}
	keep(r.Finish())
	return all
}

// Select are the events of some kinds.
func Select[K comparable](events []flowscope.FlowEvent[K], kinds ...flowscope.EventKind) (some []flowscope.FlowEvent[K]) {
	for _, ev := range events {
		if slices.Contains(kinds, ev.Kind) {
			some = append(some, ev)
		}
	}
	return some
}

// Text is the events as lines, for Golden and for messages of tests. The bytes of Data are shown, as %q
// does, up to 64 of them.
func Text[K comparable](events []flowscope.FlowEvent[K]) string {
	var b strings.Builder
	for i := range events {
		ev := &events[i]
		b.WriteString(ev.String())
		if ev.Kind == flowscope.EventData {
			fmt.Fprintf(&b, " %.64q", ev.Bytes)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Conversations are the TCP connections of a capture file, in the order in which they began: the n-th is
// Conversations(t, name)[n-1]. A file that is damaged fails the test.
func Conversations(t testing.TB, name string) []*flowscope.Conversation {
	t.Helper()
	return conversations(t, flowscope.OpenCapture(name))
}

// ConversationsOf are the TCP connections of some packets, in the order in which they began.
func ConversationsOf(t testing.TB, views []flowscope.PacketView) []*flowscope.Conversation {
	t.Helper()
	return conversations(t, Sequence(views))
}

func conversations(t testing.TB, views func(func(flowscope.PacketView, error) bool)) (all []*flowscope.Conversation) {
	t.Helper()
	for c, err := range flowscope.Conversations(views) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *flowscope.Conversation) int { return a.Number - b.Number })
	return all
}
