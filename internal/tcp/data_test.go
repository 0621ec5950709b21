package tcp

import (
	"strings"
	"testing"
)

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
			> A 500 900 +10 ; rival nowhere
			< A 900 510 +10 ; leaps nowhere @0 @0
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
			> A 4 1 +1 ; WindowProbe held rival nowhere
			< A 1 4 w=0 ; ZeroWindow
			> A 4 1 +1 ; WindowProbe held rival nowhere
			< A 1 4 w=100
			> A 4 1 +3 ; @3`},
		{"taken", shook + `
			> A 1 1 +3 ; @0
			< A 1 4 w=0 ; ZeroWindow
			> A 4 1 +1 ; WindowProbe held rival nowhere
			< A 1 5 w=0 ; ZeroWindow
			> A 5 1 +2 ; OutOfWindow held rival nowhere`},
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
			> A 5000001 1 +1 ; OutOfWindow rival nowhere
			> FA 5000001 1 ; OutOfWindow rival nowhere
			> A 2 1 +1 ; @1`},
		{"half the space away", shook + `
			> A 1 1 +1 ; @0
			> A 0x80000002 1 +1 ; OutOfWindow rival nowhere
			> A 0x80000001 1 +1 ; OutOfWindow rival nowhere
			> A 2 1 +1 ; @1`},
		{"an ACK far below, and half the space away", shook + `
			> A 1 1 +3 ; @0
			< A 1 -100000 +3 ; ImplausibleACK held rival nowhere
			< A 1 0x80000001 +3 ; ImplausibleACK held rival nowhere
			< A 1 0x70000001 +3 ; ImplausibleACK held rival nowhere
			< A 1 4 +3 ; @0`},
		{"an ACK below a SYN that is captured late", `
			> A 500 1000 ; rival
			< A 1000 400 ; rival
			> S 499 ; replays ImplausibleACK rival
			< A 1000 450 +3 ; ImplausibleACK held rival nowhere
			< A 1000 500 +3 ; @0`},
		{"an ACK of what was acknowledged long ago", shook + `
			> A 1 1 +60000 ; @0
			< A 1 60001
			> A 60001 1 +60000 ; @60000
			< A 1 120001
			> A 120001 1 +60000 ; @120000
			< A 1 180001
			< A 1 114466 +3 ; @0
			< A 1 114465 +3 ; ImplausibleACK held nowhere
			< A 1 40001 +3 ; ImplausibleACK held nowhere`},
		{"an ACK of what may have been lost is taken", shook + `
			> A 1 1 +3 ; @0
			< A 1 1004 +3 ; ImplausibleACK held rival nowhere
			< A 4 1004 ; ImplausibleACK rival
			< A 4 4
			> A 4 1 +3 ; @3`},
		{"data behind an ACK of unseen bytes", shook + `
			> A 1 1 +100 ; @0
			< A 1 501 ; ImplausibleACK rival
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
			> A 9000001 1 +5 ; OutOfWindow rival nowhere`},
		{"scale above 14 is 14", `
			> S 0 ws=2 ; SynSent
			< SA 0 1 ws=255 ; SynReceived
			> A 1 1 ; est Established
			< A 1 1 w=1000
			> A 16383996 1 +5 ; Hole @16383995
			> A 16383997 1 +5 ; OutOfOrder OutOfWindow held @16383996-16384000
			> A 16384001 1 +5 ; OutOfWindow held rival nowhere`},
		{"one has none", `
			> S 0 ; SynSent
			< SA 0 1 ws=7 ; SynReceived
			> A 1 1 ; est Established
			< A 1 1 w=30000
			` + far + `OutOfWindow rival nowhere`},
		{"the other's SYN+ACK was not captured", `
			> S 0 ws=7 ; SynSent
			> A 1 1 +1 ; rival nowhere
			> A 2 1 +1 ; leaps nowhere est Established @0 @1
			< A 1 3
			< A 1 3
			> A 3 1 w=30000
			< A 3000001 3 +5 ; Hole @3000000`},
		{"the SYN was not captured", `
			< SA 0 1 ws=7 ; SynReceived
			> A 1 1 ; est Established
			< A 1 1 w=30000
			` + far + `Hole @3000000`},
		{"nothing is known", `
			> A 1 1 ; rival
			< A 1 1 ; leaps
			` + far + `Hole @3000000
			> A 0x70000001 1 +5 ; OutOfWindow rival nowhere`},
	})
}

