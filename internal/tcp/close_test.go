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
		{"the last bytes of the side that closes second are not captured", shook + `
			> A 1 6 ; ImplausibleACK rival
			> FA 1 6 ; ImplausibleACK held rival nowhere
			< A 6 2
			< FA 6 2 ; Hole FinWait @5
			> A 2 7 ; Closed end`},
		{"... of the side that closes first", shook + `
			> A 1 6 ; ImplausibleACK rival
			< FA 6 1 ; Hole @5
			> A 1 7 ; FinWait
			> FA 1 7 ; ClosingTCP UnseenACK @0
			< A 7 2 ; Closed end`},
		{"under way when first seen", `
			> A 500 900 +10 ; rival nowhere
			< A 900 510 +20 ; leaps nowhere @0 @0
			> FA 510 920 ; FinWait @10
			< FA 920 511 ; ClosingTCP @20
			> A 511 921 ; Closed end`},
		{"first seen by its FIN", `
			> FA 500 900 ; rival nowhere
			< FA 900 501 ; leaps nowhere FinWait @0 ClosingTCP @0
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
			< A 1 1004 ; ImplausibleACK rival
			< A 1 4
			> FA 4 1 ; FinWait @3
			< FA 1 4 ; ClosingTCP @0
			> A 5 2
			< A 2 5 ; Closed end`},
		{"an ACK of a FIN that is captured after it", shook + `
			> A 1 1 +3 ; @0
			< A 1 5 ; ImplausibleACK rival
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
			> FA 5 1 ; Hole @4
			> A 3 1 +2 ; FinWait OutOfOrder @2
			< FA 1 6 ; ClosingTCP @0
			> A 6 2 ; Closed end`},
		{"data behind it", shook + `
			> A 1 1 +2 ; @0
			> FA 3 1 ; FinWait @2
			> A 3 1 +2 ; DataAfterFIN held nowhere
			> A 4 1 +2 ; DataAfterFIN held nowhere
			> A 9 1 +2 ; DataAfterFIN held nowhere
			> A 1 1 +9 ; Retransmission DataAfterFIN held @0-2
			> R 4 ; ResetPending`},
		{"early, and the hole closed: nothing is missing", shook + `
			> FA 3 1 ; Hole @2
			> A 1 1 +2 ; FinWait OutOfOrder @0
			> R 100 ; ImplausibleRST`},
		{"one byte at its place is no keep-alive", shook + `
			> FA 1 1 +3 ; FinWait @0
			< A 1 5
			> A 4 1 +1 ; DataAfterFIN nowhere`},
		{"early with data, more behind it, then the hole", shook + `
			> FA 3 1 +2 ; Hole @2
			> A 5 1 +2 ; @4
			> A 1 1 +2 ; FinWait OutOfOrder @0`},
		{"early, then other data in its place", shook + `
			> FA 3 1 ; Hole @2
			> A 3 1 +2 ; @2
			> A 1 1 +2 ; OutOfOrder @0`},
		{"at another position than the first", shook + `
			> A 1 1 +4 ; @0
			> FA 5 1 ; FinWait @4
			> FA 3 1 ; FINConflict @2
			> FA 8 1 ; FINConflict @7
			> FA 8 1 +2 ; FINConflict DataAfterFIN held nowhere
			> FA 3 1 +2 ; Retransmission @2`},
		{"below what was sent", shook + `
			> A 1 1 +4 ; @0
			> FA 3 1 ; FINConflict @2
			> A 5 1 +4 ; @4
			> FA 9 1 ; FinWait @8`},
		{"beyond the window", shook + `
			> A 1 1 +3 ; @0
			> FA 5000000 1 ; OutOfWindow rival nowhere
			> A 4 1 +3 ; @3`},
		{"without ACK", shook + `
			> F 1 ; NoACK nowhere
			> A 1 1 +3 ; @0`},
	})
}

func TestFINAtIsThePositionOfTheFIN(t *testing.T) {
	for _, c := range []struct {
		name, script    string
		pos             int64
		known, believed bool // accepted; for good
	}{
		{"early", "> A 1 1 +2 ; @0\n> FA 5 1 ; Hole @4", 0, false, false},
		{"displaced", "> A 1 1 +2 ; @0\n> FA 5 1 ; Hole @4\n> A 3 1 +9 ; @2", 0, false, false},
		{"in order", "> A 1 1 +4 ; @0\n> FA 5 1 ; FinWait @4", 4, true, false},
		{"acknowledged", "> A 1 1 +4 ; @0\n> FA 5 1 ; FinWait @4\n< A 1 6", 4, true, true},
		{"acknowledged in part", "> A 1 1 +4 ; @0\n> FA 5 1 ; FinWait @4\n< A 1 5", 4, true, false},
		{"beyond a hole, acknowledged twice", "> FA 5 1 ; Hole @4\n< A 1 6\n< A 1 6 ; FinWait UnseenACK", 4, true, true},
		{"more is acknowledged that nobody saw", "> FA 1 1 +4 ; FinWait @0\n< A 1 9 ; ImplausibleACK rival\n< A 1 9 ; ImplausibleACK rival", 4, true, false},
		{"more is acknowledged", "> FA 1 1 +4 ; FinWait @0\n> A 5 1 +4 ; DataAfterFIN held nowhere\n< A 1 9\n< A 1 9 ; Established", 0, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := play(t, shook+c.script)
			pos, known := w.conn.FINPosition(Initiator)
			if believed := w.conn.FINConfirmed(Initiator); pos != c.pos || known != c.known || believed != c.believed {
				t.Errorf("FINPosition(Initiator) = %d, %t, confirmed %t", pos, known, believed)
			}
			if _, known := w.conn.FINPosition(Responder); known {
				t.Error("FINPosition(Responder) is known without a FIN")
			}
		})
	}
}

func TestWhatAConnectionTells(t *testing.T) {
	var zero Conn
	if zero.State() != Active || zero.Midstream() || zero.Opening() || zero.Finished() ||
		zero.PendingReset() || zero.StrongReset() || zero.InDoubt() || zero.Disturbed() || zero.Guessing() || zero.Flags(0)|zero.Flags(1) != 0 {
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
	if c := play(t, "> A 0 0 ; rival").conn; !c.Midstream() {
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
