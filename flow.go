package flowscope

import (
	"iter"
	"math"
	"time"

	"github.com/flowscope-go/flowscope/internal/clock"
	"github.com/flowscope-go/flowscope/internal/decode"
	"github.com/flowscope-go/flowscope/internal/flowtable"
	"github.com/flowscope-go/flowscope/internal/history"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// Flow is a live flow as it stands.
type Flow[K comparable, S any] struct {
	ID FlowID
	// Key is the flow's key, and Orientation the direction of its initiator's
	// packets relative to it.
	Key         K
	Orientation Orientation
	L4          L4Proto
	State       FlowState
	Stats       FlowStats
	History     History
	// User is the caller's state: good until the flow has ended and the next
	// call on the tracker begins.
	User *S
}

// view is the flow of a slot as it stands.
func (t *FlowTracker[K, S]) view(s *slot[K, S]) Flow[K, S] {
	f := &s.Value
	v := Flow[K, S]{
		ID: f.id, Key: s.Key, Orientation: Orientation(f.forward()), L4: f.l4, State: f.state(),
		History: f.history(), User: &f.user,
	}
	t.statsOf(s, &v.Stats)
	return v
}

// find gives the slot of a live flow.
func (t *FlowTracker[K, S]) find(key *K) *slot[K, S] {
	s := t.table.Find(t.hash(key), key)
	if s == nil || s.Value.bits&(lingering|released) != 0 {
		return nil
	}
	return s
}

// State is the caller's state of an event's flow, without looking the key up
// again. It answers for every event of the last call, also for the flows that
// ended in it; nil if the event concerns no flow, or one that ended in an earlier
// call: Late, and the Released of a flow that lingered.
func (t *FlowTracker[K, S]) State(ev *FlowEvent[K]) *S {
	if ev.Flow == 0 || !t.table.Has(ev.slot) {
		return nil
	}
	f := &t.table.At(ev.slot).Value
	if f.id != ev.Flow || f.bits&(lingering|justEnded) == lingering {
		return nil
	}
	return &f.user
}

// Get is the live flow of a key, and whether there is one.
func (t *FlowTracker[K, S]) Get(key K) (Flow[K, S], bool) {
	s := t.find(&key)
	if s == nil {
		return Flow[K, S]{}, false
	}
	return t.view(s), true
}

// Flows are the live flows, in an order that depends only on the packets. The
// loop may call ForceClose, and must not call Track, Sweep or Finish.
func (t *FlowTracker[K, S]) Flows() iter.Seq[Flow[K, S]] {
	return func(yield func(Flow[K, S]) bool) {
		for s := range t.slots {
			if !yield(t.view(s)) {
				return
			}
		}
	}
}

// slots are the slots of the live flows.
func (t *FlowTracker[K, S]) slots(yield func(*slot[K, S]) bool) {
	for s := range t.table.All {
		if s.Value.bits&lingering == 0 && !yield(s) {
			return
		}
	}
}

// statsOf fills in the flow's counters as they stand.
func (t *FlowTracker[K, S]) statsOf(s *slot[K, S], to *FlowStats) {
	s.Value.stats(to)
	if t.hook != nil {
		t.hook.streamStats(s, &to.Streams)
	}
	if t.details != nil {
		t.details.fill(s.ID(), to)
	}
}

// replaceFlow ends s, if it has not ended, and creates the flow of the connection that takes its
// place.
func (t *FlowTracker[K, S]) replaceFlow(hash uint64, s *slot[K, S], g *tcp.Segment, reason EndReason) *slot[K, S] {
	f := &s.Value
	side := t.sender(f)
	next := f.conn

	opener := FlowSide(next.ReplaceWith(tcp.Side(side), g, &t.doubts))
	var before FlowStats
	f.stats(&before)
	t.endAndRelease(hash, s, reason)
	t.doubts.Release(&f.conn)
	return t.createFlow(hash, &successor{conn: next, sender: side ^ opener, start: before.Start(), again: before.again})
}

// successor is what a flow takes over from the one it replaces.
type successor struct {
	conn   tcp.Conn
	sender FlowSide // the new side of the packet's sender
	// Of the flow that is replaced.
	start Timestamp
	again uint8
}

// createFlow creates the flow of the current packet, in a full table in place of another one.
func (t *FlowTracker[K, S]) createFlow(hash uint64, from *successor) *slot[K, S] {
	for t.table.Len() >= t.maxFlows {
		t.evict()
	}
	x := t.x
	var s *slot[K, S]
	if t.init == nil {
		s = t.table.Insert(hash, &x.Key)
	} else {
		user := t.init(x.Key) // first: it is the caller's, and may panic
		s = t.table.Insert(hash, &x.Key)
		s.Value.user = user
	}
	f := &s.Value
	t.nextID++
	t.live++
	t.stats.FlowsCreated++
	f.id = t.nextID
	f.last = [2]int64{t.at, t.at}
	f.l4 = x.L4
	if x.slow&slowNotDecoded == 0 {
		f.setTunnel(x.packet.Tunnel, x.packet.TunnelID)
		if x.L4 == L4ICMP || x.L4 == L4ICMPv6 {
			f.setICMP(x.packet.ICMPType, x.packet.ICMPCode)
		}
	}
	class, sender := classOf(x.L4), Initiator
	if x.HasTCP {
		f.bits |= isTCP
		class = classEstablished
		if x.TCP.Flags.Has(FlagSYN) {
			class = classOpening // where Step will put it
		}
		if from != nil {
			f.conn, sender = from.conn, from.sender
		} else {
			sender = FlowSide(tcp.Opener(uint8(x.TCP.Flags)))
			if sender == Responder {
				h := f.letters()
				h.Add(history.AnswerFirst, uint8(Initiator))
				f.setLetters(h)
			}
		}
		if !t.fastPaths {
			f.conn.DisableFastPath()
		}
	}
	if t.clock.Behind(t.at) {
		f.last[sender^1] = t.clock.Now() // whether the timestamp is right will show
	}
	f.classAndDirection = uint8(class) | uint8(sender^FlowSide(x.Orientation))*responderForward
	if from != nil {
		f.follows(from.start, from.again, t.at)
	}
	if t.details != nil {
		t.details.begin(s.ID(), sender, x.slow&slowNotDecoded == 0 && x.packet.Tunnel != decode.NoTunnel)
	}
	if t.reports != nil {
		t.reports.begin(s.ID(), t.at, t.at)
	}
	t.table.Join(s, queueUnanswered)
	if t.at == t.clock.Now() {
		t.startTimer(s, class)
	} else {
		t.setTimer(s)
	}
	if t.cfg.Events.Has(EventStarted) {
		t.emit(EventStarted, s)
	}
	return s
}

// flow is the value of a slot. The caller's state stands first, where its size may be zero without
// padding the slot.
type flow[S any] struct {
	user S
	record
}

// record is what is kept of a flow besides the caller's state. With a key of 40 bytes before it and
// the links of the table behind it, a slot is 256 bytes, four cache lines:
//
//	0    key, last, bits         every packet
//	64   counters \              every packet
//	128  conn     /              every packet of TCP
//	192  the rest, links         a flow's beginning and end, and its timer
//
// To fit, numbers are cut in two, and some words mean one thing while the flow is alive and another
// while it lingers:
//
//	word                  while the flow is alive                        while it lingers
//	conn.OwnerWord(side)  low half: retransmissions, high half: times    late packets (also while it ends)
//	                      the window was zero (for the history)
//	conn.EndedAt          (the edges; internal/tcp)                      when the flow ended
//	handshake[i]          when the SYN or SYN+ACK was sent, or how long  how long the answer took
//	                      its answer took; see flowBits. Of ICMP type
//	                      and code of the first packet, in handshakeLo[0]
//	bytes, payload        the sum in 48 bits; above it the tunnel        the same
type record struct {
	last              [2]int64 // timestamps of each side; of a side that sent nothing, when the flow began
	bits              flowBits
	classAndDirection uint8 // the timeoutClass, 3 bits; again, 3; lagging; at the top the side whose packets are Forward
	l4                L4Proto
	reason            EndReason
	seen              [2]history.Set // letters that stand once, of each side
	historyHi         uint16         // history.Letters.Hi

	bytes       [2]uint64 // and the tunnel; see setTunnel
	payload     [2]uint64
	packetsLo   [2]uint32 // packets: 48 bits
	packetsHi   [2]uint16
	handshakeHi [2]int16 // see handshake
	conn        tcp.Conn

	first       [2]int64
	handshakeLo [2]uint32
	historyLo   uint64 // history.Letters.Lo
	id          FlowID
}

type flowBits uint8

const (
	isTCP flowBits = 1 << iota
	lingering
	closeRequested // by ForceClose
	justEnded      // in the last call: its state still answers
	released       // as justEnded, and to be freed at the next call
	synTimed       // handshake(Initiator) is when a SYN was sent
	synAckTimed    // handshake(Initiator) is final, handshake(Responder) when a SYN+ACK was sent
	handshakeTimed // both are final
)

type slot[K comparable, S any] = flowtable.Slot[K, flow[S]]

// timeoutClass chooses the idle timeout of a flow. There are at most 8.
type timeoutClass uint8

const (
	classOpening timeoutClass = iota
	classEstablished
	classClosing
	classUDP
	classICMP
	classOther
	classLinger
	classReset // a reset was seen at a number at which its receiver may stand
)

// classOfState is the class of a live connection in a state.
var classOfState = [8]timeoutClass{
	tcp.SynSent: classOpening, tcp.SynReceived: classOpening, tcp.Active: classEstablished, tcp.Established: classEstablished,
	tcp.FinWait: classEstablished, tcp.ClosingTCP: classClosing,
}

func classOf(p L4Proto) timeoutClass {
	switch p {
	case L4TCP:
		return classEstablished
	case L4UDP:
		return classUDP
	case L4ICMP, L4ICMPv6:
		return classICMP
	}
	return classOther
}

func (f *record) class() timeoutClass {
	return timeoutClass(f.classAndDirection & 7)
}

// forward is the side whose packets are Forward.
func (f *record) forward() FlowSide { return FlowSide(f.classAndDirection / responderForward) }

func (f *record) setClass(c timeoutClass) {
	f.classAndDirection = f.classAndDirection&^7 | uint8(c)
}

// In classAndDirection.
const (
	lagging          = 1 << 6 // see lags
	responderForward = 1 << 7
)

// again is how many flows before this one have its key and its start, up to 7; see UID.
func (f *record) again() uint8 { return f.classAndDirection >> 3 & 7 }

// follows says that the flow takes the place of one of the same key.
func (f *record) follows(start Timestamp, again uint8, began int64) {
	if int64(start) == began {
		f.classAndDirection |= min(again+1, 7) << 3
	}
}

// state is that of its connection.
func (f *record) state() FlowState { return FlowState(f.conn.State()) }

// finishing reports whether a side of its connection has sent a FIN.
func (f *record) finishing() bool { return f.conn.AnyFIN() }

// lastSeen is the timestamp of the last packet of a flow that has not ended.
func (f *record) lastSeen() int64 { return max(f.last[0], f.last[1]) }

// continues reports whether a packet of these flags, found in this flow, simply belongs to it: the
// flow is alive and has not timed out, and no new connection is in sight. It is resolveFlow's answer
// for nearly every packet, at the price of a few comparisons; false says nothing. The timeout of classOpening
// is 0 there: see opens.
func (f *record) continues(now int64, timeouts *[8]uint64, flags TCPFlags) bool {
	idle := uint64(now) - uint64(max(f.last[0], f.last[1]))
	return f.bits&lingering == 0 && idle < timeouts[f.class()&7] && flags&FlagSYN == 0
}

// opens is continues for a connection whose handshake goes on: a SYN+ACK reuses no numbers while the SYN waits for
// its answer. Of one in doubt the timeout may count from an earlier packet, see idleFrom.
func (f *record) opens(now int64, timeout uint64, flags TCPFlags) bool {
	idle := uint64(now) - uint64(max(f.last[0], f.last[1]))
	return f.class() == classOpening && idle < timeout && !f.conn.InDoubt() &&
		(flags&FlagSYN == 0 || flags&(FlagACK|FlagRST|FlagFIN) == FlagACK && f.conn.State() == tcp.SynSent)
}

// countPacket counts a packet, of n payload bytes, that came in so many frames. first reports whether it is the first of
// its side while the other has sent some: that may change the flow's place in the eviction order.
func (f *record) countPacket(side FlowSide, now int64, frames uint64, wire, n int) (first bool) {
	side &= 1
	last := f.last[side]
	if f.packetsLo[side] == 0 && f.packetsHi[side] == 0 {
		f.first[side], last = now, now
		first = f.packets(side^1) != 0
	}
	f.last[side] = max(last, now)
	if f.packetsLo[side] += uint32(frames); f.packetsLo[side] < uint32(frames) {
		f.packetsHi[side]++
	}
	f.bytes[side] = addBytes(f.bytes[side], wire)
	f.payload[side] = addBytes(f.payload[side], n)
	return first
}

func (f *record) packets(side FlowSide) uint64 {
	return uint64(f.packetsHi[side&1])<<32 | uint64(f.packetsLo[side&1])
}

// startLingering turns the record into that of a flow that has ended and lingers; see record.
func (f *record) startLingering(now int64) {
	if !f.ending() {
		*f.conn.OwnerWord(tcp.Initiator), *f.conn.OwnerWord(tcp.Responder) = 0, 0
	}
	f.bits |= lingering
	f.setClass(classLinger)
	f.conn.SetEndedAt(now)
}

// startEnding turns the record into that of a flow whose end is told over several calls, for that reason.
// Like one that lingers it has late packets.
func (f *record) startEnding(reason EndReason) {
	f.reason = reason
	f.setClass(classLinger)
	*f.conn.OwnerWord(tcp.Initiator), *f.conn.OwnerWord(tcp.Responder) = 0, 0
}

// ending reports whether the flow is over, for f.reason, and what it holds is being told; see endInSteps.
func (f *record) ending() bool { return f.class() == classLinger && f.bits&lingering == 0 }

// over reports whether a packet of the flow is late.
func (f *record) over() bool { return f.class() == classLinger }

// addLate counts late packets.
func (f *record) addLate(side FlowSide, n uint64) {
	late := f.conn.OwnerWord(tcp.Side(side))
	*late += uint32(min(n, uint64(math.MaxUint32-*late)))
}

// setTunnel keeps the tunnel of the first packet, above the sums of bytes: the kind in bytes[0], the
// identifier in payload.
func (f *record) setTunnel(kind decode.Tunnel, id uint32) {
	f.bytes[0] |= uint64(kind) << sumBits
	f.payload[0] |= uint64(id>>16) << sumBits
	f.payload[1] |= uint64(id&0xffff) << sumBits
}

func (f *record) tunnel() (Tunnel, uint32) {
	return Tunnel(f.bytes[0] >> sumBits), uint32(f.payload[0]>>sumBits)<<16 | uint32(f.payload[1]>>sumBits)
}

// setICMP keeps type and code of the first packet where a flow of TCP has its handshake.
func (f *record) setICMP(kind, code uint8) { f.handshakeLo[0] = uint32(kind)<<8 | uint32(code) }

// addBytes adds to a sum of bytes, which stops at its largest value: a frame may claim any length.
func addBytes(word uint64, n int) uint64 {
	if sum := word&maxSum + uint64(n); sum <= maxSum {
		return word + uint64(n)
	}
	return word | maxSum
}

// A sum of bytes has 48 bits, 256 TiB.
const (
	sumBits = 48
	maxSum  = 1<<sumBits - 1
)

// handshake is how long the answer to a part of the handshake took: SYN to SYN+ACK for the
// initiator, SYN+ACK to ACK for the responder. Until that is final it is when the SYN, or the
// SYN+ACK, was last sent, counted from its side's first packet. It has 48 bits: 39 hours either way.
func (f *record) handshake(i FlowSide) int64 {
	return int64(f.handshakeHi[i])<<32 | int64(f.handshakeLo[i])
}

func (f *record) setHandshake(i FlowSide, d int64) {
	d = min(max(d, -1<<47), 1<<47-1)
	f.handshakeHi[i], f.handshakeLo[i] = int16(d>>32), uint32(d)
}

// timeHandshake measures SYN to SYN+ACK and SYN+ACK to ACK, each from the last transmission of the
// one to the first of the other.
func (f *record) timeHandshake(g *tcp.Segment, o *tcp.Outcome, side FlowSide, now int64) {
	switch g.Flags & (tcp.SYN | tcp.ACK | tcp.RST) {
	case tcp.SYN:
		if side == Initiator && f.bits&synAckTimed == 0 {
			f.handshakeSent(side, now)
			f.bits |= synTimed
		}
	case tcp.SYN | tcp.ACK:
		if side == Responder && o.Notes&(tcp.BadSYNACK|tcp.StraySYN) == 0 {
			if f.bits&(synTimed|synAckTimed) == synTimed {
				f.handshakeAnswered(Initiator, now)
			}
			f.handshakeSent(side, now)
			f.bits |= synAckTimed
		}
	}
	if o.Established && f.bits&synAckTimed != 0 {
		f.handshakeAnswered(Responder, now)
		f.bits |= handshakeTimed
	}
}

// handshakeSent keeps when side sent its part of the handshake, handshakeAnswered how long the
// answer took.
func (f *record) handshakeSent(side FlowSide, now int64) {
	f.setHandshake(side, clock.Sub(now, f.first[side]))
}

func (f *record) handshakeAnswered(side FlowSide, now int64) {
	f.setHandshake(side, clock.Sub(now, clock.Add(f.first[side], f.handshake(side))))
}

// stats gives the flow's counters as they stand.
func (f *record) stats(s *FlowStats) {
	*s = FlowStats{}
	for i := range s.Packets {
		if s.Packets[i] = f.packets(FlowSide(i)); s.Packets[i] != 0 {
			s.Last[i] = Timestamp(f.last[i])
		}
		s.Bytes[i], s.Payload[i] = f.bytes[i]&maxSum, f.payload[i]&maxSum
		s.First[i] = Timestamp(f.first[i])
		if f.over() {
			s.Late[i] = uint64(*f.conn.OwnerWord(tcp.Side(i)))
		}
	}
	s.Tunnel, s.TunnelID = f.tunnel()
	s.again = f.again()
	if f.bits&isTCP == 0 {
		s.ICMPType, s.ICMPCode = uint8(f.handshakeLo[0]>>8), uint8(f.handshakeLo[0])
		return
	}
	s.Flags = [2]TCPFlags{TCPFlags(f.conn.Flags(tcp.Initiator)), TCPFlags(f.conn.Flags(tcp.Responder))}
	s.Midstream = f.conn.Midstream()
	if f.bits&(synTimed|synAckTimed) == synTimed|synAckTimed {
		s.SYNToSYNACK = time.Duration(max(f.handshake(Initiator), 0)) // timestamps may step back
	}
	if f.bits&handshakeTimed != 0 {
		s.SYNACKToACK = time.Duration(max(f.handshake(Responder), 0))
	}
}

// letters puts the two words of the history together; setLetters writes them back.
func (f *record) letters() history.Letters {
	return history.Letters{Lo: f.historyLo, Hi: f.historyHi}
}

func (f *record) setLetters(l history.Letters) { f.historyLo, f.historyHi = l.Lo, l.Hi }

// history is the history as it stands.
func (f *record) history() History { return History{f.letters()} }

// addLetters adds those of a packet's letters to the history that stand once a side and have not
// occurred yet.
func (f *record) addLetters(set history.Set, side FlowSide) {
	if set &^= f.seen[side&1]; set != 0 {
		f.seen[side&1] |= set
		if f.historyHi == 0 && history.AddTo(&f.historyLo, set, uint8(side&1)) {
			return
		}
		l := f.letters()
		l.AddSet(set, uint8(side&1))
		f.setLetters(l)
	}
}

// addRepeated adds a letter to the history if its count, which includes the present occurrence, is a
// power of ten.
func (f *record) addRepeated(letter byte, count uint16, side FlowSide) {
	l := f.letters()
	l.AddRepeated(letter, count, uint8(side&1))
	f.setLetters(l)
}

// countNotes counts retransmissions and zero windows, which stand in the history more than once.
func (f *record) countNotes(n tcp.Note, side FlowSide) {
	word := f.conn.OwnerWord(tcp.Side(side)) // see record
	retransmissions, zeroWindows := uint16(*word), uint16(*word>>16)
	if n&(tcp.Retransmission|tcp.OutOfOrder) != 0 && retransmissions < math.MaxUint16 {
		retransmissions++
		f.addRepeated(history.Retransmission, retransmissions, side)
	}
	if n&tcp.ZeroWindow != 0 && zeroWindows < math.MaxUint16 {
		zeroWindows++
		f.addRepeated(history.ZeroWindow, zeroWindows, side)
	}
	*word = uint32(zeroWindows)<<16 | uint32(retransmissions)
}
