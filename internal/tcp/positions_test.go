package tcp

import (
	"math"
	"testing"
)

func TestPositionsAKeeperOfBytesAsksFor(t *testing.T) {
	type answer struct {
		acked  int64
		ok     bool
		extent int64
	}
	for name, c := range map[string]struct {
		script string
		want   answer
	}{
		"nothing seen":                {"", answer{}},
		"only a SYN":                  {"> S 0 ; SynSent", answer{}},
		"sent, not acknowledged":      {shook + "> A 1 1 +9 ; @0", answer{0, true, 9}},
		"acknowledged in part":        {shook + "> A 1 1 +9 ; @0\n< A 1 6", answer{5, true, 9}},
		"acknowledged beyond":         {shook + "> A 1 1 +9 ; @0\n< A 1 21 ; ImplausibleACK rival", answer{0, true, 20}},
		"a FIN is not counted":        {shook + "> FA 1 1 +9 ; FinWait @0\n< A 1 11", answer{9, true, 9}},
		"behind a hole":               {shook + "> A 5 1 +9 ; Hole @4", answer{0, true, 13}},
		"acknowledged beyond, twice":  {shook + "> A 1 1 +9 ; @0\n< A 1 21 ; ImplausibleACK rival\n> A 11 1 +10 ; Hole @10\n< A 1 21\n< A 1 21 ; UnseenACK", answer{20, true, 20}},
		"nobody goes beyond the FIN":  {shook + "> FA 1 1 +9 ; FinWait @0\n< A 1 500 ; ImplausibleACK rival", answer{0, true, 9}},
		"the other side never heard":  {"> A 1 1 +5 ; rival nowhere\n> A 6 1 +2 ; leaps nowhere @0 @5", answer{0, false, 7}},
		"a FIN behind a hole":         {shook + "> FA 6 1 ; Hole @5", answer{0, true, 5}},
		"... that bytes displaced":    {shook + "> FA 6 1 ; Hole @5\n> A 4 1 +9 ; @3", answer{0, true, 12}},
		"... with bytes beyond it":    {shook + "> FA 6 1 ; Hole @5\n> A 9 1 +2 ; Hole @8", answer{0, true, 10}},
		"... and a reset in doubt":    {shook + "> FA 6 1 ; Hole @5\n> R 6 ; ImplausibleRST", answer{0, true, 5}},
		"the SYN's data taken back":   {"> S 0 +3 ; SynSent @0\n< SA 0 1 ; SynReceived SYNDataIgnored", answer{0, true, 0}},
		"the SYN's data acknowledged": {"> S 0 +3 ; SynSent @0\n< SA 0 4 ; SynReceived", answer{3, true, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			w := play(t, c.script)
			var got answer
			got.acked, got.ok = w.conn.AckedTo(Initiator)
			if got.extent = w.conn.EndOf(Initiator, w.doubts); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
	w := play(t, shook+"> FA 6 1 ; Hole @5")
	w.conn.Step(Initiator, &Segment{Seq: isns[len(isns)-1] + 1, Flags: RST}, new(Outcome), w.doubts)
	if end := w.conn.EndOf(Initiator, w.doubts); w.conn.State() != Reset || end != 5 {
		t.Errorf("after a FIN behind a hole and a reset, EndOf = %d in state %d", end, w.conn.State())
	}
	w = play(t, "> A 1 1 ; rival\n> A 1 70001 ; leaps")
	if pos, ok := w.conn.AckedTo(Responder); pos != 70000 || !ok {
		t.Errorf("AckedTo of a side that is not captured = %d, %t", pos, ok)
	}
	if got := w.conn.SequenceNumber(Responder, 70000); got != isns[len(isns)-1]+70001 {
		t.Errorf("Number(70000) = %d", got)
	}
}

func TestWhatTheOwnerKeepsIsItsOwn(t *testing.T) {
	var c Conn
	ds := &Doubts{}
	c.step(Initiator, &Segment{Seq: 7, Flags: SYN, Window: 1}, ds)
	c.Abort()
	before := c
	*c.OwnerWord(Initiator), *c.OwnerWord(Responder) = 1, math.MaxUint32
	for _, n := range []int64{0, 1, -1, math.MaxInt64, math.MinInt64} {
		c.SetEndedAt(n)
		if c.EndedAt() != n || *c.OwnerWord(Initiator) != 1 || *c.OwnerWord(Responder) != math.MaxUint32 {
			t.Errorf("%d is kept as %d, beside %d and %d", n, c.EndedAt(), *c.OwnerWord(Initiator), *c.OwnerWord(Responder))
		}
	}
	syn, another := Segment{Seq: 7, Flags: SYN}, Segment{Seq: 8, Flags: SYN}
	if c.Reopens(Initiator, &syn, ds) != before.Reopens(Initiator, &syn, ds) || !c.Reopens(Initiator, &another, ds) || c.State() != Aborted {
		t.Error("the connection that is over answers otherwise")
	}
}

// TestASenderThatGoesOnTakesAnACKAheadBack: what an ACK beyond everything that was seen says is no end of the stream
// once its sender goes on before that.
func TestASenderThatGoesOnTakesAnACKAheadBack(t *testing.T) {
	const lie = shook + `
		< A 1 1000 ; ImplausibleACK rival
	`
	for script, want := range map[string]int64{lie: 999, lie + "> A 1 1 +5 ; @0": 5} {
		if w := play(t, script); w.conn.EndOf(Initiator, w.doubts) != want {
			t.Errorf("the end is %d, not %d", w.conn.EndOf(Initiator, w.doubts), want)
		}
	}
}
