package tcp

import "testing"

// What a packet is evidence of: for each decision the packet that makes the hypothesis, honest exchanges,
// which lose nothing, what confirms it and what revokes it.

// oneSided is a connection whose responder is not captured.
const oneSided = `
	> S 0 ; SynSent
	> A 1 1 ; rival
	> A 1 1 +5 ; leaps nowhere est Established @0
`

func TestEvidenceOfAFIN(t *testing.T) {
	const early = shook + `
		> FA 6 1 ; Hole @5
	`
	playAll(t, []scene{
		{"in order, confirmed", shook + `
			> FA 1 1 +5 ; FinWait @0
			< A 1 7
			< A 1 7 +3 ; @0`},
		{"in order, of a side whose peer goes on", shook + `
			> FA 1 1 +5 ; FinWait @0
			< A 1 6 +3 ; @0
			< A 4 6 +3 ; @3`},
		{"in order, and more is acknowledged", shook + `
			> FA 1 1 +5 ; FinWait @0
			< A 1 11 ; ImplausibleACK rival
			> A 6 1 +5 ; DataAfterFIN held nowhere
			< A 1 11
			< A 1 11 ; Established
			> A 11 1 +5 ; @10`},
		{"in order, and more is acknowledged once, which is a lie", shook + `
			> FA 1 1 +5 ; FinWait @0
			< A 1 11 ; ImplausibleACK rival
			< A 1 7`},
		{"in order, more was acknowledged before", shook + `
			> A 1 1 +5 ; @0
			> A 11 1 +5 ; Hole @10
			< A 1 16
			< A 1 16 ; UnseenACK
			> FA 6 1 ; FINConflict @5`},
		{"early, reached in order", early + `
			> A 1 1 +5 ; FinWait OutOfOrder @0
			< A 1 7`},
		{"early, acknowledged", early + `
			< A 1 7
			< A 1 7 ; FinWait UnseenACK`},
		{"early, acknowledged by a FIN that is held for that", early + `
			< FA 1 7 ; held nowhere
			> A 7 2 ; Closed end`},
		{"early, its place taken by data from before it", early + `
			> A 1 1 +9 ; @0
			< A 1 10`},
		{"early, its place taken by data from its segment's start, longer by one", early + `
			> A 6 1 +1 ; OutOfOrder @5
			> A 1 1 +5 ; FinWait OutOfOrder @0`},
		{"early, its place taken by data from its segment's start, longer by two", early + `
			> A 6 1 +2 ; @5
			> A 1 1 +5 ; OutOfOrder @0`},
		{"early, another FIN in order below it", early + `
			> FA 1 1 +2 ; FinWait OutOfOrder @0
			< A 1 4`},
		{"early, and more is acknowledged", early + `
			> A 11 1 +5 ; Hole @10
			< A 1 16
			< A 1 16 ; UnseenACK
			> A 1 1 +10 ; OutOfOrder @0`},
		{"early, at the place of bytes", shook + `
			> A 4 1 +9 ; Hole @3
			> FA 8 1 ; FINConflict @7
			> A 1 1 +3 ; OutOfOrder @0`},
		{"four early ones are kept", early + `
			> FA 7 1 ; Hole @6
			> FA 8 1 ; Hole @7
			> FA 9 1 ; Hole @8
			> A 1 1 +5 ; FinWait OutOfOrder @0`},
		{"of five early ones the first goes", early + `
			> FA 7 1 ; Hole @6
			> FA 8 1 ; Hole @7
			> FA 9 1 ; Hole @8
			> FA 10 1 ; Hole @9
			> A 1 1 +5 ; OutOfOrder @0
			> A 6 1 +1 ; FinWait OutOfOrder @5`},
		{"up to the edge", shook + `
			> FA 65535 1 ; Hole @65534`},
		{"at the edge", shook + `
			> FA 65536 1 ; OutOfWindow rival nowhere`},
		{"beyond the edge", shook + `
			> FA 65537 1 ; OutOfWindow rival nowhere
			> A 1 1 +5 ; @0`},
		{"with an ACK ahead", shook + `
			> FA 1 2 ; ImplausibleACK held rival nowhere
			> A 1 1 +5 ; @0`},
	})
}

