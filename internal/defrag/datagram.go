package defrag

// datagram is the record of one that is not complete, or a tombstone.
//
// While it lives: have is the number of bits set in its pages; every byte there ends at or
// before high; end is 0 or at least high. A tombstone has no pages.
type datagram[V any] struct {
	value V // of the fragment at offset 0. First, since the end of a struct pads a V without size
	key   Key
	hash  uint64
	since int64 // when the first fragment came
	wire  int64
	links [2]link[V]
	pages *page // ascending
	near  *page // where find passed last, or nil

	frames int // that came
	pieces int // that were stored
	have   int // units
	high   int // where the farthest fragment ends
	end    int // where the last fragment ends; 0: not seen
	dead   bool
}

// bound learns from where a fragment ends.
//
//	there    AAAAAAAA....BBBB
//	last     ........LLLL        ConflictingEnd: B lies behind it
//	end known                    any other last end: ConflictingEnd; beyond it: BeyondEnd
func (d *datagram[V]) bound(end int, more bool) Outcome {
	switch {
	case !more && (end < d.high || d.end != 0 && d.end != end):
		return ConflictingEnd
	case d.end != 0 && end > d.end:
		return BeyondEnd
	}
	d.high = max(d.high, end)
	if !more {
		d.end = end
	}
	return Held
}

// find gives the link to the page of that number, or to where it belongs. It starts where the last search
// ended, if that is not too far: fragments mostly come in order, and who has looked often stores.
func (d *datagram[V]) find(number int) **page {
	at := &d.pages
	if d.near != nil && d.near.number < number {
		at = &d.near.next
	}
	for *at != nil && (*at).number < number {
		d.near = *at
		at = &d.near.next
	}
	return at
}

// survey counts the units of b, which belongs at offset, that are there, and the pages that are not.
func (d *datagram[V]) survey(offset int, b []byte) (there, pages int) {
	p := *d.find(offset / pageBytes)
	for len(b) > 0 {
		number, at, part, rest := cut(offset, b)
		if p == nil || p.number != number {
			pages++
		} else {
			there += p.count(at, len(part))
			p = p.next
		}
		offset, b = offset+len(part), rest
	}
	return there, pages
}

// differs reports whether b, all of which is there, is other than what is there.
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

// store copies b, none of which is there, into pages; m has as many spare ones as survey said.
func (d *datagram[V]) store(offset int, b []byte, m *memory[V]) {
	d.have += units(len(b))
	d.pieces++
	link := d.find(offset / pageBytes)
	for len(b) > 0 {
		number, at, part, rest := cut(offset, b)
		if p := *link; p == nil || p.number != number {
			*link = m.takePage(number, p)
		}
		(*link).put(at, part)
		link, offset, b = &(*link).next, offset+len(part), rest
	}
}

// complete: bytes beyond the end or twice are never stored, so counting is enough.
func (d *datagram[V]) complete() bool { return d.end != 0 && d.have == units(d.end) }

// join appends all bytes of d, which is complete, to out.
func (d *datagram[V]) join(out []byte) []byte {
	for p := d.pages; p != nil; p = p.next {
		out = append(out, p.data[:min(pageBytes, d.end-len(out))]...)
	}
	return out[:len(out):len(out)]
}
