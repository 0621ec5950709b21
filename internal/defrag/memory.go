package defrag

import (
	"math/bits"
	"reflect"
)

// memory allocates pages, records and the output buffer, and counts their bytes. Freed ones are pooled
// until two calls of notePeaks find that they are not needed.
type memory[V any] struct {
	bytes      int64 // of everything, as the allocator rounds it
	pages      pool[page]
	records    pool[datagram[V]]
	output     []byte // for datagrams of more than one page
	outputPeak int    // the most bytes needed since the last notePeaks
}

// pool is the free list of structs of one size. made = in use + pooled.
type pool[T any] struct {
	free         *T
	size         int64
	made, pooled int
	peak, keep   int // the most in use: since the last notePeak, and between the last two
}

func (s *pool[T]) inUse() int { return s.made - s.pooled }

func (s *pool[T]) excess() bool { return s.pooled > 0 && s.made > max(s.peak, s.keep) }

func (s *pool[T]) notePeak() { s.peak, s.keep = s.inUse(), s.peak }

func (m *memory[V]) prepare() {
	m.pages.size = allocated(reflect.TypeFor[page]().Size())
	m.records.size = allocated(reflect.TypeFor[datagram[V]]().Size())
}

// allocated estimates what the allocator takes for a struct with pointers: its size classes are mostly
// eighths of powers of two, and above 512 bytes a word more describes the pointers.
func allocated(size uintptr) int64 {
	if size > 512 {
		size += 8
	}
	step := uintptr(1) << max(3, bits.Len(uint(size-1))-4)
	return int64((size + step - 1) &^ (step - 1))
}

// allocPage allocates a page for the pool. The caller made room for it.
func (m *memory[V]) allocPage() {
	m.pages.free = &page{next: m.pages.free}
	m.pages.made++
	m.pages.pooled++
	m.bytes += m.pages.size
}

// getPage takes a page from the pool, which has one, and makes it one of that number before next.
func (m *memory[V]) getPage(number int, next *page) *page {
	p := m.pages.free
	m.pages.free = p.next
	m.pages.pooled--
	m.pages.peak = max(m.pages.peak, m.pages.inUse())
	p.number, p.next = number, next
	clear(p.have[:])
	return p
}

// putPages puts the pages of d into the pool.
func (m *memory[V]) putPages(d *datagram[V]) {
	d.lastFound = nil
	for p := d.pages; p != nil; p = d.pages {
		d.pages = p.next
		p.next = m.pages.free
		m.pages.free = p
		m.pages.pooled++
	}
}

// allocRecord allocates a record for the pool. The caller made room for it.
func (m *memory[V]) allocRecord() {
	d := new(datagram[V])
	d.links[inAll].next = m.records.free
	m.records.free = d
	m.records.made++
	m.records.pooled++
	m.bytes += m.records.size
}

// getRecord takes an empty record from the pool, which has one.
func (m *memory[V]) getRecord() *datagram[V] {
	d := m.records.free
	m.records.free = d.links[inAll].next
	m.records.pooled--
	m.records.peak = max(m.records.peak, m.records.inUse())
	d.links[inAll].next = nil
	return d
}

// putRecord puts d, which is in no list, and its pages into the pool. It keeps nothing of V alive.
func (m *memory[V]) putRecord(d *datagram[V]) {
	m.putPages(d)
	*d = datagram[V]{}
	d.links[inAll].next = m.records.free
	m.records.free = d
	m.records.pooled++
}

func (m *memory[V]) dropPage() {
	m.pages.free = m.pages.free.next
	m.pages.made--
	m.pages.pooled--
	m.bytes -= m.pages.size
}

func (m *memory[V]) dropRecord() {
	m.records.free = m.records.free.links[inAll].next
	m.records.made--
	m.records.pooled--
	m.bytes -= m.records.size
}

func (m *memory[V]) setOutput(size int) {
	m.bytes += int64(size) - int64(cap(m.output))
	m.output = nil
	if size > 0 {
		m.output = make([]byte, 0, size)
	}
}

// notePeaks notes how much was needed since the last call; shrink gives the rest back, at most n of
// each.
func (m *memory[V]) notePeaks() {
	m.pages.notePeak()
	m.records.notePeak()
	if n := outputSize(m.outputPeak); n < cap(m.output) {
		m.setOutput(n)
	}
	m.outputPeak = 0
}

func (m *memory[V]) shrink(n int) {
	for i := 0; i < n && m.pages.excess(); i++ {
		m.dropPage()
	}
	for i := 0; i < n && m.records.excess(); i++ {
		m.dropRecord()
	}
}

// outputSize is the capacity for n bytes: a power of two.
func outputSize(n int) int {
	if n == 0 {
		return 0
	}
	return 1 << bits.Len(uint(n-1))
}