func TestEvidenceOfAReset(t *testing.T) {
	const ahead = shook + `
		> A 1 1 +10 ; @0
	`
	const sack = `
		> S 0 sack ; SynSent
		< SA 0 1 sack ; SynReceived
		> A 1 1 ; est Established
		> A 11 1 +5 ; Hole @10
	`
	playAll(t, []scene{
		{"where both stand: certain", ahead + `
			< A 1 11
			> R 11 ; Reset end`},
		{"at next, and the receiver answers with less", ahead + `
			> R 11 ; ResetPending
			< A 1 1 ; ResetRevoked`},
		{"at next, and the receiver had more", ahead + `
			> R 11 ; ResetPending
			< A 1 11`},
		{"at acked, and the receiver has more", ahead + `
			> R 1 ; ResetPending
			< A 1 11 ; ResetRevoked`},
		{"at next, and its sender goes on", ahead + `
			> R 11 ; ResetPending
			> A 11 1 +5 ; ResetRevoked @10`},
		{"answered by a reset", ahead + `
			> R 11 ; ResetPending
			< R 1 ; Reset end`},
		{"in the window, and the receiver answers", ahead + `
			< A 1 11
			> R 12 ; ImplausibleRST
			< A 1 11`},
		{"in the window, at the edge", ahead + `
			> R 65536 ; ImplausibleRST
			< A 1 1`},
		{"beyond the edge", ahead + `
			> R 65537 ; ImplausibleRST
			< A 1 1`},
		{"below acked", ahead + `
			< A 1 11
			> R 10 ; ImplausibleRST`},
		{"at the end of the farthest island, with SACK on both SYNs", sack + `
			> R 16 ; ResetPending`},
		{"inside of it", sack + `
			> R 15 ; ImplausibleRST`},
		{"at the end of the farthest island, without SACK: only in doubt", shook + `
			> A 11 1 +5 ; Hole @10
			> R 16 ; ImplausibleRST`},
		{"a reset in doubt is no reason for another connection", ahead + `
			> R 11 ; ResetPending
			> S 4000 ; StraySYN rival`},
		{"one side only, in the window", `
			> S 0 ; SynSent
			> A 1 1 ; rival
			> A 1 1 ; rival
			> A 1 1 +5 ; leaps nowhere est Established @0
			> R 100 ; ResetPending
			> A 6 1 +94 ; @5
			> A 100 1 +1 ; ResetRevoked @99
			> R 101 ; Reset end`},
		{"two segments that join, a reset ahead of them, and then its receiver is seen", `
			> A 1 1 +5 ; rival nowhere
			> A 6 1 +5 ; leaps nowhere @0 @5
			> R 12 ; ResetPending
			< A 1 11
			> A 11 1 +5 ; ResetRevoked @10
			< A 1 16 +5 ; @0`},
		{"under way nobody knows whether SACK was agreed on, so the receiver may stand at the end of early bytes", `
			> A 1 1 +5 ; rival nowhere
			< A 1 6 +5 ; leaps nowhere @0 @0
			> A 6 6 +5 ; @5
			< A 6 11
			> A 15 6 +5 ; Hole @14
			> R 20 ; ResetPending
			< A 6 11 ; ResetRevoked
			> R 19 ; ImplausibleRST`},
		{"... and stands elsewhere if both go on", `
			> A 1 1 +5 ; rival nowhere
			< A 1 6 +5 ; leaps nowhere @0 @0
			> A 131090 6 +5 ; Hole @131089
			> R 131095 ; ResetPending
			> A 6 6 +5 ; OutOfOrder @5
			< A 6 11 +5 ; ResetRevoked @5`},
		{"... below it", oneSided + `
			> R 5 ; ImplausibleRST`},
	})
}

