package testkit

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
)

// Talk is a clean conversation: what each side says, and the packets that carry it in their true order.
type Talk struct {
	Said  [2][]byte
	Views []flowscope.PacketView
	Data  []bool // which of them carry payload
	ISN   [2]uint32
}

// NewTalk makes a conversation in bursts: up to a few segments of one side, then an ACK of the other.
func NewTalk(r *rand.Rand, size int) *Talk {
	t := &Talk{ISN: [2]uint32{ISNs[r.IntN(len(ISNs))], r.Uint32()}}
	for side := range t.Said {
		t.Said[side] = make([]byte, size/2+r.IntN(size))
		for i := range t.Said[side] {
			t.Said[side][i] = byte(r.Uint32())
		}
	}
	t.Add(0, "S", 0, 0, nil)
	t.Add(1, "SA", 0, 0, nil)
	t.Add(0, "A", 0, 0, nil)
	sent := [2]int{}
	for sent[0] < len(t.Said[0]) || sent[1] < len(t.Said[1]) {
		side := r.IntN(2)
		for range 1 + r.IntN(6) {
			n := min(1+r.IntN(1400), len(t.Said[side])-sent[side])
			if n == 0 {
				break
			}
			t.Add(side, "PA", sent[side], sent[1-side], t.Said[side][sent[side]:sent[side]+n])
			sent[side] += n
		}
		t.Add(1-side, "A", sent[1-side], sent[side], nil)
	}
	t.Add(0, "FA", sent[0], sent[1], nil)
	t.Add(1, "FA", sent[1], sent[0]+1, nil)
	t.Add(0, "A", sent[0]+1, sent[1]+1, nil)
	return t
}

// Add appends a packet of a side.
func (t *Talk) Add(side int, flags string, pos, ack int, payload []byte) {
	g := Segment{Dir: side, Flags: flags, Window: 65535, Payload: payload}
	g.Seq, g.Ack = t.ISN[side]+1+uint32(pos), t.ISN[1-side]+1+uint32(ack)
	if flags[0] == 'S' {
		g.Seq--
	}
	if flags == "S" {
		g.Ack = 0
	}
	t.Views = append(t.Views, flowscope.PacketView{Frame: g.Frame()})
	t.Data = append(t.Data, len(payload) > 0)
}

// Stream is what a driver made of a side.
type Stream struct {
	Data []byte // zeros in gaps
	Mask []bool // what was delivered
}

// ReadStreams plays views one every 100 µs.
func ReadStreams(tb testing.TB, f flowscope.ReassemblerFactory[Key], cfg flowscope.Config, views []flowscope.PacketView) (sides [2]Stream) {
	tb.Helper()
	b := NewBook(tb, NewDriver(tb, f, cfg))
	take := func(events []Event) {
		tb.Helper()
		b.Take(events)
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
			s.Data = append(s.Data, data...)
			s.Mask = append(s.Mask, slices.Repeat([]bool{ev.Kind == flowscope.EventData}, len(data))...)
		}
	}
	for i, v := range views {
		v.Timestamp = flowscope.Timestamp(1e18).Add(time.Duration(i) * 100 * time.Microsecond)
		v.ID = uint64(i + 1)
		take(b.Driver.Track(v))
	}
	take(b.Driver.Finish())
	b.Finish()
	return sides
}

// Displace moves every packet by at most n places.
func Displace[T any](r *rand.Rand, in []T, n int) []T {
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
