package direction

import (
	"math"
	"testing"

	"github.com/flowscope-go/flowscope/internal/stream"
)

const handshake = `
	> S 0
	< SA 0 1
	> A 1 1
`

func TestBytesInOrderAndNot(t *testing.T) {
	run(t, stream.Limits{}, Config{}, []script{
		{"in order", handshake + `
			> A 1 1 +abc     ; >abc@0
			< A 1 4 +xy      ; <xy@0
			> A 4 3 +de      ; >de@3
			end              ; >closed@5 <closed@2`},
		{"swapped", handshake + `
			> A 4 1 +de      ; >early@3
			> A 6 1 +f       ; >early@5
			> A 1 1 +abc     ; >abc@0 >de@3 >f@5
			> A 7 1 +g       ; >g@6
			end              ; >closed@7 <closed@0`},
		{"an overlap that differs", handshake + `
			> A 4 1 +de      ; >early@3
			> A 1 1 +abcDe   ; >conflict@3+1 >abc@0 >de@3
			end              ; >closed@5 <closed@0`},
		{"urgent", handshake + `
			> UA 1 1 +abc urg=2 ; >urgent@2 >abc@0
			end              ; >closed@3 <closed@0`},
		{"midstream", `
			> A 1000 1 +abc
			< A 1 1003 +x    ; anew >abc@0 <x@0
			end              ; >closed@3 <closed@1`},
		{"midstream, one segment", `
			> A 1000 1 +abc
			end              ; anew >abc@0 >closed@3 <closed@0`},
		{"a stopped direction", handshake + `
			> A 4 1 +de      ; >early@3
			stop >
			> A 1 1 +abc
			< A 1 6 +x       ; <x@0
			> A 6 2 +fgh
			> FA 9 2
			end              ; >closed@8 <closed@1`},
	})
}

