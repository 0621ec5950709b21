package tcp

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A script is a conversation, a segment a line:
//
//	> S 0                  ; SynSent
//	< SA 0 1 ws=7          ; SynReceived
//	> A 1 1 +10 w=0 stale  ; est Established ZeroWindow @0
//	1.5s
//
// The direction, the flags (S A F R P U, - for none), the sequence number, the
// ACK number if there is one, +payload, w=window (65535 if absent), ws=scale, ts=timestamp, te=its echo,
// sack, md5, ao and bad for other options, and "stale" if the flow is. Numbers count from the sender's, or
// receiver's, initial number, so that one script runs at every initial number. A line may also be a time
// since the beginning.
//
// Behind the semicolon stands all that is remarkable: the new state if it
// changed, the notes, "est", "end", "@n" for payload placed at position n, "@n-m" if it ends at m
// before it is over, "nowhere" for payload or a FIN placed nowhere, "held" if the segment is, "rival" if it
// is one of a rival, "leaps", "replays" and "replaces" if the rival is believed, followed by what its
// segments say then, "reused" and "reopened" if a new connection begins, and "turned" if '>' is the
// responder of the one at hand.
type line struct {
	text  string
	right bool // from left to right
	g     Segment
	stale bool
	want  []string
}

var flagLetters = map[rune]uint8{'S': SYN, 'A': ACK, 'F': FIN, 'R': RST, 'P': PSH, 'U': URG, '-': 0}

func parse(t testing.TB, text string) []line {
	t.Helper()
	var script []line
	var now int64
	for _, row := range strings.Split(text, "\n") {
		row = strings.TrimSpace(row)
		if row == "" {
			continue
		}
		said, want, _ := strings.Cut(row, ";")
		words := strings.Fields(said)
		if s, err := strconv.ParseFloat(strings.TrimSuffix(words[0], "s"), 64); err == nil {
			now = int64(s * second)
			continue
		}
		l := line{text: row, right: words[0] == ">", want: strings.Fields(want), g: Segment{Window: 65535, Time: now}}
		for _, r := range words[1] {
			bit, ok := flagLetters[r]
			if !ok {
				t.Fatalf("%q: no flag %c", row, r)
			}
			l.g.Flags |= bit
		}
		numbers := []*uint32{&l.g.Seq, &l.g.Ack}
		for _, w := range words[2:] {
			if err := l.word(w, &numbers); err != nil {
				t.Fatalf("%q: %v", row, err)
			}
		}
		script = append(script, l)
	}
	return script
}

var optionNames = map[string]uint8{"sack": OptSACKPermitted, "md5": OptMD5, "ao": OptAO, "bad": OptBadLength}

func (l *line) word(w string, numbers *[]*uint32) error {
	number := func(s string) uint32 {
		n, _ := strconv.ParseInt(s, 0, 64)
		return uint32(n)
	}
	switch {
	case w == "stale":
		l.stale = true
	case optionNames[w] != 0:
		l.g.Options |= optionNames[w]
	case strings.HasPrefix(w, "ts="):
		l.g.Timestamp, l.g.Options = number(w[3:]), l.g.Options|OptTimestamps
	case strings.HasPrefix(w, "te="):
		l.g.TimestampEcho, l.g.Options = number(w[3:]), l.g.Options|OptTimestamps
	case strings.HasPrefix(w, "ws="):
		l.g.WindowScale, l.g.HasWindowScale = uint8(number(w[3:])), true
	case strings.HasPrefix(w, "w="):
		l.g.Window = uint16(number(w[2:]))
	case strings.HasPrefix(w, "+"):
		l.g.Len = number(w[1:])
	case len(*numbers) > 0:
		*(*numbers)[0] = number(w)
		*numbers = (*numbers)[1:]
	default:
		return fmt.Errorf("one number too many: %s", w)
	}
	return nil
}

// shifted gives the segment as it is on the wire.
func (l *line) shifted(left, right uint32) Segment {
	g := l.g
	if !l.right {
		left, right = right, left
	}
	g.Seq += left
	if g.Flags&ACK != 0 {
		g.Ack += right
	}
	return g
}

const second = 1_000_000_000

// watcher is what somebody does who keeps one connection for each pair of
// addresses.
type watcher struct {
	conn    Conn
	doubts  *Doubts
	begun   bool
	leftish bool   // the initiator is at the left
	payload []byte // of a segment that is held; nil: zeros
}

func newWatcher() *watcher {
	return &watcher{doubts: &Doubts{HealAfter: second / 10, HoldFor: 30 * second}}
}

// sight is what a watcher saw of one segment.
type sight struct {
	Outcome
	fresh  string // "reused", "reopened" or nothing
	turned bool
	then   []string // what held segments say once they are taken
}

