package tcp

import (
	"math"
	"math/rand/v2"
	"testing"
)

// utterance is a segment and who sends it.
type utterance struct {
	side Side
	g    Segment
}

// honest is a whole conversation that nothing disturbs: a handshake, data and ACKs, and
// both FINs, with or without data and ACKs of their own.
func honest(r *rand.Rand) (said []utterance) {
	next := [2]uint32{isns[r.IntN(len(isns))], isns[r.IntN(len(isns))]}
	acked := next // how far each side has acknowledged the other
	scales, stamps := r.IntN(2) == 0, r.IntN(2) == 0
	clock := r.Uint32()
	speak := func(i Side, flags uint8, n uint32) {
		g := Segment{Seq: next[i], Len: n, Flags: flags, Window: uint16(30_000 + r.IntN(1<<16-30_000))} // more than all that is sent
		if stamps {
			clock += uint32(r.IntN(3))
			g.Options, g.Timestamp = OptTimestamps, clock
		}
		if flags&ACK != 0 {
			acked[i] = next[1-i]
			g.Ack = acked[i]
		}
		if flags&SYN != 0 && scales {
			g.WindowScale, g.HasWindowScale = uint8(r.IntN(16)), true
		}
		next[i] += n
		if flags&(SYN|FIN) != 0 {
			next[i]++
		}
		said = append(said, utterance{i, g})
	}
	some := func() uint32 { return uint32(r.IntN(2) * r.IntN(1500)) }
	speak(Initiator, SYN, 0)
	speak(Responder, SYN|ACK, 0)
	speak(Initiator, ACK, some())
	for range r.IntN(12) {
		speak(Side(r.IntN(2)), ACK|uint8(r.IntN(2))*PSH, some())
	}
	first := Side(r.IntN(2))
	speak(first, FIN|ACK, some())
	for range r.IntN(3) {
		speak(1-first, ACK, some())
	}
	speak(1-first, FIN|ACK, some())
	speak(first, ACK, 0)
	return said
}

// varied is a segment that differs from g in a little.
func varied(r *rand.Rand, g Segment) Segment {
	nudge := func(n *uint32) {
		*n += []uint32{math.MaxUint32, 1, math.MaxUint32 - 1, 2, 1 << 20, 1 << 31, 3 << 30}[r.IntN(7)]
	}
	for range 1 + r.IntN(2) {
		switch r.IntN(9) {
		case 0:
			nudge(&g.Seq)
		case 1:
			nudge(&g.Ack)
		case 2:
			g.Len = []uint32{0, 1, 2, 1 << 31, math.MaxUint32}[r.IntN(5)]
		case 3:
			g.Flags ^= 1 << r.IntN(8)
		case 4:
			g.Window = uint16(r.IntN(2))
		case 5:
			g.Flags = usual(byte(r.IntN(16)))
		case 6:
			g.WindowScale, g.HasWindowScale = uint8(r.IntN(20)), !g.HasWindowScale
		case 7:
			g.Options ^= 1 << r.IntN(5)
			g.Timestamp += uint32(r.IntN(7)) - 3
		}
	}
	return g
}

// paths counts by which path segments were handled.
type paths map[string]int

func (w paths) take(x *watcher, i Side, g *Segment) {
	c := &x.conn
	var s sight
	probe, path := *c, "slow path"
	switch {
	case c.state >= Closed:
		path = "over"
	case probe.stepSYN(i, g):
		path = "stepSYN"
	case probe.stepSYNACK(i, g):
		path = "stepSYNACK"
	case probe.stepInOrder(i, g, &s.Outcome, x.doubts.clone()):
		path = "stepInOrder"
	}
	w[path]++
	probe = *c
	if _, ok := probe.followHole(i, g, x.doubts.clone()); ok && c.HasHole() {
		w["FollowHole"]++
	}
	if probe = *c; probe.turn(i, g) {
		w["Turn"]++
		w["Turn in "+stateNames[c.state]]++
	}
	s.Outcome = c.stepBoth(i, g, x.doubts)
	x.settle(i, g, &s)
}

// clone is a watcher that sees the same from now on.
func (w *watcher) clone() *watcher {
	n := *w
	n.doubts = w.doubts.clone()
	return &n
}

// tryOften remembers attempts of the opener.
func (w *watcher) tryOften(r *rand.Rand, n int) {
	for range n {
		w.doubts.addCandidate(&w.conn, Initiator, r.Uint32())
	}
}

// Around an honest conversation, at each of its steps, come segments that differ from
// the next one in a little: in a number, a flag, a window; and of every other one some
// segments are lost. Fast path and slow path must agree on each.
func TestFastPathsAgreeWithTheSlowPath(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 11))
	w := paths{}
	for n := range 1_200 {
		c := newWatcher()
		lossy := n%2 == 1
		c.tryOften(r, r.IntN(3)*r.IntN(2))
		for _, next := range honest(r) {
			for range 8 {
				stray := c.clone()
				for range 1 + r.IntN(3) {
					g := varied(r, next.g)
					w.take(stray, next.side^Side(r.IntN(8)/7), &g)
				}
				w.take(stray, next.side, &next.g)
			}
			if lossy && r.IntN(5) == 0 {
				continue
			}
			w.take(c, next.side, &next.g)
		}
		if state := c.conn.state; state != Closed && !lossy {
			t.Fatalf("the conversation ends as %s", stateNames[state])
		}
	}
	for _, path := range []string{"stepSYN", "stepSYNACK", "stepInOrder", "slow path"} {
		if w[path] < 3_000 {
			t.Errorf("%s handled %d segments only", path, w[path])
		}
	}
	for _, state := range []State{Active, SynSent, SynReceived, Established, FinWait, ClosingTCP} {
		if n := w["Turn in "+stateNames[state]]; n < 1_000 {
			t.Errorf("Turn took %d segments only in state %s", n, stateNames[state])
		}
	}
	if w["FollowHole"] < 300 {
		t.Errorf("FollowHole handled %d segments only", w["FollowHole"])
	}
}