func TestEvidenceOfAnACK(t *testing.T) {
	const narrow = `
		> S 0 ; SynSent
		< SA 0 1 w=10 ; SynReceived
		> A 1 1 w=10 ; est Established
		> A 1 1 +10 w=10 ; @0
		< A 1 11 w=10
		> A 11 1 +10 w=10 ; @10
		< A 1 21 w=10
	`
	const hole = shook + `
		> A 6 1 +5 ; Hole @5
	`
	playAll(t, []scene{
		{"ahead: a lie", shook + `
			> A 1 1 +5 ; @0
			< A 1 7 ; ImplausibleACK rival
			< A 1 6
			> A 6 1 +5 ; @5
			< A 1 11`},
		{"ahead: its own payload is held, and sent again", shook + `
			< A 1 2 +5 ; ImplausibleACK held rival nowhere
			< A 1 1 +5 ; @0`},
		{"ahead: bytes that were not captured", shook + `
			> A 1 1 +5 ; @0
			< A 1 16 +3 ; ImplausibleACK held rival nowhere
			> A 16 1 +5 ; Hole @15
			< A 4 21
			< A 4 21 +3 ; held nowhere
			> A 21 7 +5 ; @20`},
		{"into a hole: once is a word", hole + `
			< A 1 11
			> R 11 ; ResetPending`},
		{"into a hole: twice", hole + `
			< A 1 11
			< A 1 11 ; UnseenACK
			> R 11 ; ResetPending`},
		{"into a hole: twice, with less between", hole + `
			< A 1 11
			< A 1 1
			< A 1 11`},
		{"into a hole: once, and its owner goes on there", hole + `
			< A 1 11
			> A 11 1 +5 ; @10
			< A 1 16`},
		{"into a hole: twice, and then the missing bytes", hole + `
			< A 1 11
			< A 1 11 ; UnseenACK
			> A 1 1 +5 ; OutOfOrder @0`},
		{"a hole that the receiver does not have is not given up early", hole + `
			1s
			< A 1 11
			< A 1 11 ; UnseenACK
			1.099s
			< A 1 11 ; UnseenACK
			> R 11 ; ResetPending`},
		{"... but in time", hole + `
			1s
			< A 1 11
			< A 1 11 ; UnseenACK
			1.1s
			< A 1 11 ; UnseenACK
			> R 11 ; Reset end`},
		{"of a side that is not captured, by a pure ACK elsewhere", oneSided + `
			> A 100 5000
			< A 1 6 +5 ; @0`},
		{"behind, by less than a window", narrow + `
			< A 1 11 +3 w=10 ; @0`},
		{"behind, by more", narrow + `
			< A 1 10 +3 w=10 ; ImplausibleACK held nowhere
			> A 21 4 w=10
			> A 21 4 w=10
			< A 4 21 +3 w=10 ; @3`},
		{"behind, by more, and another copy comes", narrow + `
			< A 1 10 +3 w=10 ; ImplausibleACK held nowhere
			< A 1 21 +3 w=10 ; @0`},
		{"below the SYN", shook + `
			< A 1 0 +3 ; ImplausibleACK held rival nowhere
			< A 1 1 +3 ; @0`},
	})
}

