package defrag

import (
	"math/bits"
	"reflect"
)

// memory is where pages, records and the output buffer come from, and its account. What comes
// back is kept as spare until review finds that it was not needed.
type memory[V any] struct {
	bytes   int64 // everything, as the allocator rounds it
	pages   stock[page]
	records stock[datagram[V]]
	out     []byte // for datagrams of more than one page
	outPeak int    // the most bytes it was used for since the last review
}

// stock counts things of one size. made = in use + spare.
type stock[T any] struct {
	free        *T
	size        int64
	made, spare int
	peak, keep  int // the most in use: since the last review, between the last two
}

func (s *stock[T]) inUse() int { return s.made - s.spare }

func (s *stock[T]) excess() bool { return s.spare > 0 && s.made > max(s.peak, s.keep) }

func (s *stock[T]) review() { s.peak, s.keep = s.inUse(), s.peak }

func (m *memory[V]) prepare() {
	m.pages.size = allocated(reflect.TypeFor[page]().Size())
	m.records.size = allocated(reflect.TypeFor[datagram[V]]().Size())
}

// allocated estimates what the allocator takes for a struct with pointers: its size classes
// are mostly eighths of powers of two, and above 512 bytes a word says what is inside.
func allocated(size uintptr) int64 {
	if size > 512 {
		size += 8
	}
	step := uintptr(1) << max(3, bits.Len(uint(size-1))-4)
	return int64((size + step - 1) &^ (step - 1))
}

// makePage adds a spare page. The caller made sure that it fits.
func (m *memory[V]) makePage() {
	m.pages.free = &page{next: m.pages.free}
	m.pages.made++
	m.pages.spare++
	m.bytes += m.pages.size
}

// takePage gives a spare page, which there is, as one of that number before next.
func (m *memory[V]) takePage(number int, next *page) *page {
	p := m.pages.free
	m.pages.free = p.next
	m.pages.spare--
	m.pages.peak = max(m.pages.peak, m.pages.inUse())
	p.number, p.next = number, next
	clear(p.have[:])
	return p
}

// putPages takes back the pages of d.
func (m *memory[V]) putPages(d *datagram[V]) {
	d.near = nil
	for p := d.pages; p != nil; p = d.pages {
		d.pages = p.next
		p.next = m.pages.free
		m.pages.free = p
		m.pages.spare++
	}
}

func (m *memory[V]) makeRecord() {
	d := new(datagram[V])
	d.links[inAge].next = m.records.free
	m.records.free = d
	m.records.made++
	m.records.spare++
	m.bytes += m.records.size
}

// takeRecord gives a spare record, which there is, empty.
func (m *memory[V]) takeRecord() *datagram[V] {
	d := m.records.free
	m.records.free = d.links[inAge].next
	m.records.spare--
	m.records.peak = max(m.records.peak, m.records.inUse())
	d.links[inAge].next = nil
	return d
}

// putRecord takes back d, which is in no list, and its pages. It keeps nothing of V alive.
func (m *memory[V]) putRecord(d *datagram[V]) {
	m.putPages(d)
	*d = datagram[V]{}
	d.links[inAge].next = m.records.free
	m.records.free = d
	m.records.spare++
}

func (m *memory[V]) dropPage() {
	m.pages.free = m.pages.free.next
	m.pages.made--
	m.pages.spare--
	m.bytes -= m.pages.size
}

func (m *memory[V]) dropRecord() {
	m.records.free = m.records.free.links[inAge].next
	m.records.made--
	m.records.spare--
	m.bytes -= m.records.size
}

func (m *memory[V]) setOut(size int) {
	m.bytes += int64(size) - int64(cap(m.out))
	m.out = nil
	if size > 0 {
		m.out = make([]byte, 0, size)
	}
}

// review notes what was needed since the last review; release lets the rest go, at most n of each.
func (m *memory[V]) review() {
	m.pages.review()
	m.records.review()
	if n := outSize(m.outPeak); n < cap(m.out) {
		m.setOut(n)
	}
	m.outPeak = 0
}

func (m *memory[V]) release(n int) {
	for i := 0; i < n && m.pages.excess(); i++ {
		m.dropPage()
	}
	for i := 0; i < n && m.records.excess(); i++ {
		m.dropRecord()
	}
}

// outSize is the capacity that serves n bytes: a power of two.
func outSize(n int) int {
	if n == 0 {
		return 0
	}
	return 1 << bits.Len(uint(n-1))
}