func (w *watcher) side(right bool) Side {
	if right == w.leftish {
		return Initiator
	}
	return Responder
}

func (w *watcher) see(right bool, g *Segment, stale bool) (s sight) {
	if !w.begun {
		w.begun = true
		w.leftish = right == (Opener(g.Flags) == Initiator)
	}
	i := w.side(right)
	switch {
	case w.conn.State() >= Closed:
		if w.conn.Reopens(i, g, w.doubts) {
			s.fresh = "reopened"
		}
	case g.Flags&SYN != 0 && (w.conn.Reuses(i, g) || stale && g.Flags&RST == 0 && !w.conn.Fits(i, g)):
		s.fresh = "reused"
	}
	if s.fresh != "" {
		before := w.conn
		opener := w.conn.ReplaceWith(i, g, w.doubts)
		w.doubts.Release(&before)
		w.leftish = right == (opener == i)
	}
	s.turned = !w.leftish
	i = w.side(right)
	if w.conn.State() >= Closed {
		w.conn.StepEnded(i, g, &s.Outcome, w.doubts)
	} else {
		s.Outcome = w.conn.stepBoth(i, g, w.doubts)
	}
	w.settle(i, g, &s)
	return s
}

// settle does what an owner does after a step.
func (w *watcher) settle(i Side, g *Segment, s *sight) {
	c, ds := &w.conn, w.doubts
	if s.Hold || s.Rival != NoRival && s.Rival != RivalReplays {
		w.hold(i, g, &s.Outcome)
	}
	switch s.Rival {
	case RivalLeaps:
		held, _ := ds.Leap(c, false)
		w.replay(held, s)
	case RivalReplays:
		w.replay(ds.TakeRival(c), s)
	case RivalReplaces:
		held := ds.TakeRival(c)
		ds.Release(c)
		swap := Side(boolInt(held[0].Side != Opener(held[0].Flags)))
		next := Conn{}
		if c.half[0].has(slowPath) {
			next.DisableFastPath()
		}
		*c = next
		w.leftish = w.leftish == (swap == 0)
		for k := range held {
			held[k].Side ^= swap
		}
		w.replay(held, s)
	}
	w.finish(g)
}

func (w *watcher) hold(i Side, g *Segment, o *Outcome) {
	payload := w.payload
	if payload == nil {
		payload = payloadOf(g)
	}
	w.doubts.Hold(&w.conn, i, g, o, Held{}, payload)
}

// payloadOf is the payload of a segment, as far as it was captured.
func payloadOf(g *Segment) []byte { return bytesSent[:min(g.Len, uint32(len(bytesSent)))] }

var bytesSent [2000]byte

// finish is what comes after a segment was taken.
func (w *watcher) finish(g *Segment) {
	if w.conn.State() >= Closed {
		if !w.doubts.HasRival(&w.conn) {
			w.doubts.Release(&w.conn)
		}
		return
	}
	if w.conn.InDoubt() {
		w.conn.Settle(w.doubts, g.Time)
	}
}

// replay gives held segments to the connection.
func (w *watcher) replay(held []Held, s *sight) {
	for k := range held {
		h := &held[k]
		var again sight
		if w.conn.State() >= Closed {
			return
		}
		again.Outcome = w.conn.stepBoth(h.Side, &h.Segment, w.doubts)
		if o := again.Outcome; o.Hold || o.Rival != NoRival && o.Rival != RivalReplays {
			o.Rival = min(o.Rival, RivalHeld)
			w.hold(h.Side, &h.Segment, &o)
			again.Outcome = o
		}
		s.then = append(s.then, again.words(&h.Segment)...)
		w.finish(&h.Segment)
	}
}

var stateNames = []string{
	"Active", "SynSent", "SynReceived", "Established", "FinWait", "ClosingTCP", "Closed", "Reset", "Aborted",
}

var noteNames = []string{
	"Retransmission", "OutOfOrder", "KeepAlive", "Hole", "OutOfWindow", "ZeroWindow", "StraySYN", "RepeatedSYN",
	"BadSYNACK", "SYNDataIgnored", "ImplausibleRST", "FINConflict", "DataAfterFIN", "ImplausibleACK",
	"DataBeforeHandshake", "NoACK", "UnseenACK", "WindowProbe", "Untimely", "ResetPending", "ResetRevoked", "Reanchored",
}

func (n Note) names() (names []string) {
	for k, name := range noteNames {
		if n&(1<<k) != 0 {
			names = append(names, name)
		}
	}
	return names
}

var rivalNames = []string{"", "rival", "leaps", "replays", "replaces"}

