package flowscope_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
)

// drvTalk is a clean conversation: what each side says, and the packets that carry it in their true order.
type drvTalk struct {
	said  [2][]byte
	views []flowscope.PacketView
	data  []bool // which of them carry payload
	isn   [2]uint32
}

// newDrvTalk makes a conversation in bursts: up to a few segments of one side, then an ACK of the other.
func newDrvTalk(r *rand.Rand, size int) *drvTalk {
	t := &drvTalk{isn: [2]uint32{drvISNs[r.IntN(len(drvISNs))], r.Uint32()}}
	for side := range t.said {
		t.said[side] = make([]byte, size/2+r.IntN(size))
		for i := range t.said[side] {
			t.said[side][i] = byte(r.Uint32())
		}
	}
	t.add(0, "S", 0, 0, nil)
	t.add(1, "SA", 0, 0, nil)
	t.add(0, "A", 0, 0, nil)
	sent := [2]int{}
	for sent[0] < len(t.said[0]) || sent[1] < len(t.said[1]) {
		side := r.IntN(2)
		for range 1 + r.IntN(6) {
			n := min(1+r.IntN(1400), len(t.said[side])-sent[side])
			if n == 0 {
				break
			}
			t.add(side, "PA", sent[side], sent[1-side], t.said[side][sent[side]:sent[side]+n])
			sent[side] += n
		}
		t.add(1-side, "A", sent[1-side], sent[side], nil)
	}
	t.add(0, "FA", sent[0], sent[1], nil)
	t.add(1, "FA", sent[1], sent[0]+1, nil)
	t.add(0, "A", sent[0]+1, sent[1]+1, nil)
	return t
}

func (t *drvTalk) add(side int, flags string, pos, ack int, payload []byte) {
	g := drvSegment{dir: side, flags: flags, window: 65535, payload: payload}
	g.seq, g.ack = t.isn[side]+1+uint32(pos), t.isn[1-side]+1+uint32(ack)
	if flags[0] == 'S' {
		g.seq--
	}
	if flags == "S" {
		g.ack = 0
	}
	t.views = append(t.views, flowscope.PacketView{Frame: g.frame()})
	t.data = append(t.data, len(payload) > 0)
}

// drvHeard is what a driver made of a side.
type drvHeard struct {
	data []byte // zeros in gaps
	mask []bool // what was delivered
}

// hear plays views one every 100 µs.
func drvHear(tb testing.TB, f flowscope.ReassemblerFactory[drvKey], cfg flowscope.Config, views []flowscope.PacketView) (sides [2]drvHeard) {
	tb.Helper()
	b := newDrvBook(tb, drvNew(tb, f, cfg))
	take := func(events []drvEvent) {
		tb.Helper()
		b.take(events)
		for i := range events {
			ev := &events[i]
			if ev.Flow != 1 || ev.Kind != flowscope.EventData && ev.Kind != flowscope.EventGap {
				continue
			}
			s := &sides[ev.Side]
			data := ev.Bytes
			if ev.Kind == flowscope.EventGap {
				data = make([]byte, ev.Len)
			}
			s.data = append(s.data, data...)
			s.mask = append(s.mask, slices.Repeat([]bool{ev.Kind == flowscope.EventData}, len(data))...)
		}
	}
	for i, v := range views {
		v.Timestamp = flowscope.Timestamp(1e18).Add(time.Duration(i) * 100 * time.Microsecond)
		v.ID = uint64(i + 1)
		take(b.d.Track(v))
	}
	take(b.d.Finish())
	b.finish()
	return sides
}

// displace moves every packet by at most n places.
func drvDisplace[T any](r *rand.Rand, in []T, n int) []T {
	type at struct {
		v   T
		key int
	}
	keyed := make([]at, len(in))
	for i, v := range in {
		keyed[i] = at{v, 2*i + r.IntN(2*n+1)}
	}
	slices.SortStableFunc(keyed, func(a, b at) int { return a.key - b.key })
	out := make([]T, len(in))
	for i, k := range keyed {
		out[i] = k.v
	}
	return out
}

