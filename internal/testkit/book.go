package testkit

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flowscope-go/flowscope"
)

// Book holds what a driver says of bytes to the promises that hold for every sequence of calls. It needs all
// kinds of events.
//
//	Data, Gap   each begins where the last one of its side ended
//	SideClosed  once a side that was heard, at that place; nothing follows
//	Ended       its Stats are the sums
type Book struct {
	TB      testing.TB
	Driver  *Driver
	Flows   map[flowscope.FlowID]*BookFlow
	Streams flowscope.StreamStats // of all flows that ended
}

// BookFlow is one flow in a Book.
type BookFlow struct {
	Sides   [2]BookSide
	ended   bool
	Streams [2]flowscope.StreamStats
}

// BookSide is what the sender of one side has said in a flow of a Book.
type BookSide struct {
	pos             int64
	data, gapLen    uint64
	gaps            uint64
	Closed, Stopped bool
	text            strings.Builder
	open            int64 // adjacent gaps, not in text yet
}

// Said is the stream so far. "<n>" is a gap of n bytes.
func (s *BookSide) Said() string {
	if s.open > 0 {
		fmt.Fprintf(&s.text, "<%d>", s.open)
		s.open = 0
	}
	return s.text.String()
}

// NewBook makes an empty Book of a driver.
func NewBook(tb testing.TB, d *Driver) *Book {
	return &Book{TB: tb, Driver: d, Flows: map[flowscope.FlowID]*BookFlow{}}
}

// Flow is the flow of a number, which is entered if it is new.
func (b *Book) Flow(id flowscope.FlowID) *BookFlow {
	if b.Flows[id] == nil {
		b.Flows[id] = &BookFlow{}
	}
	return b.Flows[id]
}

func (b *Book) fail(ev *Event, format string, args ...any) {
	b.TB.Helper()
	b.TB.Fatalf("%s: %s", EventText(ev), fmt.Sprintf(format, args...))
}

// Take enters the events of one call.
func (b *Book) Take(events []Event) {
	b.TB.Helper()
	for i := range events {
		if ev := &events[i]; ev.Flow != 0 {
			b.enter(ev)
		}
	}
	b.anomalies(events)
	b.order(events)
}

// anomalies holds those of a call to their number, and to one of each kind. A flow that speaks because time has
// passed, and then again because of the packet, may tell one each time.
func (b *Book) anomalies(events []Event) {
	b.TB.Helper()
	type reported struct {
		flow  flowscope.FlowID
		side  flowscope.FlowSide
		kind  flowscope.AnomalyKind
		again bool
	}
	all, seen, again := 0, map[reported]bool{}, map[flowscope.FlowID]bool{}
	for i := range events {
		ev := &events[i]
		switch ev.Kind {
		case flowscope.EventAnomaly:
			k := reported{ev.Flow, ev.Side, ev.Anomaly, again[ev.Flow]}
			if seen[k] {
				b.fail(ev, "is reported twice in one call")
			}
			if ev.Anomaly == 0 || strings.Contains(ev.Anomaly.String(), "(") {
				b.fail(ev, "has no name")
			}
			seen[k] = true
			all++
		case flowscope.EventStarted, flowscope.EventEstablished, flowscope.EventStateChange, flowscope.EventPacket:
			if believed(ev) {
				continue
			}
			again[ev.Flow] = true
		case flowscope.EventSideClosed:
			again[ev.Flow] = again[ev.Flow] || ev.Reason != 0
		}
	}
	if limit := b.Driver.Config().MaxAnomalies; all > limit {
		b.TB.Fatalf("%d anomalies in one call, the limit is %d", all, limit)
	}
}

func (b *Book) enter(ev *Event) {
	b.TB.Helper()
	f := b.Flow(ev.Flow)
	s := &f.Sides[ev.Side]
	if f.ended && ev.Kind != flowscope.EventLate && ev.Kind != flowscope.EventReleased {
		b.fail(ev, "comes after Ended")
	}
	switch ev.Kind {
	case flowscope.EventData, flowscope.EventGap:
		if ev.Offset != s.pos || ev.Len <= 0 || s.Closed || s.Stopped {
			b.fail(ev, "the stream is at %d, closed %v, stopped %v", s.pos, s.Closed, s.Stopped)
		}
		s.pos += ev.Len
		if ev.Kind == flowscope.EventGap {
			if ev.Cause == 0 || ev.Cause > flowscope.GapEnded || ev.Bytes != nil {
				b.fail(ev, "cause %v, bytes %q", ev.Cause, ev.Bytes)
			}
			s.gaps++
			s.gapLen += uint64(ev.Len)
			s.open += ev.Len
			return
		}
		if int64(len(ev.Bytes)) != ev.Len {
			b.fail(ev, "has %d bytes", len(ev.Bytes))
		}
		s.data += uint64(ev.Len)
		s.Said()
		s.text.Write(ev.Bytes)
	case flowscope.EventUrgent:
		if s.Closed || s.Stopped {
			b.fail(ev, "comes after the end of its side")
		}
	case flowscope.EventSideClosed:
		if s.Closed || !s.Stopped && ev.Offset != s.pos {
			b.fail(ev, "the stream is at %d, closed %v", s.pos, s.Closed)
		}
		s.Closed = true
	case flowscope.EventEnded:
		f.ended = true
		b.balance(f, ev)
	case flowscope.EventReleased:
		if ev.Stats.Streams != f.Streams {
			b.fail(ev, "Streams %+v were %+v at the end", ev.Stats.Streams, f.Streams)
		}
	}
}