// words is the sight in the language of the script.
func (s *sight) words(g *Segment) (words []string) {
	if s.fresh != "" {
		words = append(words, s.fresh)
	}
	if s.turned {
		words = append(words, "turned")
	}
	if s.Established {
		words = append(words, "est")
	}
	if s.To != s.From {
		words = append(words, stateNames[s.To])
	}
	if s.Ended() {
		words = append(words, "end")
	}
	words = append(words, s.Notes.names()...)
	if s.Hold {
		words = append(words, "held")
	}
	if s.Rival != NoRival {
		words = append(words, rivalNames[s.Rival])
	}
	if g.Len > 0 || g.Flags&FIN != 0 {
		where := "nowhere"
		if s.Placed {
			where = "@" + strconv.FormatInt(s.Pos, 10)
			if s.End != s.Pos+int64(g.Len) {
				where += "-" + strconv.FormatInt(s.End, 10)
			}
		}
		words = append(words, where)
	}
	return append(words, s.then...)
}

// isns are the corners of the sequence space.
var isns = []uint32{0, 1, 1<<31 - 3, 1 << 31, 1<<32 - 1, 1<<32 - 2, 1<<32 - 3, 1<<32 - 11}

// play runs the script at every pair of initial numbers and demands at each
// what the script says. It returns one of the connections.
func play(t *testing.T, text string) *watcher {
	t.Helper()
	script := parse(t, text)
	var last *watcher
	for _, left := range isns {
		for _, right := range isns {
			w := newWatcher()
			for n, l := range script {
				g := l.shifted(left, right)
				s := w.see(l.right, &g, l.stale)
				if got := s.words(&g); !sameWords(got, l.want) {
					t.Fatalf("initial numbers %d and %d, line %d: %s\n got %v", left, right, n+1, l.text, got)
				}
			}
			last = w
		}
	}
	return last
}

// sameWords reports whether both lists have the same words, in any order.
func sameWords(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

type scene struct{ name, script string }

func playAll(t *testing.T, scenes []scene) {
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) { play(t, s.script) })
	}
}

// shook is the handshake most scripts begin with.
const shook = `
	> S 0   ; SynSent
	< SA 0 1; SynReceived
	> A 1 1 ; est Established
`

// stepBoth steps the connection with and without fast paths, and compares. With them off, none may handle a segment.
func (c *Conn) stepBoth(i Side, g *Segment, ds *Doubts) (o Outcome) {
	c0 := *c
	slow, follow, followHole, turned, slowDoubts, holeDoubts := *c, *c, *c, *c, ds.clone(), ds.clone()
	slow.DisableFastPath()
	for name, fast := range map[string]func(*Conn) bool{
		"stepSYN":     func(c *Conn) bool { return c.stepSYN(i, g) },
		"stepSYNACK":  func(c *Conn) bool { return c.stepSYNACK(i, g) },
		"stepInOrder": func(c *Conn) bool { return c.stepInOrder(i, g, new(Outcome), slowDoubts) },
		"Follow":      func(c *Conn) bool { _, ok := c.follow(i, g); return ok },
		"FollowHole":  func(c *Conn) bool { _, ok := c.followHole(i, g, slowDoubts); return ok },
		"Turn":        func(c *Conn) bool { return c.turn(i, g) },
	} {
		if off := slow; fast(&off) {
			panic(fmt.Sprintf("%s is not off for %+v of side %d: %+v", name, *g, i, slow))
		}
	}
	var want Outcome
	slow.Step(i, g, &want, slowDoubts)
	for k := range slow.half {
		if !slow.half[k].has(slowPath) {
			panic("the fast path is on again")
		}
		slow.half[k].bits &^= slowPath
	}
	if c.Step(i, g, &o, ds); *c != slow || o != want || !ds.equal(slowDoubts) {
		panic(fmt.Sprintf("a fast path differs on %+v of side %d:\n%+v, %+v, %+v\n%+v, %+v, %+v by the slow path",
			*g, i, o, *c, ds.of(c), want, slow, slowDoubts.of(&slow)))
	}
	pos, ok := follow.follow(i, g)
	if f := (Outcome{Pos: pos, End: pos + int64(g.Len), From: follow.state, To: follow.state, Placed: true}); ok && (follow != slow || f != want) {
		panic(fmt.Sprintf("Follow differs on %+v of side %d:\n%+v, %+v\n%+v, %+v by the slow path", *g, i, f, follow, want, slow))
	}
	pos, ok = followHole.followHole(i, g, holeDoubts)
	if f := (Outcome{Pos: pos, End: pos + int64(g.Len), From: followHole.state, To: followHole.state, Placed: true}); ok && (followHole != slow || f != want || !holeDoubts.equal(slowDoubts)) {
		panic(fmt.Sprintf("FollowHole differs on %+v of side %d:\n%+v, %+v, %+v\n%+v, %+v, %+v by the slow path",
			*g, i, f, followHole, holeDoubts.of(&followHole), want, slow, slowDoubts.of(&slow)))
	}
	turns := turned.turn(i, g)
	// What the owner concludes of a turn: see turn in the root package.
	end := turned.Reached(i)
	if g.Flags&(SYN|FIN) == FIN {
		end--
	}
	f := Outcome{
		Pos: end, End: end, From: c0.state, To: turned.state, Placed: true,
		Established: c0.state == SynReceived && turned.state != SynReceived,
	}
	if turns && (turned != slow || f != want) {
		panic(fmt.Sprintf("Turn differs on %+v of side %d:\n%+v, %+v\n%+v, %+v by the slow path", *g, i, f, turned, want, slow))
	}
	return o
}

