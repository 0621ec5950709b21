package dns

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"time"

	"github.com/flowscope-go/flowscope"
)

// Which response belongs to which query of a flow.

// Bounds of the memory for the queries of a flow.
const (
	maxKept  = 4096    // bytes of one query; of a longer one, such as an UPDATE, the question
	maxStore = 1 << 18 // bytes of all of them
	recents  = 8       // answered transactions, whose further responses are recognised

	keepStore   = 3072 // bytes that a parser without a flow keeps
	keepPending = 16   // and entries
)

// pairs are the open queries of a flow, in the order in which they were sent last.
type pairs struct {
	ids   []uint16  // of each query, for the search
	open  []pending // and the rest of it
	first int       // all before it are over
	live  int       // that are not over
	store []byte    // their bytes, in the same order
	bytes int       // of those that are not over: at least half of store, before it grows
	held  int       // granted by Messages.Hold

	recent [recents]answered
	at     int    // in recent; how many there were
	parked uint16 // the mark of one that was answered before the parser parked; 0: none
}

// pending is a query that waits for its response, or one that is over.
type pending struct {
	queried, requeried Timestamp
	packet             uint64
	from               uint32 // where its bytes lie
	size               uint32
	queries            uint32
	client             FlowSide
	over               bool
	reused             bool   // its number has come again, with another question
	key                uint16 // the length of its first question, 0 if it has none
	layout
}

// pendingSize is the size of an entry in the budget.
const pendingSize = 80

// answered is a transaction that is over.
type answered struct {
	hash   uint64
	id     uint16
	client FlowSide
	valid  bool
}

// reset makes room for another flow. The memory that is kept is small, and is not counted.
func (p *pairs) reset() {
	ids, open, store := p.ids[:0], p.open[:0], p.store[:0]
	if cap(store) > keepStore {
		store = nil
	}
	if cap(open) > keepPending {
		ids, open = nil, nil
	}
	*p = pairs{ids: ids, open: open, store: store}
}

// key is the first question as it is on the wire, nil if there is none. Its name is not compressed,
// since nothing comes before it to point to.
func (m *Message) key() []byte {
	if m.counts[questions] == 0 {
		return nil
	}
	next := int(m.starts[answers])
	if m.counts[questions] > 1 || next == 0 || next > len(m.wire) {
		var ok bool
		if next, ok = m.skip(questions, headerLen); !ok {
			return nil
		}
	}
	return m.wire[headerLen:next:next]
}

// sameKey reports whether two questions are the same, in upper or lower case.
func sameKey(a, b []byte) bool {
	n := len(a) - 4 // the type and the class
	return bytes.Equal(a, b) || n > 0 && equalFold(a[:n], b[:max(len(b)-4, 0)]) && bytes.Equal(a[n:], b[n:])
}

// hashKey is the same for the same question. Of the name it leaves out the bit in which upper and
// lower case differ, eight bytes at a time.
func hashKey(key []byte) uint64 {
	const caseBits = 0x2020202020202020
	h := mix(0, uint64(len(key)))
	if n := len(key) - 4; n > 0 { // the type and the class
		h = mix(h, uint64(binary.BigEndian.Uint32(key[n:])))
		key = key[:n]
	}
	for ; len(key) >= 8; key = key[8:] {
		h = mix(h, binary.BigEndian.Uint64(key)|caseBits)
	}
	for _, c := range key {
		h = mix(h, uint64(c|caseBits&0xff))
	}
	return h
}

func mix(h, x uint64) uint64 {
	high, low := bits.Mul64(h^x^0x9e3779b97f4a7c15, 0xd6e8feb86659fd93)
	return high ^ low
}

// mark stands for an answered transaction in 16 bits, and is not 0.
func (a *answered) mark() uint16 {
	return uint16(mix(a.hash, uint64(a.id)<<1|uint64(a.client))>>48) | 1
}

// only gives the mark of the one transaction that was answered, 0 if there is none. It reports false
// if the parser has seen more of them. One from before it parked is forgotten where there is a newer
// one.
func (p *pairs) only() (mark uint16, ok bool) {
	switch p.at {
	case 0:
		return p.parked, true
	case 1:
		return p.recent[0].mark(), true
	}
	return 0, false
}

