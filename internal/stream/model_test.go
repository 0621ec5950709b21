package stream

import (
	"bytes"
	"fmt"
	"math/bits"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// model is the slow truth: one cell for each position, one step for each byte. It
// knows nothing of extents, buffers and limits. Gaps it takes from the arena and
// checks that they cover nothing but holes.
type model struct {
	policy  Policy
	keep    int
	next    int64
	cells   []cell
	held    int
	reach   int64    // positions below this are known to exist
	cutoff  bool     // some segment had missing bytes
	gap     [2]int64 // the newest gap
	forgot  int64    // delivered bytes below this are not remembered
	data    int64
	missing int64
}

type cell struct {
	from, to int64 // of the owner
	b        byte
	held     bool
	said     bool // delivered
	id       uint64
	time     int64
	seen     int64 // when the position was first known to exist
}

type span struct{ pos, size int64 }

// must is require without its price: these checks run millions of times.
func must(t testing.TB, ok bool, what string) {
	if !ok {
		t.Helper()
		t.Fatal(what)
	}
}

// cell gives the cell of a position, which is not negative.
func (m *model) cell(p int64) *cell {
	for p >= int64(len(m.cells)) {
		m.cells = append(m.cells, cell{})
	}
	return &m.cells[p]
}

// wins is the policy in words of its own.
func (m *model) wins(from, to int64, o *cell) bool {
	if m.policy == Last {
		return true
	}
	if m.policy != Linux || from > o.from {
		return false
	}
	return from < o.from || to > o.to
}

// insert gives what must be said before Data: conflicts, and the repeated range.
func (m *model) insert(seg Segment) (conflicts []span, repeated, late span) {
	end := seg.Pos + int64(len(seg.Bytes))
	to := end + int64(seg.Missing)
	if to == seg.Pos {
		return nil, span{}, span{}
	}
	m.cutoff = m.cutoff || seg.Missing > 0
	conflicts = append(m.differing(seg, true), m.differing(seg, false)...)
	fresh := false
	for i, b := range seg.Bytes {
		p := seg.Pos + int64(i)
		if p < m.next {
			continue
		}
		c := m.cell(p)
		if !c.held {
			fresh = true
			m.held++
		}
		if !c.held || m.wins(seg.Pos, to, c) {
			*c = cell{from: seg.Pos, to: to, b: b, held: true, id: seg.ID, time: seg.Time, seen: c.seen}
		}
	}
	for p := max(m.reach, 0); p < to; p++ {
		m.cell(p).seen = seg.Now
	}
	m.reach = max(m.reach, to)
	old := min(end, m.next)
	if !fresh {
		old = end
	}
	if old > seg.Pos {
		repeated = span{seg.Pos, old - seg.Pos}
		lo, hi := max(seg.Pos, m.gap[0]), min(old, m.gap[1])
		if lo < hi {
			repeated, late = span{}, span{lo, hi - lo}
		}
	}
	return conflicts, repeated, late
}

// differing lists the ranges of seg that met bytes, from first to last difference.
func (m *model) differing(seg Segment, past bool) (list []span) {
	first, last := int64(-1), int64(-1)
	flush := func() {
		if first >= 0 {
			list = append(list, span{first, last - first + 1})
		}
		first, last = -1, -1
	}
	for i, b := range seg.Bytes {
		p := seg.Pos + int64(i)
		var old byte
		var there bool
		if past {
			old, there = m.remembered(p)
		} else if p >= m.next {
			old, there = m.cell(p).b, m.cell(p).held
		}
		if !there {
			flush()
			continue
		}
		if old != b {
			if first < 0 {
				first = p
			}
			last = p
		}
	}
	flush()
	return list
}

func (m *model) remembered(p int64) (byte, bool) {
	if p < 0 || p >= m.next || p < m.next-int64(m.keep) || p < m.gap[1] || p < m.forgot {
		return 0, false
	}
	return m.cell(p).b, m.cell(p).said
}

// hear checks what was said, and moves on.
func (m *model) hear(t testing.TB, items []Item) {
	for _, it := range items {
		switch it.Kind {
		case Data:
			must(t, m.next == it.Pos, "data begins at next")
			must(t, it.Len == int64(len(it.Bytes)), "length of the bytes")
			must(t, it.Len != 0, "no empty data")
			for _, b := range it.Bytes {
				c := m.cell(m.next)
				if !c.held || c.b != b || c.id != it.ID || c.time != it.Time {
					t.Fatalf("position %d is %c of segment %d, want (%v) %c of %d", m.next, b, it.ID, c.held, c.b, c.id)
				}
				c.held, c.said = false, true
				m.held--
				m.next++
			}
			m.data += it.Len
		case Gap:
			must(t, m.next == it.Pos, "gap begins at next")
			must(t, it.Len > 0, "no empty gap")
			must(t, it.Cause != 0, "a gap has a cause")
			for range it.Len {
				if m.cell(m.next).held {
					t.Fatalf("gap over held byte %d", m.next)
				}
				m.next++
			}
			m.gap = [2]int64{it.Pos, m.next}
			m.missing += it.Len
		}
	}
	must(t, m.next == m.data+m.missing, "delivered + gaps = position")
}

// rig drives an arena and the model together, one stream of several.
type rig struct {
	t   testing.TB
	a   *Arena
	s   *Stream
	m   *model
	out []Item
	// said is the delivered text so far, with gaps as "<n>".
	said   string
	noText bool // said is not wanted
	// slow takes the same calls without the fast path and must give the same items; nil: none.
	slow       *Arena
	slowStream *Stream
}

func newRig(t testing.TB, l Limits) *rig {
	r := &rig{t: t, a: NewArena(l)}
	l.SlowPath = true
	r.slow = NewArena(l)
	r.again()
	return r
}

// again starts another stream in the same arena.
func (r *rig) again() {
	if r.s != nil {
		r.a.Drop(r.s)
	}
	if r.slowStream != nil {
		r.slow.Drop(r.slowStream)
	}
	r.s, r.slowStream, r.said = new(Stream), new(Stream), ""
	r.m = &model{policy: r.a.limits.Policy, keep: r.a.limits.Keep}
}

func (r *rig) insert(seg Segment) []Item {
	t := r.t
	conflicts, repeated, late := r.m.insert(seg)
	lent := bytes.Clone(seg.Bytes)
	frame := seg.Bytes
	r.a.Reclaim()
	r.out = r.out[:0]
	r.a.Insert(r.s, seg, &r.out)
	must(t, bytes.Equal(lent, frame), "the frame was written to")
	r.compareSlow(func(a *Arena, s *Stream, out *[]Item) { a.Insert(s, seg, out) })
	var heard []span
	var again, tooLate span
	ordered := false
	for i := range r.out {
		it := &r.out[i]
		switch it.Kind {
		case Data, Gap:
			ordered = true
			continue
		case Conflict:
			heard = append(heard, span{it.Pos, it.Len})
			must(t, bytes.Equal(lent[it.Pos-seg.Pos:][:it.Len], it.Bytes), "the arriving copy")
		case Duplicate:
			again = span{it.Pos, it.Len}
		case Late:
			tooLate = span{it.Pos, it.Len}
		}
		must(t, !ordered, "conflicts and repeats come before data")
		must(t, seg.ID == it.ID, "the arriving segment's number")
	}
	if !slices.Equal(conflicts, heard) || repeated != again || late != tooLate {
		t.Fatalf("conflicts %v, duplicate %v, late %v; want %v, %v, %v",
			heard, again, tooLate, conflicts, repeated, late)
	}
	r.after()
	// The frame is the caller's again: nothing held may change.
	for i := range frame {
		frame[i] = '#'
	}
	return r.out
}

func (r *rig) skip(upTo int64, cause GapCause) []Item {
	r.a.Reclaim()
	r.out = r.out[:0]
	r.a.Skip(r.s, upTo, cause, &r.out)
	r.compareSlow(func(a *Arena, s *Stream, out *[]Item) { a.Skip(s, upTo, cause, out) })
	r.after()
	must(r.t, r.s.Next() >= upTo, "skip reaches its goal")
	return r.out
}

func (r *rig) finish(end int64) []Item {
	r.a.Reclaim()
	r.out = r.out[:0]
	r.a.Finish(r.s, end, Ended, &r.out)
	r.compareSlow(func(a *Arena, s *Stream, out *[]Item) { a.Finish(s, end, Ended, out) })
	r.after()
	r.m.forgot = r.s.Next()
	must(r.t, r.m.held == 0, "everything held was delivered")
	must(r.t, r.s.Next() >= end, "finish reaches the end")
	must(r.t, !r.s.HasBuffer(), "a finished stream has no buffer")
	return r.out
}

// compareSlow makes the call on the arena without the fast path and compares items, counters and memory.
func (r *rig) compareSlow(call func(*Arena, *Stream, *[]Item)) {
	if r.slow == nil {
		return
	}
	var out []Item
	r.slow.Reclaim()
	call(r.slow, r.slowStream, &out)
	same := slices.EqualFunc(r.out, out, func(x, y Item) bool {
		same := bytes.Equal(x.Bytes, y.Bytes)
		x.Bytes, y.Bytes = nil, nil
		return same && reflect.DeepEqual(x, y)
	})
	if !same {
		r.t.Fatalf("fast path %v, slow path %v", r.out, out)
	}
	must(r.t, *r.s == *r.slowStream, "the stream after the slow path")
	must(r.t, r.a.Stats() == r.slow.Stats(), "counters of fast and slow path")
	must(r.t, r.a.HeldBytes() == r.slow.HeldBytes(), "memory of fast and slow path")
}

// after checks what must hold between calls.
func (r *rig) after() {
	t := r.t
	r.m.hear(t, r.out)
	if !r.noText {
		r.said += text(r.out)
	}
	must(t, r.m.next == r.s.Next(), "next")
	must(t, !r.m.cell(r.m.next).held, "the byte at next is there and was not delivered")
	pos, size, since, ok := r.a.FirstHole(r.s)
	if r.m.held > 0 {
		must(t, ok, "something is held, so there is a hole")
	}
	if ok {
		must(t, r.m.next == pos, "the first hole begins at next")
		must(t, size > 0, "no empty hole")
		for p := pos; p < pos+size; p++ {
			if r.m.cell(p).held {
				t.Fatalf("the hole at %d contains held byte %d", pos, p)
			}
		}
		if !r.m.cell(pos + size).held {
			must(t, r.m.reach == pos+size, "a hole ends at a byte, or where knowledge ends")
		}
		if r.m.cutoff {
			must(t, since <= r.m.cell(pos).seen, "a hole is not younger than its first byte")
		} else {
			must(t, r.m.cell(pos).seen == since, "age of the hole")
		}
	}
	checkInvariants(t, r.a, r.s)
}

// checkInvariants holds the arena's own books against what is there. The streams
// are all those of the arena.
func checkInvariants(t testing.TB, a *Arena, streams ...*Stream) {
	held, open := int64(0), 0
	for _, s := range streams {
		d := a.buffer(s)
		must(t, (d != nil) == s.HasBuffer(), "HasBuffer")
		if d == nil {
			continue
		}
		open++
		held += int64(d.cost() + len(d.kept))
		must(t, d.cost() <= a.limits.SideBytes, "the limit of a buffer")
		must(t, d.islands <= a.limits.SidePieces, "the pieces of a buffer")
		end, live := s.next, 0
		used := make([]bool, d.endOffset())
		room, lives := 0, make([]uint32, len(d.list))
		for i := range d.list {
			room += len(d.list[i].buf)
			must(t, i == 0 || uint64(d.list[i].base) >= uint64(d.list[i-1].base)+uint64(len(d.list[i-1].buf)), "pages in order")
			must(t, d.list[i].live > 0 || i > 0 && i == len(d.list)-1, "a page without live bytes is given back")
		}
		must(t, room == d.capacity, "the room of all pages")
		must(t, d.free() >= 0, "used bytes")
		islands := 0
		for i, e := range checkExtents(t, d) {
			if i == 0 {
				must(t, e.pos > s.next, "the first extent is behind a hole")
			}
			if i == 0 || e.pos > end {
				islands++
			}
			must(t, e.pos >= end, "sorted and disjoint")
			must(t, e.n != 0, "no empty extent")
			p := d.page(e)
			must(t, uint64(e.off+e.n) <= uint64(p.base)+uint64(len(p.buf)), "an extent lies in its page")
			for k := range d.list {
				if p == &d.list[k] {
					lives[k] += e.n
					must(t, k < len(d.list)-1 || e.off+e.n <= p.base+d.used, "and in the used part")
				}
			}
			for k := e.off; k < e.off+e.n; k++ {
				if used[k] {
					t.Fatalf("two extents share byte %d of the buffer", k)
				}
				used[k] = true
			}
			end = e.end()
			live += int(e.n)
		}
		must(t, islands == d.islands, "the number of islands")
		must(t, live == d.live, "live bytes")
		must(t, d.n == 0 && d.size == 0 || int(d.size) == bits.Len(uint(d.cost())), "the rank of a buffer")
		for i, n := range lives {
			must(t, n == d.list[i].live, "live bytes of a page")
		}
	}
	must(t, held == a.held, "held is the sum over the buffers")
	must(t, len(a.buffers)-len(a.freeNumbers) == open, "buffers in use")
	pooled := int64(len(a.freeBuffers)) * bufferBytes
	for c := range classes {
		for _, r := range a.extents.free[c] {
			pooled += int64(len(r)) * extentBytes
		}
		for _, l := range a.blockLists.free[c] {
			pooled += int64(len(l)) * blockBytes
		}
		for _, l := range a.pageLists.free[c] {
			pooled += int64(len(l)) * pageBytes
		}
		for _, b := range a.pages.free[c] {
			pooled += int64(len(b))
		}
	}
	must(t, pooled == a.pooled, "pooled is the sum over the pools")
	lent := int64(0)
	for _, b := range a.lentPages {
		lent += int64(len(b))
	}
	must(t, lent == a.lent, "lent is the sum over the lent pages")
	must(t, a.pooled <= a.limits.TotalBytes/8, "the limit of pooled memory")
	must(t, a.TotalBytes()-a.tableBytes() <= a.limits.TotalBytes, "the total limit")
}

// checkExtents holds the list of extents against its own books, and returns all of them.
func checkExtents(t testing.TB, d *buffer) (all []*extent) {
	room := 0
	for i := d.first; i < len(d.blocks); i++ {
		b := &d.blocks[i]
		must(t, b.len() > 0, "no empty block")
		must(t, len(b.mem) <= blockExtents, "the size of a block")
		room += len(b.mem)
		for k := range b.extents() {
			e := &b.extents()[k]
			if b.state == linear && k > 0 {
				last := all[len(all)-1]
				must(t, e.pos == last.end() && e.off == last.off+last.n && d.page(e) == d.page(last), "a linear block")
			}
			all = append(all, e)
		}
	}
	must(t, room == d.room, "room for extents")
	must(t, len(all) == d.n, "the number of extents")
	return all
}

// text gives the delivered bytes as text, with gaps as "<n>".
func text(items []Item) string {
	var b bytes.Buffer
	for _, it := range items {
		switch it.Kind {
		case Data:
			b.Write(it.Bytes)
		case Gap:
			fmt.Fprintf(&b, "<%d>", it.Len)
		}
	}
	return b.String()
}

// parse reads "2:aaaa 1:bbb 0:0" in arrival order.
func parse(t testing.TB, script string) (list []Segment) {
	for _, f := range bytes.Fields([]byte(script)) {
		var seg Segment
		at, rest, ok := bytes.Cut(f, []byte(":"))
		must(t, ok, script)
		_, err := fmt.Sscan(string(at), &seg.Pos)
		require.NoError(t, err, script)
		seg.Bytes = bytes.Clone(rest)
		list = append(list, seg)
	}
	for i := range list {
		list[i].ID = uint64(i + 1)
		list[i].Time = int64(10 * (i + 1))
		list[i].Now = list[i].Time
	}
	return list
}

// play runs a script through a rig and gives the text.
func play(t testing.TB, p Policy, script string) (said string, conflicts int) {
	r := newRig(t, Limits{Policy: p})
	for _, seg := range parse(t, script) {
		for _, it := range r.insert(seg) {
			if it.Kind == Conflict {
				conflicts++
			}
		}
	}
	return r.said, conflicts
}
