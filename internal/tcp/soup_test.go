package tcp

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// steps are the changes of state a single segment may bring. A segment may end
// the handshake and be a FIN as well, confirm the other side's, and show that a FIN was not the end.
// Where each of two FINs acknowledges the other, or one that was held an early one, an ACK confirms both.
var steps = map[State][]State{
	Active:      {SynSent, SynReceived, FinWait, ClosingTCP, Closed, Reset},
	SynSent:     {SynReceived, Established, FinWait, ClosingTCP, Reset},
	SynReceived: {Established, FinWait, ClosingTCP, Closed, Reset},
	Established: {FinWait, ClosingTCP, Closed, Reset},
	FinWait:     {Established, ClosingTCP, Closed, Reset},
	ClosingTCP:  {Established, FinWait, Closed, Reset},
}

func allowed(from, to State) bool {
	if from == to {
		return true
	}
	for _, s := range steps[from] {
		if s == to {
			return true
		}
	}
	return false
}

// op takes eight bytes and makes a segment of them. Numbers are small or near a
// corner, so that segments often have to do with each other.
//
//	0: direction, stale   1: flags   2, 3: sequence   4, 5: ACK   6: length   7: window, scale
func op(b [8]byte) line {
	near := func(kind, n byte) uint32 {
		v := uint32(n >> 1)
		switch kind & 7 {
		case 0, 1, 2:
		case 3:
			v *= 1 << 10
		case 4:
			v *= 1 << 20
		case 5:
			v *= 1 << 25
		case 6:
			v += 1<<31 - 64
		case 7:
			v += 1<<30 - 64
		}
		if n&1 != 0 {
			v = -v
		}
		return v
	}
	l := line{right: b[0]&1 != 0, stale: b[0]&0xf0 == 0xf0}
	l.g = Segment{
		Seq: near(b[2], b[3]), Ack: near(b[4], b[5]), Flags: b[1],
		Window: uint16(b[7]) << 8, WindowScale: b[7] & 31, HasWindowScale: b[7]&32 != 0,
	}
	switch {
	case b[6] < 64:
	case b[6] < 192:
		l.g.Len = uint32(b[6] - 63)
	case b[6] < 254:
		l.g.Len = uint32(b[6]) * 300
	default:
		l.g.Len = -uint32(b[6])
	}
	return l
}

// usual makes flags that senders use, out of any byte.
func usual(b byte) uint8 {
	return []uint8{
		ACK, ACK, ACK, ACK, ACK | PSH, ACK | PSH, SYN, SYN, SYN | ACK, SYN | ACK, FIN | ACK, FIN | ACK, RST, RST | ACK, 0, FIN,
	}[b&15]
}

// checked is a watcher that demands what holds of any segments whatever.
type checked struct {
	*watcher
	established bool
	before      Conn
}

func newChecked() *checked { return &checked{watcher: newWatcher()} }

func (c *checked) see(t testing.TB, l *line, g *Segment) sight {
	t.Helper()
	c.before = c.conn
	s := c.watcher.see(l.right, g, l.stale)
	switch {
	case s.fresh != "" && g.Flags&SYN == 0:
		t.Fatal("no SYN, and yet the numbers are reused")
	case s.fresh != "" && g.Flags&RST != 0:
		t.Fatal("a reset opened a connection")
	case s.fresh == "" && s.From != c.before.State():
		t.Fatalf("From is %d after %d", s.From, c.before.State())
	case s.Rival <= RivalHeld && s.To != c.conn.State():
		t.Fatalf("To is %d, but the state %d", s.To, c.conn.State())
	case !allowed(s.From, s.To):
		t.Fatalf("%s moved %s to %s", describe(g), stateNames[s.From], stateNames[s.To])
	case s.Ended() != (s.From < Closed && s.To >= Closed):
		t.Fatal("ended, but not from a live state")
	case s.Placed && g.Flags&RST != 0:
		t.Fatal("payload of a reset was placed")
	case s.From >= Closed && (s.Placed || s.Notes != 0 || s.Hold):
		t.Fatal("a segment after the end was placed")
	case s.Placed && g.Flags&FIN == 0 && (s.End < s.Pos || s.End > s.Pos+int64(g.Len)):
		t.Fatalf("payload of %d bytes is placed from %d to %d", g.Len, s.Pos, s.End)
	}
	anew := s.fresh != "" || s.Rival > RivalHeld
	if anew {
		c.established = false
	}
	if s.Established {
		if c.established {
			t.Fatal("established twice")
		}
		c.established = true
		if c.conn.Midstream() {
			t.Fatal("under way when first seen, yet established")
		}
	}
	c.halves(t)
	c.doubtIsSound(t)
	if !anew {
		c.goesOn(t, s.Notes)
	}
	c.readHeld(t)
	return s
}

