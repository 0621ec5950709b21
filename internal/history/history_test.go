package history

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func text(l *Letters) string {
	var to [maxLetters]byte
	l.Unpack(&to)
	return strings.TrimRight(string(to[:]), "\x00")
}

func TestHistoryIsTheFirstSixteenLetters(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		var l Letters
		want := ""
		for range r.IntN(24) {
			letter, side := alphabet[1+r.IntN(len(alphabet)-1)], uint8(r.IntN(2))
			l.Add(letter, side)
			if side == 1 && letter != AnswerFirst {
				letter += 'a' - 'A'
			}
			want += string(letter)
			if got := text(&l); got != want[:min(len(want), maxLetters)] {
				t.Fatalf("%q is kept as %q", want, got)
			}
		}
	}
}

func TestSetIsAddedInTheOrderOfItsBits(t *testing.T) {
	for set := range 256 {
		for side := range uint8(2) {
			var got, want Letters
			got.AddSet(Set(set), side)
			for i, letter := range []byte(onceLetters) {
				if set>>i&1 != 0 {
					want.Add(letter, side)
				}
			}
			if got != want {
				t.Errorf("%08b of side %d: %q, want %q", set, side, text(&got), text(&want))
			}
		}
	}
}

func TestRepeatedLetterStandsAtPowersOfTen(t *testing.T) {
	var l Letters
	for count := uint16(1); count <= 60000; count++ {
		l.AddRepeated(Retransmission, count, 1)
	}
	if got := text(&l); got != "ttttt" { // 1, 10, 100, 1000, 10000
		t.Errorf("%q", got)
	}
}

func TestUnpackOverwrites(t *testing.T) {
	to := [maxLetters]byte{'x', 'x', 15: 'x'}
	l := Letters{}
	l.Add('S', 0)
	if l.Unpack(&to); to != [maxLetters]byte{'S'} {
		t.Errorf("%q", to)
	}
}

func TestLettersOfSegments(t *testing.T) {
	for _, c := range []struct {
		flags   uint8
		payload bool
		want    Set
	}{
		{flagSYN, false, SYN},
		{flagSYN, true, SYN | Data}, // TCP Fast Open
		{flagSYN | flagACK, false, SYNACK},
		{flagACK, false, ACK},
		{flagACK | flagPSH, false, ACK},
		{flagACK, true, Data},
		{0, false, 0},
		{0, true, Data},
		{flagFIN | flagACK, false, FIN},
		{flagFIN | flagACK, true, FIN | Data},
		{flagRST | flagACK, true, RST},
		{flagSYN | flagFIN, true, Inconsistent},
		{flagSYN | flagRST | flagACK, false, Inconsistent},
	} {
		if got := LettersOf(c.flags, c.payload); got != c.want {
			t.Errorf("flags %08b, payload %v: %08b, want %08b", c.flags, c.payload, got, c.want)
		}
	}
}

// The table is that of the rule, whatever the other flags are.
func TestLettersAreLookedUpByTheRule(t *testing.T) {
	for flags := range 256 {
		for _, payload := range []bool{false, true} {
			if got, want := LettersOf(uint8(flags), payload), lettersOf(uint8(flags), payload); got != want {
				t.Errorf("flags %08b, payload %v: %08b, want %08b", flags, payload, got, want)
			}
		}
	}
}

// AddTo says what AddSet says, or nothing. Sets are not empty.
func TestOneLetterInTheLowWord(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	added := 0
	for range 2_000 {
		var l Letters
		for range 16 {
			set, side := Set(1+r.UintN(255)), uint8(r.UintN(2))
			if r.UintN(4) != 0 {
				set = 1 << r.UintN(8)
			}
			lo := l.Lo
			ok := AddTo(&lo, set, side)
			before := l
			if l.AddSet(set, side); ok {
				added++
				before.Lo = lo
				if before != l {
					t.Fatalf("%q after one letter of %08b", before.AppendTo(nil), set)
				}
			} else if lo != before.Lo {
				t.Fatal("not added, and yet changed")
			}
		}
	}
	if added < 10_000 {
		t.Fatalf("only %d letters", added)
	}
}