// The edge of the receiver's window, to both sides.
func TestEvidenceOfDataAtTheEdge(t *testing.T) {
	const underWay = `
		> A 1 1 +1 ; rival nowhere
		> A 2 1 +1 ; leaps nowhere @0 @1
	`
	const sent = `
		> S 0 ; SynSent
		< SA 0 1 w=10 ; SynReceived
		> A 1 1 ; est Established
	`
	playAll(t, []scene{
		{"up to it", sent + `
			> A 1 1 +10 ; @0`},
		{"one beyond", sent + `
			> A 1 1 +11 ; OutOfWindow held @0-10
			< A 1 12
			< A 1 12
			> A 12 1 +5 ; @11`},
		{"one beyond, and refused", sent + `
			> A 1 1 +11 ; OutOfWindow held @0-10
			< A 1 11
			> A 11 1 +5 ; @10`},
		{"at it", sent + `
			> A 1 1 +10 ; @0
			> A 11 1 +5 ; OutOfWindow held rival nowhere
			< A 1 16
			< A 1 16`},
		{"at it, a byte", sent + `
			> A 1 1 +10 ; @0
			< A 1 11 w=0 ; ZeroWindow
			> A 11 1 +1 ; WindowProbe held rival nowhere
			< A 1 11 w=0 ; ZeroWindow
			< A 1 11 w=5
			> A 11 1 +5 ; @10`},
		{"at it, and an ACK alone", sent + `
			> A 1 1 +10 ; @0
			> A 11 1`},
		{"at it, and a FIN alone", sent + `
			> A 1 1 +10 ; @0
			> FA 11 1 ; FinWait @10
			> A 12 1`},
		{"as far as it is held", sent + `
			> A 1048586 1 +1 ; OutOfWindow held rival nowhere`},
		{"one further", sent + `
			> A 1048587 1 +1 ; OutOfWindow rival nowhere`},
		{"a GiB beyond what was sent", sent + `
			> A 0x40000001 1 +1 ; OutOfWindow rival nowhere`},
		{"more than a GiB", sent + `
			> A 0x40000002 1 +1 ; OutOfWindow rival nowhere`},
		{"half the numbers", sent + `
			> A 0x80000000 1 +1 ; OutOfWindow rival nowhere`},
		{"a SYN without a window says nothing of it", `
			> S 0 w=0 ; SynSent
			< SA 0 1 ; SynReceived
			< A 1 1 +5 ; @0`},
		{"a closed window", shook + `
			> A 1 1 +5 ; @0
			< A 1 6 w=0 ; ZeroWindow
			> A 6 1 +5 ; OutOfWindow held rival nowhere
			< A 1 11
			< A 1 11
			> A 11 1 +5 ; @10`},
		{"a closed window, and it opens", shook + `
			> A 1 1 +5 ; @0
			< A 1 6 w=0 ; ZeroWindow
			> A 6 1 +5 ; OutOfWindow held rival nowhere
			< A 1 6
			> A 6 1 +5 ; @5`},
		{"unknown windows: a GiB", underWay + `
			> A 0x40000003 1 +1 ; Hole @1073741826`},
		{"unknown windows: more", underWay + `
			> A 0x40000004 1 +1 ; OutOfWindow rival nowhere`},
		{"unknown windows: a segment of a GiB", underWay + `
			> A 3 1 +0x40000000 ; @2`},
		{"unknown windows: a larger segment", underWay + `
			> A 3 1 +0x40000001 ; OutOfWindow nowhere
			> A 3 1 +5 ; @2`},
	})
}

