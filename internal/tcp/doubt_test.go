package tcp

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Segments that are held, at the edges of how many, how large and how long.
func TestWhatIsHeldIsBounded(t *testing.T) {
	beyond := func(w *watcher, k int, n uint32) {
		left := isns[len(isns)-1]
		w.see(true, &Segment{Seq: left + 1 + 65535 + uint32(k), Ack: left + 1, Len: n, Flags: ACK, Window: 65535}, false)
	}
	for _, c := range []struct {
		segments      int
		size          uint32
		held, payload int
	}{
		{256, 1, 256, 256},
		{257, 1, 256, 256},
		{131, 2000, 131, 131 * 2000},
		{132, 2000, 132, 131 * 2000}, // a segment without its payload is still a claim
		{256, 1024, 256, 1 << 18},
	} {
		t.Run(fmt.Sprint(c.segments, "x", c.size), func(t *testing.T) {
			w := play(t, shook)
			for k := range c.segments {
				beyond(w, k*int(c.size), c.size)
			}
			checkPool(t, w.doubts)
			d := w.doubts.of(&w.conn)
			if len(d.held) != c.held || int(d.bytes[0]) != c.payload || w.doubts.Bytes() != int64(c.payload) {
				t.Errorf("%d segments with %d bytes are held, and %d bytes in all", len(d.held), d.bytes, w.doubts.Bytes())
			}
			held, notHeld, bare := w.doubts.Counters()
			if want := uint64(c.segments - c.held); held != uint64(c.held) || notHeld != want || bare != uint64(c.held-c.payload/int(c.size)) {
				t.Errorf("counters %d %d %d", held, notHeld, bare)
			}
		})
	}
	// Segments that are only a rival's, with numbers that cannot become the connection's own.
	for _, c := range []struct {
		name     string
		ahead    uint32
		segments int
		size     uint32
		sides    int
		payload  int // of a side
	}{
		{"the last that may be the connection's own", holdAhead - 32*2000 - 1, 33, 2000, 1, 33 * 2000},
		{"too far beyond the window", holdAhead, 33, 2000, 1, 32 * 2000},
		{"foreign", 1<<30 + 1, 33, 2000, 1, 32 * 2000},
		{"as much as may be", 1<<30 + 1, 64, 1024, 1, 1 << 16},
		{"one more", 1<<30 + 1, 65, 1024, 1, 1 << 16},
		{"each side by itself", 1<<30 + 1, 65, 1024, 2, 1 << 16},
	} {
		t.Run("rival: "+c.name, func(t *testing.T) {
			w := play(t, shook)
			for k := range c.segments {
				for i := range c.sides {
					left := isns[len(isns)-1]
					seq := left + 1 + 65535 + c.ahead + uint32(k)*c.size
					w.see(i == 0, &Segment{Seq: seq, Ack: left + 1, Len: c.size, Flags: ACK, Window: 65535}, false)
				}
			}
			checkPool(t, w.doubts)
			d := w.doubts.of(&w.conn)
			if len(d.held) != c.sides*c.segments || w.doubts.Bytes() != int64(c.sides*c.payload) {
				t.Errorf("%d segments are held, and %d bytes in all", len(d.held), w.doubts.Bytes())
			}
			for i := range c.sides {
				if d.bytes[i] != int32(c.payload) {
					t.Errorf("%d bytes of side %d are held", d.bytes[i], i)
				}
			}
			if _, _, bare := w.doubts.Counters(); bare != uint64(c.sides*(c.segments-c.payload/int(c.size))) {
				t.Errorf("%d segments are held without their payload", bare)
			}
		})
	}
	for _, c := range []struct {
		max  int64
		want int64
	}{{10, 10}, {9, 0}, {0, 10}} {
		w := play(t, shook)
		w.doubts.MaxBytes = c.max
		if beyond(w, 0, 10); w.doubts.Bytes() != c.want {
			t.Errorf("%d bytes are held where %d may be", w.doubts.Bytes(), c.max)
		}
	}
	for _, c := range []struct{ max, want int }{{10, 10}, {9, 0}, {0, 10}} {
		w := play(t, shook)
		w.doubts.SideBytes = c.max
		if beyond(w, 0, 10); w.doubts.Bytes() != int64(c.want) {
			t.Errorf("%d bytes are held where %d of a side may be", w.doubts.Bytes(), c.max)
		}
	}
	// What was conditional keeps its payload as the rival's only as far as that has room.
	for _, c := range []struct{ segments, kept int }{{32, 32}, {33, 32}, {100, 32}} {
		w := play(t, shook)
		for k := range c.segments {
			beyond(w, k*2000, 2000)
		}
		w.conn.Settle(w.doubts, 30*second)
		checkPool(t, w.doubts)
		_, _, bare := w.doubts.Counters()
		if d := w.doubts.of(&w.conn); len(d.held) != c.segments || w.doubts.Bytes() != int64(c.kept*2000) || bare != uint64(c.segments-c.kept) {
			t.Errorf("%d of %d segments, %d bytes, %d without payload", len(d.held), c.segments, w.doubts.Bytes(), bare)
		}
		for k := range w.doubts.of(&w.conn).held {
			if h := &w.doubts.of(&w.conn).held[k]; h.Missing != int(h.Len)-len(h.Payload) {
				t.Errorf("segment %d: %d bytes of %d, %d missing", k, len(h.Payload), h.Len, h.Missing)
			}
		}
	}
	for _, c := range []struct {
		after float64
		held  bool
	}{{29.999, true}, {30, false}} {
		w := play(t, shook)
		beyond(w, 0, 10)
		w.conn.Settle(w.doubts, int64(c.after*second))
		d := w.doubts.of(&w.conn) // as one of a rival it stays
		if held := len(d.held) == 1 && d.held[0].conditional; held != c.held {
			t.Errorf("after %v s the bytes may count: %v", c.after, held)
		}
	}
}