func TestLossLeavesTheRestInItsPlace(t *testing.T) {
	rounds := uint64(150)
	if testing.Short() {
		rounds = 20
	}
	for seed := range rounds {
		r := rand.New(rand.NewPCG(seed, 31))
		talk := newDrvTalk(r, 30_000)
		loss := []float64{0.001, 0.01, 0.1}[seed%3]
		var present [2][]bool
		for side := range present {
			present[side] = make([]bool, len(talk.said[side]))
		}
		var views []flowscope.PacketView
		for i, v := range talk.views {
			if talk.data[i] && r.Float64() < loss {
				continue
			}
			views = append(views, v)
			if r.Float64() < loss {
				views = append(views, v)
			}
			drvMark(talk, v, &present)
		}
		for side, heard := range drvHear(t, nil, flowscope.Config{}, views) {
			drvCompare(t, fmt.Sprintf("seed %d side %d", seed, side), talk.said[side], present[side], heard)
		}
	}
}

// drvMark notes which bytes of its side a packet brings.
func drvMark(talk *drvTalk, v flowscope.PacketView, present *[2][]bool) {
	side := int(v.Frame[29] - 1)
	seq := uint32(v.Frame[38])<<24 | uint32(v.Frame[39])<<16 | uint32(v.Frame[40])<<8 | uint32(v.Frame[41])
	pos := int(seq - talk.isn[side] - 1)
	for i := range v.Frame[54:] {
		present[side][pos+i] = true
	}
}

func drvCompare(t *testing.T, name string, said []byte, present []bool, heard drvHeard) {
	t.Helper()
	if len(heard.data) != len(said) {
		t.Fatalf("%s: %d bytes and gaps of %d", name, len(heard.data), len(said))
	}
	for i := range said {
		if heard.mask[i] != present[i] || present[i] && heard.data[i] != said[i] {
			t.Fatalf("%s: byte %d: delivered %v, was there %v; %q, was %q", name, i, heard.mask[i], present[i], heard.data[i], said[i])
		}
	}
}

func TestWithoutLossNothingIsMissing(t *testing.T) {
	rounds := uint64(150)
	if testing.Short() {
		rounds = 20
	}
	for seed := range rounds {
		r := rand.New(rand.NewPCG(seed, 32))
		talk := newDrvTalk(r, 30_000)
		n := len(talk.views)
		views := append([]flowscope.PacketView(nil), talk.views[:3]...)
		middle := append([]flowscope.PacketView(nil), talk.views[3:n-3]...)
		for range n / 10 { // duplicates, near their originals
			i := r.IntN(len(middle))
			middle = slices.Insert(middle, i, middle[i])
		}
		views = append(views, drvDisplace(r, middle, 32)...)
		views = append(views, talk.views[n-3:]...)
		for side, heard := range drvHear(t, nil, flowscope.Config{}, views) {
			if !bytes.Equal(heard.data, talk.said[side]) || slices.Contains(heard.mask, false) {
				t.Fatalf("seed %d side %d: the stream is not what was said", seed, side)
			}
		}
	}
}

func TestHowTheBytesAreCutIntoSegmentsChangesNothing(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 33))
		talk := newDrvTalk(r, 5_000)
		said := talk.said
		for range 2 {
			again := &drvTalk{isn: talk.isn}
			again.add(0, "S", 0, 0, nil)
			again.add(1, "SA", 0, 0, nil)
			for side := range said {
				for pos := 0; pos < len(said[side]); {
					from := max(0, pos-r.IntN(40)) // overlaps what was sent
					to := min(len(said[side]), pos+1+r.IntN(300))
					again.add(side, "PA", from, 0, said[side][from:to])
					pos = to
				}
			}
			views := append(again.views[:2:2], drvDisplace(r, again.views[2:], 20)...)
			for side, heard := range drvHear(t, nil, flowscope.Config{Overlap: flowscope.OverlapPolicy(seed % 3)}, views) {
				if !bytes.Equal(heard.data, said[side]) || slices.Contains(heard.mask, false) {
					t.Fatalf("seed %d side %d: the stream is not what was said", seed, side)
				}
			}
		}
	}
}
