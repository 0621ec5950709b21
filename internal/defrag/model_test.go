package defrag

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope/internal/testkit/race"
)

// model is the rule written for bytes, plainly and slowly. It has no bound on memory.
type model struct {
	limits Limits
	now    int64
	known  []*naive // in order of age
	lent   *naive   // was completed by the last call
	done   []*naive // were completed before; in order of that
	pages  int      // how many they may have
}

type naive struct {
	key    Key
	since  int64
	bytes  []int16 // -1: not there
	filled int     // how many are there
	last   int     // the end; -1: not seen
	pieces int
	frames int
	first  int // the value
	dead   bool
}

func (m *model) add(f *Fragment, v int) (data []byte, first int, out Outcome) {
	m.expire(f.Time)
	end := f.Offset + len(f.Bytes)
	whole := f.Offset == 0 && !f.More
	switch {
	case f.Offset < 0 || end > 65535:
		return nil, 0, TooLong
	case whole:
		return f.Bytes, v, Whole
	case f.Offset%8 != 0:
		return nil, 0, NotMultipleOf8
	case !f.Cut && len(f.Bytes) == 0:
		return nil, 0, ZeroLength
	case !f.Cut && f.More && len(f.Bytes)%8 != 0:
		return nil, 0, NotMultipleOf8
	}
	d := m.find(f.Key)
	if c := find(m.done, f.Key); c != nil {
		if c.has(f) {
			return nil, 0, Duplicate
		}
		m.done = without(m.done, c)
	}
	if d == nil {
		if len(m.known)+len(m.done) == m.limits.Datagrams {
			if len(m.done) > 0 {
				m.done = m.done[1:]
			} else {
				m.known = m.known[1:]
			}
		}
		d = &naive{key: f.Key, since: m.now, last: -1}
		m.known = append(m.known, d)
	}
	d.frames++
	if d.dead {
		return nil, 0, Tombstone
	}
	out = m.place(d, f, v)
	if out >= Overlap {
		d.dead = true
	}
	if out != Complete {
		return nil, 0, out
	}
	m.forget(d)
	m.lent, d.since = d, m.now
	for _, b := range d.bytes {
		data = append(data, byte(b))
	}
	return data, d.first, out
}

func (m *model) place(d *naive, f *Fragment, v int) Outcome {
	end := f.Offset + len(f.Bytes)
	switch {
	case f.Cut:
		return Cut
	case end > m.limits.DatagramBytes:
		return TooBig
	case !f.More && d.last >= 0 && d.last != end, !f.More && len(d.bytes) > end:
		return ConflictingEnd
	case d.last >= 0 && end > d.last:
		return BeyondEnd
	}
	for len(d.bytes) < end {
		d.bytes = append(d.bytes, absent[:min(end-len(d.bytes), len(absent))]...)
	}
	if !f.More {
		d.last = end
	}
	there, other := 0, 0
	for i, b := range f.Bytes {
		switch d.bytes[f.Offset+i] {
		case -1:
		case int16(b):
			there++
		default:
			there++
			other++
		}
	}
	out := Held
	switch {
	case there == len(f.Bytes) && other > 0:
		out = Conflict
	case there == len(f.Bytes):
		out = Duplicate
	case there > 0:
		return Overlap
	case d.pieces == m.limits.Pieces:
		return TooManyPieces
	default:
		d.pieces++
		for i, b := range f.Bytes {
			d.bytes[f.Offset+i] = int16(b)
		}
		d.filled += len(f.Bytes)
		if f.Offset == 0 {
			d.first = v
		}
	}
	if d.filled == d.last {
		return Complete
	}
	return out
}

// absent is a stretch of bytes that are not there.
var absent = func() (a [1024]int16) {
	for i := range a {
		a[i] = -1
	}
	return a
}()

// has reports whether f is a part of d, which is complete.
func (d *naive) has(f *Fragment) bool {
	end := f.Offset + len(f.Bytes)
	if end > d.last || !f.Cut && f.More != (end < d.last) {
		return false
	}
	for i, b := range f.Bytes {
		if d.bytes[f.Offset+i] != int16(b) {
			return false
		}
	}
	return true
}

