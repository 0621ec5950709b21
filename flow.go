package flowscope

import (
	"iter"
	"time"

	"github.com/flowscope-go/flowscope/internal/clock"
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
	return Flow[K, S]{
		ID: f.id, Key: s.Key, Orientation: Orientation(f.forward), L4: f.l4, State: FlowState(f.conn.State()),
		Stats: t.statsOf(s), History: f.history, User: &f.user,
	}
}

// find gives the slot of a live flow.
func (t *FlowTracker[K, S]) find(key *K) *slot[K, S] {
	s := t.table.Find(t.hash(key), key)
	if s == nil || s.Value.bits&lingering != 0 {
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

// statsOf is the flow's counters as they stand.
func (t *FlowTracker[K, S]) statsOf(s *slot[K, S]) FlowStats {
	stats := s.Value.stats()
	if t.hook != nil {
		t.hook.streams(s, &stats.Streams)
	}
	return stats
}

// flow is one slot's value. The caller's state stands first, where its size may
// be zero without padding the slot.
type flow[S any] struct {
	user S

	// What every packet touches, close together.
	last    [2]int64 // of each side; of a side that has not spoken, when the flow began
	bits    flowBits
	class   idleClass
	forward FlowSide // the side whose packets are Forward
	l4      L4Proto
	letters [2]uint8
	reason  EndReason
	packets [2]uint64
	bytes   [2]uint64
	payload [2]uint64
	conn    tcp.Conn

	first [2]int64
	// handshake holds the moments of the last SYN and the last SYN+ACK until
	// each is answered, then the time it took.
	handshake [2]int64
	ended     int64 // when; while lingering
	id        FlowID
	history   History
	late      [2]uint32
	resent    [2]uint16 // segments with payload sent again
	zeroes    [2]uint16 // zero windows
	tunnelID  uint32    // what the first packet came through,
	tunnel    Tunnel    // and its kind
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

// idleClass chooses a time-out.
type idleClass uint8

const (
	idleOpening idleClass = iota
	idleEstablished
	idleClosing
	idleUDP
	idleICMP
	idleOther
	idleLinger
	numIdleClasses
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

// since is the moment from which the flow's time-out counts.
func (f *flow[S]) since() int64 {
	if f.bits&lingering != 0 {
		return f.ended
	}
	return max(f.last[0], f.last[1])
}

// note counts what is remarkable and stands in the history more than once.
func (f *flow[S]) note(n tcp.Note, side FlowSide) {
	if n&(tcp.Retransmission|tcp.OutOfOrder) != 0 && f.resent[side] < 1<<16-1 {
		f.resent[side]++
		f.history.again('T', f.resent[side], side)
	}
	if n&tcp.ZeroWindow != 0 && f.zeroes[side] < 1<<16-1 {
		f.zeroes[side]++
		f.history.again('W', f.zeroes[side], side)
	}
}

// timeHandshake measures SYN to SYN+ACK and SYN+ACK to ACK, each from the last
// transmission of the one to the first of the other.
func (f *flow[S]) timeHandshake(g *tcp.Segment, o *tcp.Outcome, side FlowSide, now int64) {
	switch g.Flags & (tcp.SYN | tcp.ACK | tcp.RST) {
	case tcp.SYN:
		if side == Initiator && f.bits&timedBoth == 0 {
			f.handshake[0] = now
			f.bits |= timedSYN
		}
	case tcp.SYN | tcp.ACK:
		if side == Responder && o.Notes&(tcp.BadSYNACK|tcp.StraySYN) == 0 {
			if f.bits&(timedSYN|timedBoth) == timedSYN {
				f.handshake[0] = clock.Sub(now, f.handshake[0])
			}
			f.handshake[1] = now
			f.bits |= timedBoth
		}
	}
	if o.Established && f.bits&timedBoth != 0 {
		f.handshake[1] = clock.Sub(now, f.handshake[1])
		f.bits |= timedFinal
	}
}

// redateHandshake moves the moment of side's SYN, if it was its last packet.
func (f *flow[S]) redateHandshake(side FlowSide, now int64) {
	switch {
	case side == Initiator && f.packets[side] == 1 && f.bits&(timedSYN|timedBoth) == timedSYN:
		f.handshake[0] = now
	case side == Responder && f.packets[side] == 1 && f.bits&(timedBoth|timedFinal) == timedBoth:
		f.handshake[1] = now
	}
}

// stats is the flow's counters as they stand.
func (f *flow[S]) stats() FlowStats {
	s := FlowStats{
		Packets: f.packets, Bytes: f.bytes, Payload: f.payload,
		Late:  [2]uint64{uint64(f.late[0]), uint64(f.late[1])},
		First: [2]Timestamp{Timestamp(f.first[0]), Timestamp(f.first[1])},
		Last:  [2]Timestamp{Timestamp(f.last[0]), Timestamp(f.last[1])},

		Tunnel: f.tunnel, TunnelID: f.tunnelID,
	}
	for i, n := range f.packets {
		if n == 0 {
			s.Last[i] = 0
		}
	}
	if f.bits&isTCP != 0 {
		s.Flags = [2]TCPFlags{TCPFlags(f.conn.Flags(tcp.Initiator)), TCPFlags(f.conn.Flags(tcp.Responder))}
		s.Midstream = f.conn.Midstream()
		if f.bits&(timedSYN|timedBoth) == timedSYN|timedBoth {
			s.SYNToSYNACK = time.Duration(f.handshake[0])
		}
		if f.bits&timedFinal != 0 {
			s.SYNACKToACK = time.Duration(f.handshake[1])
		}
	}
	return s
}
