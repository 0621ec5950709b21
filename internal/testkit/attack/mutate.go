package attack

import (
	"math"
	"math/rand/v2"
)

// Mutator damages frames as a bad link, a bad card or a bad neighbour does.
type Mutator struct {
	r   *rand.Rand
	buf []byte
	// flip is how many bits come through before the next one that does not.
	flip int
}

// NewMutator makes a mutator; what it does follows from the seed.
func NewMutator(seed uint64) *Mutator {
	m := &Mutator{r: rand.New(rand.NewPCG(seed, 0x6d757461))}
	m.next()
	return m
}

// next draws where the next bit flips: one in 10,000.
func (m *Mutator) next() {
	m.flip = int(min(math.Log(1-m.r.Float64())/math.Log(1-1e-4), 1<<30))
}

// Frame is a damaged copy, good until the next call: bits flipped, and one frame in a hundred cut short. The original
// stays as it is.
func (m *Mutator) Frame(f []byte) []byte {
	m.buf = append(m.buf[:0], f...)
	out := m.buf
	for bits := 8 * len(out); m.flip < bits; {
		out[m.flip/8] ^= 1 << (m.flip % 8)
		at := m.flip
		m.next()
		m.flip += at + 1
	}
	m.flip -= 8 * len(out)
	if len(out) > 0 && m.r.IntN(100) == 0 {
		out = out[:m.r.IntN(len(out))]
	}
	return out
}

// Order is the order in which n packets come out of a path that swaps one neighbouring pair in a hundred.
func (m *Mutator) Order(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
		if i > 0 && m.r.IntN(100) == 0 {
			order[i], order[i-1] = order[i-1], order[i]
		}
	}
	return order
}
