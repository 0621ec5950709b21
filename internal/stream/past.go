package stream

// past is the newest delivered bytes, if the arena is to remember any. They
// lie in a ring, the next one goes to keptEnd; a gap empties it.
type past struct {
	kept    []byte
	keptEnd int
	keptLen int
}

// remembering is the record of s, which is opened if bytes are to be remembered.
func (a *Arena) remembering(s *Stream) *side {
	d := a.side(s)
	if a.limits.Keep == 0 || d != nil && len(d.kept) > 0 {
		return d
	}
	size, fresh := sizeUp(a.limits.Keep), 0
	if d == nil {
		fresh = recordBytes
	}
	if !a.affords(size+fresh, size+fresh) {
		return d
	}
	if d == nil {
		d = a.open(s)
	}
	d.kept = a.takeBuffer(size)
	return d
}

// remember adds delivered bytes.
func (p *past) remember(b []byte) {
	size := len(p.kept)
	if size == 0 {
		return
	}
	if len(b) > size {
		b = b[len(b)-size:]
	}
	p.keptLen = min(p.keptLen+len(b), size)
	k := copy(p.kept[p.keptEnd:], b)
	p.keptEnd += k
	if k < len(b) {
		p.keptEnd = copy(p.kept, b[k:])
	}
}

// forget is for a gap: what lies below it is not next to what will follow.
func (p *past) forget() { p.keptEnd, p.keptLen = 0, 0 }

// comparePast holds the old part of an arrival against what was delivered.
func (a *Arena) comparePast(s *Stream, d *side, n *arrival, out *[]Item) {
	if d == nil || d.keptLen == 0 {
		return
	}
	lo, hi := max(n.pos, s.next-int64(d.keptLen)), min(n.end, s.next)
	if lo >= hi {
		return
	}
	at := d.keptEnd - int(s.next-lo)
	if at < 0 {
		at += len(d.kept)
	}
	old := n.bytes[lo-n.pos : hi-n.pos]
	k := min(len(d.kept)-at, len(old))
	first, last := difference(old[:k], d.kept[at:at+k])
	if x, y := difference(old[k:], d.kept[:len(old)-k]); x < y {
		if first == last {
			first = k + x
		}
		last = k + y
	}
	a.stats.OverlapBytes += uint64(hi - lo)
	a.conflict(n, lo+int64(first), lo+int64(last), out)
}
