package direction

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/flowscope-go/flowscope/internal/stream"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// sent is a segment of a conversation.
type sent struct {
	side    tcp.Side
	g       tcp.Segment
	payload []byte
	at      int64 // since the one before
	stop    bool  // afterwards the side is stopped
}

// talk is a conversation of two honest sides. text is what each sent: all of it is data if no window
// closes, since what is sent into a closed one may be void.
func talk(r *rand.Rand, windows bool) (said []sent, text [2][]byte) {
	const start = 1000
	next, acked := [2]uint32{start, start}, [2]uint32{start, start}
	stamps := r.IntN(2) == 0
	say := func(side tcp.Side, flags uint8, payload []byte, window uint16) {
		said = append(said, sent{side: side, payload: payload, g: tcp.Segment{
			Seq: next[side], Ack: acked[side], Len: uint32(len(payload)), Window: window, Flags: flags,
		}, at: r.Int64N(second / 20)})
		if stamps {
			g := &said[len(said)-1].g
			g.Options, g.Timestamp = tcp.OptTimestamps, uint32(len(said))*2
		}
		next[side] += uint32(len(payload)) + uint32(flags&tcp.SYN>>1) + uint32(flags&tcp.FIN)
		text[side] = append(text[side], payload...)
	}
	some := func() []byte {
		b := make([]byte, r.IntN(9))
		for i := range b {
			b[i] = 'a' + byte(r.IntN(26))
		}
		return b
	}
	var early []byte
	if r.IntN(3) == 0 {
		early = some()
	}
	say(0, tcp.SYN, early, 65535)
	acked[1] = next[0]
	if len(early) > 0 && r.IntN(2) == 0 { // only the SYN is acknowledged, and the payload is sent again
		acked[1], next[0], text[0] = start+1, start+1, nil
	}
	say(1, tcp.SYN|tcp.ACK, nil, 65535)
	acked[0] = next[1]
	for range 2 + r.IntN(30) {
		side := tcp.Side(r.IntN(2))
		if r.IntN(3) > 0 {
			acked[side] = next[side^1]
		}
		flags, window := uint8(tcp.ACK), uint16(65535)
		switch r.IntN(12) {
		case 0:
			flags |= tcp.URG
		case 1:
			if windows {
				window = 0
			}
		}
		say(side, flags, some(), window)
	}
	for _, side := range []tcp.Side{0, 1} {
		acked[side] = next[side^1]
		say(side, tcp.ACK|tcp.FIN, some(), 65535)
	}
	return said, text
}