// All connections together may hold so many segments, and what they held once takes no memory.
func TestSegmentsHeldTogetherAreBounded(t *testing.T) {
	if n := reflect.TypeOf(Held{}).Size(); n > HeldBytes || math.MaxInt > math.MaxInt32 && n != HeldBytes {
		t.Errorf("a held segment takes %d bytes, HeldBytes is %d", n, HeldBytes)
	}
	ds := &Doubts{HealAfter: second / 10, HoldFor: 30 * second, MaxHeld: 300}
	var conns [3]Conn
	for k := range conns {
		c := &conns[k]
		step := func(i Side, g Segment) {
			var o Outcome
			g.Window = 65535
			if c.Step(i, &g, &o, ds); o.Hold {
				ds.Hold(c, i, &g, &o, Held{}, []byte{1})
			}
			c.Settle(ds, g.Time)
		}
		step(Initiator, Segment{Flags: SYN})
		step(Responder, Segment{Flags: SYN | ACK, Ack: 1})
		step(Initiator, Segment{Flags: ACK, Seq: 1, Ack: 1})
		for j := range uint32(200) {
			step(Initiator, Segment{Flags: ACK, Seq: 1 + 65535 + j, Ack: 1, Len: 1})
		}
		checkPool(t, ds)
	}
	if held, notHeld, _ := ds.Counters(); held != 300 || notHeld != 300 {
		t.Errorf("%d segments were held, %d not", held, notHeld)
	}
	d := ds.of(&conns[0])
	d.dropHeld(ds, func(h *Held) bool { return h.Seq != 1+65535 })
	if len(d.held) != 1 || cap(d.held) > 8 || ds.entries != 101 {
		t.Errorf("%d segments of %d, in memory for %d", len(d.held), ds.entries, cap(d.held))
	}
	for k := range conns {
		ds.Release(&conns[k])
	}
	checkPool(t, ds)
}