// turn is Turn or TurnSYN with a segment.
func (c *Conn) turn(i Side, g *Segment) bool {
	switch {
	case g.Flags&SYN != 0:
		return c.TurnSYN(i, g)
	case g.Len != 0 || !c.Turning() && g.Flags&FIN == 0:
		return false // see its doc comment
	}
	return c.Turn(i, g.Seq, g.Ack, g.Window, g.Flags, g.Options, g.Timestamp)
}

// followHole is FollowHole with a segment.
func (c *Conn) followHole(i Side, g *Segment, ds *Doubts) (pos int64, ok bool) {
	if !c.follows(g) {
		return 0, false
	}
	return c.FollowHole(i, g.Seq, g.Ack, g.Len, g.Window, g.Flags, g.Options, g.Timestamp, ds)
}

// follow is Follow with a segment.
func (c *Conn) follow(i Side, g *Segment) (pos int64, ok bool) {
	if !c.follows(g) {
		return 0, false
	}
	return c.Follow(i, g.Seq, g.Ack, g.Len, g.Window, g.Flags, g.Options, g.Timestamp)
}

// follows reports whether a segment may be given to Follow and FollowHole.
func (c *Conn) follows(g *Segment) bool { return g.Flags&(SYN|FIN|RST|ACK) == ACK && !c.Turning() }

// clone is a copy that shares nothing.
func (ds *Doubts) clone() *Doubts {
	n := &Doubts{HealAfter: ds.HealAfter, HoldFor: ds.HoldFor, MaxBytes: ds.MaxBytes, MaxHeld: ds.MaxHeld, MaxDoubts: ds.MaxDoubts, bytes: ds.bytes, entries: ds.entries}
	n.free = append(n.free, ds.free...)
	for _, d := range ds.list {
		if d != nil {
			x := *d
			x.held, x.candidates = slices.Clone(d.held), slices.Clone(d.candidates)
			for i := range x.side {
				x.side[i].islands, x.side[i].fins = slices.Clone(x.side[i].islands), slices.Clone(x.side[i].fins)
			}
			if x.rival = &n.noRival; d.rival != &ds.noRival {
				r := *d.rival
				x.rival = &r
			}
			d = &x
		}
		n.list = append(n.list, d)
	}
	return n
}

// equal reports whether the same things are in doubt.
func (ds *Doubts) equal(other *Doubts) bool {
	return ds.bytes == other.bytes && slices.Equal(ds.free, other.free) && slices.EqualFunc(ds.list, other.list, func(a, b *doubt) bool {
		if a == nil || b == nil {
			return a == b
		}
		return a.side[0].equal(&b.side[0]) && a.side[1].equal(&b.side[1]) && a.reset == b.reset && *a.rival == *b.rival && a.bytes == b.bytes &&
			slices.Equal(a.candidates, b.candidates) && slices.EqualFunc(a.held, b.held, func(x, y Held) bool {
			return x.Segment == y.Segment && x.Side == y.Side && x.rival == y.rival && x.conditional == y.conditional && len(x.Payload) == len(y.Payload)
		})
	})
}

func (d *sideDoubt) equal(other *sideDoubt) bool {
	a, b := *d, *other
	a.islands, a.fins, b.islands, b.fins = nil, nil, nil, nil
	return reflect.DeepEqual(a, b) && slices.Equal(d.islands, other.islands) && slices.Equal(d.fins, other.fins)
}

// step is Step with the outcome as its result, for a connection about which nothing is settled.
func (c *Conn) step(i Side, g *Segment, ds *Doubts) (o Outcome) {
	c.Step(i, g, &o, ds)
	if c.InDoubt() {
		c.Settle(ds, g.Time)
	}
	return o
}