// goesOn checks that no position is taken back, but for the payload of a SYN, and for a FIN whose receiver
// has acknowledged more.
func (c *checked) goesOn(t testing.TB, notes Note) {
	t.Helper()
	for k := range c.conn.half {
		h, was := &c.conn.half[k], &c.before.half[k]
		if !was.has(anchored) || h.base != was.base || notes&(SYNDataIgnored|Reanchored) != 0 {
			continue
		}
		cut := h.has(finAccepted) && !was.has(finAccepted) // what was taken beyond it is none of the stream
		if h.end < was.end-was.closed() && !cut || h.next() < was.next()-was.closed() {
			t.Fatalf("half %d went back from %d of %d to %d of %d", k, was.next(), was.end, h.next(), h.end)
		}
		if h.has(finAccepted) && was.has(finAccepted) && h.fin() != was.fin() && c.conn.acked(Side(k)) <= was.end {
			t.Fatalf("half %d: a FIN at %d moved to %d", k, was.fin(), h.fin())
		}
	}
}

// doubtIsSound checks what holds within a doubt, and what is kept of it outside.
func (c *checked) doubtIsSound(t testing.TB) {
	t.Helper()
	checkPool(t, c.doubts)
	d := c.doubts.of(&c.conn)
	if d == nil {
		if c.conn.bits&doubtful != 0 && !c.conn.packedFirst() {
			t.Fatal("there is no doubt, and it disturbs")
		}
		return
	}
	if c.conn.State() < Closed && d.disturbing() != (c.conn.bits&doubtful != 0) {
		t.Fatal("the fast paths do not know whether there is a doubt")
	}
	for k := range d.held {
		h, b := &d.held[k], c.conn.boundsOf(d)
		from := c.conn.half[h.Side].pos(h.Seq)
		if end := from + int64(h.Len) + int64(h.Flags&FIN); from < b.first[h.Side] || end < b.end[h.Side] || h.Time < b.time {
			t.Fatalf("segments are held from %d to %d, of %d, and the bounds are %+v", from, end, h.Time, *b)
		}
	}
	for k := range d.side {
		s, h := &d.side[k], &c.conn.half[k]
		if len(s.fins) > 0 && h.has(finAccepted) {
			t.Fatalf("half %d has a FIN, and early ones", k)
		}
		for n, x := range s.islands {
			if x.from >= x.to || n > 0 && x.from <= s.islands[n-1].to || x.from <= h.next() && h.lag != math.MaxUint32 {
				t.Fatalf("half %d is contiguous up to %d, and has the islands %v", k, h.next(), s.islands)
			}
		}
	}
}