// Of islands there are eight. One that is not noted is a hole for longer than it is.
func TestIslandsAreBounded(t *testing.T) {
	for _, c := range []struct {
		islands int
		next    int64
	}{{8, 17}, {9, 18}} {
		script := shook
		for k := range c.islands {
			script += fmt.Sprintf("> A %d 1 +1 ; Hole @%d\n", 3+2*k, 2+2*k)
		}
		w := play(t, script)
		left := isns[len(isns)-1]
		for k := range c.islands {
			w.see(true, &Segment{Seq: left + 2 + 2*uint32(k), Ack: left + 1, Len: 1, Flags: ACK, Window: 65535}, false)
		}
		w.see(true, &Segment{Seq: left + 1, Ack: left + 1, Len: 1, Flags: ACK, Window: 65535}, false)
		if n := w.doubts.of(&w.conn); n != nil && len(n.side[0].islands) > maxIslands {
			t.Fatalf("%d islands", len(n.side[0].islands))
		}
		if w.conn.half[0].next() != c.next {
			t.Errorf("%d islands: contiguous up to %d", c.islands, w.conn.half[0].next())
		}
	}
}

// What lies behind a FIN is forgotten with the hole before it.
func TestIslandsBehindAFINAreForgotten(t *testing.T) {
	w := play(t, shook+`
		> FA 6 1 ; Hole @5
		> A 8 1 +3 ; Hole @7
		< A 1 7
		< A 1 7 ; FinWait UnseenACK
		1s
		< A 1 7 ; UnseenACK`)
	if w.conn.InDoubt() || w.conn.half[0].lag != 0 {
		t.Errorf("%+v", w.doubts.of(&w.conn))
	}
}

// Side by side, islands become one.
func TestIslandsJoin(t *testing.T) {
	for _, c := range []struct {
		add  []span
		want string
	}{
		{[]span{{10, 20}, {30, 40}}, "[{10 20} {30 40}]"},
		{[]span{{30, 40}, {10, 20}}, "[{10 20} {30 40}]"},
		{[]span{{10, 20}, {20, 30}}, "[{10 30}]"},
		{[]span{{20, 30}, {10, 20}}, "[{10 30}]"},
		{[]span{{10, 20}, {21, 30}}, "[{10 20} {21 30}]"},
		{[]span{{10, 20}, {30, 40}, {50, 60}, {15, 55}}, "[{10 60}]"},
		{[]span{{10, 20}, {30, 40}, {50, 60}, {20, 30}}, "[{10 40} {50 60}]"},
		{[]span{{10, 40}, {20, 30}}, "[{10 40}]"},
	} {
		var d sideDoubt
		for _, x := range c.add {
			d.addIsland(x.from, x.to)
		}
		if got := fmt.Sprint(d.islands); got != c.want {
			t.Errorf("%v became %s", c.add, got)
		}
	}
}

// A pool that is full forgets hypotheses, and no more: many connections share one that has room for two.
// In the end it is empty.
func TestDoubtsAreSharedAndReturned(t *testing.T) {
	r := rand.New(rand.NewPCG(20, 21))
	rounds := 500
	if testing.Short() {
		rounds = 300
	}
	for n := range rounds {
		ds := &Doubts{HealAfter: second / 10, HoldFor: 30 * second}
		if n%2 == 0 {
			ds.MaxDoubts, ds.MaxBytes = 2, 3000
		}
		var all [5]*checked
		for k := range all {
			all[k] = newChecked()
			all[k].doubts = ds
		}
		now := int64(0)
		for range 150 {
			var b [8]byte
			for j := range b {
				b[j] = byte(r.Uint32())
			}
			b[1], b[2], b[4] = usual(b[1]), b[2]&^4, b[4]&^4
			b[3], b[5] = b[3]&15, b[5]&15
			l := op(b)
			g := l.shifted(7, 9)
			now += r.Int64N(second)
			g.Time = now
			all[r.IntN(len(all))].see(t, &l, &g)
		}
		for _, c := range all {
			for i := range Side(2) {
				for {
					if _, _, ok := ds.TakeConfirmed(&c.conn, i, true); !ok {
						break
					}
				}
			}
			ds.Release(&c.conn)
		}
		if checkPool(t, ds); len(ds.free) != len(ds.list) || ds.Bytes() != 0 {
			t.Fatalf("%d of %d doubts are left, with %d bytes", len(ds.list)-len(ds.free), len(ds.list), ds.Bytes())
		}
	}
}

