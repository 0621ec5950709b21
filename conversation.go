package flowscope

import (
	"fmt"
	"io"
	"iter"
	"net/netip"
)

// Conversation is a TCP connection that has ended, with the bytes of both sides. All of it belongs to the
// caller.
type Conversation struct {
	// Number counts the TCP connections of the capture from 1, in the order in which they began.
	Number int
	// Key is the flow's key, and Initiator and Responder are its two ends.
	Key                  FiveTupleKey
	Initiator, Responder netip.AddrPort
	// Reason, Stats and History are those of the flow's EventEnded.
	Reason  EndReason
	Stats   FlowStats
	History History
	// Sides are the streams, by FlowSide: Sides[Initiator] is what the initiator said.
	Sides [2]ConversationSide
}

// ConversationSide is the stream of one side of a Conversation.
type ConversationSide struct {
	// Bytes are those that were captured, in order. Nothing stands for a gap: see Pieces.
	Bytes []byte
	// Gaps are the bytes that are missing, in order.
	Gaps []StreamGap
	// NotKept is how many captured bytes at the end of the stream are not in Bytes for want of room; see
	// ConversationOptions. Gaps among them are not in Gaps.
	NotKept int64

	cut bool // a gap was not kept
}

// Whole reports whether Bytes are all that the side said.
func (s *ConversationSide) Whole() bool { return len(s.Gaps) == 0 && s.NotKept == 0 && !s.cut }

// Pieces are the captured bytes between the gaps, each with its offset in the stream, which counts the gaps
// before it too. They are parts of Bytes.
func (s *ConversationSide) Pieces() iter.Seq2[int64, []byte] {
	return func(yield func(int64, []byte) bool) {
		at, rest := int64(0), s.Bytes
		for _, g := range s.Gaps {
			n := min(g.Offset-at, int64(len(rest)))
			if n > 0 && !yield(at, rest[:n:n]) {
				return
			}
			at, rest = g.Offset+g.Len, rest[n:]
		}
		if len(rest) > 0 {
			yield(at, rest)
		}
	}
}

// Reader reads the stream up to its first gap, or to where its bytes were not kept. The error there is
// io.ErrUnexpectedEOF, and io.EOF at the end of a stream that is whole; see Pieces for what is behind a gap.
// A side that the capture, or a reset, cut off without a gap ends with io.EOF too: Conversation.Reason tells.
func (s *ConversationSide) Reader() io.Reader {
	r := &sideReader{rest: s.Bytes, end: io.EOF}
	if !s.Whole() {
		r.end = io.ErrUnexpectedEOF
	}
	if len(s.Gaps) > 0 {
		r.rest = s.Bytes[:min(s.Gaps[0].Offset, int64(len(s.Bytes)))]
	}
	return r
}

// sideReader reads bytes, and gives an error at their end.
type sideReader struct {
	rest []byte
	end  error
}