// checkPool checks that all doubts are bounded and that nothing is counted twice.
func checkPool(t testing.TB, ds *Doubts) {
	t.Helper()
	sum, entries, live := int64(0), int64(0), 0
	for _, d := range ds.list {
		if d == nil {
			continue
		}
		live++
		var bytes [2]int32
		for k := range d.held {
			bytes[d.held[k].Side] += int32(len(d.held[k].Payload))
		}
		sum += int64(bytes[0] + bytes[1])
		entries += int64(len(d.held))
		switch {
		case bytes != d.bytes || max(bytes[0], bytes[1]) > maxHeldBytes || len(d.held) > maxHeld:
			t.Fatalf("%d segments are held, with %d bytes, not %d", len(d.held), bytes, d.bytes)
		case len(d.candidates) > maxCandidates:
			t.Fatalf("%d other SYNs", len(d.candidates))
		}
	}
	switch {
	case sum != ds.bytes || ds.MaxBytes != 0 && sum > ds.MaxBytes:
		t.Fatalf("%d bytes are held, not %d", sum, ds.bytes)
	case entries != ds.entries || ds.MaxHeld != 0 && entries > ds.MaxHeld:
		t.Fatalf("%d segments are held, not %d", entries, ds.entries)
	case live != len(ds.list)-len(ds.free) || ds.MaxDoubts != 0 && live > ds.MaxDoubts:
		t.Fatalf("%d doubts, and %d of %d are free", live, len(ds.free), len(ds.list))
	}
}

// readHeld asks for the held bytes as an owner does, here and in the end, and for all that was said.
func (c *checked) readHeld(t testing.TB) {
	t.Helper()
	for i := range Side(2) {
		next := c.conn.half[i].next()
		for _, pos := range []int64{0, next, c.conn.half[i].end} {
			for _, final := range []bool{false, true} {
				b, missing, _, ok := c.doubts.Confirmed(&c.conn, i, pos, final)
				if ok && (missing < 0 || len(b)+missing == 0) || !ok && len(b)+missing != 0 {
					t.Fatalf("%d bytes and %d missing at %d, %t", len(b), missing, pos, ok)
				}
				acked := c.conn.acked(i)
				if ok {
					if h, end := c.conn.heldAt(c.doubts.of(&c.conn), i, pos); h != nil && h.sure {
						acked = max(acked, end)
					}
				}
				if ok && !final && c.conn.visible(1-i) && pos+int64(len(b)+missing) > acked {
					t.Fatalf("%d bytes at %d, acknowledged is %d", len(b)+missing, pos, acked)
				}
			}
			if at, ok := c.doubts.NextHeld(&c.conn, i, pos); ok && at <= pos {
				t.Fatalf("held above %d: %d", pos, at)
			}
		}
		c.conn.EndOf(i, c.doubts)
	}
}

// end is what an owner does at the end: it takes what is held, and releases it.
func (c *checked) end(t testing.TB) {
	t.Helper()
	for i := range Side(2) {
		for n := 0; ; n++ {
			if _, _, ok := c.doubts.TakeConfirmed(&c.conn, i, true); !ok {
				break
			} else if n > maxHeld {
				t.Fatal("what is held does not end")
			}
		}
	}
	c.doubts.Release(&c.conn)
	checkPool(t, c.doubts)
	if len(c.doubts.free) != len(c.doubts.list) || c.doubts.Bytes() != 0 || c.conn.InDoubt() {
		t.Fatalf("%d of %d doubts are left, with %d bytes", len(c.doubts.list)-len(c.doubts.free), len(c.doubts.list), c.doubts.Bytes())
	}
}

// halves checks what holds between the fields.
func (c *checked) halves(t testing.TB) {
	t.Helper()
	for k := range c.conn.half {
		h := &c.conn.half[k]
		switch {
		case h.end < 0:
			t.Fatalf("half %d ends at %d", k, h.end)
		case h.has(finAccepted) && h.pos(h.fin()) >= h.end:
			t.Fatalf("half %d: FIN at %d, end at %d", k, h.pos(h.fin()), h.end)
		case h.has(synSeen|finAccepted) && !h.has(anchored):
			t.Fatalf("half %d has a SYN or FIN and no number", k)
		}
		if acked := c.conn.acked(Side(k)); c.conn.State() < Closed && (acked > h.end || acked >= 0 != c.conn.half[1-k].has(hasACK) && h.has(synSeen)) {
			t.Fatalf("half %d ends at %d, and is acknowledged up to %d", k, h.end, acked)
		}
	}
}

func describe(g *Segment) string {
	var b []byte
	for _, f := range "SAFRPU" {
		if g.Flags&flagLetters[f] != 0 {
			b = append(b, byte(f))
		}
	}
	return "a segment " + string(b)
}

