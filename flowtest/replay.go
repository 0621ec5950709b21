package flowtest

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
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
// does, up to 64 of them, and messages with what they say: by their String if they have one, otherwise all
// exported fields that are not zero.
func Text[K comparable](events []flowscope.FlowEvent[K]) string {
	var b strings.Builder
	for i := range events {
		ev := &events[i]
		b.WriteString(ev.String())
		switch ev.Kind {
		case flowscope.EventData:
			fmt.Fprintf(&b, " %.64q", ev.Bytes)
		case flowscope.EventMessage:
			b.WriteByte(' ')
			writeValue(&b, reflect.ValueOf(ev.Message))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// writeValue writes a value in one line. Structs are their exported fields that are not zero, bytes are quoted.
func writeValue(b *strings.Builder, v reflect.Value) {
	if !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		b.WriteString("nil")
		return
	}
	if v.Type() == reflect.TypeFor[[]byte]() {
		fmt.Fprintf(b, "%.64q", v.Bytes())
		return
	}
	var text string
	switch s := v.Interface().(type) {
	case fmt.Stringer:
		text = s.String()
	case error:
		text = s.Error()
	}
	if text != "" {
		if quoted := strconv.Quote(text); quoted != `"`+text+`"` {
			text = quoted // so that it stays in its line
		}
		b.WriteString(text)
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		writeValue(b, v.Elem())
	case reflect.Struct:
		sep := "{"
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && !v.Field(i).IsZero() {
				b.WriteString(sep + f.Name + ":")
				writeValue(b, v.Field(i))
				sep = " "
			}
		}
		if sep == "{" {
			b.WriteByte('{')
		}
		b.WriteByte('}')
	case reflect.Slice, reflect.Array:
		b.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				b.WriteByte(' ')
			}
			writeValue(b, v.Index(i))
		}
		b.WriteByte(']')
	case reflect.String:
		b.WriteString(strconv.Quote(v.String()))
	default:
		fmt.Fprint(b, v.Interface())
	}
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
