package tcp

import "testing"

func TestPayloadIsCompared(t *testing.T) {
	playAll(t, []scene{
		{"in order, again, early, and the hole closed", shook + `
			> A 1 1 +10 ; @0
			> A 1 1 +10 ; Retransmission @0
			> A 21 1 +10 ; Hole @20
			> A 21 1 +10 ; OutOfOrder @20
			> A 11 1 +10 ; OutOfOrder @10
			> A 31 1 +10 ; @30`},
		{"a resend that goes further is new", shook + `
			> A 1 1 +6 ; @0
			> A 5 1 +4 ; @4`},
		{"keep-alive with garbage, with nothing, and before any data", shook + `
			> A 0 1 +1 ; KeepAlive nowhere
			> A 1 1 +3 ; @0
			< A 1 4
			> A 3 1 +1 ; KeepAlive nowhere
			> A 3 1 ; KeepAlive
			> A 4 1 +3 ; @3`},
		{"one byte sent again is a retransmission while it is not acknowledged", shook + `
			< A 1 1
			> A 1 1 +1 ; @0
			> A 1 1 +1 ; Retransmission @0
			< A 1 2
			> A 1 1 +1 ; KeepAlive nowhere`},
		{"nothing without the ACK flag", shook + `
			> P 1 +3 ; NoACK nowhere
			> - 1 +3 ; NoACK nowhere
			> U 1 +3 ; NoACK nowhere
			> F 1 +3 ; NoACK nowhere
			> - 1
			> A 1 1 +3 ; @0`},
		{"under way when first seen: data, then both number spaces are known", `
			> A 500 900 +10 ; @0
			< A 900 510 +10 ; @0
			< A 920 510 +5 ; Hole @20
			> A 490 900 +10 ; Retransmission @-10`},
	})
}

// A probe into a closed window is not data unless the peer says so
// (RFC 9293 section 3.8.6.1).
func TestWindowProbes(t *testing.T) {
	playAll(t, []scene{
		{"refused twice, then the window opens", shook + `
			> A 1 1 +3 ; @0
			< A 1 4 w=0 ; ZeroWindow
			> A 4 1 +1 ; WindowProbe @3
			< A 1 4 w=0 ; ZeroWindow
			> A 4 1 +1 ; WindowProbe Retransmission @3
			< A 1 4 w=100
			> A 4 1 +3 ; @3`},
		{"taken", shook + `
			> A 1 1 +3 ; @0
			< A 1 4 w=0 ; ZeroWindow
			> A 4 1 +1 ; WindowProbe @3
			< A 1 5 w=0 ; ZeroWindow
			> A 5 1 +2 ; @4`},
		{"none in a window that opened again", shook + `
			< A 1 1 w=0 ; ZeroWindow
			< A 1 1 w=100
			> A 1 1 +1 ; @0`},
		{"without a byte it is a keep-alive", shook + `
			> A 1 1 +3 ; @0
			< A 1 4 w=0 ; ZeroWindow
			> A 3 1 ; KeepAlive`},
	})
}

func TestSegmentsFarFromTheConnection(t *testing.T) {
	playAll(t, []scene{
		{"beyond the window", shook + `
			> A 1 1 +1 ; @0
			> A 5000001 1 +1 ; OutOfWindow nowhere
			> FA 5000001 1 ; OutOfWindow nowhere
			> A 2 1 +1 ; @1`},
		{"half the space away", shook + `
			> A 1 1 +1 ; @0
			> A 0x80000002 1 +1 ; OutOfWindow nowhere
			> A 0x80000001 1 +1 ; OutOfWindow nowhere
			> A 2 1 +1 ; @1`},
		{"an ACK far below, and half the space away", shook + `
			> A 1 1 +3 ; @0
			< A 1 -100000 +3 ; ImplausibleACK nowhere
			< A 1 0x80000001 +3 ; ImplausibleACK nowhere
			< A 1 0x70000001 +3 ; ImplausibleACK nowhere
			< A 1 4 +3 ; @0`},
		{"an ACK below a SYN that is captured late", `
			> A 500 1000
			< A 1000 400
			> S 499
			< A 1000 450 +3 ; ImplausibleACK nowhere
			< A 1000 500 +3 ; @0`},
		{"an ACK of what was acknowledged long ago", shook + `
			> A 1 1 +60000 ; @0
			> A 60001 1 +60000 ; @60000
			> A 120001 1 +60000 ; @120000
			< A 1 180001
			< A 1 60001 +3 ; @0
			< A 1 40001 +3 ; ImplausibleACK nowhere`},
		{"an ACK of what may have been lost is taken", shook + `
			> A 1 1 +3 ; @0
			< A 1 1004 +3 ; UnseenACK @0
			< A 4 1004
			< A 4 4
			> A 4 1 +3 ; @3`},
		{"data behind an ACK of unseen bytes", shook + `
			> A 1 1 +100 ; @0
			< A 1 501 ; UnseenACK
			> A 501 1 +100 ; Hole @500
			< A 1 601
			> A 601 1 +100 ; @600`},
	})
}

