package defrag

// datagram is an incomplete datagram, the tombstone of one that was dropped, or one that was completed and
// is remembered.
//
// Of an incomplete one: have is the number of bits set in its pages; every byte in them lies below
// highest; end is 0 or at least highest. A tombstone has no pages.
type datagram[V any] struct {
	value     V // of the fragment at offset 0. First, since the end of a struct pads a V without size
	key       Key
	hash      uint64
	startedAt int64  // when the first fragment came; of a remembered one, when it was complete
	number    uint64 // Stats.Opened once it was opened
	wire, ip  int64
	links     [2]link[V]
	pages     *page // ascending
	lastFound *page // where find stopped last, or nil

	frames  int // that arrived
	pieces  int // that were stored
	have    int // units
	highest int // where the highest fragment ends
	end     int // where the last fragment ends; 0: not seen

	tombstone, remembered bool
}

// checkEnd checks where a fragment ends against the other fragments, and notes it.
//
//	present  AAAAAAAA....BBBB
//	last     ........LLLL        ConflictingEnd: B ends behind it
//	end known                    any other last end: ConflictingEnd; beyond it: BeyondEnd
func (d *datagram[V]) checkEnd(end int, more bool) Outcome {
	switch {
	case !more && (end < d.highest || d.end != 0 && d.end != end):
		return ConflictingEnd
	case d.end != 0 && end > d.end:
		return BeyondEnd
	}
	d.highest = max(d.highest, end)
	if !more {
		d.end = end
	}
	return Held
}

// find gives the link to the page of that number, or to where it belongs. It starts where the last
// search ended, if that is not behind: fragments mostly come in order, and a page that was looked for
// is often stored next.
func (d *datagram[V]) find(number int) **page {
	at := &d.pages
	if d.lastFound != nil && d.lastFound.number < number {
		at = &d.lastFound.next
	}
	for *at != nil && (*at).number < number {
		d.lastFound = *at
		at = &d.lastFound.next
	}
	return at
}

// countPresent counts the units of b, which belongs at offset, that are present, and the pages that
// are not.
func (d *datagram[V]) countPresent(offset int, b []byte) (present, pages int) {
	p := *d.find(offset / pageBytes)
	for len(b) > 0 {
		number, at, part, rest := cut(offset, b)
		if p == nil || p.number != number {
			pages++
		} else {
			present += p.count(at, len(part))
			p = p.next
		}
		offset, b = offset+len(part), rest
	}
	return present, pages
}

// differs reports whether b, all of which is present, differs from the bytes that are present.
func (d *datagram[V]) differs(offset int, b []byte) bool {
	p := *d.find(offset / pageBytes)
	for len(b) > 0 && p != nil {
		_, at, part, rest := cut(offset, b)
		if !p.same(at, part) {
			return true
		}
		p, offset, b = p.next, offset+len(part), rest
	}
	return false
}

// store copies b, none of which is present, into pages. m has as many pooled ones as countPresent said.
func (d *datagram[V]) store(offset int, b []byte, m *memory[V]) {
	d.have += units(len(b))
	d.pieces++
	link := d.find(offset / pageBytes)
	for len(b) > 0 {
		number, at, part, rest := cut(offset, b)
		if p := *link; p == nil || p.number != number {
			*link = m.getPage(number, p)
		}
		(*link).put(at, part)
		link, offset, b = &(*link).next, offset+len(part), rest
	}
}

// complete reports whether all bytes are present. No byte is stored twice or beyond the end, so
// counting is enough.
func (d *datagram[V]) complete() bool { return d.end != 0 && d.have == units(d.end) }

// assemble appends all bytes of d, which is complete, to out.
func (d *datagram[V]) assemble(out []byte) []byte {
	for p := d.pages; p != nil; p = p.next {
		out = append(out, p.data[:min(pageBytes, d.end-len(out))]...)
	}
	return out[:len(out):len(out)]
}

// A datagram may be in two lists.
const (
	inAll = iota
	inWaiting
)

type link[V any] struct{ prev, next *datagram[V] }

// list is a doubly linked list of datagrams. They are added at the end only, when their first fragment
// arrives, so it is in order of time.
type list[V any] struct {
	first, last *datagram[V]
	which       int // index into a datagram's links
	len         int
}

func (l *list[V]) push(d *datagram[V]) {
	d.links[l.which] = link[V]{prev: l.last}
	if l.last == nil {
		l.first = d
	} else {
		l.last.links[l.which].next = d
	}
	l.last = d
	l.len++
}

func (l *list[V]) remove(d *datagram[V]) {
	k := &d.links[l.which]
	if k.prev == nil {
		l.first = k.next
	} else {
		k.prev.links[l.which].next = k.next
	}
	if k.next == nil {
		l.last = k.prev
	} else {
		k.next.links[l.which].prev = k.prev
	}
	*k = link[V]{}
	l.len--
}