// find gives the place of the newest open query of a client that a message with this number and
// question answers or repeats, or -1. A query or a message whose question cannot be read matches by
// its number alone. other reports whether there is one with another question.
func (p *pairs) find(client FlowSide, id uint16, key []byte) (at int, other bool) {
	for i := len(p.ids) - 1; i >= p.first; i-- {
		if p.ids[i] != id {
			continue
		}
		e := &p.open[i]
		switch {
		case e.over || e.client != client:
		case e.key > 0 && key != nil && !sameKey(p.store[e.from+headerLen:][:e.key], key):
			other = true
		default:
			return i, other
		}
	}
	return -1, other
}

// query is the kept query, in the memory of p.
func (p *pairs) query(e *pending) Message {
	return Message{wire: p.store[e.from : e.from+e.size], layout: e.layout}
}

// add takes a query. It reports false if there is no room.
func (p *pairs) add(m *Message, client FlowSide, at Timestamp, packet uint64, most int, out *flowscope.Messages) bool {
	key := m.key()
	e := pending{queried: at, packet: packet, queries: 1, key: uint16(len(key))}
	same, other := p.find(client, m.ID(), key)
	if same >= 0 && p.open[same].key == e.key {
		was := &p.open[same] // sent again: the same transaction, that waits anew
		e.queried, e.packet, e.queries, e.reused = was.queried, was.packet, was.queries+1, was.reused
		p.close(same)
	} else if same >= 0 || other {
		p.markReused(client, m.ID())
	}
	kept := m.wire
	e.layout = m.layout
	if len(kept) > maxKept {
		kept = kept[:maxKept] // the first question is in it, if there is one: a name is short
		if end := int(e.starts[answers]); end > 0 {
			kept = kept[:min(end, maxKept)]
		}
		e.layout = layout{starts: e.starts, counts: [numSections]uint16{min(e.counts[questions], 1)}, damaged: true,
			end: uint16(len(kept)), missing: m.missing + uint32(len(m.wire)-len(kept))}
	}
	for p.live >= most || p.live > 0 && p.bytes+len(kept) > maxStore {
		p.emit(p.oldest(), Crowded, at, out)
	}
	if p.live == 0 {
		p.ids, p.open, p.store, p.first = p.ids[:0], p.open[:0], p.store[:0], 0
	}
	if !p.grow(len(kept), out) {
		return false
	}
	e.requeried, e.client = at, client
	e.from, e.size = uint32(len(p.store)), uint32(len(kept))
	p.store = append(p.store, kept...)
	p.ids, p.open = append(p.ids, m.ID()), append(p.open, e)
	p.live++
	p.bytes += len(kept)
	return true
}

// markReused notes that a number stands for another question from now on. The old one may still be
// answered: there are clients that ask for A and AAAA under one number.
func (p *pairs) markReused(client FlowSide, id uint16) {
	for i := p.first; i < len(p.ids); i++ {
		if e := &p.open[i]; p.ids[i] == id && e.client == client && !e.over {
			e.reused = true
		}
	}
}

// grow makes room for one more query of n bytes, and reports false if it is not granted.
func (p *pairs) grow(n int, out *flowscope.Messages) bool {
	entries, size := cap(p.open), cap(p.store)
	if len(p.open) == entries || len(p.store)+n > size {
		p.compact()
	}
	if len(p.open) == entries {
		entries = max(2*entries, 4)
	}
	if len(p.store)+n > size {
		size = max(2*size, len(p.store)+n, 128)
	}
	if need := entries*pendingSize + size; need > p.held {
		if !out.Hold(need - p.held) {
			return false
		}
		p.held = need
	}
	if entries > cap(p.open) {
		p.open = append(make([]pending, 0, entries), p.open...)
		p.ids = append(make([]uint16, 0, entries), p.ids...)
	}
	if size > cap(p.store) {
		p.store = append(make([]byte, 0, size), p.store...)
	}
	return true
}