// The scale counts only if both SYNs carry one (RFC 7323 section 2.2).
func TestWindowsWithAndWithoutScale(t *testing.T) {
	const far = "> A 3000001 1 +5 ; "
	playAll(t, []scene{
		{"both scaled", `
			> S 0 ws=2 ; SynSent
			< SA 0 1 ws=7 ; SynReceived
			> A 1 1 ; est Established
			< A 1 1 w=30000
			` + far + `Hole @3000000
			> A 9000001 1 +5 ; OutOfWindow nowhere`},
		{"scale above 14 is 14", `
			> S 0 ws=2 ; SynSent
			< SA 0 1 ws=255 ; SynReceived
			> A 1 1 ; est Established
			< A 1 1 w=1000
			> A 30000001 1 +5 ; Hole @30000000
			> A 0x30000001 1 +5 ; OutOfWindow nowhere`},
		{"one has none", `
			> S 0 ; SynSent
			< SA 0 1 ws=7 ; SynReceived
			> A 1 1 ; est Established
			< A 1 1 w=30000
			` + far + `OutOfWindow nowhere`},
		{"the other's SYN+ACK was not captured", `
			> S 0 ws=7 ; SynSent
			> A 1 1 ; est Established
			> A 1 1 w=30000
			< A 1 1
			< A 3000001 1 +5 ; Hole @3000000`},
		{"the SYN was not captured", `
			< SA 0 1 ws=7 ; SynReceived
			> A 1 1 ; est Established
			< A 1 1 w=30000
			` + far + `Hole @3000000`},
		{"nothing is known", `
			> A 1 1
			< A 1 1
			` + far + `Hole @3000000
			> A 0x70000001 1 +5 ; OutOfWindow nowhere`},
	})
}

// A capture that loses packets must not lose the connection.
func TestTheViewRecovers(t *testing.T) {
	t.Run("one direction leaps, the peer's ACK says so", func(t *testing.T) {
		play(t, shook+`
			> A 1 1 +10 ; @0
			> A 9000001 1 +10 ; OutOfWindow nowhere
			< A 1 9000011 ; UnseenACK
			> A 9000011 1 +10 ; Hole @9000010
			< A 1 9000021
			> A 9000021 1 +10 ; @9000020`)
	})
	t.Run("both directions leap: the eighth in a row is believed", func(t *testing.T) {
		play(t, shook+`
			> A 9000001 7000001 +10 ; OutOfWindow nowhere
			< A 7000001 9000011 +10 ; OutOfWindow nowhere
			> A 9000011 7000011 +10 ; OutOfWindow nowhere
			< A 7000011 9000021 +10 ; OutOfWindow nowhere
			> A 9000021 7000021 +10 ; OutOfWindow nowhere
			< A 7000021 9000031 +10 ; OutOfWindow nowhere
			> A 9000031 7000031 +10 ; OutOfWindow nowhere
			< A 7000031 9000041 +10 ; UnseenACK Hole @7000030
			> A 9000041 7000041 +10 ; Hole @9000040
			< A 7000041 9000051 +10 ; @7000040`)
	})
	t.Run("one that fits starts the count again", func(t *testing.T) {
		const stray = "> A 9000001 1 +10 ; OutOfWindow nowhere\n"
		seven := stray + stray + stray + stray + stray + stray + stray
		play(t, shook+seven+"> A 1 1 +1 ; @0\n"+seven+"> A 2 1 +1 ; @1\n")
		play(t, shook+seven+"> A 9000001 1 +10 ; Hole @9000000")
		play(t, "> S 0 ; SynSent\n< SA 0 1 ; SynReceived\n"+seven+stray+stray+"> A 1 1 ; est Established")
	})
	t.Run("an ACK that leapt too far is believed in the end", func(t *testing.T) {
		const stray = "< A 1 0x60000001 +5 ; ImplausibleACK nowhere\n"
		play(t, shook+stray+stray+stray+stray+stray+stray+stray+`
			< A 1 0x60000001 +5 ; @0
			> A 0x60000001 6 +5 ; @1610612736
			< A 6 0x60000006 +5 ; @5`)
	})
}

