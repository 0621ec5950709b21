package flowtable

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
)

// The model is the table once more in plain Go: maps, slices, and a search
// through all of them. A script of operations is played to both.

type key uint16

// value refers to memory, so that a slot that kept it would be seen.
type value struct{ name *key }

// entry is what the model knows of a slot.
type entry struct {
	id       ID
	key      key
	slot     *Slot[key, value]
	queue    uint8
	timerSet bool
	under    int64 // the time it was filed under
	due      int64 // its true time, never before under
}

// Hashes from the worst to the ordinary. Only the upper half chooses the place.
var hashes = []struct {
	name string
	of   func(key) uint64
}{
	{"one for all", func(key) uint64 { return 0 }},
	{"one home, different tags", func(k key) uint64 { return uint64(k) << 48 }},
	{"three homes in a row", func(k key) uint64 { return uint64(k%3) << 32 }},
	{"around the end of the index", func(k key) uint64 { return uint64(math.MaxUint32-uint32(k%4)) << 32 }},
	{"spread", func(k key) uint64 { return uint64(k) * 0x9E3779B97F4A7C15 }},
}

type model struct {
	t        testing.TB
	table    *Table[key, value]
	capacity int
	hash     func(key) uint64
	keys     map[key]*entry
	detached []*entry
	ids      map[ID]bool // in use
	free     []ID        // the last is used next; of a table of one chunk
	made     int
	queues   [NumQueues][]*entry
	now      int64
	trace    []string // what came out, in order; kept if tracing
	tracing  bool
}

func newModel(t testing.TB, capacity int, hash func(key) uint64) *model {
	return &model{t: t, table: New[key, value](capacity), capacity: capacity, hash: hash, keys: map[key]*entry{}, ids: map[ID]bool{}}
}

func (m *model) say(format string, args ...any) {
	if m.tracing {
		m.trace = append(m.trace, fmt.Sprintf(format, args...))
	}
}

func (m *model) must(ok bool, format string, args ...any) {
	m.t.Helper()
	if !ok {
		m.t.Fatalf(format, args...)
	}
}

func (m *model) find(k key) {
	m.t.Helper()
	got := m.table.Find(m.hash(k), &k)
	sought := m.table.Seek(m.hash(k))
	for sought != nil && sought.Key != k {
		sought = m.table.Next(m.hash(k), sought)
	}
	m.must(sought == got, "key %d is not sought where it is found", k)
	if e := m.keys[k]; e == nil {
		m.must(got == nil, "key %d is found, but was not inserted", k)
	} else {
		m.must(got == e.slot, "key %d is not found where it was put", k)
	}
}

func (m *model) insert(k key) {
	m.t.Helper()
	if m.keys[k] != nil || len(m.keys) == m.capacity {
		return
	}
	s := m.table.Insert(m.hash(k), &k)
	// Within a chunk slots are used again last in, first out. Which chunk is next is not said here.
	want := ID(m.made + 1)
	if n := len(m.free); n > 0 {
		want, m.free = m.free[n-1], m.free[:n-1]
	} else {
		m.made++
	}
	if m.made > chunkLen {
		want, m.free = s.ID(), nil
	}
	m.must(s.ID() == want, "key %d has slot %d, want %d", k, s.ID(), want)
	for _, e := range m.detached {
		m.must(e.id != want, "slot %d is used by two", want)
	}
	m.must(!m.ids[want], "slot %d is used by two", want)
	m.ids[want] = true
	m.must(s.Key == k && s.Value == value{} && s.Queue() == 0, "new slot %+v", s)
	m.must(m.table.Has(want) && (m.made > chunkLen || !m.table.Has(ID(m.made+1))), "Has does not end with %d", m.made)
	s.Value.name = &s.Key
	m.keys[k] = &entry{id: want, key: k, slot: s}
	m.say("%d in %d", k, want)
}

func (m *model) detach(k key) {
	m.t.Helper()
	e := m.keys[k]
	if e == nil {
		return
	}
	m.leave(k)
	e.timerSet = false
	m.table.Detach(m.hash(k), e.slot)
	delete(m.keys, k)
	m.detached = append(m.detached, e)
	m.must(e.slot.Key == k && e.slot.Value.name == &e.slot.Key && e.slot.ID() == e.id, "detached %+v", e.slot)
	m.must(e.slot.Queue() == 0, "slot %d is in queue %d", e.id, e.slot.Queue())
}