// compact lets go of the queries that are over, if they are at least half of the entries or of the
// bytes, so that it costs little for each of them.
func (p *pairs) compact() {
	if p.live > len(p.open)/2 && p.bytes > len(p.store)/2 {
		return
	}
	to, end := 0, 0
	for i := p.first; i < len(p.open); i++ {
		e := p.open[i]
		if e.over {
			continue
		}
		copy(p.store[end:], p.store[e.from:e.from+e.size])
		e.from = uint32(end)
		end += int(e.size)
		p.ids[to], p.open[to] = p.ids[i], e
		to++
	}
	p.ids, p.open, p.store, p.first = p.ids[:to], p.open[:to], p.store[:end], 0
}

// oldest is the place of the query that has waited longest since it was sent last. There is one.
func (p *pairs) oldest() int {
	for p.open[p.first].over {
		p.first++
	}
	return p.first
}

// close notes that a query is over.
func (p *pairs) close(at int) {
	p.open[at].over = true
	p.bytes -= int(p.open[at].size)
	if p.live--; p.live == 0 {
		p.first = len(p.open)
	} else if at == p.first {
		p.oldest()
	}
}

// emit emits an unanswered query.
func (p *pairs) emit(at int, why Outcome, now Timestamp, out *flowscope.Messages) {
	e := &p.open[at]
	if e.reused && (why == TimedOut || why == Ended) {
		why = Reused
	}
	out.From(e.client, now, e.packet)
	t := flowscope.Emit[Transaction](out)
	p.fill(t, e, out)
	t.ID, t.Outcome = p.ids[at], why
	t.setQuestion()
	p.close(at)
}

// fill fills in the query. Its bytes are copied: the store is written to again.
func (p *pairs) fill(t *Transaction, e *pending, out *flowscope.Messages) {
	t.Client, t.Queries = e.client, e.queries
	t.Queried, t.Requeried, t.QueryPacket = e.queried, e.requeried, e.packet
	t.Query = p.query(e)
	t.Query.wire = out.Copy(t.Query.wire)
}

// answer emits a response, which is lent, and the query that it answers, if one waits.
func (p *pairs) answer(m Message, client FlowSide, at Timestamp, packet uint64, out *flowscope.Messages) {
	t := flowscope.Emit[Transaction](out)
	t.ID, t.Client, t.Response, t.Rcode, t.Replied, t.ResponsePacket = m.ID(), client, m, m.Rcode(), at, packet
	key := m.key()
	switch i, other := p.find(client, t.ID, key); {
	case i >= 0:
		e := &p.open[i]
		t.Outcome = Answered
		p.fill(t, e, out)
		if e.key > 0 {
			key = p.store[e.from+headerLen:][:e.key]
		}
		p.recent[p.at%recents] = answered{hash: hashKey(key), id: t.ID, client: client, valid: true}
		p.at++
		p.close(i)
	case p.wasAnswered(client, t.ID, key):
		t.Outcome = Again
	case other:
		t.Outcome = Mismatched
	default:
		t.Outcome = Unasked
	}
	t.setQuestion()
}

func (p *pairs) wasAnswered(client FlowSide, id uint16, key []byte) bool {
	if p.at == 0 && p.parked == 0 {
		return false
	}
	hash := hashKey(key)
	for i := range p.recent {
		a := &p.recent[i]
		if a.valid && a.id == id && a.client == client && (key == nil || a.hash == hash) {
			return true
		}
	}
	same := answered{hash: hash, id: id, client: client}
	return p.parked != 0 && p.parked == same.mark()
}

// expire emits the queries that have waited for too long, and returns when the next one has.
func (p *pairs) expire(now Timestamp, timeout time.Duration, out *flowscope.Messages) (next Timestamp) {
	for p.live > 0 {
		i := p.oldest()
		due := p.open[i].requeried.Add(timeout)
		if now < due {
			return due
		}
		p.emit(i, TimedOut, now, out)
	}
	return 0
}

// end emits all that wait.
func (p *pairs) end(why Outcome, now Timestamp, out *flowscope.Messages) {
	for p.live > 0 {
		p.emit(p.oldest(), why, now, out)
	}
}
