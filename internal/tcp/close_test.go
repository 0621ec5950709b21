package tcp

import "testing"

func TestClosing(t *testing.T) {
	playAll(t, []scene{
		{"one after the other", shook + `
			> FA 1 1 ; FinWait @0
			< A 1 2
			< FA 1 2 ; ClosingTCP @0
			> A 2 2 ; Closed end`},
		{"three segments", shook + `
			> FA 1 1 ; FinWait @0
			< FA 1 2 ; ClosingTCP @0
			> A 2 2 ; Closed end`},
		{"simultaneous", shook + `
			> FA 1 1 ; FinWait @0
			< FA 1 1 ; ClosingTCP @0
			> A 2 2
			< A 2 2 ; Closed end`},
		{"half closed: the other side goes on", shook + `
			> FA 1 1 +5 ; FinWait @0
			< A 1 7 +100 ; @0
			> A 7 101
			< A 101 7 +100 ; @100
			< FA 201 7 ; ClosingTCP @200
			> A 7 202 ; Closed end`},
		{"retransmitted FINs advance nothing", shook + `
			> FA 1 1 ; FinWait @0
			> FA 1 1 ; @0
			> FA 1 1 ; @0
			< A 1 1
			< A 1 2
			> FA 1 1 ; @0
			< A 1 2`},
		{"retransmitted with its data", shook + `
			> FA 1 1 +5 ; FinWait @0
			> FA 1 1 +5 ; Retransmission @0
			> FA 4 1 +2 ; Retransmission @3
			< FA 1 7 ; ClosingTCP @0
			< FA 1 7 ; @0
			> A 7 2 ; Closed end`},
		{"under way when first seen", `
			> A 500 900 +10 ; @0
			< A 900 510 +20 ; @0
			> FA 510 920 ; FinWait @10
			< FA 920 511 ; ClosingTCP @20
			> A 511 921 ; Closed end`},
		{"first seen by its FIN", `
			> FA 500 900 ; FinWait @0
			< FA 900 501 ; ClosingTCP @0
			> A 501 901 ; Closed end`},
		{"a FIN within a simultaneous opening counts with the ACK after it", `
			> S 0 ; SynSent
			< S 0 ; SynReceived
			> FA 1 1 ; @0
			< SA 0 1 ; RepeatedSYN est Established
			> A 2 1 ; FinWait`},
		{"nothing moves an ended connection", shook + `
			> FA 1 1 ; FinWait @0
			< FA 1 2 ; ClosingTCP @0
			> A 2 2 ; Closed end
			< FA 1 2 ; nowhere
			> A 2 2
			> R 2
			< RA 2 2`},
		{"an ACK of unseen bytes that another takes back is not one of the FIN", shook + `
			> A 1 1 +3 ; @0
			< A 1 1004 ; UnseenACK
			< A 1 4
			> FA 4 1 ; FinWait @3
			< FA 1 4 ; ClosingTCP @0
			> A 5 2
			< A 2 5 ; Closed end`},
		{"an ACK of a FIN that is captured after it", shook + `
			> A 1 1 +3 ; @0
			< A 1 5 ; UnseenACK
			> FA 4 1 ; FinWait @3
			< FA 1 5 ; ClosingTCP @0
			> A 5 2 ; Closed end`},
	})
}

