package tcp

import "testing"

func TestHandshakesThatComplete(t *testing.T) {
	playAll(t, []scene{
		{"three way", shook},
		{"pushed and urgent SYN, and one that speaks of congestion", `
			> SPU 0 ; SynSent
			< SA 0 1 ; SynReceived
			> A 1 1 ; est Established`},
		{"SYN retransmitted", `
			> S 0 ; SynSent
			> S 0 ; RepeatedSYN
			< SA 0 1 ; SynReceived
			> A 1 1 ; est Established
			> S 0 ; RepeatedSYN`},
		{"SYN+ACK retransmitted before and after the ACK", `
			> S 0 ; SynSent
			< SA 0 1 ; SynReceived
			< SA 0 1 ; RepeatedSYN
			> A 1 1 ; est Established
			< SA 0 1 ; RepeatedSYN
			> A 1 1`},
		{"SYN+ACK seen before the SYN", `
			< SA 0 1 ; SynReceived
			> S 0
			> A 1 1 ; est Established`},
		{"SYN never seen", `
			< SA 0 1 ; SynReceived
			> A 1 1 ; est Established
			> A 1 1 +5 ; @0`},
		{"SYN seen after the whole handshake", `
			< SA 0 1 ; SynReceived
			> A 1 1 ; est Established
			> S 0
			> A 1 1 +5 ; @0`},
		{"SYN with data seen after the SYN+ACK that took the data", `
			< SA 0 6 ; SynReceived
			> S 0 +5 ; @0
			> A 6 1 +3 ; est Established @5`},
		{"lost SYN+ACK: the opener's ACK says that there was one", `
			> S 0 ; SynSent
			> A 1 1 ; rival
			< A 1 1 +7 ; DataBeforeHandshake held rival nowhere`},
		{"SYN+ACK seen after the ACK that answers it", `
			> S 0 ; SynSent
			> A 1 1 ; rival
			< SA 0 1 ; SynReceived replays est Established
			< A 1 1 +7 ; @0`},
		{"lost ACK, the first data carries it", `
			> S 0 ; SynSent
			< SA 0 1 ; SynReceived
			> A 1 1 +3 ; est Established @0`},
		{"a reset in doubt before the SYN+ACK", `
			> S 0 ; SynSent
			< R 0 ; ImplausibleRST
			< SA 0 1 ; SynReceived
			> A 1 1 ; est Established`},
		{"early data before the ACK", `
			> S 0 ; SynSent
			< SA 0 1 ; SynReceived
			> A 4 1 +3 ; est Established Hole @3
			> A 1 1
			> A 1 1 +3 ; OutOfOrder @0`},
		{"a FIN as the last segment of the handshake counts", `
			> S 0 ; SynSent
			< SA 0 1 ; SynReceived
			> FA 1 1 ; est FinWait @0`},
		{"a FIN of the responder waits for the handshake", `
			> S 0 ; SynSent
			< SA 0 1 ; SynReceived
			< FA 1 1 ; @0
			> A 1 1 ; est FinWait`},
		{"SYN+ACK with a FIN is a SYN+ACK", `
			> S 0 ; SynSent
			< SAF 0 1 ; SynReceived @0
			> A 1 1 ; est Established
			< A 1 1 +5 ; @0`},
	})
}

// One side of the conversation takes another way.
func TestOneSidedHandshakes(t *testing.T) {
	playAll(t, []scene{
		{"only the opener", `
			> S 0 ; SynSent
			> A 1 1 ; rival
			> A 1 1 +10 ; leaps nowhere est Established @0
			> A 11 301 +10 ; @10
			> FA 21 301 ; FinWait @20`},
		{"only the responder, who sends", `
			< SA 0 1 ; SynReceived
			< A 1 1 +10 ; est Established @0
			< FA 11 1 ; FinWait @10`},
		{"only the responder, who acknowledges a request", `
			< SA 0 1 ; SynReceived
			< A 1 1
			< A 1 101 ; est Established`},
		{"only the responder, who hangs up", `
			< SA 0 1 ; SynReceived
			< FA 1 1 ; est FinWait @0`},
		{"where the opener is captured, its ACK is waited for", `
			> S 0 ; SynSent
			< SA 0 1 ; SynReceived
			< A 1 1 +10 ; @0
			> A 1 11 ; est Established`},
	})
}

// Both send a SYN (RFC 9293 section 3.5), or a server splits its SYN+ACK.
//
//	A                         B
//	| -- SYN ----. .---- SYN -|
//	|            / \          |
//	| <---------'   '-------> |
//	| -- SYN+ACK > <- SYN+ACK |
func TestOpeningFromBothSides(t *testing.T) {
	playAll(t, []scene{
		{"simultaneous", `
			> S 0 ; SynSent
			< S 0 ; SynReceived
			> SA 0 1 ; RepeatedSYN
			< SA 0 1 ; RepeatedSYN est Established
			> A 1 1 +3 ; @0
			< A 1 4 +3 ; @0`},
		{"simultaneous, ended by ACKs", `
			> S 0 ; SynSent
			< S 0 ; SynReceived
			< A 1 1
			> A 1 1 ; est Established`},
		{"simultaneous, ended by ACKs in the other order", `
			> S 0 ; SynSent
			< S 0 ; SynReceived
			> A 1 1
			< A 1 1 ; est Established`},
		{"the opener's SYN+ACK is captured before the SYN that it answers", `
			> S 0 ; SynSent
			> SA 0 1 ; RepeatedSYN
			< SA 700 1 ; SynReceived
			< SA 0 1 ; StraySYN`},
		{"split: the server's SYN, the client's SYN+ACK, an ACK", `
			> S 0 ; SynSent
			< S 0 ; SynReceived
			> SA 0 1 ; RepeatedSYN
			< A 1 1 ; est Established`},
		{"split in five: an ACK before the server's SYN", `
			> S 0 ; SynSent
			< A 0 1 ; rival
			< S 0 ; SynReceived
			> SA 0 1 ; RepeatedSYN
			< A 1 1 ; est Established`},
	})
}

