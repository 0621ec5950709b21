package tcp

import "testing"

func TestANewConnectionWhileOpening(t *testing.T) {
	playAll(t, []scene{
		{"the SYN again is not one", "> S 0 ; SynSent\n> S 0 ; RepeatedSYN\n> S 0 stale ; RepeatedSYN"},
		{"the other side's SYN is not one", "> S 0 ; SynSent\n< S 7 ; SynReceived\n< S 9 ; StraySYN rival"},
		{"another number is, and the answer to it", `
			> S 0 ; SynSent
			> S 4000 ; reused SynSent
			< SA 0 4001 ; SynReceived
			> A 4001 1 +3 ; est Established @0`},
		{"another number is, but the answer is to the first", `
			> S 0 ; SynSent
			> S 4000 ; reused SynSent
			< SA 0 1 ; SynReceived Reanchored
			> A 1 1 +3 ; est Established @0`},
		{"the answer is to the first, but a third follows and the second is answered", `
			> S 0 ; SynSent
			> S 4000 ; reused SynSent
			< SA 0 1 ; SynReceived Reanchored
			> S 9000 ; reused SynSent
			< SA 700 4001 ; SynReceived Reanchored`},
		{"the answer to the first says nothing of the data in the second", `
			> S 0 ; SynSent
			> S 4000 +3 ; reused SynSent @0
			< SA 0 1 ; SynReceived Reanchored`},
		{"once established the earlier numbers are forgotten", `
			> S 0 ; SynSent
			> S 4000 ; reused SynSent
			< SA 0 4001 ; SynReceived
			> A 4001 1 ; est Established
			< SA 900 1 ; StraySYN rival`},
		{"the answer is to the first of four", `
			> S 0 ; SynSent
			> S 4000 ; reused SynSent
			> S 5000 ; reused SynSent
			> S 6000 ; reused SynSent
			< SA 0 1 ; SynReceived Reanchored
			> A 1 1 +3 ; est Established @0`},
		{"a fifth drives the first out", `
			> S 0 ; SynSent
			> S 4000 ; reused SynSent
			> S 5000 ; reused SynSent
			> S 6000 ; reused SynSent
			> S 7000 ; reused SynSent
			< SA 0 1 ; BadSYNACK
			< SA 0 4001 ; SynReceived Reanchored
			> A 4001 1 +3 ; est Established @0`},
		{"the answer was seen, the opener's ACK was not", `
			> S 0 ; SynSent
			< SA 0 1 ; SynReceived
			> S 4000 ; reused SynSent
			< SA 900 4001 ; SynReceived`},
		{"the SYN+ACK was for a SYN not captured, then comes another", `
			< SA 0 1 ; SynReceived
			> S 4000 ; reused SynSent
			< SA 900 4001 ; SynReceived
			> A 4001 901 ; est Established`},
	})
}