func TestHoles(t *testing.T) {
	run(t, stream.Limits{}, Config{}, []script{
		{"nobody acknowledges", handshake + `
			> A 1 1 +-       ; >-@0
			> A 4 1 +c       ; >early@3
			29.9s
			> A 5 1 +d       ; >early@4
			30s              ; >gap@1+2:expired >c@3 >d@4
			> A 2 1 +ab      ; >late@1+2
			end              ; >closed@5 <closed@0`},
		{"the ACK before the hole says that nothing behind it was received", handshake + `
			> A 3 1 +c       ; >early@2
			86400s
			> A 4 1 +d       ; >early@3
			> A 1 1 +ab      ; >ab@0 >c@2 >d@3
			end              ; >closed@4 <closed@0`},
		{"acknowledged", handshake + `
			> A 3 1 +c       ; >early@2
			0.99s
			< A 1 4
			1s
			< A 1 4
			1.005s
			1.02s            ; >gap@0+2:acknowledged >c@2
			end              ; >closed@3 <closed@0`},
		{"acknowledged once: that may be a lie", handshake + `
			> A 3 1 +c       ; >early@2
			< A 1 4
			60s
			> A 1 1 +ab      ; >ab@0 >c@2
			end              ; >closed@3 <closed@0`},
		{"the receiver stands at it, so what is missing will come", handshake + `
			> A 3 1 +c       ; >early@2
			< A 1 1
			60s
			> A 1 1 +ab      ; >ab@0 >c@2
			end              ; >closed@3 <closed@0`},
		{"acknowledged once, and its sender goes on there", handshake + `
			> A 3 1 +c       ; >early@2
			< A 1 4
			1s
			> A 4 1 +d       ; >early@3
			1.005s
			1.02s            ; >gap@0+2:acknowledged >c@2 >d@3
			end              ; >closed@4 <closed@0`},
		{"before a FIN, acknowledged once, and its sender goes on there", handshake + `
			> FA 3 1
			< A 1 4
			> A 4 1 +d
			1.02s            ; >gap@0+2:acknowledged >closed@2
			end              ; <closed@0`},
		{"acknowledged in part", handshake + `
			> A 5 1 +e       ; >early@4
			1s
			< A 1 3
			< A 1 3
			1.02s            ; >gap@0+2:acknowledged
			> A 3 1 +cd      ; >cd@2 >e@4
			end              ; >closed@5 <closed@0`},
		{"acknowledged before it opened", handshake + `
			< A 1 4
			1s
			> A 4 1 +d       ; >early@3
			< A 1 4
			< A 1 4
			1.005s
			1.02s            ; >gap@0+3:acknowledged >d@3
			end              ; >closed@4 <closed@0`},
		{"one side only", `
			> S 0
			> A 1 1
			> A 1 1 +a       ; >a@0
			> A 3 1 +c       ; >early@2
			3.9s
			4.1s             ; >gap@1+1:expired >c@2
			end              ; >closed@3 <closed@0`},
		{"one side only, too little to be sure of, until the end", `
			> S 0
			> A 1 1 +a
			> A 3 1 +c
			end              ; >a@0 >early@2 >gap@1+1:ended >c@2 >closed@3 <closed@0`},
		{"one side only, from some time on", handshake + `
			> A 1 1 +a w=9   ; >a@0
			< A 1 2 w=1
			> A 70001 1 +b
			> A 70002 1 +c
			25s
			> A 70003 1 +d
			40s
			> A 70004 1 +e   ; >early@70003
			43.9s
			44.1s            ; >gap@1+70002:expired >e@70003
			end              ; >closed@70004 <closed@0`},
		{"right before the FIN", handshake + `
			> FA 4 1
			31s
			end              ; >gap@0+3:ended >closed@3 <closed@0`},
		{"right before the FIN, acknowledged twice", handshake + `
			> FA 4 1
			< A 1 5
			< A 1 5
			1s               ; >gap@0+3:acknowledged >closed@3
			end              ; <closed@0`},
		{"right before a FIN whose receiver is not captured", `
			> S 0
			> A 1 1
			> A 1 1 +a       ; >a@0
			> FA 4 1
			end              ; >gap@1+2:ended >closed@3 <closed@0`},
		{"cut by the capture", handshake + `
			> A 1 1 +ab cut=2 ; >ab@0 >gap@2+2:cut
			> A 5 1 +e       ; >e@4
			end              ; >closed@5 <closed@0`},
		{"cut, and early", handshake + `
			> A 3 1 +cd cut=2 ; >early@2
			> A 7 1 +g       ; >early@6
			> A 1 1 +ab      ; >ab@0 >cd@2 >gap@4+2:cut >g@6
			end              ; >closed@7 <closed@0`},
		{"at the end", handshake + `
			> A 3 1 +c       ; >early@2
			end              ; >gap@0+2:ended >c@2 >closed@3 <closed@0`},
	})
	run(t, stream.Limits{SidePieces: 1}, Config{}, []script{
		{"no room", handshake + `
			> A 3 1 +c       ; >early@2
			> A 5 1 +e       ; >early@4 >gap@0+2:budget >c@2
			end              ; >gap@3+1:ended >e@4 >closed@5 <closed@0`},
	})
}

// Payload of a SYN is data only if the other side says so (RFC 7413 section 4.2).
func TestSYNData(t *testing.T) {
	scripts := []script{
		{"acknowledged", `
			> S 0 +abc
			< SA 0 4         ; >abc@0
			> A 4 1 +d       ; >d@3
			end              ; >closed@4 <closed@0`},
		{"acknowledged in part", `
			> S 0 +abc
			< SA 0 1
			> A 1 1 +abc     ; >abc@0
			end              ; >closed@3 <closed@0`},
		{"the other side is not captured", `
			> S 0 +abc
			> A 4 1
			> A 4 1 +d       ; >abc@0 >d@3
			end              ; >closed@4 <closed@0`},
		{"the other side is not captured, and there is little", `
			> S 0 +abc
			> A 4 1 +d
			end              ; >abc@0 >d@3 >closed@4 <closed@0`},
		{"the other side is not captured, and did not take it", `
			> S 0 +abc
			> A 1 1
			> A 1 1 +xyz     ; >xyz@0
			end              ; >closed@3 <closed@0`},
		{"the other side is not captured, and did not take it, and there is little", `
			> S 0 +abc
			> A 1 1 +xyz
			end              ; >xyz@0 >closed@3 <closed@0`},
		{"of another SYN than the one that is answered", `
			> S 0 +abc
			> S 5000 +xyz
			< SA 0 1
			> A 1 1 +ab      ; >ab@0
			end              ; >closed@2 <closed@0`},
		{"never answered", `
			> S 0 +abc
			60s
			end              ; >closed@0 <closed@0`},
	}
	run(t, stream.Limits{}, Config{}, scripts)
	run(t, stream.Limits{TotalBytes: 1}, Config{}, []script{
		{"no room, after another result", `
			> S 0
			> A 1 1
			> A 1 1 +ab      ; >ab@0
			> A 9 1 +ij      ; >early@8 >gap@2+6:budget >ij@8
			< SA 0 1 +xyz    ; <noroom@0+3
			end              ; >closed@10 <gap@0+3:ended <closed@3`},
		{"no room", `
			> S 0 +abc       ; >noroom@0+3
			< SA 0 4
			> A 4 1 +d       ; >early@3 >gap@0+3:budget >d@3
			end              ; >closed@4 <closed@0`},
	})
}