func (r *sideReader) Read(b []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, r.end
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// StreamGap is a part of a stream that is missing.
type StreamGap struct {
	// Offset is where the gap begins, counted from the beginning of the stream with all gaps before it.
	Offset int64
	Len    int64
	Cause  GapCause
}

// ConversationOptions are options of ConversationsWith. The zero value is ready.
type ConversationOptions struct {
	// Extractor makes the keys. nil is AutoDetectEncap(FiveTuple{}), which looks into tunnels.
	Extractor FlowExtractor[FiveTupleKey]
	// Config is that of the driver. Its Events are not used.
	Config Config
	// SideBytes is how many bytes are kept of each side; 0 is 16 MiB. TotalBytes bounds the memory of all
	// connections that have not ended; 0 is 256 MiB. What is beyond either is not kept, and counted in
	// NotKept. Unlimited is no limit. A gap takes 24 bytes of both.
	SideBytes, TotalBytes int64
}

const (
	defaultConversationSide  = 16 << 20
	defaultConversationTotal = 256 << 20
	gapMemory                = 24
)

// Conversations are the TCP connections of a capture, each when it ends: those that the end of the
// capture cuts off come last.
//
//	for c, err := range flowscope.Conversations(flowscope.OpenCapture("traffic.pcap")) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(c.Initiator, c.Responder, len(c.Sides[flowscope.Responder].Bytes))
//	}
//
// An error of views ends the capture. It comes last, with a nil Conversation, after the conversations of
// the packets before it.
func Conversations(views iter.Seq2[PacketView, error]) iter.Seq2[*Conversation, error] {
	return ConversationsWith(views, ConversationOptions{})
}

// ConversationsWith is Conversations with options. A wrong Config is an error, which comes first and
// alone.
func ConversationsWith(views iter.Seq2[PacketView, error], o ConversationOptions) iter.Seq2[*Conversation, error] {
	return func(yield func(*Conversation, error) bool) {
		c, err := newConversations(o)
		if err != nil {
			yield(nil, err)
			return
		}
		for ev, err := range c.driver.Events(views) {
			if err != nil {
				yield(nil, err)
				return
			}
			if ended := c.take(ev); ended != nil && !yield(ended, nil) {
				return
			}
		}
	}
}

// conversations collects the events of a driver. The state of a flow is its Conversation, nil if it is not TCP.
type conversations struct {
	driver            *FlowDriver[FiveTupleKey, *Conversation]
	number            int
	sideMax, totalMax int64
	held              int64 // by all connections that live
}

func newConversations(o ConversationOptions) (*conversations, error) {
	if o.SideBytes < Unlimited || o.TotalBytes < Unlimited {
		return nil, fmt.Errorf("%w: ConversationOptions: SideBytes %d, TotalBytes %d", ErrConfig, o.SideBytes, o.TotalBytes)
	}
	if o.Extractor == nil {
		o.Extractor = AutoDetectEncap(FiveTuple{})
	}
	o.Config.Events = Events(EventStarted, EventData, EventGap, EventEnded)
	d, err := NewFlowDriverWithState(o.Extractor, nil, o.Config, func(FiveTupleKey) *Conversation { return nil })
	if err != nil {
		return nil, err
	}
	return &conversations{
		driver: d, sideMax: limitOr(o.SideBytes, defaultConversationSide), totalMax: limitOr(o.TotalBytes, defaultConversationTotal),
	}, nil
}

// limitOr is a limit, of which 0 stands for the default.
func limitOr(n, byDefault int64) int64 {
	switch n {
	case 0:
		return byDefault
	case Unlimited:
		return 1<<63 - 1
	}
	return n
}

// take handles an event, and returns the conversation that it ends.
func (c *conversations) take(ev *Event) (ended *Conversation) {
	if ev.L4 != L4TCP {
		return nil
	}
	state := c.driver.State(ev)
	switch ev.Kind {
	case EventStarted:
		c.number++
		*state = &Conversation{Number: c.number, Key: ev.Key}
	case EventData:
		s := &(*state).Sides[ev.Side]
		if n := ev.Len; c.room(s, n) {
			s.Bytes = append(s.Bytes, ev.Bytes...)
		} else {
			s.NotKept += n
		}
	case EventGap:
		if s := &(*state).Sides[ev.Side]; c.room(s, gapMemory) {
			s.Gaps = append(s.Gaps, StreamGap{Offset: ev.Offset, Len: ev.Len, Cause: ev.Cause})
		} else {
			s.cut = true
		}
	case EventEnded:
		ended = *state
		for i := range ended.Sides {
			c.held -= ended.Sides[i].memory()
		}
		ended.Reason, ended.Stats, ended.History = ev.Reason, *ev.Stats, ev.History
		ended.Initiator, ended.Responder = ev.Ends(Initiator)
	}
	return ended
}

func (s *ConversationSide) memory() int64 { return int64(len(s.Bytes)) + gapMemory*int64(len(s.Gaps)) }

// room reports whether n more bytes of a side may be kept. Once bytes of a side are not kept, none behind them are.
func (c *conversations) room(s *ConversationSide, n int64) bool {
	if s.NotKept != 0 || s.cut || n > c.sideMax-s.memory() || n > c.totalMax-c.held {
		return false
	}
	c.held += n
	return true
}