// Timestamps, signatures and lengths.
func TestEvidenceOfOptions(t *testing.T) {
	const stamped = `
		> S 0 ts=100 ; SynSent
		< SA 0 1 ts=900 ; SynReceived
		> A 1 1 ts=100 ; est Established
	`
	playAll(t, []scene{
		{"the same", stamped + "> A 1 1 +5 ts=100 ; @0"},
		{"one older", stamped + "> A 1 1 +5 ts=99 ; @0"},
		{"two older", stamped + `
			> A 1 1 +5 ts=98 ; Untimely held nowhere
			< A 1 6 ts=901
			< A 1 6 ts=901
			> A 6 1 +5 ts=101 ; @5`},
		{"two older, and another copy", stamped + `
			> A 1 1 +5 ts=98 ; Untimely held nowhere
			> A 1 1 +5 ts=101 ; @0`},
		{"half the numbers newer is older", stamped + "> A 1 1 +5 ts=2147483748 ; Untimely held nowhere"},
		{"nearly half the numbers newer", stamped + "> A 1 1 +5 ts=2147483747 ; @0"},
		{"around the end of the numbers", `
			> S 0 ts=4294967295 ; SynSent
			< SA 0 1 ts=900 ; SynReceived
			> A 1 1 ts=4294967295 ; est Established
			> A 1 1 +5 ts=0 ; @0
			< A 1 6 ts=900
			> A 6 1 +5 ts=1 ; @5
			< A 1 11 ts=900
			> A 11 1 +5 ts=4294967295 ; Untimely held nowhere`},
		{"without", stamped + "> A 1 1 +5 ; @0"},
		{"a newer one ahead of what is acknowledged counts for nothing", stamped + `
			> A 6 1 +5 ts=500 ; Hole @5
			> A 1 1 +5 ts=101 ; OutOfOrder @0`},
		{"one SYN has none", `
			> S 0 ts=100 ; SynSent
			< SA 0 1 ; SynReceived
			> A 1 1 ; est Established
			> A 1 1 +5 ts=5 ; @0`},
		{"an old one of a reset", stamped + "> R 1 ts=90 ; ResetPending"},
		{"MD5 without a key", shook + `
			> A 1 1 +5 ; @0
			> A 1 1 +5 ; Retransmission @0`},
		{"AO without a key", shook + `
			> A 1 1 +5 ao ; Untimely held nowhere
			< A 1 6
			< A 1 6`},
		{"MD5 with keys", `
			> S 0 md5 ; SynSent
			< SA 0 1 md5 ; SynReceived
			> A 1 1 md5 ; est Established
			> A 1 1 +5 md5 ; @0
			> A 6 1 +5 ; Untimely held nowhere`},
		{"an IP length beyond the frame", shook + `
			> A 1 1 +5 ; @0
			> FA 1 1 bad ; Untimely nowhere
			> R 1 bad ; Untimely
			> A 1 1 +5 ; Retransmission @0`},
		{"a SYN with an IP length beyond the frame", `
			> S 0 bad ; Untimely
			> S 0 ; SynSent`},
		{"a handshake that was not captured", `
			> A 1 1 +1 ts=100 ; rival nowhere
			< A 1 2 ts=900 ; leaps @0
			> A 2 1 +1 ts=5 ; @1`},
	})
}

func TestEvidenceWhileOpening(t *testing.T) {
	const others = `
		< A 5000 9000 +5 ; DataBeforeHandshake held rival nowhere
		> A 9000 5005 +5 ; rival nowhere
		< A 5005 9005 +5 ; DataBeforeHandshake held rival nowhere
		> A 9005 5010 +5 ; leaps nowhere @0 @0 @5 @5
	`
	playAll(t, []scene{
		{"the responder's data before its SYN", `
			> S 0 ; SynSent
			< A 1 1 +5 ; DataBeforeHandshake held rival nowhere
			< SA 0 1 ; SynReceived
			> A 1 6
			> A 1 6 ; est Established`},
		{"the responder's data before its SYN, which has another number", `
			> S 0 ; SynSent
			< A 9000 1 +5 ; DataBeforeHandshake held rival nowhere
			< SA 0 1 ; SynReceived
			> A 1 1 ; est Established
			< A 1 1 +5 ; @0`},
		{"the SYN+ACK was not captured", `
			> S 0 ; SynSent
			> A 1 1 ; rival
			< A 1 1 +5 ; DataBeforeHandshake held rival nowhere
			> A 1 6 ; rival
			< A 6 1 +5 ; DataBeforeHandshake held leaps nowhere est Established @0 @5
			> A 1 11 +3 ; @0`},
		{"an ACK before the SYN+ACK is no anchor", `
			> S 0 ; SynSent
			> A 1 9000 ; rival
			< SA 0 1 ; SynReceived
			> A 1 1 ; est Established
			< A 1 1 +5 ; @0`},
		{"a reset in answer to it proves nothing", `
			> S 0 ; SynSent
			> A 1 9000 ; rival
			< R 9000 ; ImplausibleRST
			< SA 0 1 ; SynReceived
			> A 1 1 ; est Established`},
		{"a SYN among others that talk", "> S 0 ; SynSent" + others},
		{"a SYN among others that talk below it", `
			> S 90000 ; SynSent
			< A 5000 9000 +5 ; DataBeforeHandshake held rival nowhere
			> A 9000 5005 +5 ; leaps nowhere @0 @0
			< A 5005 9005 +5 ; @5
			> A 9005 5010 +5 ; @5`},
		{"two SYNs among others that talk", `
			> S 90000 ; SynSent
			< A 5000 9000 ; rival
			> S 1000 ; StraySYN
			> A 9000 5000 +5 ; leaps nowhere @0`},
		{"a handshake with other numbers, refused, among others that talk", `
			> S 90000 ; SynSent
			< A 5000 9000 ; rival
			< SA 700000 90001 ; SynReceived
			> A 9000 5000 ; ImplausibleACK rival
			> A 90001 700001 ; est Established
			< A 5000 9000 ; OutOfWindow rival
			> A 9000 5000 +5 ; OutOfWindow rival nowhere
			< A 5000 9005 +5 ; OutOfWindow rival nowhere
			> A 9005 5005 ; OutOfWindow leaps @0 @0`},
		{"data that begins at the number of its sender's SYN", `
			> S 0 ; SynSent
			> A 1 2 ; rival
			< A 1 2 ; rival
			> R 2 0 ; ImplausibleRST
			< SA 0 1 ; SynReceived
			< A 0 1 +2 ; @-1
			> A 1 1 ; est Established
			> A 1 2
			< A 2 1 +5 ; @1`},
		{"a SYN+ACK with data at the number of the next byte", `
			> SA 10 700 +3 ; turned SynReceived @0
			< A 700 10 ; turned ImplausibleACK rival
			> A 10 700 +5 ; turned OutOfWindow held leaps nowhere @0
			< A 700 15 ; turned`},
		{"a SYN+ACK at the number of a FIN", `
			> SA 10 700 ; turned SynReceived
			< A 700 10 ; turned ImplausibleACK rival
			> FA 10 700 ; turned OutOfWindow leaps nowhere FinWait @0
			< A 700 11 ; turned`},
		{"a late SYN+ACK that acknowledges what was not sent", `
			> A 1 1 +5 ; rival nowhere
			< A 1 6 ; leaps @0
			< SA 0 9000 ; ImplausibleACK
			< A 1 6 +3 ; @0`},
	})
}

