package stream

import (
	"math/bits"

	"github.com/flowscope-go/flowscope/internal/invariants"
)

// Allocations have a size of less than 4, or one of four sizes per octave: 4 5 6 7 8 10 12 14 16 20 ...
// so that rounding up wastes a quarter at most.
const (
	smallClasses = 3
	classes      = smallClasses + 4*28
)

// classOf is the smallest class that holds n, which is at most 1<<29.
func classOf(n int) int {
	if n <= smallClasses+1 {
		return max(n, 1) - 1
	}
	shift := bits.Len32(uint32(n-1)) - 3
	return smallClasses + 4*shift + (n-1)>>shift - 3
}

func classSize(c int) int {
	if c < smallClasses {
		return c + 1
	}
	c -= smallClasses
	return (4 + c%4) << (c / 4)
}

// sizeUp is the smallest size of a class that is not below n.
func sizeUp(n int) int { return classSize(classOf(n)) }

// sizeDown is the greatest size of a class that is not above n, or 0.
func sizeDown(n int) int {
	if n < 4 {
		return n
	}
	shift := bits.Len32(uint32(n)) - 3
	return n >> shift << shift
}

// pool is freed memory kept for reuse, by class, the newest first.
type pool[T any] struct {
	free [classes][][]T
}

// get returns memory of n elements, which is the size of a class, and whether it was pooled. Its
// content is arbitrary.
func (p *pool[T]) get(n int) (mem []T, reused bool) {
	list := &p.free[classOf(n)]
	if k := len(*list); k > 0 {
		mem = (*list)[k-1]
		(*list)[k-1] = nil
		*list = (*list)[:k-1]
		return mem, true
	}
	return make([]T, n), false
}

func (p *pool[T]) put(mem []T) {
	c := classOf(len(mem))
	p.free[c] = append(p.free[c], mem)
}

func (p *pool[T]) clear() { clear(p.free[:]) }

func (a *Arena) poolLimit() int64 {
	return min(max(4*int64(min(a.limits.SideBytes, 1<<20)), a.held/2), a.limits.TotalBytes/8)
}

// ReleasePool releases the pooled memory, and with the next Reclaim the lent memory: for an owner
// that will not need it for a while.
func (a *Arena) ReleasePool() {
	a.releasePool()
	a.releaseLent = len(a.lentPages) > 0 // otherwise Reclaim would release the memory pooled by a later call
}

// releasePool releases the pooled memory.
func (a *Arena) releasePool() {
	a.extents.clear()
	a.blockLists.clear()
	a.pageLists.clear()
	a.pages.clear()
	a.freeBuffers = nil
	a.pooled = 0
}

// alloc takes n elements from a pool, or makes them, and counts them as held.
func alloc[T any](a *Arena, p *pool[T], n int, bytes int64) []T {
	mem, reused := p.get(n)
	if reused {
		a.pooled -= bytes
	}
	a.held += bytes
	return mem
}

// pooled puts memory into a pool, or releases it if it is none or the pools are full.
func pooled[T any](a *Arena, p *pool[T], mem []T, bytes int64) {
	if bytes > 0 && a.pooled+bytes <= a.poolLimit() {
		a.pooled += bytes
		p.put(mem)
	}
}

func (a *Arena) allocExtents(size int) []extent {
	return alloc(a, &a.extents, size, int64(size)*extentBytes)
}

func (a *Arena) freeExtents(mem []extent) {
	size := int64(len(mem)) * extentBytes
	a.held -= size
	pooled(a, &a.extents, mem, size)
}

func (a *Arena) allocBlockList(capacity int) []block {
	return alloc(a, &a.blockLists, capacity, int64(blockListBytes(capacity)))
}

// freeBlockList pools the list of blocks, unless it is the inline one.
func (a *Arena) freeBlockList(q *extentList) {
	size := int64(blockListBytes(cap(q.blocks)))
	a.held -= size
	clear(q.blocks)
	pooled(a, &a.blockLists, q.blocks[:cap(q.blocks)], size)
	q.blocks = nil
}

func (a *Arena) allocList(capacity int) []page {
	return alloc(a, &a.pageLists, capacity, int64(listBytes(capacity)))
}

// freeList pools d's list of pages, unless it is the inline one.
func (a *Arena) freeList(d *buffer) {
	size := int64(d.listBytes())
	a.held -= size
	clear(d.list)
	pooled(a, &a.pageLists, d.list[:cap(d.list)], size)
	d.list, d.used = nil, 0
}

func (a *Arena) allocPage(size int) []byte {
	return alloc(a, &a.pages, size, int64(size))
}

// freePage pools the memory of a page: at once, or with the next Reclaim if Items of the present
// period refer to it.
func (a *Arena) freePage(buf []byte, lent uint64) {
	a.held -= int64(len(buf))
	if len(buf) > 0 && lent == a.period {
		a.lent += int64(len(buf))
		a.lentPages = append(a.lentPages, buf)
		return
	}
	a.recycle(buf)
}

// recycle pools the memory of a page, or releases it if the pool is full.
func (a *Arena) recycle(buf []byte) {
	invariants.Trample(buf)
	pooled(a, &a.pages, buf, int64(len(buf)))
}
