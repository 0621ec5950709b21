package direction

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/flowscope-go/flowscope/internal/stream"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// A script is a conversation, a step a line, and behind the semicolon what is said then:
//
//	> S 0
//	< SA 0 1
//	> A 1 1 +abc      ; >abc@0
//	> A 6 1 +fg       ; >early@5
//	10s               ; >gap@3+2:acknowledged >fg@5
//	> FA 8 1          ; >closed@7
//	end               ; <closed@0
//
// A step is a segment (who sends it, its flags, sequence and ACK number, +payload, w=window, urg=pointer,
// cut=bytes that the capture does not hold), a time from the beginning, "stop >" or "stop <", or "end". Numbers
// count from the SYN.
type connection struct {
	tcp.Conn
	Pair
	*Streams
	arena  *stream.Arena
	doubts *tcp.Doubts
	now    int64
	timer  int64
	seen   [2]bool
	said   []string
	fast   int // how many segments took a fast path

	behindHeld int // how many of these did so while others were held
}

const second = 1_000_000_000

var timeouts = Timeouts{Acked: second / 100, TwoSided: 30 * second, OneSided: 4 * second}

func newConnection(l stream.Limits, c Config) *connection {
	a := stream.NewArena(l)
	c.Timeouts = timeouts
	c.Doubts = &tcp.Doubts{HealAfter: timeouts.Acked, HoldFor: timeouts.TwoSided}
	return &connection{arena: a, doubts: c.Doubts, Streams: New(a, c), now: second}
}

// segment is what the owner of a direction does with a segment.
func (c *connection) segment(side tcp.Side, g *tcp.Segment, payload []byte, urgent uint16, id uint64) {
	var o tcp.Outcome
	c.seen[side] = true
	g.Time = c.now
	ended := c.State() >= tcp.Closed
	c.Step(side, g, &o, c.doubts)
	if o.Hold || o.Rival != tcp.NoRival && o.Rival != tcp.RivalReplays {
		c.doubts.Hold(&c.Conn, side, g, &o, tcp.Held{ID: id}, payload)
	}
	switch o.Rival {
	case tcp.RivalLeaps:
		c.leap()
		return
	case tcp.RivalReplays:
		defer c.again(c.doubts.TakeRival(&c.Conn))
	case tcp.RivalReplaces:
		c.said = append(c.said, "replaced") // by what is the business of others
		c.doubts.Release(&c.Conn)
		return
	}
	c.take(side, g, &o, payload, urgent, id)
	if c.InDoubt() && !ended {
		c.Conn.Settle(c.doubts, c.now)
	}
}

// leap moves the connection to the numbers of its rival.
func (c *connection) leap() {
	held, fresh := c.doubts.Leap(&c.Conn, false)
	if fresh {
		c.Restart(&c.Pair)
		c.said = append(c.said, "anew")
	}
	c.again(held)
}

// again gives held segments to the connection.
func (c *connection) again(held []tcp.Held) {
	for i := range held {
		h := &held[i]
		var o tcp.Outcome
		g, now := h.Segment, c.now
		c.now = h.Time
		c.Step(h.Side, &g, &o, c.doubts)
		if o.Hold || o.Rival != tcp.NoRival {
			o.Rival = min(o.Rival, tcp.RivalHeld)
			c.doubts.Hold(&c.Conn, h.Side, &g, &o, tcp.Held{ID: h.ID}, h.Payload)
		}
		c.take(h.Side, &g, &o, h.Payload, 0, h.ID)
		if c.InDoubt() {
			c.Conn.Settle(c.doubts, c.now)
		}
		c.now = now
	}
}

// take gives the directions what the connection has made of a segment.
func (c *connection) take(side tcp.Side, g *tcp.Segment, o *tcp.Outcome, payload []byte, urgent uint16, id uint64) {
	if g.Flags&tcp.RST != 0 {
		return
	}
	c.CheckFastPath(side)
	missing := int(g.Len) - len(payload)
	if missing == 0 && IsPlain(g, o) && !c.InDoubt() && c.Pair[side].Advance(o.Pos, len(payload)) {
		c.fast++
		if len(payload) > 0 {
			c.say([]Item{{Kind: Data, Side: side, Pos: o.Pos, Len: int64(len(payload)), Bytes: payload}})
		}
		return
	}
	k := Packet{
		Conn: &c.Conn, Side: side, Segment: g, Outcome: o, Payload: payload, Missing: missing,
		Time: c.now, Now: c.now, ID: id, Urgent: urgent, OneSided: !c.seen[side^1],
	}
	holds := c.doubts.Holds(&c.Conn)
	if early, ok := c.Shortcut(&c.Pair, &k, c.timer); ok {
		c.fast++
		if holds {
			c.behindHeld++
		}
		if early {
			c.say([]Item{{Kind: OutOfOrder, Side: side, Pos: o.Pos}})
		}
		return
	}
	if c.timer != 0 && c.now >= c.timer {
		c.expire()
	}
	c.say(c.Segment(&c.Pair, &k))
	c.expire()
	c.close(side)
}

func (c *connection) expire() {
	items, next := c.Streams.Expire(&c.Pair, &c.Conn, c.now, !c.seen[0] || !c.seen[1], math.MaxInt)
	c.say(items)
	if c.timer = 0; next != math.MaxInt64 {
		c.timer = next
	}
}

func (c *connection) close(first tcp.Side) {
	c.say(c.Close(&c.Pair, &c.Conn, first))
	c.Streams.Settle(&c.Pair)
}