// The byte of a window probe is data if it is acknowledged, twice, before it comes again (RFC 9293 section
// 3.8.6.1).
func TestWindowProbes(t *testing.T) {
	run(t, stream.Limits{}, Config{}, []script{
		{"acknowledged", handshake + `
			> A 1 1 +abc     ; >abc@0
			< A 1 4 w=0
			> A 4 1 +d
			< A 1 5 w=0
			< A 1 5          ; >d@3
			> A 5 1 +e       ; >e@4
			end              ; >closed@5 <closed@0`},
		{"sent again with other bytes", handshake + `
			> A 1 1 +abc     ; >abc@0
			< A 1 4 w=0
			> A 4 1 +x
			< A 1 4
			> A 4 1 +de      ; >de@3
			< A 1 6
			end              ; >closed@5 <closed@0`},
		{"of a stopped direction", handshake + `
			> A 1 1 +abc     ; >abc@0
			< A 1 4 w=0
			> A 4 1 +d
			stop >
			< A 1 5
			end              ; >closed@4 <closed@0`},
		{"never acknowledged", handshake + `
			> A 1 1 +abc     ; >abc@0
			< A 1 4 w=0
			> A 4 1 +x
			end              ; >x@3 >closed@4 <closed@0`},
		{"of a segment that points to urgent bytes", handshake + `
			> A 1 1 +abc     ; >abc@0
			< A 1 4 w=0
			> A 4 1 +d
			40s
			> UA 5 1 +e urg=1 ; >urgent@5 >d@3 >e@4
			end              ; >closed@5 <closed@0`},
	})
}

// What is held at the end of a direction counts from its first byte, also if no byte came before.
func TestHeldBytesBehindAGapAtTheBeginning(t *testing.T) {
	run(t, stream.Limits{}, Config{}, []script{
		{"nothing delivered", `
			> A 1000 500
			< A 500 1100 +x  ; anew
			> A 1011 505 +abc
			end              ; >gap@0+11:ended >abc@11 >gap@14+86:ended >closed@100 <x@0 <gap@1+4:ended <closed@5`},
	})
}