// A walk through all that a watcher may do with a connection: numbers of a small
// alphabet, more often than not those that come next, so that it gets to places where
// no conversation goes. stepBoth compares.
func TestFastPathsAgreeOnARandomWalk(t *testing.T) {
	r := rand.New(rand.NewPCG(16, 17))
	rounds := 24_000
	if testing.Short() {
		rounds = 12_000
	}
	offsets := []uint32{0, 1, 2, 3, 5, 10, 100, 1 << 30, 1<<30 + 1, 1<<31 - 1, 1 << 31, 3 << 30}
	for _, n := range []uint32{1, 2, 4, 100} {
		offsets = append(offsets, -n)
	}
	for range rounds {
		w := newWatcher()
		bases := [2]uint32{isns[r.IntN(len(isns))], isns[r.IntN(len(isns))]}
		few := offsets[:1+r.IntN(len(offsets))]
		for range 3 + r.IntN(30) {
			k := r.IntN(2)
			g := Segment{
				Seq: bases[k] + few[r.IntN(len(few))], Ack: bases[1-k] + few[r.IntN(len(few))],
				Flags: usual(byte(r.IntN(16))), Window: []uint16{0, 1, 100, 65535, 65535, 65535, 65535, 65535}[r.IntN(8)],
			}
			if r.IntN(20) == 0 {
				g.Flags = uint8(r.Uint32())
			}
			if r.IntN(4) == 0 {
				g.WindowScale, g.HasWindowScale = uint8(r.IntN(16)), true
			}
			g.Options, g.Timestamp = uint8(r.IntN(32))*uint8(r.IntN(4)/3), uint32(r.IntN(5))-2
			if r.IntN(2) == 0 {
				g.Len = []uint32{1, 2, 3, 5, 10, 100, 1 << 30, 1<<31 - 1, 1 << 31}[r.IntN(5+r.IntN(5)/4*4)]
			}
			w.comesNext(r, k == 1, &g)
			w.see(k == 1, &g, r.IntN(16) == 0)
		}
	}
}

// comesNext gives g, more often than not, the numbers that the connection waits for.
func (w *watcher) comesNext(r *rand.Rand, right bool, g *Segment) {
	if !w.begun || r.IntN(2) == 0 {
		return
	}
	i := w.side(right)
	s, p := &w.conn.half[i], &w.conn.half[1-i]
	if s.has(anchored) {
		g.Seq = s.number(s.end)
		if g.Flags&SYN != 0 {
			g.Seq = s.base - 1 - uint32(r.IntN(2))*g.Len
		}
	}
	switch {
	case p.has(anchored) && g.Flags&SYN != 0:
		g.Ack = p.base
	case p.has(anchored) && r.IntN(3) > 0:
		g.Ack = p.number(p.end)
	case s.has(hasACK):
		g.Ack = s.ack + uint32(r.IntN(3))
	}
}

func TestAnHonestConversationNeedsNoSlowPath(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 13))
	w := paths{}
	for range 1_000 {
		c := newWatcher()
		for _, next := range honest(r) {
			w.take(c, next.side, &next.g)
		}
	}
	if w["Turn"] < 5_000 {
		t.Errorf("Turn took %d segments only", w["Turn"])
	}
	if w["slow path"]+w["over"] != 0 || w["stepSYN"] != 1_000 || w["stepSYNACK"] != 1_000 {
		t.Errorf("taken: %v", w)
	}
}

// Attempts of the opener that are remembered make no difference, and neither do
// flags and options that have no say.
func TestAFirstSYNIsTakenAsAnyOtherSegment(t *testing.T) {
	r := rand.New(rand.NewPCG(14, 15))
	w := paths{}
	for range 20_000 {
		c := newWatcher()
		c.tryOften(r, r.IntN(4))
		g := Segment{
			Seq: []uint32{0, 1, math.MaxUint32, r.Uint32()}[r.IntN(4)], Ack: r.Uint32(), Len: uint32(r.IntN(2)),
			Window: uint16(r.Uint32()) >> r.IntN(17), Flags: SYN | uint8(r.Uint32())>>r.IntN(9),
			WindowScale: uint8(r.IntN(20)), HasWindowScale: r.IntN(2) == 0,
		}
		w.take(c, Side(r.IntN(2)), &g)
	}
	if w["stepSYN"] < 500 {
		t.Fatalf("taken: %v", w)
	}
}

func TestASuccessorHasNoFastPathsEither(t *testing.T) {
	for _, g := range []Segment{{Flags: SYN, Seq: 9}, {Flags: SYN | ACK, Seq: 9}, {Flags: ACK, Seq: 9}} {
		for _, off := range []bool{false, true} {
			var c Conn
			if off {
				c.DisableFastPath()
			}
			ds := &Doubts{}
			c.step(Initiator, &Segment{Flags: SYN, Seq: 1}, ds)
			c.ReplaceWith(Initiator, &g, ds)
			if c.half[0].has(slowPath) != off || c.half[1].has(slowPath) != off {
				t.Errorf("after flags %x, disabled %v", g.Flags, off)
			}
		}
	}
}