// A capture that loses packets must not lose the connection.
func TestTheViewRecovers(t *testing.T) {
	t.Run("one direction leaps, the peer's ACK says so", func(t *testing.T) {
		play(t, shook+`
			> A 1 1 +10 ; @0
			> A 9000001 1 +10 ; OutOfWindow rival nowhere
			< A 1 9000011 ; ImplausibleACK rival
			> A 9000011 1 +10 ; OutOfWindow rival nowhere
			< A 1 9000021 ; ImplausibleACK leaps @9000000 @9000010
			> A 9000021 1 +10 ; @9000020`)
	})
	t.Run("both directions leap: two segments of each that agree", func(t *testing.T) {
		play(t, shook+`
			> A 9000001 7000001 +10 ; ImplausibleACK rival nowhere
			< A 7000001 9000011 +10 ; ImplausibleACK rival nowhere
			> A 9000011 7000011 +10 ; ImplausibleACK rival nowhere
			< A 7000011 9000021 +10 ; ImplausibleACK leaps nowhere @9000000 @7000000 @9000010 @7000010
			> A 9000021 7000021 +10 ; @9000020
			< A 7000021 9000031 +10 ; @7000020`)
	})
	t.Run("a count is no evidence", func(t *testing.T) {
		const stray = "> A 9000001 1 +10 ; OutOfWindow rival nowhere\n"
		hundred := strings.Repeat(stray, 100)
		play(t, shook+hundred+"> A 1 1 +1 ; @0\n"+hundred+"> A 2 1 +1 ; @1\n")
		play(t, "> S 0 ; SynSent\n< SA 0 1 ; SynReceived\n"+hundred+"> A 1 1 ; est Established")
		const ahead = "< A 1 0x60000001 +5 ; ImplausibleACK held rival nowhere\n"
		play(t, shook+strings.Repeat(ahead, 100)+"< A 1 1 +5 ; @0")
	})
	t.Run("an ACK that leapt far is believed once its owner is there", func(t *testing.T) {
		play(t, shook+`
			< A 1 0x60000001 +5 ; ImplausibleACK held rival nowhere
			> A 0x60000001 6 +5 ; OutOfWindow rival nowhere
			< A 6 0x60000006 +5 ; ImplausibleACK held rival nowhere
			> A 0x60000006 11 +5 ; OutOfWindow leaps nowhere @0 @1610612736 @5 @1610612741`)
	})
}

// stream feeds a connection n segments of size bytes in one direction.
func stream(c *Conn, ds *Doubts, i Side, g Segment, n int, each func(k int, g *Segment, o Outcome)) {
	for k := range n {
		each(k, &g, c.step(i, &g, ds))
		g.Seq += g.Len
	}
}

func TestPositionsOfAStreamBeyondTheNumberSpaceAreExact(t *testing.T) {
	for _, isn := range isns {
		var c Conn
		ds := &Doubts{}
		c.step(Initiator, &Segment{Seq: isn, Flags: SYN, Window: 65535}, ds)
		c.step(Responder, &Segment{Seq: 7, Ack: isn + 1, Flags: SYN | ACK, Window: 65535}, ds)
		c.step(Initiator, &Segment{Seq: isn + 1, Ack: 8, Flags: ACK, Window: 65535}, ds)
		const size = 60_000
		n := int(int64(3<<32)/size) + 10
		stream(&c, ds, Initiator, Segment{Seq: isn + 1, Ack: 8, Flags: ACK, Len: size}, n, func(k int, g *Segment, o Outcome) {
			if o.Pos != int64(k)*size || !o.Placed || o.Notes&^ZeroWindow != 0 {
				t.Fatalf("isn %d, segment %d: %+v %v", isn, k, o, o.Notes.names())
			}
			if a := (Segment{Seq: 8, Ack: g.Seq + size, Flags: ACK, Window: 65535}); true {
				if o := c.step(Responder, &a, ds); o.Notes != 0 {
					t.Fatalf("isn %d, ACK %d: %v", isn, k, o.Notes.names())
				}
			}
		})
	}
}

// There is a hole that nobody will ever acknowledge, since only one direction
// is captured, or no longer both. Whatever follows must find its place, once it is clear that the other
// side is not captured: after the first segment, or when a segment was unanswered for as long as it is held.
func TestAHoleNeverShutsOutWhatFollows(t *testing.T) {
	for _, c := range []struct {
		name, start string
		from        int64 // segments
	}{
		{"one side captured", "> S 0 ; SynSent\n> A 1 1 ; rival", 2},
		{"the other side falls silent", shook, 3002},
		{"under way, one side captured", "> A 1 1 ; rival\n> A 1 1 ; leaps", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := play(t, c.start)
			left := isns[len(isns)-1]
			const size = 50_000
			lost := int64(0)
			for k := range int64(3<<32) / size {
				if k%1000 == 0 {
					lost += size
				}
				pos := k*size + lost
				g := Segment{Seq: left + 1 + uint32(pos), Ack: left + 1, Flags: ACK, Window: 65535, Len: size, Time: k * second / 100}
				if o := w.see(true, &g, false); k >= c.from && (!o.Placed || o.Pos != pos || o.End != pos+size) {
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
		refused      int
	}{
		{"never captured", "> S 0 ; SynSent\n> A 1 1 ; rival", 0},
		{"under way", "> A 1 1 ; rival", 0},
		{"no longer captured", shook, 3000},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := play(t, c.script)
			isn, refused := isns[len(isns)-1], 0
			ack := isn + 1
			for k := range 32_000 {
				g := Segment{Seq: isn + 1, Ack: ack, Flags: ACK, Window: 65535, Time: int64(k) * second / 100}
				if ack += 60_000; k > 4000 {
					ack += 540_000 // 17 GB in all
				}
				if o := w.see(true, &g, false); o.Notes&ImplausibleACK != 0 {
					refused++
				}
			}
			if refused != c.refused {
				t.Errorf("%d ACKs refused, not %d", refused, c.refused)
			}
		})
	}
}