// alike plays the operations at two pairs of initial numbers and demands that
// nobody can tell one from the other.
func alike(t testing.TB, ops []line, left, right uint32) {
	t.Helper()
	plain, moved := newChecked(), newChecked()
	for n := range ops {
		a, b := ops[n].shifted(0, 0), ops[n].shifted(left, right)
		x, y := plain.see(t, &ops[n], &a), moved.see(t, &ops[n], &b)
		if x.Outcome != y.Outcome || x.fresh != y.fresh || x.turned != y.turned || !slices.Equal(x.then, y.then) {
			t.Fatalf("segment %d: %+v %v at 0 and 0, but %+v %v at %d and %d",
				n, x, x.Notes.names(), y, y.Notes.names(), left, right)
		}
	}
	plain.end(t)
	moved.end(t)
}

func TestRandomSegmentsKeepTheRulesAtAllInitialNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	rounds := 6_000 // FuzzConn goes on from here
	if testing.Short() {
		rounds = 2_000
	}
	for n := range rounds {
		ops := make([]line, 1+r.IntN(60))
		for k := range ops {
			var b [8]byte
			for j := range b {
				b[j] = byte(r.Uint32())
			}
			if n%8 != 0 {
				b[1] = usual(b[1])
				b[2] &^= 4 * byte(n&1) // often with small numbers only
				b[4] &^= 4 * byte(n&1)
				b[3], b[5] = b[3]&15, b[5]&15
			}
			ops[k] = op(b)
		}
		alike(t, ops, r.Uint32(), r.Uint32())
		alike(t, ops, isns[n%len(isns)], isns[n/len(isns)%len(isns)])
	}
}

// FuzzConn reads initial numbers and a list of segments, and demands that no
// rule is broken and that the initial numbers make no difference.
func FuzzConn(f *testing.F) {
	seed := func(left, right uint32, text string) {
		var b []byte
		for _, l := range parse(f, text) {
			b = append(b, encode(&l)...)
		}
		f.Add(left, right, b)
	}
	seed(1<<32-1, 1<<31, shook+"> A 1 1 +10\n< A 1 11 +10\n> FA 11 11\n< FA 11 12\n> A 12 12\n> S 90")
	seed(1<<32-11, 1<<31-3, shook+"> A 11 1 +10\n> A 1 1 +10\n> R 60\n< S 30\n> SA 70 31\n< A 31 71")
	seed(0, 1, "> S 0 +3\n> S 40\n< SA 0 1\n> A 1 1 +3\n> S 80\n< SA 20 81\n> A 81 21")
	seed(5, 1<<31, "< SA 0 1\n< A 1 1 +10\n< FA 11 1\n< R 12\n< SA 50 60\n> S 59")
	seed(7, 9, "> - 3\n> S 0\n< S 0\n> SA 0 1\n< SA 0 1\n> FA 1 1\n< FA 1 1\n> A 2 2\n< A 2 2")
	f.Fuzz(func(t *testing.T, left, right uint32, data []byte) {
		var ops []line
		for ; len(data) >= 8 && len(ops) < 200; data = data[8:] {
			ops = append(ops, op([8]byte(data)))
		}
		alike(t, ops, left, right)
	})
}

// encode is the inverse of op for small numbers.
func encode(l *line) []byte {
	b := make([]byte, 8)
	if l.right {
		b[0] = 1
	}
	b[1] = l.g.Flags
	b[3], b[5] = byte(l.g.Seq<<1), byte(l.g.Ack<<1)
	if l.g.Len > 0 {
		b[6] = byte(l.g.Len + 63)
	}
	b[7] = byte(l.g.Window >> 8)
	return b
}

func TestScriptsSurviveTheirEncoding(t *testing.T) {
	for _, l := range parse(t, shook+"> A 1 1 +10\n< FA 11 120") {
		got := op([8]byte(encode(&l)))
		l.g.Window &= 0xff00
		got.g.HasWindowScale, got.g.WindowScale = false, 0
		if got.g != l.g || got.right != l.right {
			t.Errorf("%q came back as %+v", l.text, got)
		}
	}
}
