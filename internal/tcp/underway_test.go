package tcp

import "testing"

// A SYN of a side is a stray if both ends talk at other numbers, and it opens nothing until they say so.
func TestEvidenceOfASYNAmongOthers(t *testing.T) {
	playAll(t, []scene{
		{"both ends talk, and each has a SYN", `
			> S -1 ; SynSent
			< A 7 10 ; rival
			< A 7 10 +2 ; DataBeforeHandshake held rival nowhere
			> A 10 9 ; rival
			< S 1000000000 ; SynReceived
			> A 10 9 +10 ; ImplausibleACK leaps nowhere @0 @0
			< A 9 20 +5 ; @2`},
		{"the handshake goes on", `
			> S 0 ; SynSent
			< A 7 10 ; rival
			< A 7 10 +2 ; DataBeforeHandshake held rival nowhere
			> A 10 9 ; rival
			< SA 0 1 ; SynReceived
			> A 1 1 ; est Established
			> A 1 1 +5 ; @0`},
		{"a SYN+ACK among others, and a reset where its sender stands", `
			< SA 1000000000 1000 ; SynReceived
			> A 10 7 ; ImplausibleACK rival
			> R 10 ; ImplausibleRST`},
		{"a SYN, and a reset where the other side expects it", `
			> S 0 ; SynSent
			< A 7 5000 ; rival
			> R 5000 ; ImplausibleRST`},
	})
	for script, kept := range map[string]bool{
		"> S -1 ; SynSent\n< A 7 10 ; rival\n> A 10 7 ; rival\n< S 1000000000 ; SynReceived":       true,
		"> S -1 ; SynSent\n< A 7 10 ; rival\n> A 10 5000000 ; rival\n< S 1000000000 ; SynReceived": false,
		"> S -1 ; SynSent\n< A 7 5000000 ; rival\n> A 10 7 ; rival\n< S 1000000000 ; SynReceived":  false,
		"> S -1 ; SynSent\n> A 11 11 ; rival\n< S 1000000000 ; SynReceived":                        false,
	} {
		if w := play(t, script); w.doubts.HasRival(&w.conn) != kept {
			t.Errorf("%s: the others are kept: %v", script, !kept)
		}
	}
	for _, c := range []struct {
		script string
		reset  bool
	}{
		{"< SA 1000000000 1000 ; SynReceived\n> A 10 7 ; ImplausibleACK rival\n> R 10 ; ImplausibleRST", true},
		{"< SA 1000000000 1000 ; SynReceived\n> A 10 7 ; ImplausibleACK rival\n> R 11 ; ImplausibleRST", false},
		{"> S 0 ; SynSent\n< A 7 5000 ; rival\n> R 5000 ; ImplausibleRST", true},
		{"> S 0 ; SynSent\n< A 7 5000 ; rival\n> R 5001 ; ImplausibleRST", false},
		{"> S 0 ; SynSent\n< SA 0 1 ; SynReceived\n> A 1 1000 ; ImplausibleACK rival\n< R 1000 ; ImplausibleRST", false},
	} {
		w := play(t, c.script)
		if w.conn.StrongReset() {
			t.Errorf("%s: silence ends it", c.script)
		}
		if reset := w.conn.ResetAtEnd(false, w.doubts); reset != c.reset {
			t.Errorf("%s: at the end it is reset: %v", c.script, reset)
		}
	}
}

// Where a byte was refused that is the first one captured, and nothing follows for long, its receiver's last word tells
// where that stands. Where the capture ends meanwhile, the byte may have been on its way.
func TestSilenceUnderWayLeavesTheLastWordToTheReceiver(t *testing.T) {
	for _, c := range []struct {
		script string
		waited bool
		first  uint32 // number of position 0 of '>'
	}{
		{"> A 1010 7 +1 ; rival nowhere\n< A 7 10 ; rival", true, 10},
		{"> A 1010 7 +1 ; rival nowhere\n< A 7 10 ; rival", false, 1010},
		{"< A 7 10 ; turned rival\n> A 1010 7 +1 ; turned rival nowhere", true, 1010},
		{"> A 1048586 7 +1 ; rival nowhere\n< A 7 10 ; rival", true, 10},
		{"> A 1048587 7 +1 ; rival nowhere\n< A 7 10 ; rival", true, 1048587},
		{"> A 10 7 +1 ; rival nowhere", true, 10},
	} {
		w := play(t, c.script)
		var s sight
		held, _ := w.doubts.Leap(&w.conn, c.waited)
		w.replay(held, &s)
		right := w.side(true)
		if first := w.conn.SequenceNumber(right, 0) - isns[len(isns)-1]; first != c.first {
			t.Errorf("%s (%v): position 0 is %d", c.script, c.waited, first)
		}
	}
}

