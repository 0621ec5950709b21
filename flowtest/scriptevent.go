package flowtest

import (
	"bytes"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/flowscope-go/flowscope"
)

// eventWords is an event as scripts show it; "" stands for a word that is left out.
func eventWords(ev *flowscope.Event) []any {
	words := []any{ev.Flow, ev.Kind}
	add := func(more ...any) []any { return append(words, more...) }
	switch ev.Kind {
	case flowscope.EventStarted:
		by := ""
		if ev.Side == flowscope.Responder {
			by = "by the responder"
		}
		return add(ev.L4, endsText(ev.Key, ev.Orientation^flowscope.Orientation(ev.Side)), by)
	case flowscope.EventPacket, flowscope.EventLate:
		return add(ev.Side, sizeText(len(ev.Bytes)))
	case flowscope.EventStateChange:
		return []any{ev.Flow, ev.From, "->", ev.State}
	case flowscope.EventData:
		return add(ev.Side, spanText(ev), bytesText(ev.Bytes))
	case flowscope.EventGap:
		return add(ev.Side, spanText(ev), ev.Cause)
	case flowscope.EventSideClosed:
		return add(ev.Side, ev.Offset, reasonText(ev.Reason))
	case flowscope.EventUrgent:
		return add(ev.Side, ev.Offset)
	case flowscope.EventAnomaly:
		return add(ev.Anomaly)
	case flowscope.EventICMPError:
		return add(ev.Side, fmt.Sprintf("%d/%d", ev.ICMPType, ev.ICMPCode))
	case flowscope.EventMessage:
		return add(ev.Side, messageText(ev.Message))
	case flowscope.EventEnded, flowscope.EventReleased, flowscope.EventReport:
		return add(reasonText(ev.Reason), ev.State, statsText(ev.Stats), ev.History)
	}
	return words
}

func endsText(k flowscope.FiveTupleKey, o flowscope.Orientation) string {
	from, to := k.Ends(o)
	text := endText(from) + ">" + endText(to)
	if k.InTunnel() {
		text += " tunneled"
	}
	return text
}

func reasonText(r flowscope.EndReason) string {
	if r == 0 {
		return ""
	}
	return r.String()
}

func sizeText(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("+%d", n)
}

func spanText(ev *flowscope.Event) string { return fmt.Sprintf("%d..%d", ev.Offset, ev.Offset+ev.Len) }

// bytesText are bytes as a step has them, up to 64 of them if they are text.
func bytesText(b []byte) string {
	if len(bytes.Trim(b, "\x00")) == 0 {
		return sizeText(len(b))
	}
	return fmt.Sprintf("%.64q", b)
}

// messageText is a message on one line.
func messageText(m flowscope.Message) string {
	s, ok := m.(fmt.Stringer)
	if !ok {
		return fmt.Sprintf("%T", m)
	}
	text := s.String()
	if strings.ContainsAny(text, "\r\n") {
		return strconv.Quote(text)
	}
	return text
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

// flows shows the live flows. The type of Flows depends on the user state of the driver.
func (s *script) flows() error {
	all, err := s.ask("Flows")
	if err != nil {
		return err
	}
	for f := range all.Seq() {
		stats := f.FieldByName("Stats").Interface().(flowscope.FlowStats)
		ends := endsText(f.FieldByName("Key").Interface().(flowscope.FiveTupleKey),
			f.FieldByName("Orientation").Interface().(flowscope.Orientation))
		field := func(name string) any { return f.FieldByName(name).Interface() }
		s.show(field("ID"), field("L4"), ends, field("State"), statsText(&stats), field("History"))
	}
	return nil
}

// counters shows those of a struct that are not 0, by their field, and those of an array by their index.
func (s *script) counters(name string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			switch {
			case f.Anonymous:
				s.counters(name, v.Field(i))
			case name == "":
				s.counters(f.Name, v.Field(i))
			default:
				s.counters(name+"."+f.Name, v.Field(i))
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			s.counters(name+" "+indexText(name, v.Len(), i), v.Index(i))
		}
	default:
		if !v.IsZero() {
			s.show(name, v)
		}
	}
}

// indexText is what an index of an array of counters stands for.
func indexText(name string, n, i int) string {
	switch {
	case name == "Refused":
		return flowscope.Refusal(i).String()
	case name == "Ended":
		return flowscope.EndReason(i).String()
	case name == "Anomalies":
		return flowscope.AnomalyKind(i).String()
	case n == 2:
		return flowscope.FlowSide(i).String()
	}
	return strconv.Itoa(i)
}