func TestClosing(t *testing.T) {
	run(t, stream.Limits{}, Config{}, []script{
		{"both sides", handshake + `
			> FA 1 1 +ab     ; >ab@0
			< A 1 4 +x       ; <x@0 >closed@2
			< FA 2 4
			> A 4 3          ; <closed@1
			end`},
		{"a FIN before the bytes", handshake + `
			> FA 3 1 +c      ; >early@2
			> A 1 1 +ab      ; >ab@0 >c@2
			< A 1 5          ; >closed@3
			end              ; <closed@0`},
		{"bytes at the place of an early FIN: the FIN goes", handshake + `
			> FA 4 1
			> A 1 1 +abcde   ; >abcde@0
			> A 6 1 +f       ; >f@5
			end              ; >closed@6 <closed@0`},
		{"bytes beyond an early FIN, and up to it", handshake + `
			> FA 4 1
			> A 5 1 +f       ; >early@4
			> A 1 1 +abc     ; >abc@0
			< A 1 5          ; >closed@3
			> A 5 1 +f
			end              ; <closed@0`},
		{"bytes beyond a FIN in order", handshake + `
			> A 5 1 +fg      ; >early@4
			> FA 1 1 +abc    ; >abc@0
			< A 1 5          ; >closed@3
			end              ; <closed@0`},
		{"a FIN whose receiver acknowledges more", handshake + `
			> FA 1 1 +abc    ; >abc@0
			< A 1 7
			> A 4 1 +def
			< A 1 7
			< A 1 7          ; >def@3
			end              ; >closed@6 <closed@0`},
		{"a FIN whose receiver is not captured", `
			> S 0
			> A 1 1
			> A 1 1 +a       ; >a@0
			> FA 2 1         ; >closed@1
			end              ; <closed@0`},
		{"no bytes", handshake + `
			> FA 1 1
			< FA 1 2         ; >closed@0
			> A 2 2          ; <closed@0
			end`},
	})
}

// With Dispatch payload comes as it came, and nothing is put in order.
func TestSegmentsForAReassembler(t *testing.T) {
	run(t, stream.Limits{}, Config{Dispatch: true}, []script{
		{"out of order", handshake + `
			> A 4 1 +de      ; >segde@3:0x10:first
			> A 1 1 +abc cut=1 ; >segabc@0:0x10+1
			< A 1 6
			end              ; >closed@0 <closed@0`},
		{"SYN data", `
			> S 0 +abc
			< SA 0 4         ; >segabc@0:0x2:first >acked@3
			end              ; >closed@0 <closed@0`},
		{"a window probe", handshake + `
			> A 1 1 +abc     ; >segabc@0:0x10:first
			< A 1 4 w=0
			> A 4 1 +d
			< A 1 5 w=0
			< A 1 5 w=0      ; >segd@3:0x10
			end              ; >closed@0 <closed@0`},
		{"cut off at the FIN", handshake + `
			> FA 3 1
			> A 1 1 +ab      ; >segab@0:0x10:first
			> A 2 1 +bcd     ; >segb@1:0x10
			> A 7 1 +g
			end              ; >closed@0 <closed@0`},
	})
}

func TestCounters(t *testing.T) {
	c := newConnection(stream.Limits{}, Config{})
	play(t, c, handshake+`
		> A 4 1 +de      ; >early@3
		> A 1 1 +abcDe   ; >conflict@3+1 >abc@0 >de@3
		> A 9 1 +i       ; >early@8
		> A 12 1 +l      ; >early@11
		end              ; >gap@5+3:ended >i@8 >gap@9+2:ended >l@11 >closed@12 <closed@0`)
	delivered, gaps, gapBytes, conflicts := c.Pair[0].Counters()
	if delivered != 7 || gaps != 2 || gapBytes != 5 || conflicts != 1 {
		t.Errorf("%d bytes, %d gaps with %d, %d conflicts", delivered, gaps, gapBytes, conflicts)
	}
	d := Direction{conflicts: 1<<16 - 1}
	d.countGap(1<<48 - 2)
	d.countGap(7)
	if _, gaps, gapBytes, conflicts = d.Counters(); gaps != 2 || gapBytes != 1<<48-1 || conflicts != 1<<16-1 {
		t.Errorf("%d gaps with %d bytes, %d conflicts", gaps, gapBytes, conflicts)
	}
}

// An end that was not confirmed is reported again.
func TestAnEndIsReportedUntilItIsConfirmed(t *testing.T) {
	c := newConnection(stream.Limits{}, Config{})
	play(t, c, handshake+"> A 1 1 +abc ; >abc@0")
	for range 2 {
		if got, _ := c.End(&c.Pair, &c.Conn, 0, true, math.MaxInt); len(got) != 1 || got[0].Kind != Closed || got[0].Pos != 3 {
			t.Fatalf("%v", got)
		}
	}
	c.Pair[0].ConfirmClosed()
	if got, _ := c.End(&c.Pair, &c.Conn, 0, true, math.MaxInt); len(got) != 0 || !c.Pair[0].Done() {
		t.Fatalf("%v", got)
	}
}
