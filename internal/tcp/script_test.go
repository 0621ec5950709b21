package tcp

import (
	"fmt"
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
//
// The direction, the flags (S A F R P U, - for none), the sequence number, the
// ACK number if there is one, +payload, w=window (65535 if absent), ws=scale,
// and "stale" if the flow is. Numbers count from the sender's, or receiver's,
// initial number, so that one script runs at every initial number.
//
// Behind the semicolon stands all that is remarkable: the new state if it
// changed, the notes, "est", "end", "@n" for payload placed at position n,
// "nowhere" for payload or a FIN placed nowhere, "reused" and "reopened" if a
// new connection begins, and "turned" if '>' is the responder of the one at hand.
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
	for _, row := range strings.Split(text, "\n") {
		row = strings.TrimSpace(row)
		if row == "" {
			continue
		}
		said, want, _ := strings.Cut(row, ";")
		words := strings.Fields(said)
		l := line{text: row, right: words[0] == ">", want: strings.Fields(want), g: Segment{Window: 65535}}
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

func (l *line) word(w string, numbers *[]*uint32) error {
	number := func(s string) uint32 {
		n, _ := strconv.ParseInt(s, 0, 64)
		return uint32(n)
	}
	switch {
	case w == "stale":
		l.stale = true
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

// watcher is what somebody does who keeps one connection for each pair of
// addresses.
type watcher struct {
	conn    Conn
	begun   bool
	leftish bool // the initiator is at the left
}

// seen is what a watcher saw of one segment.
type sight struct {
	Outcome
	fresh  string // "reused", "reopened" or nothing
	turned bool
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
		if w.conn.Reopens(i, g) {
			s.fresh = "reopened"
		}
	case w.conn.Reuses(i, g, stale):
		s.fresh = "reused"
	}
	if s.fresh != "" {
		opener := w.conn.ReplaceWith(i, g)
		w.leftish = right == (opener == i)
	}
	s.turned = !w.leftish
	s.Outcome = w.conn.stepBoth(w.side(right), g)
	return s
}

var stateNames = []string{
	"Active", "SynSent", "SynReceived", "Established", "FinWait", "ClosingTCP", "Closed", "Reset", "Aborted",
}

var noteNames = []string{
	"Retransmission", "OutOfOrder", "KeepAlive", "Hole", "OutOfWindow", "ZeroWindow", "StraySYN", "RepeatedSYN",
	"BadSYNACK", "SYNDataIgnored", "ImplausibleRST", "FINConflict", "DataAfterFIN", "ImplausibleACK",
	"DataBeforeHandshake", "NoACK", "UnseenACK", "WindowProbe", "Reanchored",
}

func (n Note) names() (names []string) {
	for k, name := range noteNames {
		if n&(1<<k) != 0 {
			names = append(names, name)
		}
	}
	return names
}

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
	if g.Len > 0 || g.Flags&FIN != 0 {
		where := "nowhere"
		if s.Placed {
			where = "@" + strconv.FormatInt(s.Pos, 10)
		}
		words = append(words, where)
	}
	return words
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
			w := &watcher{}
			for n, l := range script {
				g := l.shifted(left, right)
				s := w.see(l.right, &g, l.stale)
				got := s.words(&g)
				want := slices.Clone(l.want)
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Fatalf("initial numbers %d and %d, line %d: %s\n got %v", left, right, n+1, l.text, got)
				}
			}
			last = w
		}
	}
	return last
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
func (c *Conn) stepBoth(i Side, g *Segment) (o Outcome) {
	slow, follow := *c, *c
	slow.DisableFastPath()
	for name, fast := range map[string]func(*Conn) bool{
		"stepSYN":     func(c *Conn) bool { return c.stepSYN(i, g) },
		"stepSYNACK":  func(c *Conn) bool { return c.stepSYNACK(i, g) },
		"stepInOrder": func(c *Conn) bool { return c.stepInOrder(i, g, new(Outcome)) },
		"Follow": func(c *Conn) bool {
			_, ok := c.Follow(i, g.Seq, g.Ack, g.Len, g.Window, g.Flags)
			return ok
		},
	} {
		if off := slow; fast(&off) {
			panic(fmt.Sprintf("%s is not off for %+v of side %d: %+v", name, *g, i, slow))
		}
	}
	var want Outcome
	slow.Step(i, g, &want)
	for k := range slow.half {
		if !slow.half[k].has(slowPath) {
			panic("the fast path is on again")
		}
		slow.half[k].bits &^= slowPath
	}
	if c.Step(i, g, &o); *c != slow || o != want {
		panic(fmt.Sprintf("a fast path differs on %+v of side %d:\n%+v, %+v\n%+v, %+v by the slow path", *g, i, o, *c, want, slow))
	}
	pos, ok := follow.Follow(i, g.Seq, g.Ack, g.Len, g.Window, g.Flags)
	if f := (Outcome{Pos: pos, From: follow.state, To: follow.state, Placed: true}); ok && (follow != slow || f != want) {
		panic(fmt.Sprintf("Follow differs on %+v of side %d:\n%+v, %+v\n%+v, %+v by the slow path", *g, i, f, follow, want, slow))
	}
	return o
}

// step is Step with the outcome as its result.
func (c *Conn) step(i Side, g *Segment) (o Outcome) {
	c.Step(i, g, &o)
	return o
}