func (c *connection) end() {
	if c.Guessing() && c.doubts.HasRival(&c.Conn) || c.doubts.GoesOnBehindSYN(&c.Conn) {
		c.leap() // nothing has contradicted it
	}
	defer c.doubts.Release(&c.Conn)
	for side := range c.Pair {
		c.say(c.Rest(&c.Pair, &c.Conn, tcp.Side(side)))
		items, _ := c.End(&c.Pair, &c.Conn, tcp.Side(side), true, math.MaxInt)
		c.say(items)
	}
}

var kindNames = [...]string{
	Gap: "gap", Conflict: "conflict", Late: "late", OutOfOrder: "early", NoRoom: "noroom", Urgent: "urgent",
	Segment: "seg", Acked: "acked", Closed: "closed",
}

func (c *connection) say(items []Item) {
	for _, it := range items {
		if it.Kind == Closed {
			c.Pair[it.Side].ConfirmClosed()
		}
		what := string(it.Bytes)
		if it.Kind != Data {
			what = kindNames[it.Kind] + what
		}
		text := fmt.Sprintf("%c%s@%d", "><"[it.Side], what, it.Pos)
		switch it.Kind {
		case Gap:
			text += fmt.Sprintf("+%d:%v", it.Len, it.Cause)
		case Conflict, Late, NoRoom:
			text += fmt.Sprintf("+%d", it.Len)
		case Segment:
			text += fmt.Sprintf(":%#x", it.Flags)
			if it.First {
				text += ":first"
			}
			if it.Missing > 0 {
				text += fmt.Sprintf("+%d", it.Missing)
			}
		}
		c.said = append(c.said, text)
	}
	if len(items) > 0 {
		c.Clear()
	}
}

var flagLetters = map[rune]uint8{'S': tcp.SYN, 'A': tcp.ACK, 'F': tcp.FIN, 'R': tcp.RST, 'P': tcp.PSH, 'U': tcp.URG}

// step takes one step of a script.
func (c *connection) step(t *testing.T, words []string, id uint64) {
	t.Helper()
	side := tcp.Side(strings.Index("><", words[len(words)-1]))
	switch {
	case words[0] == "end":
		c.end()
		return
	case words[0] == "stop":
		c.Stop(&c.Pair, side)
		return
	case words[0] != ">" && words[0] != "<":
		s, err := strconv.ParseFloat(strings.TrimSuffix(words[0], "s"), 64)
		if err != nil {
			t.Fatalf("%q: no such step", words)
		}
		c.now = second + int64(s*second)
		c.expire()
		c.close(0)
		return
	}
	side = tcp.Side(strings.Index("><", words[0]))
	g := tcp.Segment{Window: 65535}
	for _, r := range words[1] {
		g.Flags |= flagLetters[r]
	}
	var payload []byte
	var urgent uint16
	numbers := []*uint32{&g.Seq, &g.Ack}
	for _, w := range words[2:] {
		name, value, _ := strings.Cut(w, "=")
		n, _ := strconv.Atoi(value)
		switch {
		case name == "w":
			g.Window = uint16(n)
		case name == "urg":
			urgent = uint16(n)
		case name == "cut":
			g.Len += uint32(n)
		case w[0] == '+':
			payload = []byte(w[1:])
			g.Len += uint32(len(payload))
		default:
			n, err := strconv.ParseUint(w, 10, 32)
			if err != nil || len(numbers) == 0 {
				t.Fatalf("%q: what is %q", words, w)
			}
			*numbers[0], numbers = uint32(n), numbers[1:]
		}
	}
	c.segment(side, &g, payload, urgent, id)
}

// play plays a script and compares what is said at each step.
func play(t *testing.T, c *connection, script string) {
	t.Helper()
	for i, row := range strings.Split(strings.TrimSpace(script), "\n") {
		does, want, _ := strings.Cut(row, ";")
		words := strings.Fields(does)
		if len(words) == 0 {
			continue
		}
		c.said = nil
		c.arena.Reclaim()
		c.step(t, words, uint64(i))
		if got := strings.Join(c.said, " "); got != strings.Join(strings.Fields(want), " ") {
			t.Errorf("%s\nsaid %s", strings.TrimSpace(row), got)
		}
	}
}

// script is a named script.
type script struct{ name, text string }

// run plays scripts on connections of one kind, with the fast paths on and off.
func run(t *testing.T, l stream.Limits, c Config, scripts []script) {
	for _, s := range scripts {
		for _, fast := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/fast=%v", s.name, fast), func(t *testing.T) {
				c.FastPaths = fast
				l.SlowPath = !fast
				with := newConnection(l, c)
				play(t, with, s.text)
				if held := with.arena.HeldBytes(); held != 0 && strings.HasSuffix(strings.TrimSpace(s.text), "closed@0") {
					t.Errorf("%d bytes are held at the end", held)
				}
			})
		}
	}
}

func TestADirectionIsOneLine(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) < 8 {
		t.Skip("the lines are those of 64 bits")
	}
	var d Direction
	if n := unsafe.Sizeof(d); n != 64 {
		t.Errorf("a direction takes %d bytes", n)
	}
	if n := unsafe.Offsetof(d.bits); n != 0 {
		t.Errorf("bits stand at %d", n)
	}
	if n := unsafe.Offsetof(d.Holey); n != 8 {
		t.Errorf("the stream, which begins with the next position, stands at %d", n)
	}
}