// reclaim remembers what was lent, as far as that is allowed.
func (m *model) reclaim() {
	if m.lent == nil {
		return
	}
	m.done, m.lent = append(m.done, m.lent), nil
	for {
		pages := 0
		for _, d := range m.done {
			pages += (d.last + pageBytes - 1) / pageBytes
		}
		if len(m.done) <= (m.limits.Datagrams+3)/4 && pages <= m.pages {
			return
		}
		m.done = m.done[1:]
	}
}

func (m *model) find(k Key) *naive { return find(m.known, k) }

func find(in []*naive, k Key) *naive {
	for _, d := range in {
		if k.Family == 6 {
			k.Proto = d.key.Proto
		}
		if d.key == k {
			return d
		}
	}
	return nil
}

func (m *model) forget(d *naive) { m.known = without(m.known, d) }

func without(all []*naive, d *naive) []*naive {
	i := slices.Index(all, d)
	return append(all[:i:i], all[i+1:]...)
}

// expire relies on times that are small enough to add.
func (m *model) expire(now int64) {
	m.reclaim()
	m.now = max(m.now, now)
	for len(m.done) > 0 && m.done[0].since+m.limits.Remember <= m.now {
		m.done = m.done[1:]
	}
	for len(m.known) > 0 && m.known[0].since+m.limits.Timeout <= m.now {
		m.known = m.known[1:]
	}
}

// pair runs a table beside the model. The table sees one buffer that is overwritten after each call.
type pair struct {
	tb    testing.TB
	table *Table[int]
	model model
	buf   []byte
}

func newPair(tb testing.TB, l Limits) *pair {
	t := New[int](l, 1)
	return &pair{tb: tb, table: t, model: model{limits: t.limits, pages: t.mayKeep()}}
}

func (p *pair) add(f Fragment, v int) Outcome {
	before, prior := slices.Clone(p.model.known), p.model.find(f.Key)
	since := int64(0)
	if prior != nil {
		since = prior.since
	}
	want, first, out := p.model.add(&f, v)
	p.buf = append(p.buf[:0], f.Bytes...)
	f.Bytes = p.buf
	value := v
	d, got := p.table.Add(&f, &value)
	value = -1
	if got == NoRoom && out != NoRoom {
		if out == Complete && prior != nil {
			// It is not complete after all.
			now := p.model.known
			p.model.lent, prior.since = nil, since
			p.model.known = slices.DeleteFunc(before, func(d *naive) bool { return d != prior && !slices.Contains(now, d) })
		}
		p.refused(f.Key)
		out = NoRoom
	}
	if got != out {
		require.Equal(p.tb, out.String(), got.String(), "%d..%d more=%v", f.Offset, f.Offset+len(f.Bytes), f.More)
	}
	switch out {
	case Complete:
		for i := range p.buf {
			p.buf[i] ^= 0xff
		}
		if string(want) != string(d.Data) || *d.First != first {
			require.Equal(p.tb, want, d.Data)
			require.Equal(p.tb, first, *d.First)
		}
	case Whole:
		require.Equal(p.tb, string(want), string(d.Data))
	default:
		require.Zero(p.tb, d)
	}
	return got
}

// refused follows the table where it had no room.
func (p *pair) refused(k Key) {
	d := p.model.find(k)
	if d == nil {
		return
	}
	if d.dead = p.has(k); !d.dead {
		p.model.forget(d)
	}
}

// follow takes from the model what left the table for want of memory, and says how many did.
func (p *pair) follow() (lost, forgotten uint64) {
	for _, d := range slices.Clone(p.model.known) {
		if !p.has(d.key) {
			p.model.forget(d)
			lost++
		}
	}
	for _, d := range slices.Clone(p.model.done) {
		if r := p.record(d.key); r == nil || !r.remembered {
			p.model.done = without(p.model.done, d)
			forgotten++
		}
	}
	return lost, forgotten
}

func (p *pair) has(k Key) bool {
	r := p.record(k)
	return r != nil && !r.remembered
}