func TestEvidenceOfNumbersUnderWay(t *testing.T) {
	const seven = oneSided + `
		> A 0x60000001 1 +5 ; OutOfWindow rival nowhere
		> A 0x60000006 1 +5 ; OutOfWindow rival nowhere
		> A 0x6000000b 1 +5 ; OutOfWindow rival nowhere
		> A 0x60000010 1 +5 ; OutOfWindow rival nowhere
		> A 0x60000015 1 +5 ; OutOfWindow rival nowhere
		> A 0x6000001a 1 +5 ; OutOfWindow rival nowhere
		> A 0x6000001f 1 +5 ; OutOfWindow rival nowhere
	`
	const another = shook + `
		> S 5000000 ; StraySYN rival
		< SA 9000000 5000001 ; StraySYN rival
	`
	const both = shook + `
		> A 1 1 +5 ; @0
		< A 1 6 +5 ; @0
		> A 5000006 5000006 +5 ; ImplausibleACK rival nowhere
	`
	playAll(t, []scene{
		{"ACKs ahead of bytes that were lost: the second is credible", `
			> S 0 w=100 ; SynSent
			< SA 0 1 w=10 ; SynReceived
			> A 1 1 ; est Established
			> A 1 1 +10 ; @0
			< A 6 11 w=10
			> A 11 1 +5 ; OutOfWindow held rival nowhere
			< A 6 11 w=10
			> A 11 1 +5 ; @10`},
		{"a forged ACK, and a sender whose bytes join", `
			> A 1 500000001 ; rival
			< A 1 1 +5 ; rival nowhere
			< A 6 1 +5 ; rival nowhere
			< A 11 1 +5 ; leaps nowhere ImplausibleACK rival @0 @5 @10`},
		{"a forged ACK of the first segment, and what answers that", `
			> A 1 500000001 +3 ; rival nowhere
			< A 1 4 +5 ; rival nowhere
			< A 6 4 +5 ; rival nowhere
			< A 11 4 +5 ; leaps nowhere ImplausibleACK held rival nowhere held nowhere @5 @10`},
		{"a byte that is refused, and an ACK of a byte more", `
			> A 62711 1 +1 ; rival nowhere
			< A 1 1 ; rival
			< A 1 2 ; rival
			> A 1 1 ; rival
			> A 1 1 +10 ; leaps nowhere Hole @62710 OutOfOrder @0
			< A 1 11 +7 ; @0`},
		{"bytes of one sender that join, and its peer acknowledges others", `
			> A 10 7 ; rival
			< A 900000007 2000000010 +1 ; rival nowhere
			> A 10 7 ; rival
			< A 900000008 2000000010 +1 ; rival nowhere
			> A 10 7 ; rival
			< A 900000009 2000000010 +1 ; rival nowhere
			> A 10 7 +10 ; rival nowhere
			< A 7 20 ; leaps ImplausibleACK held rival nowhere ImplausibleACK held rival nowhere ImplausibleACK held rival nowhere @0`},
		{"two ACKs of one sender that lie, and bytes of its peer that join: those are where they say", `
			> A 10 -993 ; rival
			< A 7 10 ; rival
			< A 7 10 +7 ; rival nowhere
			> A 10 0x40000000 ; rival
			< A 14 10 ; rival
			< A 14 10 +7 ; leaps nowhere @0 ImplausibleACK rival @7
			> A 10 21 +5 ; @0`},
		{"bytes behind a FIN do not join: no receiver takes them, nor their ACK", `
			> FA 11 7 ; rival nowhere
			< A 7 10 ; rival
			> FA 10 7 ; rival nowhere
			> A 11 -1 +3 ; rival nowhere
			< A 7 11 ; leaps Hole @1 FinWait @0 ImplausibleACK held nowhere
			> R 11 ; Reset end`},
		{"... whatever came before the FIN", `
			> A 10 7 ; rival
			< A 7 3000000 ; rival
			> FA 10 7 ; rival nowhere
			> A 11 -1 +3 ; rival nowhere
			< A 7 11 ; leaps ImplausibleACK rival FinWait @0 ImplausibleACK held nowhere`},
		{"but an ACK does", `
			> FA 10 7 +5 ; rival nowhere
			> A 16 7 ; leaps FinWait @0`},
		{"a FIN ends where its receiver stands, and one far ahead is a lie", `
			> FA 10 7 +1 ; rival nowhere
			> FA 131082 7 ; rival nowhere
			< A 7 12 ; rival
			< A 7 12 ; rival
			< A 7 12 ; rival
			< A 7 12 +7 ; leaps nowhere FinWait @0 FINConflict @131072 @0
			> A 12 14`},
		{"bytes that join outrank one segment far from what they acknowledge", `
			> A 7 10 +5 ; rival nowhere
			> A 12 10 +8 ; leaps nowhere @0 @5
			< A 2147483458 7 +5 ; OutOfWindow rival nowhere
			> A 20 10
			< A 10 20 +10 ; @0
			> A 20 20 +7 ; @13`},
		{"... but not both ends that go on there", `
			> A 7 900000010 +5 ; rival nowhere
			> A 12 900000010 +8 ; leaps nowhere @0 @5
			< A 10 20 +10 ; OutOfWindow rival nowhere
			> A 20 20 +7 ; ImplausibleACK held rival nowhere
			< A 20 27 +10 ; OutOfWindow rival nowhere
			> A 27 30 +7 ; ImplausibleACK held leaps nowhere @0 @13 @10 @20`},
		{"one segment of a SYN+ACK does not outrank", `
			< SA 500 900000010 ; SynReceived
			> A 10 501
			> A 10 501 +5 ; @0`},
		{"... nor if it has payload", `
			< SA 500 2147483458 +3 ; SynReceived @0
			> A 10 504 +5 ; @0`},
		{"nor do ACKs without bytes", `
			> A 7 2147483458 ; rival
			> A 7 2147483458 ; leaps
			< A 10 7 +5 ; @0`},
		{"the first segment is a lie", `
			> A 777 999 +5 ; rival nowhere
			> A 1 1 +5 ; rival nowhere
			< A 1 6 +5 ; leaps nowhere ImplausibleACK held rival nowhere @0 @0`},
		{"one of each side that agree", `
			> A 1 1 +5 ; rival nowhere
			< A 1 6 +5 ; leaps nowhere @0 @0`},
		{"one of each side that do not", `
			> A 1 1 +5 ; rival nowhere
			< A 700000 6 +5 ; rival nowhere
			> A 6 700005 ; leaps @0 @0`},
		{"two that join", `
			> A 1 1 +5 ; rival nowhere
			> A 6 1 +5 ; leaps nowhere @0 @5`},
		{"two that do not", `
			> A 1 1 +5 ; rival nowhere
			> A 700000 1 +5 ; rival nowhere
			> A 700005 1 +5 ; leaps nowhere Retransmission @-699999 @0 @5`},
		{"four that go all the way round", `
			> A 3221225472 1 +1073741824 ; rival nowhere
			> A 2147483648 1 +1073741824 ; rival nowhere
			> A 1073741824 1 +1073741824 ; rival nowhere
			> A 0 1 +1073741824 ; rival nowhere
			> A 1073741824 1 +1 ; leaps nowhere @0 Retransmission @-1073741824 Hole @2147483648 OutOfOrder @1073741824 Retransmission @2147483648`},
		{"the SYN outranks an ACK below it", `
			> A 1 1 ; rival
			> A 1 1 ; leaps
			< A 1 -5
			> S 0
			< A 1 -5 +2 ; ImplausibleACK held rival nowhere
			< A 1 1 +2 ; @0`},
		{"a SYN with data that is captured after their ACK", `
			> A 1 6 +5 ; rival nowhere
			> A 6 6 +5 ; leaps nowhere @0 @5
			< S 0 +5 ; @0
			> A 11 1 +5 ; @10
			> A 16 6 +5 ; @15`},
		{"the SYN outranks", `
			> A 1 1 +5 ; rival nowhere
			> S 0 ; replays @0
			< A 1 6`},
		{"a leap after an outage", both + `
			< A 5000006 5000011 +5 ; ImplausibleACK rival nowhere
			> A 5000011 5000011 +5 ; ImplausibleACK rival nowhere
			< A 5000011 5000016 +5 ; ImplausibleACK leaps nowhere @5000005 @5000005 @5000010 @5000010
			> A 5000016 5000016 +5 ; @5000015`},
		{"a leap, and old bytes that acknowledge what follows it", both + `
			> A 1 5000011 +5 ; ImplausibleACK held nowhere
			< A 5000006 5000011 +5 ; ImplausibleACK rival nowhere
			> A 5000011 5000011 +5 ; ImplausibleACK rival nowhere
			< A 5000011 5000016 +5 ; ImplausibleACK leaps nowhere @5000005 @5000005 @5000010 @5000010`},
		{"a leap, and the old numbers go on", shook + `
			> A 1 1 +5 ; @0
			> A 5000006 5000006 +5 ; ImplausibleACK rival nowhere
			< A 5000006 5000011 +5 ; ImplausibleACK rival nowhere
			> A 6 1 +5 ; @5
			> A 5000011 5000011 +5 ; ImplausibleACK rival nowhere
			< A 5000011 5000016 +5 ; ImplausibleACK rival nowhere`},
		{"a leap of one that does not advance", shook + `
			> A 1 1 +5 ; @0
			> A 5000006 5000006 ; ImplausibleACK rival
			< A 5000006 5000006 ; ImplausibleACK rival
			> A 5000006 5000006 ; ImplausibleACK rival
			< A 5000006 5000006 ; ImplausibleACK rival
			> A 5000006 5000006 ; ImplausibleACK rival`},
		{"one side: seven are too few", seven + `
			> A 6 1 +5 ; @5`},
		{"one side: eight", seven + `
			> A 0x60000024 1 +5 ; OutOfWindow leaps nowhere @1610612736 @1610612741 @1610612746 @1610612751 @1610612756 @1610612761 @1610612766 @1610612771`},
		{"a rival's hole", another + `
			> A 6048577 9000001 +5 ; ImplausibleACK rival nowhere
			< A 9000001 6048582 ; ImplausibleACK rival`},
		{"a rival's hole is too large", another + `
			> A 6048578 9000001 +5 ; ImplausibleACK nowhere
			< A 9000001 6048583 ; ImplausibleACK rival`},
	})
}