// impair makes of it what a capture sees that loses, repeats, swaps and cuts packets, and sends some of the lost
// ones again. What was sent before that is older by its timestamp, if there are any.
func impair(r *rand.Rand, said []sent) (out []sent) {
	var again []sent
	for _, s := range said {
		if r.IntN(8) == 0 {
			again = append(again, s)
			continue
		}
		if len(again) > 0 && r.IntN(3) == 0 {
			lost := again[0]
			if lost.g.Options != 0 && r.IntN(3) > 0 {
				lost.g.Timestamp = s.g.Timestamp
			}
			out, again = append(out, lost), again[1:]
		}
		if r.IntN(12) == 0 {
			s.payload = s.payload[:r.IntN(len(s.payload)+1)]
		}
		s.stop = r.IntN(200) == 0
		for range 1 + r.IntN(8)/7 {
			out = append(out, s)
		}
	}
	for range len(out) / 6 {
		i := r.IntN(len(out))
		j := min(i+1+r.IntN(4), len(out)-1)
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// tell takes a conversation on a new connection and returns what was said of it.
func tell(t testing.TB, said []sent, fast, dispatch bool) *connection {
	c := newConnection(stream.Limits{SideBytes: 2000, SidePieces: 6, SlowPath: !fast}, Config{FastPaths: fast, Dispatch: dispatch})
	for i, s := range said {
		c.arena.Reclaim()
		if c.now += s.at; i%7 == 6 {
			c.expire()
			c.close(0)
		}
		c.segment(s.side, &s.g, s.payload, 1, uint64(i))
		if s.stop {
			c.Stop(&c.Pair, s.side)
		}
		if !fast && (c.Pair[0].bits|c.Pair[1].bits)&fastPathOn != 0 {
			t.Fatal("the fast path is on")
		}
	}
	c.end()
	if held := c.arena.HeldBytes() + c.doubts.Bytes(); held != 0 || c.InDoubt() {
		t.Fatalf("%d bytes are held at the end", held)
	}
	return c
}

// check holds what is true of every conversation.
func check(t testing.TB, r *rand.Rand) (fast, behindHeld int) {
	whole := r.IntN(4) == 0
	said, text := talk(r, !whole)
	if !whole {
		said = impair(r, said)
	}
	quick, slow := tell(t, said, true, false), tell(t, said, false, false)
	if !slices.Equal(quick.said, slow.said) {
		t.Fatalf("fast and slow path differ:\n%v\n%v", quick.said, slow.said)
	}
	for side := range text {
		delivered, gaps, gapBytes, _ := quick.Pair[side].Counters()
		length := int64(delivered + gapBytes)
		var got []byte
		closed := 0
		for _, s := range quick.said {
			if s[0] != "><"[side] {
				continue
			}
			var at, n int64
			if _, err := fmt.Sscanf(s[1:], "closed@%d", &at); err == nil {
				closed++
				if !quick.Pair[side].Stopped() && at != length {
					t.Fatalf("closed at %d, delivered and given up are %d: %v", at, length, quick.said)
				}
			} else if _, err := fmt.Sscanf(s[1:], "gap@%d+%d", &at, &n); err == nil {
				gaps--
				gapBytes -= uint64(n)
				got = append(got, make([]byte, n)...)
			} else if i := bytes.LastIndexByte([]byte(s), '@'); !bytes.ContainsAny([]byte(s[i:]), "+:") {
				if name := s[1:i]; name != "early" && name != "urgent" && name != "acked" {
					got = append(got, name...)
				}
			}
		}
		if closed != 1 {
			t.Fatalf("closed %d times: %v", closed, quick.said)
		}
		if gaps != 0 || gapBytes != 0 {
			t.Fatalf("%d gaps with %d bytes are not told: %v", int64(gaps), int64(gapBytes), quick.said)
		}
		counted := len(said) > 1 && said[0].g.Flags == tcp.SYN && said[0].g.Len == 0 && said[1].g.Flags == tcp.SYN|tcp.ACK
		if n := min(len(got), len(text[side])); counted && !slices.Contains(quick.said, "anew") && !slices.Contains(quick.said, "replaced") {
			for i := range n {
				if got[i] != 0 && got[i] != text[side][i] {
					t.Fatalf("%q was sent and %q delivered: %v", text[side], got, quick.said)
				}
			}
		}
		if whole && !quick.Pair[side].Stopped() && !bytes.Equal(got, text[side]) {
			t.Fatalf("%q was sent and %q delivered: %v", text[side], got, quick.said)
		}
	}
	tell(t, said, false, true)
	return quick.fast, quick.behindHeld
}

func TestFastAndSlowPathSayTheSame(t *testing.T) {
	n, fast, behindHeld := 20000, 0, 0
	if testing.Short() {
		n = 3000
	}
	for seed := range n {
		all, held := check(t, rand.New(rand.NewPCG(1, uint64(seed))))
		fast, behindHeld = fast+all, behindHeld+held
	}
	if fast < 5*n || behindHeld < n/20 {
		t.Errorf("only %d segments took a fast path, %d of them while others were held", fast, behindHeld)
	}
}

func FuzzConversations(f *testing.F) {
	f.Fuzz(func(t *testing.T, seed uint64) { check(t, rand.New(rand.NewPCG(2, seed))) })
}

func TestBytesInOrderCostNoAllocation(t *testing.T) {
	c := newConnection(stream.Limits{}, Config{FastPaths: true})
	play(t, c, handshake)
	payload := []byte("abcdefgh")
	g := tcp.Segment{Seq: 1, Ack: 1, Len: uint32(len(payload)), Window: 65535, Flags: tcp.ACK}
	var o tcp.Outcome
	k := Packet{Conn: &c.Conn, Segment: &g, Outcome: &o, Payload: payload}
	n := testing.AllocsPerRun(1000, func() { // the slow path, in order, with the list of results
		c.Step(0, &g, &o, c.doubts)
		c.Streams.Segment(&c.Pair, &k)
		if len(c.items) != 1 || c.items[0].Kind != Data {
			t.Fatalf("%v", c.items)
		}
		c.Clear()
		g.Seq += g.Len
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