// stream feeds a connection n segments of size bytes in one direction.
func stream(c *Conn, i Side, g Segment, n int, each func(k int, g *Segment, o Outcome)) {
	for k := range n {
		each(k, &g, c.step(i, &g))
		g.Seq += g.Len
	}
}

func TestPositionsOfAStreamBeyondTheNumberSpaceAreExact(t *testing.T) {
	for _, isn := range isns {
		var c Conn
		c.step(Initiator, &Segment{Seq: isn, Flags: SYN, Window: 65535})
		c.step(Responder, &Segment{Seq: 7, Ack: isn + 1, Flags: SYN | ACK, Window: 65535})
		c.step(Initiator, &Segment{Seq: isn + 1, Ack: 8, Flags: ACK, Window: 65535})
		const size = 60_000
		n := int(int64(3<<32)/size) + 10
		stream(&c, Initiator, Segment{Seq: isn + 1, Ack: 8, Flags: ACK, Len: size}, n, func(k int, g *Segment, o Outcome) {
			if o.Pos != int64(k)*size || !o.Placed || o.Notes&^ZeroWindow != 0 {
				t.Fatalf("isn %d, segment %d: %+v %v", isn, k, o, o.Notes.names())
			}
			if a := (Segment{Seq: 8, Ack: g.Seq + size, Flags: ACK, Window: 65535}); k%3 == 0 {
				if o := c.step(Responder, &a); o.Notes != 0 {
					t.Fatalf("isn %d, ACK %d: %v", isn, k, o.Notes.names())
				}
			}
		})
	}
}

// There is a hole that nobody will ever acknowledge, since only one direction
// is captured, or no longer both. Whatever follows must find its place.
func TestAHoleNeverShutsOutWhatFollows(t *testing.T) {
	starts := map[string]string{
		"one side captured":            "> S 0 ; SynSent\n> A 1 1 ; est Established",
		"the other side falls silent":  shook,
		"under way, one side captured": "> A 1 1",
	}
	for name, start := range starts {
		t.Run(name, func(t *testing.T) {
			w := play(t, start)
			left := isns[len(isns)-1]
			const size = 50_000
			lost := int64(0)
			for k := range int64(3<<32) / size {
				if k%1000 == 0 {
					lost += size
				}
				pos := k*size + lost
				g := Segment{Seq: left + 1 + uint32(pos), Ack: left + 1, Flags: ACK, Window: 65535, Len: size}
				if o := w.conn.step(Initiator, &g); !o.Placed || o.Pos != pos {
					t.Fatalf("segment %d: %+v %v", k, o, o.Notes.names())
				}
			}
		})
	}
}

// The side that sends is not captured, so its positions are known only from the
// ACKs of the other, and those go round the number space several times.
func TestACKsOfASideThatIsNotCapturedAreFollowed(t *testing.T) {
	for _, c := range []struct {
		name, script string
		refused      int // for each GiB
	}{
		{"never captured", "> S 0 ; SynSent\n> A 1 1 ; est Established", 0},
		{"under way", "> A 1 1", 0},
		{"no longer captured", shook, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := play(t, c.script)
			isn, refused := isns[len(isns)-1], 0
			const n, size = 300_000, 60_000
			for k := range n {
				g := Segment{Seq: isn + 1, Ack: isn + 1 + uint32(int64(k)*size), Flags: ACK, Window: 65535}
				if o := w.conn.step(Initiator, &g); o.Notes&ImplausibleACK != 0 {
					refused++
				}
			}
			if limit := int(int64(n)*size>>30) * c.refused; refused > limit {
				t.Errorf("%d ACKs refused, more than %d", refused, limit)
			}
		})
	}
}