// Rules that decide between numbers, each by a case in which without it other numbers would win.
func TestRulesBetweenNumbers(t *testing.T) {
	playAll(t, []scene{
		{"numbers below the SYN are no leap: the streams begin anew there", shook + `
			> A -4 0x50000000 +5 ; OutOfWindow rival nowhere
			< A 0x50000000 1 +5 ; OutOfWindow rival nowhere
			> A 1 0x50000005 +5 ; ImplausibleACK held rival nowhere
			< A 0x50000005 6 +5 ; OutOfWindow leaps nowhere @0 @0 @5 @5`},
		{"while a connection opens, a SYN that nobody follows makes room at once for those who talk", `
			> S 0 ; SynSent
			< SA 0 1 ; SynReceived
			< S 700 ; StraySYN rival
			> A 5000 9000 +5 ; ImplausibleACK rival nowhere
			> A 5005 9000 +5 ; ImplausibleACK rival nowhere
			< A 9000 5010 ; ImplausibleACK rival
			< A 9000 5010 +5 ; ImplausibleACK held leaps nowhere @0 @5 @0`},
		{"misfits count from the last segment that follows the SYN", shook + `
			> S 5000000 ; StraySYN rival
			< SA 9000000 5000001 ; StraySYN rival
			> A 0x50000000 0x50000000 ; OutOfWindow
			> A 0x50000000 0x50000000 ; OutOfWindow
			> A 5000001 9000001 ; ImplausibleACK rival
			> A 0x50000000 0x50000000 ; OutOfWindow
			> A 0x50000000 0x50000000 ; OutOfWindow
			> A 5000001 9000001 +5 ; ImplausibleACK rival nowhere
			< A 9000001 5000006 ; ImplausibleACK replaces SynSent SynReceived est Established @0`},
		{"an ACK that its sender takes back by what it expects: of what came with a first word, one ACK more is one, too", shook + `
			< A 201 1 +10 ; Hole @200
			> A 1 101 +10 ; held nowhere
			< A 1 1
			< A 1 11
			> R 11 ; ResetPending`},
		{"... and without that it counts at once", shook + `
			< A 201 1 +10 ; Hole @200
			> A 1 101 +10 ; held nowhere
			< A 1 11
			> R 11 ; Reset end`},
		{"the timestamp of a segment below the SYN, which ends where the receiver stands (RFC 7323 section 4.3)", `
			> S 0 ts=100 ; SynSent
			< SA 0 1 ts=900 ; SynReceived
			> A 1 1 ts=101 ; est Established
			> A -9 1 +10 ts=200 ; OutOfWindow rival nowhere
			> A 1 1 +5 ts=150 ; Untimely held nowhere`},
		{"... and of one that ends below it", `
			> S 0 ts=100 ; SynSent
			< SA 0 1 ts=900 ; SynReceived
			> A 1 1 ts=101 ; est Established
			> A -10 1 +10 ts=200 ; OutOfWindow rival nowhere
			> A 1 1 +5 ts=150 ; @0`},
		{"a reset that is the first segment: an ACK elsewhere revokes it", `
			> R 100 ; ResetPending
			< A 7 90 ; ResetRevoked rival`},
		{"... but not bytes that were on their way", `
			> R 100 ; ResetPending
			< A 7 90 +5 ; rival nowhere`},
		{"... nor an ACK of its number", `
			> R 100 ; ResetPending
			< A 7 100 ; rival`},
		{"its sender goes on behind it", `
			> R 100 ; ResetPending
			> A 95 7 +6 ; ResetRevoked rival nowhere`},
		{"... and not up to it: those were on their way, too", `
			> R 100 ; ResetPending
			> A 95 7 +5 ; rival nowhere`},
	})
}