func (b *Book) balance(f *BookFlow, ev *Event) {
	b.TB.Helper()
	f.Streams = ev.Stats.Streams
	for side := range f.Sides {
		s, got := &f.Sides[side], ev.Stats.Streams[side]
		heard := ev.L4 == flowscope.L4TCP && ev.Stats.Packets[side] != 0 // not by the Packets: some left, or came from, another flow
		if heard != s.Closed {
			b.fail(ev, "side %d: heard %v, closed %v", side, heard, s.Closed)
		}
		if !s.Stopped && (got.Delivered != s.data || got.GapBytes != s.gapLen || got.Gaps != s.gaps) {
			b.fail(ev, "side %d: %+v; the events say %d bytes, %d in %d gaps", side, got, s.data, s.gapLen, s.gaps)
		}
		b.Streams.Delivered += got.Delivered
		b.Streams.Gaps += got.Gaps
		b.Streams.GapBytes += got.GapBytes
		b.Streams.DroppedSegments += got.DroppedSegments
		b.Streams.DroppedBytes += got.DroppedBytes
		b.Streams.Conflicts += got.Conflicts
	}
}

// driverRank is the place of a kind among the events of one flow in one call.
func driverRank(k flowscope.EventKind) int {
	switch k {
	case flowscope.EventUrgent, flowscope.EventData, flowscope.EventGap, flowscope.EventSideClosed:
		return 5
	case flowscope.EventAnomaly:
		return 6
	}
	return rank(k)
}

// order holds a call to the documented order. What other flows, or the packet's own, have to say because time has
// passed comes first; from its first Started or Packet on everything is about the packet's own flow.
func (b *Book) order(events []Event) {
	b.TB.Helper()
	own := flowscope.FlowID(0)
	leaves := map[flowscope.FlowID]bool{}
	for i := range events {
		if ev := &events[i]; ev.Kind == flowscope.EventEnded {
			leaves[ev.Flow] = true
		}
	}
	last := map[flowscope.FlowID]int{}
	inside := map[[2]uint64]int{}
	for i := range events {
		ev := &events[i]
		if ev.Flow == 0 {
			continue
		}
		begins := ev.Kind == flowscope.EventStarted || ev.Kind == flowscope.EventEstablished ||
			ev.Kind == flowscope.EventStateChange && !believed(ev) || ev.Kind == flowscope.EventPacket || ev.Kind == flowscope.EventLate ||
			ev.Kind == flowscope.EventICMPError // the only event of its packet
		if begins && own == 0 {
			own = ev.Flow
			delete(last, own)
			delete(inside, [2]uint64{uint64(own), 0})
			delete(inside, [2]uint64{uint64(own), 1})
		}
		r := driverRank(ev.Kind)
		if own != 0 && ev.Flow != own {
			b.fail(ev, "comes after events of flow %d, whose packet it is", own)
		}
		if r < last[ev.Flow] && leaves[ev.Flow] {
			// Its time had come, and then it had to leave.
			delete(leaves, ev.Flow)
			delete(inside, [2]uint64{uint64(ev.Flow), 0})
			delete(inside, [2]uint64{uint64(ev.Flow), 1})
		} else if r < last[ev.Flow] {
			b.fail(ev, "comes too late in its call")
		}
		last[ev.Flow] = r
		if r == 5 {
			at := 2
			switch ev.Kind {
			case flowscope.EventUrgent:
				at = 1
			case flowscope.EventSideClosed:
				at = 3
			}
			k := [2]uint64{uint64(ev.Flow), uint64(ev.Side)}
			if at < inside[k] {
				b.fail(ev, "comes too late among those of its side")
			}
			inside[k] = at
		}
	}
}

// Finish is for after Finish: nothing is held, and the totals agree.
func (b *Book) Finish() {
	b.TB.Helper()
	for id, f := range b.Flows {
		if !f.ended {
			b.TB.Fatalf("flow %d did not end", id)
		}
	}
	st := b.Driver.Stats()
	if st.HeldBytes != 0 {
		b.TB.Fatalf("%d bytes are held after Finish", st.HeldBytes)
	}
	if st.Streams != b.Streams {
		b.TB.Fatalf("the driver counts %+v, its flows %+v", st.Streams, b.Streams)
	}
}
