package direction

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/flowscope-go/flowscope/internal/stream"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// oneWay plays a connection's segments with Turn or without.
type oneWay struct {
	Pair
	*Streams
	doubts tcp.Doubts
	conn   tcp.Conn
	timer  int64
	turns  int
}

// closedAt is what Close said.
type closedAt struct {
	side tcp.Side
	pos  int64
}

func (w *oneWay) step(side tcp.Side, g *tcp.Segment, turns bool) (closed []closedAt) {
	var o tcp.Outcome
	w.conn.Step(side, g, &o, &w.doubts)
	if o.Hold || o.Rival != tcp.NoRival && o.Rival != tcp.RivalReplays {
		w.doubts.Hold(&w.conn, side, g, &o, tcp.Held{}, make([]byte, g.Len))
	}
	if g.Flags&tcp.RST != 0 {
		return nil
	}
	if turns && w.timer == 0 && IsTurn(&w.conn, g, &o) {
		if complete, ok := w.Turn(&w.Pair, &w.conn, side, g.Flags, g.Time); ok {
			w.turns++
			for i := range tcp.Side(2) {
				if s := side ^ i; complete>>s&1 != 0 {
					pos, _ := w.conn.FINPosition(s)
					w.Pair[s].ConfirmClosed()
					closed = append(closed, closedAt{s, pos})
				}
			}
			before := w.Pair
			if w.Settle(&w.Pair); w.Pair != before {
				panic("Turn leaves a fast path on or off that must not be")
			}
			return closed
		}
	}
	k := Packet{Conn: &w.conn, Side: side, Segment: g, Outcome: &o, Payload: make([]byte, g.Len), Time: g.Time, Now: g.Time}
	w.Segment(&w.Pair, &k)
	w.Clear()
	w.timer = 0
	if _, next := w.Expire(&w.Pair, &w.conn, g.Time, false, math.MaxInt); next < 1<<62 {
		w.timer = next
	}
	w.Clear()
	if w.conn.AnyFIN() {
		for _, it := range w.Close(&w.Pair, &w.conn, side) {
			w.Pair[it.Side].ConfirmClosed()
			closed = append(closed, closedAt{it.Side, it.Pos})
		}
		w.Clear()
	}
	w.Settle(&w.Pair)
	if w.conn.InDoubt() {
		w.conn.Settle(&w.doubts, g.Time)
	}
	return closed
}

// Turn leaves what Segment, Close and Settle leave, and says that the same directions are closed, over conversations with segments lost, repeated and out of order.
func TestATurnIsTakenAsAnyOtherSegment(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	turns, closings := 0, 0
	for range 20_000 {
		var ways [2]oneWay
		for i := range ways {
			ways[i].Streams = New(stream.NewArena(stream.Limits{}), Config{
				Doubts: &ways[i].doubts, FastPaths: true, Timeouts: Timeouts{Acked: 1e9, TwoSided: 1e10, OneSided: 1e9},
			})
		}
		numbers := [2]uint32{r.Uint32(), r.Uint32()} // of the next byte of each side
		first := numbers
		for step := range 14 {
			side := tcp.Side(r.IntN(2))
			g := tcp.Segment{Seq: numbers[side], Ack: numbers[side^1], Window: 60000, Flags: tcp.ACK, Time: int64(step+1) * 1000}
			switch {
			case step == 0:
				side = tcp.Initiator
				g = tcp.Segment{Seq: numbers[0], Window: 60000, Flags: tcp.SYN, Time: 1}
			case step == 1 && r.IntN(8) != 0:
				side = tcp.Responder
				g.Seq, g.Ack, g.Flags = numbers[1], numbers[0], tcp.SYN|tcp.ACK
			default:
				g.Len = uint32(r.IntN(2) * r.IntN(6))
				if r.IntN(4) == 0 {
					g.Flags |= tcp.FIN
				}
				switch r.IntN(12) {
				case 0:
					g.Seq += uint32(r.IntN(8)) // something is lost
				case 1:
					g.Seq = first[side] + uint32(r.IntN(8)) // sent again
				case 2:
					g.Ack = first[side^1] + uint32(r.IntN(8))
				case 3, 5:
					g.Window = uint16(r.IntN(4)) // what lies beyond waits for its ACK
				case 4:
					g.Flags ^= uint8(1 << r.IntN(6))
				}
			}
			if r.IntN(10) == 0 {
				continue // not captured
			}
			numbers[side] += g.Len
			if g.Flags&(tcp.FIN|tcp.SYN) != 0 {
				numbers[side]++
			}
			g2 := g
			a, b := ways[0].step(side, &g, true), ways[1].step(side, &g2, false)
			if !reflect.DeepEqual(a, b) || ways[0].Pair != ways[1].Pair {
				t.Fatalf("step %d, %+v of side %d: closed %v, without the fast path %v;\n%+v\n%+v", step, g, side, a, b, ways[0].Pair, ways[1].Pair)
			}
			closings += len(a)
		}
		turns += ways[0].turns
	}
	if turns < 45_000 || closings < 5_000 {
		t.Fatalf("%d segments took the fast path, %d directions were closed", turns, closings)
	}
}
