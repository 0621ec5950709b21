package flowscope

import (
	"github.com/flowscope-go/flowscope/internal/history"
	"github.com/flowscope-go/flowscope/internal/invariants"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// The eviction order: which flow leaves if the table is full. A stranger can make flows of his own for
// nothing, and have them answered by a server; what the owners of both ends have to take part in leaves
// later.

// Queues of the flow table, in the eviction order: all flows of one queue are evicted before those of
// the next, and within a queue the one that has been in it for longest.
const (
	queueLingering  = 1 + iota
	queueUnanswered // one side has sent packets
	queueHalfOpen   // TCP: the handshake is not complete, or was not seen and nothing was said
	queueClosing    // TCP: both sides have sent a FIN
	queueAnswered   // TCP: the handshake is complete, or one side has sent payload
	queueTalking    // both sides have sent payload; if it is not TCP, packets
	queueEnding     // see record.ending
)

// queue is the place of a live flow in the eviction order. It follows from the packets that were counted,
// the letters of the history, and the state of the connection: where these change, file has to be called.
func (f *record) queue() uint8 {
	state := f.conn.State()
	one, both := (f.seen[0]|f.seen[1])&history.Data != 0, f.seen[0]&f.seen[1]&history.Data != 0
	switch {
	case both && state == tcp.Established:
		return queueTalking // as nearly always
	case !f.answered():
		return queueUnanswered
	case f.bits&isTCP == 0:
		return queueTalking
	case state == tcp.SynSent || state == tcp.SynReceived || state == tcp.Active && !one:
		return queueHalfOpen
	case state == tcp.ClosingTCP:
		return queueClosing
	case both:
		return queueTalking
	}
	return queueAnswered
}

// dataMatters reports whether the first payload of a side may change the flow's place: the other side has said
// something, or nothing else shows that the connection is open.
func (f *record) dataMatters(side FlowSide) bool {
	return f.seen[side&1^1]&history.Data != 0 || f.conn.State() == tcp.Active
}

// queueOfState is the part of a connection's state in its place, the same for states between which a change is no
// change of place. Of Active connections the letters count too. It says in advance what queue would say; builds that
// check invariants compare them at each packet (checkFiled).
var queueOfState = [8]uint8{
	tcp.SynSent: queueHalfOpen, tcp.SynReceived: queueHalfOpen, tcp.Active: queueAnswered, tcp.Established: queueAnswered,
	tcp.FinWait: queueAnswered, tcp.ClosingTCP: queueClosing, tcp.Closed: queueClosing, tcp.Reset: queueClosing,
}

// answered reports whether both sides have sent packets.
func (f *record) answered() bool { return f.packets(0) != 0 && f.packets(1) != 0 }

// file puts a live flow into the queue in which it belongs, at the end, unless it is in it.
func (t *FlowTracker[K, S]) file(s *slot[K, S]) {
	if q := s.Value.queue(); q != s.Queue() && s.Value.inOrder() {
		t.table.Join(s, q)
	}
}

// inOrder reports whether queue says where the flow is: it has not ended, and does not end right now.
func (f *record) inOrder() bool {
	return f.bits&released == 0 && !f.over() && f.conn.State() < tcp.Closed
}

// checkFiled panics if the flow is not in its queue.
func (t *FlowTracker[K, S]) checkFiled(s *slot[K, S]) {
	if s.Value.inOrder() && s.Queue() != s.Value.queue() {
		panic("flowscope: a flow is not where it belongs in the eviction order")
	}
}

// maxPassedOver is how many flows evict passes over, since they hold more than the call may tell.
const maxPassedOver = 8

// evict makes room for one flow. One that holds more than the call may tell begins to end, and leaves with a
// later call; another one goes in its place.
func (t *FlowTracker[K, S]) evict() {
	told := t.at
	t.at = t.clock.Now() // what is told of it is no event of the current packet
	defer func() { t.at = told }()
	s := t.first()
	q := s.Queue()
	hash := t.nextVictim.hash
	if t.nextVictim.flow != s.Value.id {
		hash = t.hash(&s.Key)
	} else if invariants.Enabled && hash != t.hash(&s.Key) {
		panic("flowscope: the next victim was hashed under another key")
	}
	for range maxPassedOver {
		if q == queueLingering || q == queueEnding || t.endInSteps(hash, s, EndEvicted) {
			break
		}
		s = t.first()
		q, hash = s.Queue(), t.hash(&s.Key)
	}
	switch {
	case s.Value.bits&released != 0: // by endInSteps
	case q == queueLingering:
		t.releaseFlow(hash, s)
	default:
		t.endFlow(hash, s, EndEvicted)
	}
	if t.fastPaths {
		t.nextVictim.queue = q
	}
}

// first is the flow that is evicted next.
func (t *FlowTracker[K, S]) first() *slot[K, S] {
	q := uint8(queueLingering)
	s := t.table.First(q)
	for s == nil {
		q++
		s = t.table.First(q)
	}
	return s
}

// victim is the flow that will probably be evicted next.
type victim struct {
	queue uint8 // of the last one evicted; 0 if nothing is to be prefetched
	flow  FlowID
	hash  uint64
	sum   uint64 // of the memory read ahead, so that the compiler keeps the reads
}

// prefetchVictim prepares the next eviction. Where one flow is evicted, the next packet often evicts
// another, whose memory is in no cache: so its hash is made now, its place in the index is read, and
// the slot of the one after it. lookUp calls this right before it reads the index, so that the cache
// misses overlap instead of coming in turn: a fifth of the cost of a SYN of a flood.
func (t *FlowTracker[K, S]) prefetchVictim() {
	v := &t.nextVictim
	s := t.table.First(v.queue)
	v.queue = 0
	if s == nil {
		return
	}
	v.flow, v.hash = s.Value.id, t.hash(&s.Key)
	sum, after := t.table.PrefetchVictim(v.hash, s)
	if v.sum += sum; after != nil {
		v.sum += t.prefetch(after)
	}
}

// prefetch reads a word of each cache line of a slot, and the memory of the driver.
func (t *FlowTracker[K, S]) prefetch(s *slot[K, S]) uint64 {
	f := &s.Value.record
	sum := uint64(f.last[0]) + f.bytes[0] + uint64(f.conn.State()) + uint64(f.id) + uint64(s.ID())
	if t.hook != nil {
		st := t.hook.flowStreams(s)
		sum += st.directions.Touch() + uint64(st.nextTimer)
	}
	return sum
}
