package defrag

// A datagram may be in two lists.
const (
	inAge = iota
	inHeld
)

type link[V any] struct{ prev, next *datagram[V] }

// list is a queue from which one can leave anywhere. Datagrams come in at the end only, when they
// are opened, so it is in order of time.
type list[V any] struct {
	first, last *datagram[V]
	which       int // of a datagram's links
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