// clear empties the table if stop is a multiple of 4; otherwise every stop-th key stays, as it does for an owner whose
// code panics in between.
func (m *model) clear(stop, queue byte) {
	m.t.Helper()
	keys := slices.Sorted(maps.Keys(m.keys))
	for _, k := range keys {
		if m.keys[k].queue == 0 {
			m.join(k, 1+queue%(NumQueues-1))
		}
	}
	clearing := m.table.BeginClear()
	m.must(clearing == (len(m.keys) >= len(m.table.index.words)/16), "with %d of %d clearing is %v", len(m.keys), m.capacity, clearing)
	for i, k := range keys {
		if stop%4 == 0 || (i+1)%int(stop) != 0 {
			m.detach(k)
			hash := m.hash(k)
			m.must((m.table.Find(hash, &k) != nil) == clearing, "clearing is %v, and detached %v is found or not", clearing, k)
		}
	}
	m.table.EndClear()
}

func (m *model) release(i int) {
	if len(m.detached) == 0 {
		return
	}
	i %= len(m.detached)
	e := m.detached[i]
	m.detached = slices.Delete(m.detached, i, i+1)
	m.table.Free(e.slot)
	m.must(e.slot.Value == value{} && e.slot.ID() == e.id, "freed %+v", e.slot)
	delete(m.ids, e.id)
	m.free = append(m.free, e.id)
	if len(m.keys)+len(m.detached) == 0 && len(m.table.chunks.list) == 0 {
		m.free, m.made = nil, 0
	}
}

func (m *model) leave(k key) {
	if e := m.keys[k]; e != nil {
		m.table.Leave(e.slot)
		m.queues[e.queue] = slices.DeleteFunc(m.queues[e.queue], func(o *entry) bool { return o == e })
		e.queue = 0
	}
}

func (m *model) join(k key, q uint8) {
	if e := m.keys[k]; e != nil {
		m.queues[e.queue] = slices.DeleteFunc(m.queues[e.queue], func(o *entry) bool { return o == e })
		m.table.Join(e.slot, q)
		e.queue = q
		m.queues[q] = append(m.queues[q], e)
	}
}

func (m *model) checkQueues() {
	m.t.Helper()
	for q := uint8(1); q < NumQueues; q++ {
		line := m.queues[q]
		m.must(m.table.Queued(q) == len(line), "%d in queue %d, want %d", m.table.Queued(q), q, len(line))
		first := m.table.First(q)
		if len(line) == 0 {
			m.must(first == nil, "queue %d is not empty", q)
			continue
		}
		m.must(first == line[0].slot, "%d is first in queue %d, want %d", first.ID(), q, line[0].id)
		m.say("%d is first in %d", first.Key, q)
	}
}

func (m *model) file(k key, at int64) {
	if e := m.keys[k]; e != nil {
		m.table.SetTimer(e.slot, at)
		e.timerSet, e.under, e.due = true, at, at
	}
}

func (m *model) unfile(k key) {
	if e := m.keys[k]; e != nil {
		m.table.StopTimer(e.slot)
		e.timerSet = false
	}
}

// busy moves a slot's true time ahead without filing it again, as the owner
// does for every packet.
func (m *model) busy(k key, until int64) {
	if e := m.keys[k]; e != nil && e.timerSet {
		e.due = max(e.due, until)
	}
}

// drain does what the owner does: it takes what Due gives, files again what is
// not due yet, and stops after so many slots that are.
func (m *model) drain(now int64, limit int) {
	m.t.Helper()
	filed, waits := 0, false
	for _, e := range m.keys {
		if e.timerSet {
			filed++
			waits = waits || e.under <= now
		}
	}
	m.must(!waits || m.table.Pending(now), "at %d a slot waits and nothing is pending", now)
	m.now = now
	for looks := 0; limit > 0; looks++ {
		m.must(looks <= (levels+1)*filed, "at %d: %d looks at %d slots", now, looks, filed)
		s := m.table.Due(now)
		if s == nil {
			break
		}
		e := m.keys[s.Key]
		m.must(e != nil && e.slot == s && e.timerSet, "at %d slot %d comes out, which was not filed", now, s.ID())
		m.say("%d comes out at %d", s.Key, now)
		m.must(s.TimerWas(e.under), "slot %d forgot that it was filed under %d", s.ID(), e.under)
		if e.timerSet = false; e.due > now {
			m.file(s.Key, e.due)
			continue
		}
		limit--
	}
	if limit == 0 {
		return
	}
	for _, e := range m.keys {
		m.must(!e.timerSet || e.due > now, "at %d slot %d is still filed under %d", now, e.id, e.due)
	}
	m.must(m.table.Due(now) == nil, "at %d something comes out after nothing", now)
}

