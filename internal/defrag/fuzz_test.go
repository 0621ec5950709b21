package defrag

import (
	"encoding/binary"
	"math"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope/internal/testkit/race"
)

// program reads operations and runs them on a table beside the model.
//
//	byte 0       limits: memory, datagrams, pieces, bytes
//	then six bytes each
//	  0          which datagram (4 bits), what is done (4 bits)
//	  1, 2       offset; 3, 4 length; their scale depends on what is done
//	  5          time that passes, and the fragment's bytes
func program(tb testing.TB, code []byte) *pair {
	l := Limits{TotalBytes: 1 << 30, Timeout: 1000, Remember: 500}
	if len(code) > 0 {
		if code[0]&1 != 0 {
			l.TotalBytes = 300 << (code[0] >> 4)
		}
		if code[0]&2 != 0 {
			l.Datagrams = 3
		}
		if code[0]&4 != 0 {
			l.Pieces = 3
		}
		if code[0]&8 != 0 {
			l.DatagramBytes = 5000
		}
		code = code[1:]
	}
	p, now, lost, forgotten := newPair(tb, l), int64(0), uint64(0), uint64(0)
	for ; len(code) >= 6; code = code[6:] {
		now += passing(code[5])
		p.op([6]byte(code), now)
		before := lost
		l, f := p.follow()
		lost, forgotten = lost+l, forgotten+f
		must(tb, forgotten <= p.table.Stats().Forgotten, "only want of memory makes it forget what the model remembers")
		if s := p.table.Stats(); lost > before {
			must(tb, lost <= s.EvictedMemory+s.TombstonesRemoved, "only want of memory makes a datagram leave that the model keeps")
		}
		check(tb, p.table)
	}
	return p
}

func passing(b byte) int64 {
	switch b >> 5 {
	case 7:
		return 1000 // the timeout
	case 6:
		return 300
	}
	return int64(b >> 6)
}

func (p *pair) op(c [6]byte, now int64) {
	f := Fragment{Key: Key{ID: uint32(c[0] & 3), Family: 4, Proto: c[0] >> 2 & 1}, More: true, Time: now}
	if c[0]&8 != 0 {
		f.Key.Family = 6
	}
	offset, n := int(binary.BigEndian.Uint16(c[1:])), int(binary.BigEndian.Uint16(c[3:]))
	kind := c[0] >> 4
	switch kind & 3 {
	case 0: // within a page
		f.Offset, n = offset%16*8, n%6*8
	case 1: // over a few pages
		f.Offset, n = offset%16*664, n%6*664
	case 2: // anywhere
		f.Offset, n = offset&^7, n%3000&^7
	case 3: // as it comes
		f.Offset, n = offset, n%2000
	}
	if kind&4 != 0 {
		f.More = false
		n -= n & int(c[5]&7)
	}
	if kind == 11 {
		f.Cut = true
	}
	if kind == 15 {
		p.table.Expire(now, math.MaxInt)
		p.model.expire(now)
		return
	}
	f.Bytes = make([]byte, n)
	for i := range f.Bytes {
		f.Bytes[i] = byte(f.Offset + i)
		if c[5]&0x18 == 0 { // sometimes other bytes
			f.Bytes[i] ^= c[5]
		}
	}
	p.add(f, int(c[5]))
}

func FuzzDefrag(f *testing.F) {
	f.Add([]byte{0, 0x00, 0, 0, 0, 1, 8, 0x40, 0, 1, 0, 1, 8})                               // two in order
	f.Add([]byte{0, 0x40, 0, 1, 0, 1, 8, 0x00, 0, 0, 0, 1, 8})                               // reversed
	f.Add([]byte{0, 0x10, 0, 0, 0, 5, 8, 0x50, 0, 5, 0, 5, 8})                               // over pages
	f.Add([]byte{0, 0x00, 0, 0, 0, 2, 8, 0x00, 0, 1, 0, 2, 8, 0x00, 0, 0, 0, 2, 8})          // overlap, tombstone
	f.Add([]byte{0, 0x00, 0, 0, 0, 2, 8, 0x00, 0, 0, 0, 2, 1, 0x40, 0, 2, 0, 2, 8})          // conflict
	f.Add([]byte{1, 0x10, 0, 0, 0, 5, 8, 0x11, 0, 0, 0, 5, 8, 0x12, 0, 0, 0, 5, 8})          // little memory
	f.Add([]byte{0x61, 0x10, 0, 0, 0, 5, 8, 0x11, 0, 0, 0, 5, 8, 0x50, 0, 5, 0, 5, 8})       // and to join
	f.Add([]byte{2, 0, 0, 0, 0, 1, 8, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0, 1, 8, 3, 0, 0, 0, 1, 8}) // few datagrams
	f.Add([]byte{0, 0x00, 0, 0, 0, 1, 8, 0x40, 0, 1, 0, 1, 0xe8})                            // timeout
	f.Add([]byte{0, 0xb0, 0, 0, 0, 1, 8, 0xf0, 0, 0, 0, 0, 0xff})                            // cut; expire
	f.Fuzz(func(t *testing.T, code []byte) {
		if len(code) > 600 {
			return
		}
		p := program(t, code)
		p.table.Clear()
		check(t, p.table)
		require.Zero(t, p.table.Bytes())
	})
}

func TestRandomProgramsFollowTheModel(t *testing.T) {
	rng := rand.New(rand.NewSource(5))
	var sum Stats
	for i := range race.Seeds(12_000) {
		code := make([]byte, 1+6*40)
		rng.Read(code)
		switch i % 4 {
		case 1: // halves of datagrams, so that many are completed, and their copies
			for j := 1; j < len(code); j += 6 {
				last := code[j+2] & 1
				copy(code[j:], []byte{code[j]&7 | last<<6, 0, last, 0, 1, code[j+5] & 0xdf})
			}
		case 0, 2:
			for j := 1; j < len(code); j += 6 {
				code[j] &= 0x41   // two datagrams, small offsets, so that some are completed
				code[j+5] &= 0x3f // and no time passes
			}
		}
		s := program(t, code).table.Stats()
		for o, c := range s.Outcomes {
			sum.Outcomes[o] += c
		}
		sum.TimedOut += s.TimedOut
		sum.EvictedTable += s.EvictedTable
		sum.EvictedMemory += s.EvictedMemory
		sum.TombstonesRemoved += s.TombstonesRemoved
		sum.Forgotten += s.Forgotten
	}
	for o := Held; o < numOutcomes; o++ {
		require.Positive(t, sum.Outcomes[o], "%s never happened", o)
	}
	require.Positive(t, sum.TimedOut)
	require.Positive(t, sum.EvictedTable)
	require.Positive(t, sum.EvictedMemory)
	require.Positive(t, sum.TombstonesRemoved)
	require.Positive(t, sum.Forgotten)
}

func TestTheSeedChangesNothingThatComesOut(t *testing.T) {
	run := func(seed uint64) (log []byte) {
		rng := rand.New(rand.NewSource(9))
		table := New[int](Limits{TotalBytes: 100 << 10, Datagrams: 60, Timeout: 500}, seed)
		body := make([]byte, 3000)
		for i := range 20000 {
			rng.Read(body[:16])
			f := &Fragment{Key: Key{ID: uint32(rng.Intn(100))}, Offset: 8 * rng.Intn(100), Bytes: body[:8*(1+rng.Intn(300))], More: rng.Intn(3) > 0, Time: int64(i)}
			d, out := table.Add(f, nil)
			log = append(append(log, byte(out)), d.Data...)
		}
		return log
	}
	require.Equal(t, run(1), run(2))
}