// To an owner that reads a side in order, held bytes are of use until it is behind them: the ACK that
// confirms them moves the contiguous edge over them before they are read.
func TestHeldBytesStayUntilTheyAreDelivered(t *testing.T) {
	const beyond = `
		> S 0 ; SynSent
		< SA 0 1 w=10 ; SynReceived
		> A 1 1 w=10 ; est Established
		> A 1 1 +10 w=10 ; @0
		< A 1 1 +10 w=10 ; @0
		> A 11 1 +5 w=10 ; OutOfWindow held rival nowhere
	`
	const acked = beyond + `
		< A 11 16 w=10
		< A 11 16 w=10
	`
	for _, c := range []struct {
		name, script string
		inOrder      bool
		side         Side
		pos          int64 // delivered up to here
		held         int   // segments
	}{
		{"confirmed", acked, true, Initiator, 10, 1},
		{"one byte is missing", acked, true, Initiator, 14, 1},
		{"all are delivered", acked, true, Initiator, 15, 0},
		{"what the other side has delivered says nothing", acked, true, Responder, math.MaxInt64, 1},
		{"an owner that takes segments as they come has not taken them yet", acked, false, Initiator, 0, 1},
		{"they are not confirmed, whatever is delivered", beyond, true, Initiator, math.MaxInt64, 1},
		{"a copy takes their place, and is not delivered yet", beyond + `
			< A 11 11 w=10
			> A 11 11 +5 w=10 ; @10`, true, Initiator, 10, 1},
		{"... and is", beyond + `
			< A 11 11 w=10
			> A 11 11 +5 w=10 ; @10`, true, Initiator, 15, 0},
		{"those of a rival are not of the stream, although a hole is given up over them", shook + `
			> A 6 1 +5 ; Hole @5
			< A 1 11
			< A 1 11 ; UnseenACK
			> A 1 5000006 +5 ; ImplausibleACK held rival nowhere
			1s
			> A 1 5000006 +5 ; ImplausibleACK held rival nowhere`, true, Initiator, math.MaxInt64, 2},
		{"with a FIN: the FIN is not passed", `
			> S 0 ; SynSent
			< SA 0 1 w=10 ; SynReceived
			> A 1 1 ; est Established
			> A 1 1 +10 ; @0
			> FA 11 1 +5 ; OutOfWindow held rival nowhere
			< A 1 16
			< A 1 16`, true, Initiator, math.MaxInt64, 1},
		{"with a FIN that is", `
			> S 0 ; SynSent
			< SA 0 1 w=10 ; SynReceived
			> A 1 1 ; est Established
			> A 1 1 +10 ; @0
			> FA 11 1 +5 ; OutOfWindow held rival nowhere
			< A 1 17
			< A 1 17 ; FinWait`, true, Initiator, math.MaxInt64, 0},
		{"for longer than anything is held", acked + `
			31s
			< A 11 16`, true, Initiator, 10, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWatcher()
			w.doubts.InOrder = c.inOrder
			for _, l := range parse(t, c.script) {
				g := l.shifted(1<<32-12, 1<<32-1)
				s := w.see(l.right, &g, false)
				if got := s.words(&g); !sameWords(got, l.want) {
					t.Fatalf("%s\n got %v", l.text, got)
				}
			}
			w.doubts.Delivered(&w.conn, c.side, c.pos)
			if checkPool(t, w.doubts); w.conn.InDoubt() {
				if n := len(w.doubts.of(&w.conn).held); n != c.held {
					t.Errorf("%d segments are held", n)
				}
			} else if c.held != 0 {
				t.Error("nothing is held")
			}
		})
	}
}

