package flowscope

import (
	"slices"

	"github.com/flowscope-go/flowscope/internal/clock"
	"github.com/flowscope-go/flowscope/internal/decode"
	"github.com/flowscope-go/flowscope/internal/history"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// Segments that contradict what is known of a connection are held, with the connection's doubts in
// internal/tcp. Here is what that means for the flow: its counters, and the flow that takes its place.

// now is the timestamp of the segment that is taken: that of the current packet, unless it was held.
func (t *FlowTracker[K, S]) now() int64 {
	if t.replayed != nil {
		return t.replayed.Stamp
	}
	return t.at
}

// age is when the segment that is taken came, in elapsed time.
func (t *FlowTracker[K, S]) age() int64 {
	if t.replayed != nil {
		return t.replayed.Time
	}
	return t.clock.Elapsed()
}

// segmentID is the ID of the packet that carried the segment that is taken.
func (t *FlowTracker[K, S]) segmentID() uint64 {
	if t.replayed != nil {
		return t.replayed.ID
	}
	return t.packetID
}

// classOfTCP is the timeout class of a live connection.
func classOfTCP[S any](f *flow[S]) timeoutClass {
	switch state := f.conn.State(); {
	case f.conn.StrongReset():
		return classReset
	case state == tcp.SynSent || state == tcp.SynReceived:
		return classOpening
	case state == tcp.ClosingTCP:
		return classClosing
	}
	return classEstablished
}

// hold holds the current segment. It reports whether it has been dealt with: as one of a rival that is
// the connection now.
func (t *FlowTracker[K, S]) hold(hash uint64, s *slot[K, S], side FlowSide, g *tcp.Segment, o *tcp.Outcome, wire int) bool {
	h := tcp.Held{ID: t.packetID, Stamp: t.at, Frames: t.frames, Wire: wire}
	if t.details != nil {
		h.IP = t.x.ipLen()
	}
	verdict := o.Rival
	t.holdSegment(s, side, g, o, h)
	h.Segment, h.Side, h.Payload, h.Missing = *g, tcp.Side(side), t.x.Payload, t.x.Missing
	switch verdict {
	case tcp.RivalLeaps:
		s.Value.addLetters(history.LettersOf(g.Flags, g.Len > 0), side)
		t.leap(hash, s, &h)
		return true
	case tcp.RivalReplaces:
		t.replaceByRival(hash, s, h)
		return true
	}
	return false
}

// holdSegment holds a segment. h says which packet carried it.
func (t *FlowTracker[K, S]) holdSegment(s *slot[K, S], side FlowSide, g *tcp.Segment, o *tcp.Outcome, h tcp.Held) {
	f := &s.Value
	if o.Rival != tcp.NoRival {
		if own := ownOf(&t.doubts, &f.conn); own != nil && own[ownSaved] == 0 {
			before := t.before
			if t.replayed != nil {
				before = f.last[side&1] // it was counted long ago
			}
			own.save(&f.record, side, before, h.Frames)
		}
	}
	var payload []byte
	if t.hook != nil && !t.hook.flowStreams(s).directions[side&1].Stopped() {
		payload = t.x.Payload
	}
	t.doubts.Hold(&f.conn, tcp.Side(side), g, o, h, payload)
	if f.conn.Guessing() {
		t.setTimer(s)
	}
}

// withCurrent appends the current segment to those that were held before it, unless it is the last of
// them: it is not if there was no room.
func withCurrent(held []tcp.Held, h *tcp.Held) []tcp.Held {
	if n := len(held); n > 0 && held[n-1].Segment == h.Segment && held[n-1].Side == h.Side && held[n-1].ID == h.ID {
		return held
	}
	return append(held, *h)
}

// ownRecord is what the record of a flow would be without the packets of its connection's rival, in the words that are
// kept with the rival.
type ownRecord tcp.RivalOwner

// The words of ownRecord; of two, one for each side.
const (
	ownSaved = iota // 0: nothing yet; 1; ownNothing
	ownPackets
	ownFirst    = ownPackets + 2
	ownLast     = ownFirst + 2
	ownLetters  = ownLast + 2
	ownLettered = ownLetters + 1 // the high part of the letters, and the sets of both sides

	// ownNothing stands for a record of no packet at all, as it is without the first packet of a flow; the next
	// word is the time of that. So it fits Doubts.Hold.
	ownNothing = 2
)

// ownOf is the ownRecord of a connection, or nil if it has no rival.
func ownOf(ds *tcp.Doubts, c *tcp.Conn) *ownRecord {
	o := (*ownRecord)(ds.Owner(c))
	if o != nil && o[ownSaved] == ownNothing {
		at := o[1]
		*o = ownRecord{ownSaved: 1, ownLast: at, ownLast + 1: at}
	}
	return o
}

// save begins with the first packet of a new rival, of side, which has been counted. Before it came that side's last.
func (o *ownRecord) save(f *record, side FlowSide, before int64, frames uint64) {
	if f.packets(0)+f.packets(1) == frames {
		o[ownSaved], o[1] = ownNothing, uint64(f.last[side&1])
		return
	}
	o[ownSaved] = 1
	for i := range FlowSide(2) {
		o[ownPackets+i], o[ownFirst+i], o[ownLast+i] = f.packets(i), uint64(f.first[i]), uint64(f.last[i])
	}
	side &= 1
	o[ownPackets+side] -= min(frames, o[ownPackets+side])
	o[ownLast+side] = uint64(before)
	o.setLetters(f.letters(), f.seen)
}

func (o *ownRecord) setLetters(l history.Letters, seen [2]history.Set) {
	o[ownLetters], o[ownLettered] = l.Lo, uint64(l.Hi)|uint64(seen[0])<<16|uint64(seen[1])<<24
}

// count counts a packet of side that is not the rival's.
func (o *ownRecord) count(side FlowSide, now int64, frames uint64, letters history.Set) {
	last := int64(o[ownLast+side&1])
	if side &= 1; o[ownPackets+side] == 0 {
		o[ownFirst+side], last = uint64(now), now
	}
	o[ownPackets+side] += frames
	o[ownLast+side] = uint64(max(last, now))
	var f record
	o.letters(&f)
	f.addLetters(letters, side)
	o.setLetters(f.letters(), f.seen)
}

func (o *ownRecord) letters(f *record) {
	f.setLetters(history.Letters{Lo: o[ownLetters], Hi: uint16(o[ownLettered])})
	f.seen = [2]history.Set{history.Set(o[ownLettered] >> 16), history.Set(o[ownLettered] >> 24)}
}

// restore gives the record the times and letters that it has without the rival's packets, which are not counted any
// more. If some of these had no room, and remain, so do the times.
func (o *ownRecord) restore(f *record) {
	if o[ownSaved] == 0 {
		return
	}
	for i := range FlowSide(2) {
		if n := f.packets(i); n == o[ownPackets+i] {
			if f.last[i] = int64(o[ownLast+i]); n != 0 {
				f.first[i] = int64(o[ownFirst+i])
			}
		}
	}
	o.letters(f)
}

// countBeside notes a packet of side, which has been counted, as none of the connection's rival.
func (t *FlowTracker[K, S]) countBeside(f *flow[S], side FlowSide, letters history.Set) {
	if own := ownOf(&t.doubts, &f.conn); own != nil && own[ownSaved] != 0 {
		own.count(side, t.at, t.frames, letters)
	}
}

// leap moves the connection to the numbers of its rival, whose segments were held, and takes these.
// current is the current segment, if there is one.
func (t *FlowTracker[K, S]) leap(hash uint64, s *slot[K, S], current *tcp.Held) {
	f, first, from := &s.Value, len(t.events), s.Value.conn.State()
	t.beginReplay()
	defer t.endReplay()
	held, fresh := t.doubts.Leap(&f.conn, current == nil && !t.believing)
	if fresh && t.hook != nil {
		t.hook.onRestart(s)
	}
	if f.conn.State() != from && !t.believing {
		t.setTimeoutClass(s, classOfTCP(f))
	}
	t.file(s)
	if current != nil {
		held = withCurrent(held, current)
	}
	t.replayHeld(hash, s, held)
	if t.believing || len(held) == 0 {
		return // a flow that ends has no new state
	}
	t.tellReplay(s, first, from, FlowSide(held[len(held)-1].Side))
	if current != nil {
		t.tellPacket(s, first, FlowSide(current.Side), current.Wire)
	}
}

// replayHeld gives held segments to the flow's connection, as if they came now, and reports whether one of
// them has ended the flow.
func (t *FlowTracker[K, S]) replayHeld(hash uint64, s *slot[K, S], held []tcp.Held) (ended bool) {
	x := *t.x
	defer func() { *t.x, t.replayed = x, nil }()
	for i := range held {
		t.present(&held[i], s.Value.forward())
		if t.replay(hash, s, &held[i]) {
			return true
		}
	}
	return false
}

// beginReplay begins to collect what several segments change, for tellReplay.
func (t *FlowTracker[K, S]) beginReplay() { t.collecting, t.established = true, false }

// endReplay ends it, also if what is the caller's has panicked.
func (t *FlowTracker[K, S]) endReplay() { t.collecting, t.replayed = false, nil }

// tellReplay emits what the held segments, and the current packet if there is one, have changed: the state
// from before all of them to that after. side sent the last of them. That stands before what the segments
// said, which begins at first.
func (t *FlowTracker[K, S]) tellReplay(s *slot[K, S], first int, from tcp.State, side FlowSide) {
	end := len(t.events)
	to := s.Value.conn.State()
	if t.established {
		if t.cfg.Events.Has(EventEstablished) {
			ev := t.emitSide(EventEstablished, s, side)
			ev.State = StateEstablished
		}
		from = tcp.Established
	}
	if from != to && t.cfg.Events.Has(EventStateChange) {
		ev := t.emitSide(EventStateChange, s, side)
		ev.From = FlowState(from)
	}
	t.moveTo(first, end)
}

// tellPacket emits the current packet, behind the state and before what the segments said.
func (t *FlowTracker[K, S]) tellPacket(s *slot[K, S], first int, side FlowSide, wire int) {
	if !t.cfg.Events.Has(EventPacket) {
		return
	}
	for first < len(t.events) && (t.events[first].Kind == EventEstablished || t.events[first].Kind == EventStateChange) {
		first++
	}
	end := len(t.events)
	t.emitPacket(EventPacket, s, side, wire)
	t.moveTo(first, end)
}

// moveTo moves the events from end on to first.
func (t *FlowTracker[K, S]) moveTo(first, end int) {
	told := slices.Clone(t.events[end:])
	copy(t.events[first+len(told):], t.events[first:end])
	copy(t.events[first:], told)
}

// stepAndReplay does what is left of stepTCP for a segment by which held ones are this connection's, and
// takes these.
func (t *FlowTracker[K, S]) stepAndReplay(hash uint64, s *slot[K, S], side FlowSide, wire int) {
	f, g, o := &s.Value, &t.segment, &t.outcome
	first, from := len(t.events), o.From
	t.beginReplay()
	defer t.endReplay()
	f.addLetters(history.LettersOf(g.Flags, g.Len > 0), side)
	t.file(s)
	t.applyOutcome(s, side, g, o)
	if o.Notes&anomalousNotes != 0 {
		t.addTCPAnomalies(s, side, g, o)
	}
	held := t.doubts.TakeRival(&f.conn)
	if !t.finishStep(hash, s, side, g, o) {
		t.replayHeld(hash, s, held)
	}
	t.tellReplay(s, first, from, side)
	t.tellPacket(s, first, side, wire)
}

// present makes a held segment the current packet. forward is the side, in its terms, whose packets are
// Forward.
func (t *FlowTracker[K, S]) present(h *tcp.Held, forward FlowSide) {
	x := t.x
	x.TCP = TCPInfo{
		Seq: h.Seq, Ack: h.Ack, Window: h.Window, Flags: TCPFlags(h.Flags),
		WindowScale: h.WindowScale, HasWindowScale: h.HasWindowScale, Options: TCPOptions(h.Options), Timestamp: h.Timestamp, TimestampEcho: h.TimestampEcho,
	}
	x.Orientation = Orientation(forward ^ FlowSide(h.Side))
	x.Payload, x.Missing = h.Payload, h.Missing
	t.replayed = h
}

// replay gives the held segment that is the current packet to the connection, and reports whether the
// flow has ended.
func (t *FlowTracker[K, S]) replay(hash uint64, s *slot[K, S], h *tcp.Held) (ended bool) {
	f, side := &s.Value, t.sender(&s.Value)
	g, o := &t.segment, &t.outcome
	*g = h.Segment      // not fillSegment: nobody may have kept the payload
	g.Flags &^= tcp.URG // where the pointer pointed was not kept
	f.conn.Step(tcp.Side(side), g, o, &t.doubts)
	var earlier []tcp.Held
	switch {
	case o.Rival == tcp.RivalReplays:
		earlier = t.doubts.TakeRival(&f.conn)
	case o.Hold || o.Rival != tcp.NoRival:
		o.Rival = min(o.Rival, tcp.RivalHeld) // one decision at a time
		t.holdSegment(s, side, g, o, tcp.Held{ID: h.ID, Stamp: h.Stamp, Frames: h.Frames, Wire: h.Wire, IP: h.IP})
	}
	t.applyOutcome(s, side, g, o)
	if t.believing {
		if t.hook != nil && g.Flags&tcp.RST == 0 {
			t.hook.onSegment(s, side, g, o)
		}
		return false
	}
	return t.finishStep(hash, s, side, g, o) || t.replayHeld(hash, s, earlier)
}

// replaceByRival ends the flow of a connection, or releases it if it has ended, and creates the flow of
// its rival: the rival's segments leave the one and stand in the other. current is the current segment.
func (t *FlowTracker[K, S]) replaceByRival(hash uint64, s *slot[K, S], current tcp.Held) {
	f := &s.Value
	var before ownRecord
	if p := ownOf(&t.doubts, &f.conn); p != nil {
		before = *p
	}
	forward := f.forward()
	held := withCurrent(t.doubts.TakeRival(&f.conn), &current)
	late := f.bits&lingering != 0
	counted := held
	if late {
		counted = held[:len(held)-1] // the current one was not
	}
	for i := range counted {
		t.uncount(s, &counted[i], late)
	}
	if !late {
		before.restore(&f.record)
	}
	var stats FlowStats
	f.stats(&stats)
	t.endAndRelease(hash, s, EndReused)

	x := *t.x
	t.present(&held[0], forward)
	next := t.createFlow(hash, nil)
	n, first, from := &next.Value, len(t.events), next.Value.conn.State()
	n.last = [2]int64{held[0].Stamp, held[0].Stamp}
	n.follows(stats.Start(), stats.again, held[0].Stamp)
	if t.reports != nil {
		t.reports.begin(next.ID(), held[0].Stamp, max(t.until(), held[len(held)-1].Stamp))
		t.setTimer(next)
	}
	if t.details != nil && t.details.want&DetailOrigin != 0 {
		// The frame of its first packet is gone: that of the current one counts, which another side may
		// have sent.
		t.details.readOrigin(t.details.origin.at(next.ID()), n.forward()^FlowSide(x.Orientation), t.x.packet.Tunnel != decode.NoTunnel)
	}
	for i := range held {
		h := &held[i]
		t.present(h, forward)
		side := t.sender(n)
		t.stats.Bytes[side&1] += uint64(h.Wire)
		if t.details != nil {
			t.details.count(next.ID(), side, h.IP)
		}
		n.countPacket(side, h.Stamp, h.Frames, h.Wire, int(h.Len))
		n.addLetters(history.LettersOf(h.Flags, h.Len > 0), side)
	}
	t.beginReplay()
	defer t.endReplay()
	for i := range held {
		t.present(&held[i], forward)
		if t.replay(hash, next, &held[i]) {
			break
		}
	}
	t.file(next)
	if t.unconfirmed.active {
		t.unconfirmed.slot, t.unconfirmed.flow = next.ID(), n.id
	}
	t.latest = nil
	*t.x, t.replayed = x, nil
	t.tellReplay(next, first, from, t.sender(n))
	t.tellPacket(next, first, t.sender(n), current.Wire)
}

// uncount takes a segment out of the counters of a flow, and of the tracker.
func (t *FlowTracker[K, S]) uncount(s *slot[K, S], h *tcp.Held, late bool) {
	side := FlowSide(h.Side) & 1
	s.Value.uncount(h, late)
	if late {
		t.stats.PacketsLate -= h.Frames
	} else {
		t.stats.Bytes[side] -= min(t.stats.Bytes[side], uint64(h.Wire))
	}
	switch {
	case t.details == nil:
	case late:
		t.details.uncountLate(s.ID(), side, h.Wire, h.IP)
	default:
		t.details.uncount(s.ID(), side, h.IP)
	}
}

// uncount takes a segment out of the flow's counters.
func (f *record) uncount(h *tcp.Held, late bool) {
	side := FlowSide(h.Side)
	if late {
		w := f.conn.OwnerWord(tcp.Side(side))
		*w -= min(*w, uint32(h.Frames))
		return
	}
	n := f.packets(side) - h.Frames
	f.packetsLo[side], f.packetsHi[side] = uint32(n), uint16(n>>32)
	f.bytes[side] -= min(f.bytes[side]&maxSum, uint64(h.Wire))
	f.payload[side] -= min(f.payload[side]&maxSum, uint64(h.Len))
	if n == 0 {
		f.first[side] = 0
	}
}

// stepEnded gives a segment to a connection that has ended, and reports whether it is one of the
// connection that takes its place; otherwise it is late.
func (t *FlowTracker[K, S]) stepEnded(hash uint64, s *slot[K, S], wire int) (replaced bool) {
	f := &s.Value
	g, o := &t.segment, &t.outcome
	t.fillSegment(g)
	side := t.sender(f)
	f.conn.StepEnded(tcp.Side(side), g, o, &t.doubts)
	return o.Rival != tcp.NoRival && t.hold(hash, s, side, g, o, wire)
}

// guessedUntil is how long the numbers of a connection under way may remain a guess, in elapsed time. Then they are believed,
// as nothing has contradicted them.
func (t *FlowTracker[K, S]) guessedUntil(s *slot[K, S]) int64 {
	return clock.Add(t.idleSince(s), int64(t.cfg.HoleOneSidedTimeout))
}

// guesses reports whether the numbers of the connection are those of segments that are held.
func (t *FlowTracker[K, S]) guesses(s *slot[K, S]) bool {
	f := &s.Value
	return f.conn.Guessing() && f.bits&lingering == 0 && t.doubts.HasRival(&f.conn)
}

// believeAtEnd takes the segments of a connection under way whose numbers nothing has confirmed, if the
// flow ends.
func (t *FlowTracker[K, S]) believeAtEnd(hash uint64, s *slot[K, S]) {
	t.believing = true
	defer func() { t.believing = false }()
	t.leap(hash, s, nil)
}