func (p *pair) record(k Key) *datagram[int] {
	if k.Family == 6 {
		k.Proto = 0
	}
	return p.table.index.find(p.table.secret.hash(&k), &k)
}

func TestEveryTripletOfFragmentsFollowsTheNaiveByteModel(t *testing.T) {
	for _, scale := range []int{8, 800} { // within a page, and across pages
		t.Run(fmt.Sprintf("unit=%d", scale), func(t *testing.T) {
			step := 1
			if scale > 8 || race.On {
				step = 11 // coprime with the number of cases in each place
			}
			triplets(t, scale, step)
		})
	}
}

func triplets(t *testing.T, scale, step int) {
	type span struct{ from, to int }
	var spans []span
	for from := range 6 {
		for to := from + 1; to <= 6; to++ {
			spans = append(spans, span{from, to})
		}
	}
	body := make([][]byte, 4) // of the fragments, each its own
	for i := range body {
		body[i] = make([]byte, 6*scale)
		for j := range body[i] {
			body[i][j] = byte(64*i + j%61)
		}
	}
	p := newPair(t, Limits{Datagrams: 8})
	completed, dropped, n := 0, 0, uint32(0)
	all := len(spans) * len(spans) * len(spans) * 8
	for c := 0; c < all; c += step {
		n++
		key := Key{ID: n, Family: 4}
		rest, lasts := c/8, c%8
		var out [9]Outcome
		for i := range 3 {
			s := spans[rest%len(spans)]
			rest /= len(spans)
			last := lasts>>i&1 == 1
			b := body[i][s.from*scale : s.to*scale]
			if last && n%2 == 0 {
				b = b[:len(b)-3]
			}
			out[i] = p.add(Fragment{Key: key, Offset: s.from * scale, Bytes: b, More: !last}, i)
		}
		for i := range 6 { // what is still missing, unit by unit
			out[3+i] = p.add(Fragment{Key: key, Offset: i * scale, Bytes: body[3][i*scale : (i+1)*scale], More: i < 5}, 3)
		}
		for _, o := range out {
			if o == Complete {
				completed++
			}
			if o.fatal() {
				dropped++
			}
		}
	}
	check(t, p.table)
	require.Greater(t, completed, all/step/50)
	require.Greater(t, dropped, all/step/4)
}

func TestEveryOrderOfFiveFragmentsGivesTheDatagram(t *testing.T) {
	for _, size := range []int{8, 1480, 8000} {
		want := make([]byte, 5*size-5)
		for i := range want {
			want[i] = byte(i * 7 / 3)
		}
		var frags []Fragment
		for i := range 5 {
			end := min((i+1)*size, len(want))
			frags = append(frags, Fragment{Offset: i * size, Bytes: want[i*size : end], More: i < 4, Wire: 34 + end - i*size})
		}
		table := New[string](Limits{}, 1)
		name, other, orders := "first", "other", 0
		permute(5, func(order []int) {
			orders++
			for i, j := range order {
				frags[j].ID = uint32(orders)
				v := &other
				if j == 0 {
					v = &name
				}
				d, out := table.Add(&frags[j], v)
				if i < 4 {
					require.Equal(t, Held, out)
					continue
				}
				require.Equal(t, Complete, out)
				require.Equal(t, want, d.Data)
				require.Equal(t, len(d.Data), cap(d.Data), "appending to it must not touch the table")
				require.Equal(t, "first", *d.First)
				require.Equal(t, 5, d.Frames)
				require.Equal(t, int64(5*34+len(want)), d.Wire)
			}
			require.Zero(t, table.Len())
		})
		require.Equal(t, 120, orders)
		check(t, table)
	}
}

// permute calls do with every order of 0 to n-1 (Heap's way).
func permute(n int, do func([]int)) {
	a := make([]int, n)
	for i := range a {
		a[i] = i
	}
	var walk func(int)
	walk = func(k int) {
		if k == 1 {
			do(a)
			return
		}
		for i := range k {
			walk(k - 1)
			if k%2 == 0 {
				a[i], a[k-1] = a[k-1], a[i]
			} else {
				a[0], a[k-1] = a[k-1], a[0]
			}
		}
	}
	walk(n)
}