// Of two held copies the later one stands, since the receiver's word came after both. A copy that comes
// after that word stands behind: the receiver spoke of the earlier one.
func TestTheCopyBeforeTheACKStands(t *testing.T) {
	const first = `
		> S 0
		< SA 0 1 w=10
		> A 1 1
		> A 1 1 +10
	`
	for _, c := range []struct{ name, script, want string }{
		{"two before it", "> A 11 1 +5 #first\n> A 11 1 +5 #again\n< A 1 16\n< A 1 16", "again"},
		{"one before it, one after", "> A 11 1 +5 #first\n< A 1 16\n> A 11 1 +5 #again\n< A 1 16", "first"},
		{"one before it, two after", "> A 11 1 +5 #first\n< A 1 16\n> A 11 1 +5 #again\n> A 11 1 +5 #third\n< A 1 16", "first"},
		{"a part of one after it", "> A 11 1 +5 #first\n< A 1 16\n> A 13 1 +2 #ag\n< A 1 16", "first"},
		{"longer than what is acknowledged", "> A 11 1 +5 #first\n< A 1 16\n> A 11 1 +6 #longer\n< A 1 16", "longe"},
		{"one before an ACK of more, one after", "> A 11 1 +5 #first\n< A 1 21\n> A 11 1 +5 #again\n< A 1 16\n< A 1 16", "first"},
		{"only one after it", "< A 1 16\n> A 11 1 +5 #again\n< A 1 16\n< A 1 16", "again"},
		{"one before it is not long enough", "> A 11 1 +2 #fi\n< A 1 13\n< A 1 16\n> A 11 1 +5 #again\n< A 1 16\n< A 1 16", "fiain"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWatcher()
			w.doubts.InOrder = true
			for _, row := range strings.Split(first+c.script, "\n") {
				said, text, _ := strings.Cut(row, " #")
				w.payload = []byte(text)
				for _, l := range parse(t, said) {
					g := l.shifted(1<<32-12, 1<<32-1)
					w.see(l.right, &g, false)
				}
			}
			var got []byte
			for pos := int64(10); ; {
				b, missing, _, ok := w.doubts.Confirmed(&w.conn, Initiator, pos, false)
				if !ok || missing != 0 {
					break
				}
				got = append(got, b...)
				pos += int64(len(b))
			}
			if string(got) != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// Where there is no room for a doubt, an honest conversation in order goes on.
func TestWithoutRoomForADoubtAConversationGoesOn(t *testing.T) {
	w := newWatcher()
	w.doubts.MaxDoubts = 1
	var other Conn
	w.doubts.need(&other) // takes the room
	for _, l := range parse(t, shook+`
		> A 1 1 +5 ; @0
		< A 1 6 +5 ; @0
		> S 4000 ; StraySYN
		< A 1 700 ; ImplausibleACK
		> R 99 ; ImplausibleRST
		> FA 99 6 ; @98
		> A 11 6 +5 ; Hole @10
		> A 6 6 +5 ; OutOfOrder @5
		< A 6 16
		> FA 16 6 ; FinWait @15
		< FA 6 17 ; ClosingTCP @5
		> A 17 7 ; Closed end`) {
		g := l.shifted(0, 0)
		s := w.see(l.right, &g, false)
		if got, want := strings.Join(s.words(&g), " "), strings.Join(l.want, " "); got != want {
			t.Errorf("%s\n got %s", l.text, got)
		}
	}
	if w.conn.InDoubt() {
		t.Error("there is a doubt")
	}
}

// However full a doubt is, a segment costs no more than a look at all that it holds.
func TestAFullDoubtCostsLittle(t *testing.T) {
	w := play(t, shook)
	left := isns[len(isns)-1]
	say := func(pos, ack, n uint32, flags uint8) {
		w.see(true, &Segment{Seq: left + 1 + pos, Ack: left + 1 + ack, Len: n, Flags: flags, Window: 65535}, false)
	}
	for k := range uint32(maxIslands) {
		say(100+10*k, 0, 5, ACK)
	}
	for k := range uint32(maxEarlyFINs) {
		say(500+k, 0, 0, ACK|FIN)
	}
	for k := range uint32(maxHeld) {
		say(65535+k, 0, 1, ACK)
	}
	const n = 20_000
	start := time.Now()
	for range n {
		say(65535+maxHeld, 65, 1, ACK)
	}
	if d := time.Since(start) / n; d > time.Millisecond {
		t.Errorf("a segment takes %v", d) // it is some microseconds, four times over for the comparison of paths
	}
}
