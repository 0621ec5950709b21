package stream

import "math/bits"

// Sizes of memory go in four steps an octave: 4 5 6 7 8 10 12 14 16 20 ...
// so that rounding up wastes a quarter at most.
const classes = 4 * 28

// classOf is the smallest class that holds n, which is at most 1<<29.
func classOf(n int) int {
	if n <= 4 {
		return 0
	}
	shift := bits.Len32(uint32(n-1)) - 3
	return 4*shift + (n-1)>>shift - 3
}

func classSize(c int) int { return (4 + c%4) << (c / 4) }

// sizeUp is the smallest size of a class that is not below n.
func sizeUp(n int) int { return classSize(classOf(n)) }

// sizeDown is the greatest size of a class that is not above n, or 0.
func sizeDown(n int) int {
	if n < 4 {
		return 0
	}
	shift := bits.Len32(uint32(n)) - 3
	return n >> shift << shift
}

// pool is memory at rest, by class, the newest first.
type pool[T any] struct {
	free [classes][][]T
}

// get gives memory for n, which is the size of a class, and reports whether it
// was at rest. Its content is arbitrary.
func (p *pool[T]) get(n int) (mem []T, rested bool) {
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