func (m *model) checkAll(stop int) {
	m.t.Helper()
	var want, got []ID
	for _, e := range m.keys {
		if e.queue != 0 {
			want = append(want, e.id)
		}
	}
	slices.Sort(want)
	want = want[:min(stop, len(want))]
	if stop > 0 {
		for s := range m.table.All {
			if got = append(got, s.ID()); len(got) == stop {
				break
			}
		}
	}
	m.must(slices.Equal(got, want), "All is %v, want %v", got, want)
}

// check compares everything that can be seen.
func (m *model) check() {
	m.t.Helper()
	m.must(m.table.Len() == len(m.keys), "%d slots, want %d", m.table.Len(), len(m.keys))
	for k, e := range m.keys {
		m.find(k)
		m.must(e.slot.Key == k && e.slot.Value.name == &e.slot.Key, "slot %d is %+v", e.id, e.slot)
	}
	for _, e := range append(slices.Collect(mapValues(m.keys)), m.detached...) {
		m.must(m.table.At(e.id) == e.slot && e.slot.ID() == e.id, "slot %d has moved", e.id)
		m.must(e.slot.Queue() == e.queue, "slot %d is in queue %d, want %d", e.id, e.slot.Queue(), e.queue)
	}
	m.checkQueues()
	m.checkAll(math.MaxInt)
	m.checkPlaces()
	if what := m.table.broken(func(k *key) uint64 { return m.hash(*k) }); what != "" {
		m.t.Fatal(what)
	}
}

// checkPlaces: a slot waits where it would be put if it were filed only now,
// or it is current.
func (m *model) checkPlaces() {
	m.t.Helper()
	w := &m.table.wheel
	for b := range current {
		for id := w.heads[b]; id != 0 && id&inWheel == 0; id = m.table.At(id).timerLink.next {
			when := ordered(m.keys[m.table.At(id).Key].under)
			level := levelOf(when ^ w.now)
			if d := int(when >> (level * digit) & (buckets - 1)); when < w.now || b != level*buckets+d {
				m.t.Fatalf("at %x a slot filed under %x is in bucket %x of level %d", w.now, when, b%buckets, b/buckets)
			}
		}
	}
}

func mapValues(m map[key]*entry) func(func(*entry) bool) {
	return func(yield func(*entry) bool) {
		for _, e := range m {
			if !yield(e) {
				return
			}
		}
	}
}

// The script: one byte for the hash, one for the capacity, then four bytes for
// each operation.
const opLen = 4

// run plays a script. Keys are few more than the capacity, so that a full table
// is common.
func (m *model) run(script []byte) {
	m.t.Helper()
	for n := 0; len(script) >= opLen; n++ {
		m.op(script[0], script[1], script[2], script[3])
		script = script[opLen:]
		if n%16 == 0 {
			m.check()
		}
	}
	m.check()
	m.end()
}

func (m *model) op(op, who, a, b byte) {
	m.t.Helper()
	k := key(int(who) % (m.capacity + 3))
	switch op % 17 {
	case 0, 1, 2:
		m.insert(k)
	case 3:
		m.find(k)
	case 4:
		m.detach(k)
	case 5:
		m.release(int(a))
	case 6:
		m.join(k, 1+a%(NumQueues-1))
	case 7:
		m.leave(k)
	case 8, 9:
		m.file(k, m.time(a, b))
	case 10:
		m.unfile(k)
	case 11:
		m.busy(k, m.time(a, b))
	case 12:
		m.drain(m.time(a, b), 1+int(who)%3)
	case 13:
		m.drain(m.time(a, b), math.MaxInt)
	case 14:
		m.checkAll(int(a) % 4)
	case 15:
		m.drain(saturated(m.now, int64(b)<<(a%48)), math.MaxInt) // ahead, as is usual
	case 16:
		if b < 16 { // a table that is often emptied is never full
			m.clear(who, a)
		}
	}
}

// time makes a time of two bytes: a distance of any size from now, from 0 or
// from one of the ends.
func (m *model) time(a, b byte) int64 {
	distance := int64(int8(b)) << (a >> 2 % 56)
	return saturated([]int64{m.now, 0, math.MinInt64, math.MaxInt64}[a&3], distance)
}

func saturated(a, b int64) int64 {
	switch s := a + b; {
	case b > 0 && s < a:
		return math.MaxInt64
	case b < 0 && s > a:
		return math.MinInt64
	default:
		return s
	}
}

// end empties the table: everything that was filed comes out in the end.
func (m *model) end() {
	m.t.Helper()
	m.drain(math.MaxInt64, math.MaxInt)
	m.must(m.table.Due(math.MinInt64) == nil, "something comes out at the beginning of time")
	for k := range m.keys {
		m.detach(k)
	}
	for len(m.detached) > 0 {
		m.release(0)
	}
	m.check()
	m.must(m.table.used == 0, "%d slots are in use", m.table.used)
}
