package tcp

import (
	"math/rand/v2"
	"testing"

	"github.com/flowscope-go/flowscope/internal/testkit/race"
)

// party is one end of a conversation whose truth is known.
type party struct {
	isn  uint32
	sent int64 // bytes
	acks int64 // how much of the peer's it acknowledged last
}

// said is a segment with the position that it truly has.
type said struct {
	side Side
	g    Segment
	pos  int64
}

// speak makes the next segment of side i: new data as far as the window goes,
// old data again, or only an ACK.
func speak(r *rand.Rand, parties *[2]party, i Side) said {
	me, peer := &parties[i], &parties[1-i]
	me.acks = peer.sent
	s := said{side: i, pos: me.sent}
	room := min(peer.acks+60_000-me.sent, 9_000)
	switch n := r.IntN(10); {
	case n < 6 && room > 0:
		s.g.Len = uint32(1 + r.Int64N(room))
		me.sent += int64(s.g.Len)
	case n < 8 && me.sent > 0:
		s.pos -= 1 + r.Int64N(min(me.sent, 60_000))
		s.g.Len = uint32(1 + r.Int64N(me.sent-s.pos))
	}
	s.g.Seq = me.isn + 1 + uint32(s.pos)
	s.g.Ack = peer.isn + 1 + uint32(me.acks)
	s.g.Flags, s.g.Window = ACK, 60_000
	return s
}

// Whatever the capture loses, repeats or confuses of an honest conversation,
// every payload that it does show is put where it belongs, or held: it acknowledges what the capture lost.
func TestAnHonestConversationIsPlacedExactly(t *testing.T) {
	for seed := range race.Seeds(uint64(60)) {
		r := rand.New(rand.NewPCG(seed, 7))
		parties := [2]party{{isn: isns[r.IntN(len(isns))]}, {isn: r.Uint32()}}
		lost, late := r.IntN(20), r.IntN(30) // of 100
		c := newWatcher()
		if seed%3 != 0 { // otherwise under way
			c.see(true, &Segment{Seq: parties[0].isn, Flags: SYN, Window: 60_000}, false)
			c.see(false, &Segment{Seq: parties[1].isn, Ack: parties[0].isn + 1, Flags: SYN | ACK, Window: 60_000}, false)
		}
		parties[0].sent = 10
		c.see(true, &Segment{Seq: parties[0].isn + 1, Ack: parties[1].isn + 1, Len: 10, Flags: ACK, Window: 60_000}, false)
		c.see(false, &Segment{Seq: parties[1].isn + 1, Ack: parties[0].isn + 11, Flags: ACK, Window: 60_000}, false)
		var waiting []said
		for n := range 2_500 {
			waiting = append(waiting, speak(r, &parties, Side(r.IntN(2))))
			if n := len(waiting); n > 1 && r.IntN(100) < late {
				waiting[n-1], waiting[n-2] = waiting[n-2], waiting[n-1]
			}
			if len(waiting) < 5 {
				continue
			}
			s := waiting[0]
			s.g.Time = int64(n) * second / 100
			waiting = waiting[1:]
			if r.IntN(100) < lost {
				continue
			}
			o := c.see(s.side == Initiator, &s.g, false)
			if (&checked{watcher: c}).doubtIsSound(t); o.Rival == RivalReplaces {
				t.Fatalf("seed %d: %+v of side %d makes another connection of it", seed, s.g, s.side)
			}
			if known := s.g.Len == 0 || s.pos+int64(s.g.Len) <= c.conn.half[s.side].next(); o.Pos != s.pos || !known && !o.Placed && !o.Hold {
				t.Fatalf("seed %d: %+v is at %d, not at %d: %v", seed, s.g, s.pos, o.Pos, o.Notes.names())
			}
		}
	}
}

func TestAnHonestConversationWithoutLossIsUnremarkable(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	parties := [2]party{{isn: 1<<32 - 2}, {isn: 1<<31 - 2}}
	c := newWatcher()
	c.see(true, &Segment{Seq: parties[0].isn, Flags: SYN, Window: 60_000}, false)
	c.see(false, &Segment{Seq: parties[1].isn, Ack: parties[0].isn + 1, Flags: SYN | ACK, Window: 60_000}, false)
	for n := range 100_000 {
		s := speak(r, &parties, Side(n&1))
		o := c.see(s.side == Initiator, &s.g, false)
		if o.Notes&^(Retransmission|KeepAlive) != 0 {
			t.Fatalf("segment %d: %v", n, o.Notes.names())
		}
		if again := s.pos+int64(s.g.Len) < parties[s.side].sent; again && s.g.Len > 1 && o.Notes != Retransmission {
			t.Fatalf("segment %d: sent again, but %v", n, o.Notes.names())
		}
	}
	if c.conn.InDoubt() || c.conn.half[0].lag|c.conn.half[1].lag != 0 {
		t.Error("nothing was lost, but the view is said to be incomplete")
	}
}
