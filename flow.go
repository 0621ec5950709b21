package flowscope

import (
	"iter"
	"math"
	"math/bits"
	"strings"
	"time"

	"github.com/flowscope-go/flowscope/internal/clock"
	"github.com/flowscope-go/flowscope/internal/decode"
	"github.com/flowscope-go/flowscope/internal/flowtable"
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

func (t *FlowTracker[K, S]) view(s *slot[K, S]) Flow[K, S] {
	f := &s.Value
	v := Flow[K, S]{
		ID: f.id, Key: s.Key, Orientation: Orientation(f.forward()), L4: f.l4, State: f.state(), User: &f.user,
	}
	f.history(&v.History)
	t.statsOf(s, &v.Stats)
	return v
}

// find gives the slot of a live flow.
func (t *FlowTracker[K, S]) find(key *K) *slot[K, S] {
	s := t.table.Find(t.hash(key), key)
	if s == nil || s.Value.bits&(lingering|spent) != 0 {
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
	if f.id != ev.Flow || f.bits&(lingering|fresh) == lingering {
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
}

// flow is one slot's value. The caller's state stands first, where its size may
// be zero without padding the slot.
type flow[S any] struct {
	user S
	record
}

// record is what is kept of a flow besides the caller's state. With a key of 40
// bytes before it and the links of the table behind it, a slot is 256 bytes, four
// lines of the cache. To that end numbers are cut in two, and stand in for each
// other where only one of them means something:
//
//	0    key, last, bits         every packet
//	64   counters \              every packet
//	128  conn     /              every packet of TCP
//	192  the rest, links         a flow's beginning and end, and the wheel
type record struct {
	last      [2]int64 // of each side; of a side that has not spoken, when the flow began
	bits      flowBits
	stance    uint8 // the idleClass, and at the top the side whose packets are Forward
	l4        L4Proto
	reason    EndReason
	letters   [2]uint8
	historyHi uint16

	bytes   [2]uint64 // and the tunnel; see setTunnel
	payload [2]uint64
	packLo  [2]uint32 // packets: 48 bits
	packHi  [2]uint16
	tookHi  [2]int16
	conn    tcp.Conn // its Owner words: see note and late; what it keeps is when the flow ended

	first     [2]int64
	tookLo    [2]uint32 // see took
	historyLo uint64
	id        FlowID
}

type flowBits uint8

const (
	isTCP flowBits = 1 << iota
	lingering
	marked     // ForceClose was called
	fresh      // ended in the last call: its state still answers
	spent      // as fresh, and to be forgotten at the next call
	timedSYN   // handshake[0] is the moment of a SYN
	timedBoth  // handshake[0] is final, handshake[1] the moment of a SYN+ACK
	timedFinal // both are final
)

type slot[K comparable, S any] = flowtable.Slot[K, flow[S]]

// idleClass chooses a time-out. There are at most 8.
type idleClass uint8

const (
	idleOpening idleClass = iota
	idleEstablished
	idleClosing
	idleUDP
	idleICMP
	idleOther
	idleLinger
)

func classOf(p L4Proto) idleClass {
	switch p {
	case L4TCP:
		return idleEstablished
	case L4UDP:
		return idleUDP
	case L4ICMP, L4ICMPv6:
		return idleICMP
	}
	return idleOther
}

func (f *record) class() idleClass  { return idleClass(f.stance &^ turned) }
func (f *record) forward() FlowSide { return FlowSide(f.stance / turned) }

// state is that of its connection. (It saves a call: see engine.)
func (f *record) state() FlowState { return FlowState(f.conn.State()) }

// finishing reports whether a side of its connection has said FIN.
func (f *record) finishing() bool { return f.conn.AnyFIN() }

func (f *record) setClass(c idleClass) { f.stance = f.stance&turned | uint8(c) }

const turned = 1 << 7 // in stance: Forward are the responder's packets

// since is the moment from which the flow's time-out counts.
func (f *record) since() int64 {
	if f.bits&lingering != 0 {
		return f.conn.Kept()
	}
	return max(f.last[0], f.last[1])
}

func (f *record) packets(side FlowSide) uint64 {
	return uint64(f.packHi[side&1])<<32 | uint64(f.packLo[side&1])
}

// spell adds the letters of a packet that stand once a side.
func (f *record) spell(set uint8, side FlowSide) {
	if set &^= f.letters[side&1]; set != 0 {
		f.letters[side&1] |= set
		f.once(set, side)
	}
}

// note counts what is remarkable and stands in the history more than once: while
// the flow is alive, an Owner word holds how often payload was sent again, and in
// its upper half how often the window was zero.
func (f *record) note(n tcp.Note, side FlowSide) {
	word := f.conn.Owner(tcp.Side(side))
	resent, zeroes := uint16(*word), uint16(*word>>16)
	if n&(tcp.Retransmission|tcp.OutOfOrder) != 0 && resent < 1<<16-1 {
		resent++
		f.again('T', resent, side)
	}
	if n&tcp.ZeroWindow != 0 && zeroes < 1<<16-1 {
		zeroes++
		f.again('W', zeroes, side)
	}
	*word = uint32(zeroes)<<16 | uint32(resent)
}

// retire turns the record into that of a flow that has ended and lingers. From
// here on an Owner word holds how many packets came late.
func (f *record) retire(now int64) {
	f.bits |= lingering
	f.setClass(idleLinger)
	f.conn.Keep(now)
	*f.conn.Owner(tcp.Initiator), *f.conn.Owner(tcp.Responder) = 0, 0
}

// late counts late packets.
func (f *record) late(side FlowSide, n uint64) {
	word := f.conn.Owner(tcp.Side(side))
	*word += uint32(min(n, uint64(math.MaxUint32-*word)))
}

// setTunnel keeps what the first packet came through.
func (f *record) setTunnel(kind decode.Tunnel, id uint32) {
	f.bytes[0] |= uint64(kind) << countBits
	f.payload[0] |= uint64(id>>16) << countBits
	f.payload[1] |= uint64(id&0xffff) << countBits
}

func (f *record) tunnel() (Tunnel, uint32) {
	return Tunnel(f.bytes[0] >> countBits), uint32(f.payload[0]>>countBits)<<16 | uint32(f.payload[1]>>countBits)
}

// addCount adds to a sum of bytes, which stops at its end: a frame may claim any
// length.
func addCount(word uint64, n int) uint64 {
	if sum := word&counts + uint64(n); sum <= counts {
		return word + uint64(n)
	}
	return word | counts
}

// countBits is what of a sum of bytes is the sum: 256 TiB. Above it the tunnel
// stands, in the order bytes[0], payload[0], payload[1].
const (
	countBits = 48
	counts    = 1<<countBits - 1
)

// took is what the handshake took: SYN to SYN+ACK, and SYN+ACK to ACK. Until that
// is final it is when the SYN, or the SYN+ACK, was sent last, counted from its
// side's first packet. It holds 48 bits, which is 39 hours to either side.
func (f *record) took(i FlowSide) int64 { return int64(f.tookHi[i])<<32 | int64(f.tookLo[i]) }

func (f *record) setTook(i FlowSide, d int64) {
	d = min(max(d, -1<<47), 1<<47-1)
	f.tookHi[i], f.tookLo[i] = int16(d>>32), uint32(d)
}

// timeHandshake measures SYN to SYN+ACK and SYN+ACK to ACK, each from the last
// transmission of the one to the first of the other.
func (f *record) timeHandshake(g *tcp.Segment, o *tcp.Outcome, side FlowSide, now int64) {
	switch g.Flags & (tcp.SYN | tcp.ACK | tcp.RST) {
	case tcp.SYN:
		if side == Initiator && f.bits&timedBoth == 0 {
			f.sent(side, now)
			f.bits |= timedSYN
		}
	case tcp.SYN | tcp.ACK:
		if side == Responder && o.Notes&(tcp.BadSYNACK|tcp.StraySYN) == 0 {
			if f.bits&(timedSYN|timedBoth) == timedSYN {
				f.waited(Initiator, now)
			}
			f.sent(side, now)
			f.bits |= timedBoth
		}
	}
	if o.Established && f.bits&timedBoth != 0 {
		f.waited(Responder, now)
		f.bits |= timedFinal
	}
}

// sent remembers when side sent its part of the handshake, and waited how long
// it waited for the answer.
func (f *record) sent(side FlowSide, now int64) { f.setTook(side, clock.Sub(now, f.first[side])) }

func (f *record) waited(side FlowSide, now int64) {
	f.setTook(side, clock.Sub(now, clock.Add(f.first[side], f.took(side))))
}

// redateHandshake moves the moment of side's SYN, if it was its last packet.
func (f *record) redateHandshake(side FlowSide, now int64) {
	switch {
	case side == Initiator && f.packets(side) == 1 && f.bits&(timedSYN|timedBoth) == timedSYN,
		side == Responder && f.packets(side) == 1 && f.bits&(timedBoth|timedFinal) == timedBoth:
		f.sent(side, now)
	}
}

// stats is the flow's counters as they stand.
func (f *record) stats(s *FlowStats) {
	*s = FlowStats{}
	for i := range s.Packets {
		if s.Packets[i] = f.packets(FlowSide(i)); s.Packets[i] != 0 {
			s.Last[i] = Timestamp(f.last[i])
		}
		s.Bytes[i], s.Payload[i] = f.bytes[i]&counts, f.payload[i]&counts
		s.First[i] = Timestamp(f.first[i])
		if f.bits&lingering != 0 {
			s.Late[i] = uint64(*f.conn.Owner(tcp.Side(i)))
		}
	}
	s.Tunnel, s.TunnelID = f.tunnel()
	if f.bits&isTCP == 0 {
		return
	}
	s.Flags = [2]TCPFlags{TCPFlags(f.conn.Flags(tcp.Initiator)), TCPFlags(f.conn.Flags(tcp.Responder))}
	s.Midstream = f.conn.Midstream()
	if f.bits&(timedSYN|timedBoth) == timedSYN|timedBoth {
		s.SYNToSYNACK = time.Duration(f.took(Initiator))
	}
	if f.bits&timedFinal != 0 {
		s.SYNACKToACK = time.Duration(f.took(Responder))
	}
}

// Letters that stand once a side, as bits in the order of their place in a
// packet's share of the history.
const (
	letterS = 1 << iota
	letterH
	letterA
	letterD
	letterF
	letterR
	letterI
	letterC
	onceLetters = "SHADFRIC"
)

// A record keeps its history in five bits a letter, the first one lowest, 16 of
// them in 80 bits: the letter's place in the alphabet, and 16 for the responder.
const alphabet = "." + onceLetters + "TWG^"

// once adds the letters of a set.
func (f *record) once(set uint8, side FlowSide) {
	for ; set != 0; set &= set - 1 {
		f.append(uint64(bits.TrailingZeros8(set)+1) | uint64(side&1)<<4)
	}
}

// again adds a letter if its count, which includes the present occurrence, is
// a power of ten.
func (f *record) again(letter byte, count uint16, side FlowSide) {
	switch count {
	case 1, 10, 100, 1000, 10000:
		f.add(letter, side)
	}
}

func (f *record) add(letter byte, side FlowSide) {
	code := uint64(strings.IndexByte(alphabet, letter))
	if side == Responder && letter != '^' {
		code |= 16
	}
	f.append(code)
}

// append puts a code behind the last, which is where the highest bit says, since no
// code is 0.
func (f *record) append(code uint64) {
	used := bits.Len64(f.historyLo)
	if f.historyHi != 0 {
		used = 64 + bits.Len16(f.historyHi)
	}
	at := (used + 4) / 5 * 5
	f.historyLo |= code << at // what is shifted out of the word is nothing or in the other
	if at >= 60 {
		f.historyHi |= uint16(code << (at - 60) >> 4)
	}
}

// letter is the code at a place in bits, 0 behind the last.
func (f *record) letter(at int) uint64 {
	if at < 60 {
		return f.historyLo >> at & 31
	}
	return (f.historyLo>>60 | uint64(f.historyHi)<<4) >> (at - 60) & 31
}

// history puts the letters into h, which is empty.
func (f *record) history(h *History) {
	for i := range h.letters {
		code := f.letter(5 * i)
		if code == 0 {
			break
		}
		h.letters[i] = alphabet[code&15] | byte(code>>4)*('a'-'A')
	}
}

// lettersOf gives the letters of a segment that stand once a side. Nobody can foretell
// which they are, so they are looked up.
func lettersOf(flags uint8, payload bool) uint8 {
	i := flags & (tcp.FIN | tcp.SYN | tcp.RST | tcp.ACK)
	if payload {
		i |= tcp.PSH // which has no say
	}
	return letterSets[i]
}

var letterSets = func() (sets [tcp.ACK * 2]uint8) {
	for i := range sets {
		sets[i] = spellOut(uint8(i)&^tcp.PSH, i&tcp.PSH != 0)
	}
	return sets
}()

// spellOut is the rule of lettersOf.
func spellOut(flags uint8, payload bool) uint8 {
	const kinds = tcp.SYN | tcp.FIN | tcp.RST
	switch flags & kinds {
	case 0:
		if payload {
			return letterD
		}
		if flags&tcp.ACK != 0 {
			return letterA
		}
		return 0
	case tcp.SYN, tcp.FIN, tcp.RST:
	default:
		return letterI
	}
	if flags&tcp.RST != 0 {
		return letterR // its payload, if any, is no data
	}
	set := uint8(0)
	if payload {
		set = letterD
	}
	switch {
	case flags&tcp.FIN != 0:
		set |= letterF
	case flags&tcp.ACK != 0:
		set |= letterH
	default:
		set |= letterS
	}
	return set
}