// A SYN on a live connection begins a rival: it becomes the connection once both sides speak by its
// numbers, the initiator has acknowledged the SYN+ACK, and bytes are acknowledged.
func TestARivalNeedsAnAnswerAndBytes(t *testing.T) {
	const offer = shook + `
		> A 1 1 +5 ; @0
		> S 4000 ; StraySYN rival
		< SA 9000 4001 ; StraySYN rival
	`
	playAll(t, []scene{
		{"none comes, the old connection goes on", shook + `
			> S 4000 ; StraySYN rival
			> A 1 1 +5 ; @0
			> A 4001 1 +5 ; Hole @4000
			< A 1 6`},
		{"accepted, and the initiator's bytes are acknowledged", offer + `
			> A 4001 9001 ; ImplausibleACK rival
			> A 4001 9001 +7 ; ImplausibleACK held rival nowhere
			< A 9001 4008 ; ImplausibleACK replaces SynSent SynReceived est Established @0
			< A 9001 4008 +5 ; @0`},
		{"accepted, and the responder's bytes are acknowledged", offer + `
			> A 4001 9001 ; ImplausibleACK rival
			< A 9001 4001 +5 ; ImplausibleACK held rival nowhere
			> A 4001 9006 ; ImplausibleACK replaces SynSent SynReceived est Established @0`},
		{"what acknowledges more than the other has is none of it", offer + `
			> A 4001 9002 ; ImplausibleACK rival
			> A 4001 9002 +7 ; ImplausibleACK held rival nowhere
			< A 9001 4008 ; ImplausibleACK rival`},
		{"the old numbers make progress", offer + `
			> A 4001 9001 ; ImplausibleACK rival
			< A 1 6
			> A 4001 9001 +7 ; ImplausibleACK held rival nowhere
			< A 9001 4008 ; ImplausibleACK rival
			> A 6 1 +5 ; @5`},
		{"both sides acknowledge, and there are no bytes", offer + `
			> A 4001 9001 ; ImplausibleACK rival
			< A 9001 4001 ; ImplausibleACK rival
			> A 4001 9001 ; ImplausibleACK rival`},
		{"there is one: a second SYN takes its place", shook + `
			> S 4000 ; StraySYN rival
			> S 6000 ; StraySYN rival
			< SA 9000 4001 ; StraySYN
			< SA 9000 6001 ; StraySYN rival`},
		{"one sent again changes nothing", shook + `
			> S 4000 ; StraySYN rival
			> S 4000 ; StraySYN rival
			< SA 9000 4001 ; StraySYN rival
			> S 4000 ; StraySYN rival
			> A 4001 9001 +7 ; ImplausibleACK held rival nowhere
			< A 9001 4008 ; ImplausibleACK replaces SynSent RepeatedSYN SynReceived RepeatedSYN est Established @0`},
		{"three that fit nothing make room for others", shook + `
			> S 4000 ; StraySYN rival
			> A 9000001 1 +5 ; OutOfWindow nowhere
			> A 9000001 1 +5 ; OutOfWindow nowhere
			> A 9000001 1 +5 ; OutOfWindow nowhere
			> A 9000001 1 +5 ; OutOfWindow rival nowhere
			< SA 9000 4001 ; StraySYN rival`},
		{"the old responder opens", shook + `
			< S 4000 ; StraySYN rival
			> SA 9000 4001 ; StraySYN rival
			< A 4001 9001 ; ImplausibleACK rival
			< A 4001 9001 +7 ; ImplausibleACK held rival nowhere
			> A 9001 4008 ; ImplausibleACK replaces SynSent SynReceived est Established @0
			> A 9001 4008 +5 ; turned @0`},
		{"a SYN+ACK of the same side accepts nothing", shook + `
			> S 4000 ; StraySYN rival
			> SA 9000 4001 ; StraySYN rival
			> A 4001 9001 +7 ; ImplausibleACK held nowhere`},
		{"where both are captured, data at its number proves nothing", shook + `
			> S 4000 ; StraySYN rival
			> A 4001 1 +5 ; Hole @4000`},
		{"where the other side is not captured, it does", `
			> S 0 ; SynSent
			> A 1 1 ; rival
			> A 1 1 +5 ; leaps nowhere est Established @0
			> S 4000 ; StraySYN rival
			> P 4001 +5 ; NoACK nowhere
			> A 4001 1 +5 ; replaces SynSent rival nowhere nowhere`},
		{"a connection under way, of which only ACKs were seen", `
			> A 70000 90000 ; rival
			> S 0 ; StraySYN
			< SA 0 1 ; StraySYN
			> A 1 1 ; rival
			> A 1 1 +5 ; rival nowhere
			< A 1 6 ; leaps ImplausibleACK rival @0`},
		{"stale: the SYN is enough", shook + `
			> S 0 stale ; RepeatedSYN
			> S 4000 stale ; reused SynSent`},
		{"stale while opening, by the other side", `
			> S 0 ; SynSent
			< S 4000 stale ; reused turned SynSent`},
		{"both have said FIN", shook + `
			> FA 1 1 ; FinWait @0
			< FA 1 1 ; ClosingTCP @0
			> S 0 ; RepeatedSYN
			> S 4000 ; reused SynSent`},
		{"one has said FIN", shook + `
			> FA 1 1 ; FinWait @0
			> S 4000 ; StraySYN rival
			< SA 9000 4001 ; StraySYN rival`},
		{"a reset is in doubt", shook + `
			> R 100 ; ImplausibleRST
			> S 4000 ; StraySYN rival`},
		{"a SYN with FIN or RST is not one", shook + `
			> SF 4000 ; StraySYN nowhere
			> SR 9000000 ; ImplausibleRST
			< SA 9000 4001 ; StraySYN rival`},
	})
}

func TestAnEndedConnectionLingers(t *testing.T) {
	const closed = shook + `
		> FA 1 1 ; FinWait @0
		< FA 1 2 ; ClosingTCP @0
		> A 2 2 ; Closed end
	`
	const refused = "> S 0 ; SynSent\n< RA 0 1 ; Reset end\n"
	playAll(t, []scene{
		{"the same number opens nothing before it is answered", closed + "> S 0 ; rival"},
		{"nor does the answer to it", closed + "< SA 0 1"},
		{"another number opens, above or below", closed + "> S 9000 ; reopened SynSent"},
		{"below", closed + "> S -9000 ; reopened SynSent"},
		{"the other side opens", closed + "< S 9000 ; reopened turned SynSent"},
		{"late segments open nothing", closed + `
			> FA 1 1 ; nowhere
			< A 1 2 +5 ; nowhere
			> R 2
			< RA 2 2
			> SR 9000
			> SF 9000 ; nowhere`},
		{"late SYN+ACK with other number of the same SYN", closed + "< SA 700 1 ; rival"},
		{"SYN+ACK whose SYN was not captured", closed + `
			< SA 9000 4001 ; reopened SynReceived
			> A 4001 9001 ; est Established`},
		{"only the responder is captured", `
			< SA 0 1 ; SynReceived
			< RA 1 1 ; Reset end
			< SA 0 1 ; rival
			< SA 9000 4001 ; reopened SynReceived`},
		{"only the responder is captured, and the numbers are near", `
			< SA 0 1 ; SynReceived
			< A 1 5001 ; est Established
			< RA 1 5001 ; Reset end
			< SA 9000 4001 ; reopened SynReceived`},
		{"a refused SYN is answered after all", refused + `
			< SA 0 1 ; reopened SynReceived
			> A 1 1 ; est Established`},
		{"a refused SYN again", refused + "> S 0 ; rival\n> S 5 ; reopened SynSent"},
		{"SYN+ACK captured after the end", `
			> S 0 ; SynSent
			> FA 1 1 ; rival nowhere
			< A 1 2 ; rival
			< FA 1 2 ; rival nowhere
			> A 2 2 ; leaps est FinWait @0 ClosingTCP @0 Closed end
			< SA 0 1
			< SA 700 1 ; rival`},
		{"a stray reset, then a connection", `
			> R 77 ; ResetPending
			< S 0 ; reused turned SynSent
			> SA 0 1 ; turned SynReceived
			< A 1 1 ; turned est Established`},
	})
}