func TestHandshakesWithWrongNumbers(t *testing.T) {
	playAll(t, []scene{
		{"SYN+ACK for another SYN, then the right one", `
			> S 0 ; SynSent
			< SA 700 1000 ; BadSYNACK
			> R 1000 ; ImplausibleRST
			< SA 0 1 ; SynReceived
			> A 1 1 ; est Established
			< A 1 1 +3 ; @0`},
		{"two SYN+ACKs with different numbers: the first", `
			> S 0 ; SynSent
			< SA 0 1 ; SynReceived
			< SA 9000 1 ; StraySYN
			> A 1 1 ; est Established
			< A 1 1 +3 ; @0`},
		{"two SYN+ACKs with different numbers: the one that is acknowledged", `
			> S 0 ; SynSent
			< SA 0 1 ; SynReceived
			< SA 9000 1 ; StraySYN
			> A 1 9001 +3 ; est Established Reanchored @0
			< A 9001 4 +3 ; @0`},
		{"the last ACK has a number beyond", `
			> S 0 ; SynSent
			< SA 0 1 ; SynReceived
			> A 1 1001 +3 ; ImplausibleACK rival nowhere
			> A 1 1 +3 ; est Established @0`},
		{"the last ACK has a number below", `
			> S 0 ; SynSent
			< SA 0 1 ; SynReceived
			> A 1 0 +3 ; ImplausibleACK rival nowhere
			> A 1 1 ; est Established`},
		{"the last ACK stands elsewhere in sequence", `
			> S 0 ; SynSent
			< SA 0 1 ; SynReceived
			> A 900000 1 ; OutOfWindow rival
			> A -5 1 ; OutOfWindow rival
			> A 1 1 ; est Established`},
		{"the opener's stray ACK does not stand for a lost SYN+ACK", `
			> S 0 ; SynSent
			> A 0x60000000 77 ; rival
			> A -900 77 ; rival
			< SA 0 1 ; SynReceived
			> A 1 1 ; est Established`},
		{"data before the handshake", `
			> S 0 ; SynSent
			< A 1 1 +5 ; DataBeforeHandshake held rival nowhere
			< SA 0 1 ; SynReceived
			> A 1 1 ; est Established
			< A 1 1 +5 ; @0`},
		{"SYN+ACKs with impossible numbers within the connection", shook + `
			< SA 7 1 +3 ; StraySYN rival nowhere
			< SA 1 1 +3 ; StraySYN rival nowhere
			< SA 0 1 +3 ; RepeatedSYN nowhere
			< A 1 1 +3 ; @0`},
	})
}

// Payload in a SYN is data only if the peer says so (RFC 7413 section 4.2).
//
//	SYN "XYZ"          0  X  Y  Z  3
//	SYN+ACK of 1       ^ void, the sender starts again here
//	SYN+ACK of 4                   ^ taken, the sender goes on here
func TestDataInSYN(t *testing.T) {
	playAll(t, []scene{
		{"ignored", `
			> S 0 +3 ; SynSent @0
			< SA 0 1 ; SynReceived SYNDataIgnored
			> A 1 1 +3 ; est Established @0`},
		{"taken", `
			> S 0 +3 ; SynSent @0
			< SA 0 4 ; SynReceived
			> A 4 1 +3 ; est Established @3`},
		{"of the responder, ignored", `
			> S 0 ; SynSent
			< SA 0 1 +3 ; SynReceived @0
			> A 1 1 ; est Established SYNDataIgnored
			< A 1 1 +5 ; @0`},
		{"of the responder, taken", `
			> S 0 ; SynSent
			< SA 0 1 +3 ; SynReceived @0
			> A 1 4 ; est Established
			< A 4 1 +5 ; @3`},
		{"ignored and sent without a captured SYN+ACK", `
			> S 0 +3 ; SynSent @0
			> A 1 1 +3 ; rival nowhere
			< A 1 1 ; rival
			> A 4 1 +3 ; rival nowhere`},
	})
}

func TestAProbeBeforeTheSYNIsNotTheConnection(t *testing.T) {
	for _, probe := range []string{"-", "P", "U", "F"} {
		for _, from := range []string{">", "<"} {
			t.Run(from+probe, func(t *testing.T) {
				text, turned := probeLine(from, probe)
				reused := ""
				if turned {
					reused = "reused " // its initiator is not that of the connection
				}
				play(t, text+`
					> S 0 ; `+reused+`SynSent
					< SA 0 1 ; SynReceived
					> A 1 1 ; est Established`)
				c := play(t, text+`
					< SA 0 1 ; `+reused+`SynReceived
					> A 1 1 ; est Established`).conn
				if c.Midstream() {
					t.Errorf("midstream: %+v", c)
				}
			})
		}
	}
}

func probeLine(from, flags string) (string, bool) {
	want := ""
	if flags == "F" {
		want = "NoACK nowhere"
	}
	if from == "<" {
		want += " turned"
	}
	return from + " " + flags + " 777 ; " + want, from == "<"
}
