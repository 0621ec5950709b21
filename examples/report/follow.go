package main

import (
	"cmp"
	"slices"

	"github.com/flowscope-go/flowscope"
)

const (
	maxSegments = 1500 // that are drawn; neighbours are joined beyond it
	maxACKs     = 1000
	maxHoles    = 100
)

// series is what one side of a connection sent, by time, for a picture with the bytes of the stream upwards.
type series struct {
	flow
	side     flowscope.FlowSide
	segments []segment
	acks     []point // of the other side
	holes    []hole
	top      int64
	joined   int64 // segments that are nearer than so many nanoseconds were joined
	moreHole uint64

	began  bool
	base   uint32 // the number of byte 0
	sent   int64  // up to where new bytes were
	acked  int64
	known  bool // the number of byte 0 is that behind a SYN
	thinBy int
	nthACK int
}

// segment is payload from byte lo up to hi, sent from t0 to t1.
type segment struct {
	t0, t1, lo, hi int64
	again          bool
}

type point struct{ t, at int64 }

type hole struct{ t, lo, hi int64 }

// follow reads the capture once more and draws the side of the flow that had more trouble.
func follow(fl flow, views sequence, ex extractor, cfg flowscope.Config) (*series, error) {
	s := &series{flow: fl, thinBy: 1}
	weight := func(side int) uint64 { return fl.repeats(side) + 10*fl.Gaps[side] }
	if weight(1) > weight(0) || weight(1) == weight(0) && fl.PayloadBytes[1] > fl.PayloadBytes[0] {
		s.side = flowscope.Responder
	}
	cfg.Events = flowscope.Events(flowscope.EventPacket, flowscope.EventGap, flowscope.EventLate, flowscope.EventReleased)
	drv, err := flowscope.NewFlowDriver(ex, nil, cfg)
	if err != nil {
		return nil, err
	}
	var x extracted
	var now flowscope.PacketView
	watched := func(yield func(flowscope.PacketView, error) bool) {
		for view, err := range views {
			now = view
			if err != nil || !yield(view, nil) {
				return // the damage is known by now
			}
		}
	}
	copied := newCopies()
	for ev := range drv.Events(watched) {
		if ev.Flow != fl.id {
			continue
		}
		switch {
		case ev.Kind == flowscope.EventReleased:
			s.finish()
			return s, nil
		case ev.Kind == flowscope.EventGap && ev.Side == s.side:
			s.hole(hole{int64(inReach(ev.Timestamp)), ev.Offset, ev.Offset + ev.Len})
		case ev.Packet == now.ID && (ev.Kind == flowscope.EventPacket || ev.Kind == flowscope.EventLate):
			x = extracted{Key: x.Key}
			if ex.Extract(now, &x) && x.HasTCP && !(copied.is(now.Timestamp, &x) && fl.isTwice()) {
				s.packet(ev, int64(inReach(now.Timestamp)), &x)
			}
		}
	}
	s.finish()
	return s, nil
}

// packet adds a packet of either side.
func (s *series) packet(ev *event, t int64, x *extracted) {
	if ev.Side != s.side {
		if s.began && x.TCP.Flags&flowscope.FlagACK != 0 {
			s.ack(t, s.position(x.TCP.Ack))
		}
		return
	}
	seq := x.TCP.Seq
	if x.TCP.Flags&flowscope.FlagSYN != 0 {
		seq++
		if !s.known { // one that is sent again has the same number
			s.began, s.known, s.base = true, true, seq
		}
	}
	n := int64(len(x.Payload) + x.Missing)
	if n == 0 || x.TCP.Flags&flowscope.FlagRST != 0 {
		return
	}
	if !s.began {
		s.began, s.base = true, seq
	}
	lo := s.position(seq)
	hi := lo + n
	s.add(segment{t, t, lo, hi, hi <= s.sent})
	s.sent = max(s.sent, hi)
}

// position is the place of a sequence number in the stream: the one nearest to what was sent.
func (s *series) position(seq uint32) int64 {
	return s.sent + int64(int32(seq-s.base-uint32(s.sent)))
}

func (s *series) add(g segment) {
	if len(s.segments) > 0 && s.joined > 0 {
		last := &s.segments[len(s.segments)-1]
		if last.joins(&g, s.joined) {
			return
		}
	}
	s.segments = append(s.segments, g)
	for len(s.segments) > maxSegments {
		s.join()
	}
}

// joins makes one segment of two that follow upon each other, in the stream and in time, and reports whether it did.
// Those that were sent again are joined if they lie near each other.
func (g *segment) joins(next *segment, within int64) bool {
	near := next.t0-g.t0 <= within && next.t0 >= g.t0
	if !near || g.again != next.again || !g.again && next.lo != g.hi {
		return false
	}
	g.t1, g.lo, g.hi = max(g.t1, next.t1), min(g.lo, next.lo), max(g.hi, next.hi)
	return true
}

// join makes fewer segments of those that there are, and of those to come. If all of them stand apart, every other one
// that was in order is left out.
func (s *series) join() {
	s.joined = max(2*s.joined, 1000)
	if s.joined > 1<<60 {
		s.segments = slices.DeleteFunc(s.segments, func(segment) bool { s.nthACK++; return s.nthACK%2 == 0 })
		return
	}
	kept := s.segments[:1]
	for _, g := range s.segments[1:] {
		if !kept[len(kept)-1].joins(&g, s.joined) {
			kept = append(kept, g)
		}
	}
	s.segments = kept
}

// ack adds an acknowledgement that says more than those before.
func (s *series) ack(t, at int64) {
	if at <= s.acked || at > s.sent+1<<20 {
		return
	}
	s.acked = at
	if s.nthACK++; s.nthACK%s.thinBy != 0 {
		return
	}
	if len(s.acks) >= maxACKs {
		for i := range maxACKs / 2 {
			s.acks[i] = s.acks[2*i+1]
		}
		s.acks = s.acks[:maxACKs/2]
		s.thinBy *= 2
	}
	s.acks = append(s.acks, point{t, at})
}

func (s *series) hole(h hole) {
	if len(s.holes) >= maxHoles {
		s.moreHole++
		return
	}
	s.holes = append(s.holes, h)
}

func (s *series) finish() {
	for _, g := range s.segments {
		s.top = max(s.top, g.hi)
	}
	for _, h := range s.holes {
		s.top = max(s.top, h.hi)
	}
}

// axis is the time axis of the picture.
func (s *series) axis() *axis {
	var spans []span
	for _, g := range s.segments {
		spans = append(spans, span{g.t0, g.t1})
	}
	for _, p := range s.acks {
		spans = append(spans, span{p.t, p.t})
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	return newAxis(spans)
}