// A FIN has a position, and the first one counts.
//
//	0 a b . . F          FIN at 4, two bytes are missing
//	0     c d            closes the hole
func TestFINsHavePositions(t *testing.T) {
	playAll(t, []scene{
		{"early", shook + `
			> A 1 1 +2 ; @0
			> FA 5 1 ; FinWait Hole @4
			> A 3 1 +2 ; OutOfOrder @2
			< FA 1 6 ; ClosingTCP @0
			> A 6 2 ; Closed end`},
		{"data behind it", shook + `
			> A 1 1 +2 ; @0
			> FA 3 1 ; FinWait @2
			> A 3 1 +2 ; DataAfterFIN nowhere
			> A 4 1 +2 ; DataAfterFIN nowhere
			> A 9 1 +2 ; DataAfterFIN nowhere
			> A 1 1 +9 ; DataAfterFIN @0
			> R 4 ; Reset end`},
		{"early, and the hole closed: nothing is missing", shook + `
			> FA 3 1 ; FinWait Hole @2
			> A 1 1 +2 ; OutOfOrder @0
			> R 100 ; ImplausibleRST`},
		{"one byte at its place is no keep-alive", shook + `
			> FA 1 1 +3 ; FinWait @0
			< A 1 5
			> A 4 1 +1 ; DataAfterFIN nowhere`},
		{"early with data, more behind it, then the hole", shook + `
			> FA 3 1 +2 ; FinWait Hole @2
			> A 5 1 +2 ; DataAfterFIN nowhere
			> A 1 1 +2 ; OutOfOrder @0`},
		{"early, then other data in its place", shook + `
			> FA 3 1 ; FinWait Hole @2
			> A 3 1 +2 ; DataAfterFIN nowhere
			> A 1 1 +2 ; OutOfOrder @0`},
		{"at another position than the first", shook + `
			> A 1 1 +4 ; @0
			> FA 5 1 ; FinWait @4
			> FA 3 1 ; FINConflict @2
			> FA 8 1 ; FINConflict Hole @7
			> FA 8 1 +2 ; FINConflict DataAfterFIN nowhere
			> FA 3 1 +2 ; Retransmission @2`},
		{"below what was sent", shook + `
			> A 1 1 +4 ; @0
			> FA 3 1 ; FINConflict @2
			> A 5 1 +4 ; @4
			> FA 9 1 ; FinWait @8`},
		{"beyond the window", shook + `
			> A 1 1 +3 ; @0
			> FA 5000000 1 ; OutOfWindow nowhere
			> A 4 1 +3 ; @3`},
		{"without ACK", shook + `
			> F 1 ; NoACK nowhere
			> A 1 1 +3 ; @0`},
	})
}

func TestFINAtIsThePositionOfTheFirstFIN(t *testing.T) {
	w := play(t, shook+"> A 1 1 +2 ; @0\n> FA 5 1 ; FinWait Hole @4\n> A 3 1 +9 ; DataAfterFIN @2")
	if pos, known := w.conn.FINPosition(Initiator); pos != 4 || !known {
		t.Errorf("FINAt(Initiator) = %d, %t", pos, known)
	}
	for k := range 8 { // the eighth ACK leaps, but not over a FIN
		g := Segment{Seq: isns[len(isns)-1] + 1, Ack: isns[len(isns)-1] + 0x60000000, Flags: ACK}
		if o := w.conn.step(Responder, &g); (o.Notes&ImplausibleACK != 0) != (k != 7) {
			t.Errorf("ACK %d: %v", k, o.Notes.names())
		}
	}
	if pos, known := w.conn.FINPosition(Initiator); pos != 4 || !known || w.conn.half[0].end != 5 {
		t.Errorf("after a leap FINAt(Initiator) = %d, %t", pos, known)
	}
	if _, known := w.conn.FINPosition(Responder); known {
		t.Error("FINAt(Responder) is known without a FIN")
	}
}

func TestWhatAConnectionTells(t *testing.T) {
	var zero Conn
	if zero.State() != Active || zero.Midstream() || zero.Opening() || zero.Finished() ||
		zero.PendingReset() || zero.HasCandidates() || zero.Flags(0)|zero.Flags(1) != 0 {
		t.Errorf("the zero connection has seen something: %+v", zero)
	}
	opening := play(t, "> SU 0 ; SynSent").conn
	if !opening.Opening() || opening.Midstream() || opening.Flags(Initiator) != SYN|URG {
		t.Errorf("after the SYN: %+v", opening)
	}
	open := play(t, shook).conn
	if open.Opening() || open.Midstream() || open.Flags(Responder) != SYN|ACK {
		t.Errorf("after the handshake: %+v", open)
	}
	if c := play(t, "> A 0 0").conn; !c.Midstream() {
		t.Errorf("under way: %+v", c)
	}
	if c := play(t, "> SF 0 ; @0").conn; !c.Midstream() {
		t.Errorf("after a SYN with a FIN: %+v", c)
	}
	finished := play(t, shook+"> FA 1 1 ; FinWait @0\n< FA 1 1 ; ClosingTCP @0").conn
	if !finished.Finished() {
		t.Errorf("after both FINs: %+v", finished)
	}
	finished.Abort()
	if finished.State() != Aborted {
		t.Errorf("aborted: state %d", finished.State())
	}
}