// A connection that has ended may turn out to go on.
func TestEvidenceAfterTheEnd(t *testing.T) {
	const reset = shook + `
		> A 1 1 +5 ; @0
		< A 1 6
		> R 6 ; Reset end
	`
	const closed = shook + `
		> FA 1 1 ; FinWait @0
		< FA 1 2 ; ClosingTCP @0
		> A 2 2 ; Closed end
	`
	playAll(t, []scene{
		{"both go on with new bytes", reset + `
			> A 6 1 +5 ; rival nowhere
			< A 1 11 +5 ; rival nowhere
			> A 11 6 +5 ; rival nowhere
			< A 6 16 +5 ; replaces nowhere rival nowhere rival nowhere rival nowhere rival nowhere
			> A 16 11 ; leaps @0 @0 @5 @5`},
		{"one does", reset + `
			> A 6 1 +5 ; rival nowhere
			> A 11 1 +5 ; rival nowhere
			> A 16 1 +5 ; rival nowhere`},
		{"its own SYN again, and a conversation with the same numbers", reset + `
			> S 0 ; rival
			< SA 0 1 ; rival
			> A 1 1 +5 ; replaces nowhere SynSent SynReceived est Established @0
			< A 1 6
			> A 6 1 +5 ; @5`},
		{"its own SYN again, and its own FINs", closed + `
			> S 0 ; rival
			< FA 1 2 ; nowhere
			> A 2 2 ; rival
			< FA 1 2 ; nowhere
			> A 2 2 ; rival`},
		{"its own SYN+ACK again", reset + `
			< SA 0 1`},
		{"its own SYN+ACK again, after a reset in answer to the SYN", `
			> S 0 ; SynSent
			< RA 0 1 ; Reset end
			< SA 0 1 ; reopened SynReceived`},
		{"old bytes are late", reset + `
			> A 1 1 +5 ; nowhere
			< A 1 6 ; rival`},
	})
}
