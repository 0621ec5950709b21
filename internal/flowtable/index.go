package flowtable

import "math/bits"

// index finds slots: open addressing with linear probing over words that hold
// a tag (upper half: the hash bits that chose the place) and a slot number
// (lower half). A word of 0 is empty. At most half of the words are used, so a
// probe is short, and the tag spares nearly every look at a slot that is not
// the one.
//
// Deletion closes the gap at once (no tombstones), so the cost of a look-up
// does not depend on how many slots came and went:
//
//	home   3 3 4 7         home   3 4 . 7
//	words [a b c d]   ->  words  [b c . d]     a removed: b and c move up,
//	       3 4 5 7                3 4 5 7      d sits at home and stays
type index struct {
	words []uint64
	mask  uint32
}

func newIndex(capacity int) index {
	n := max(8, 1<<bits.Len(uint(2*capacity-1)))
	return index{words: make([]uint64, n), mask: uint32(n - 1)}
}

func (x *index) put(tag uint32, id ID) {
	i := tag & x.mask
	for x.words[i] != 0 {
		i = (i + 1) & x.mask
	}
	x.words[i] = uint64(tag)<<32 | uint64(id)
}

func (x *index) remove(tag uint32, id ID) {
	i := tag & x.mask
	for uint32(x.words[i]) != uint32(id) {
		i = (i + 1) & x.mask
	}
	hole := i
	for {
		i = (i + 1) & x.mask
		w := x.words[i]
		if w == 0 {
			break
		}
		// A word may move into the hole unless its home lies behind the hole.
		home := uint32(w>>32) & x.mask
		if (i-home)&x.mask >= (i-hole)&x.mask {
			x.words[hole] = w
			hole = i
		}
	}
	x.words[hole] = 0
}

// used counts the words in use.
func (x *index) used() (n int) {
	for _, w := range x.words {
		if w != 0 {
			n++
		}
	}
	return n
}
