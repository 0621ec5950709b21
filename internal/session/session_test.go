package session_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope/internal/invariants"
	"github.com/flowscope-go/flowscope/internal/session"
)

func TestARefSaysWhatItWasMadeOf(t *testing.T) {
	for _, place := range []uint32{1, 2, 77, session.MaxPlace} {
		assert.Equal(t, place, session.Ref(place).Place())
		assert.False(t, session.Ref(place).Ignores(0))
	}
	for _, factory := range []int{0, 1, 63, 255} {
		for _, state := range []uint16{0, 1, 65535} {
			r := session.Parked(factory, state)
			f, s, ok := r.Parked()
			assert.True(t, ok)
			assert.Equal(t, factory, f)
			assert.Equal(t, state, s)
			assert.Zero(t, r.Place())
			assert.False(t, r.Ignores(0) || r.Ignores(1))
			sides, before := r.Asked()
			assert.Zero(t, sides)
			assert.False(t, before)
		}
	}
	for sides := range uint8(3) {
		for _, before := range []bool{false, true} {
			r := session.Asked(sides, before)
			s, b := r.Asked()
			assert.Equal(t, sides, s)
			assert.Equal(t, before, b)
			assert.Equal(t, sides&1 != 0, r.Ignores(0))
			assert.Equal(t, sides&2 != 0, r.Ignores(1))
			_, _, ok := r.Parked()
			assert.False(t, ok)
			assert.Zero(t, r.Place())
		}
	}
	assert.Equal(t, session.Unread, session.Asked(3, true))
	assert.True(t, session.Unread.Ignores(0) && session.Unread.Ignores(1))
	assert.Zero(t, session.Unread.Place())
	_, _, ok := session.Unread.Parked()
	assert.False(t, ok)
	assert.False(t, session.Ref(0).Ignores(0))
}

// model is a budget as one would write it without regard to its price.
type model struct {
	bytes map[uint32]int64
	used  map[uint32]bool
	order []uint32 // the longest queued first, over all classes
}

func class(n int64) int {
	c := 0
	for n >>= 10; n > 0; n >>= 1 {
		c++
	}
	return c
}

func (m *model) requeue(place uint32) {
	for i, p := range m.order {
		if p == place {
			m.order = append(m.order[:i:i], m.order[i+1:]...)
			break
		}
	}
	m.order = append(m.order, place)
}

func (m *model) victim(not uint32) uint32 {
	for c := 40; c >= 0; c-- {
		var all []uint32
		others := 0
		for _, p := range m.order {
			if class(m.bytes[p]) == c {
				all = append(all, p)
				if p != not {
					others++
				}
			}
		}
		for i := 0; others > 0; i++ {
			p := all[i%len(all)]
			if p != not && !m.used[p] {
				return p
			}
			m.used[p] = false
			m.requeue(p)
		}
	}
	return 0
}

func TestABudgetIsDividedAsTheModelSays(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var shares [20]session.Share
		b := session.NewBudget(1<<20, func(place uint32) *session.Share { return &shares[place] })
		m := model{bytes: map[uint32]int64{}, used: map[uint32]bool{}}
		for range 300 {
			place := uint32(1 + r.IntN(len(shares)-1))
			n := int64(1) << r.IntN(16)
			_, open := m.bytes[place]
			switch r.IntN(6) {
			case 0, 1:
				if !open {
					b.Open(place, n)
					m.bytes[place], m.used[place] = n, true
					m.requeue(place)
				}
			case 2:
				if open {
					if r.IntN(2) == 0 {
						n = -r.Int64N(m.bytes[place] + 1)
					}
					b.Add(place, n)
					if class(m.bytes[place]) != class(m.bytes[place]+n) {
						m.requeue(place)
					}
					m.bytes[place] += n
				}
			case 3:
				if open {
					shares[place].Used = true
					m.used[place] = true
				}
			case 4:
				if open && r.IntN(4) == 0 {
					b.Close(place)
					m.requeue(place)
					m.order = m.order[:len(m.order)-1]
					delete(m.bytes, place)
				}
			case 5:
				not := place
				if !open {
					not = 0
				}
				require.Equal(t, m.victim(not), b.Victim(not))
			}
			held := int64(0)
			for _, n := range m.bytes {
				held += n
			}
			require.Equal(t, held, b.Held())
			require.Equal(t, n <= 1<<20-held, b.Fits(n))
		}
	}
}

func TestAPoolLendsZeroValuesThatStay(t *testing.T) {
	type value struct {
		n int
		p *int
	}
	var p session.Pool[value]
	for _, n := range []int{1, 100, 3, 1000, 0, 40} {
		var all []*value
		for i := range n {
			v := p.Next()
			require.Equal(t, value{}, *v)
			*v = value{i, &i}
			all = append(all, v)
		}
		for i, v := range all {
			require.Equal(t, i, v.n, "it did not move")
		}
		p.Reclaim(64)
		for _, v := range all {
			require.Equal(t, value{}, *v)
		}
	}
}

func TestASlabLendsZeroValuesThatStay(t *testing.T) {
	var s session.Slab[byte]
	assert.Nil(t, s.Take(0))
	for _, n := range []int{1, 10, 3, 1000, 40} {
		var all [][]byte
		for i := range n {
			b := s.Take(1 + i%7)
			require.Equal(t, make([]byte, 1+i%7), b)
			require.Equal(t, len(b), cap(b))
			for j := range b {
				b[j] = byte(i)
			}
			all = append(all, b)
		}
		for i, b := range all {
			require.Equal(t, byte(i), b[0])
			require.Equal(t, byte(i), b[len(b)-1])
		}
		s.Reclaim(100)
		if invariants.Enabled {
			for _, b := range all {
				require.Equal(t, byte(0xDB), b[0])
			}
		}
	}
}

func TestAPeakIsNotKept(t *testing.T) {
	if invariants.Enabled {
		t.Skip("nothing is kept")
	}
	var p session.Pool[[64]byte]
	var s session.Slab[byte]
	use := func(n int) {
		for range n {
			p.Next()
			s.Take(10)
		}
		p.Reclaim(64)
		s.Reclaim(1000)
	}
	use(50)
	use(50)
	assert.Zero(t, testing.AllocsPerRun(100, func() { use(50) }))
	use(5000)
	assert.Positive(t, testing.AllocsPerRun(1, func() { use(200) }))
}
