package history

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Every text of up to 16 letters is packed and comes back, and nothing else is packed.
func TestPackTakesWhatAppendToGives(t *testing.T) {
	const all = "SsHhAaDdFfRrTtWwGgIiCc^"
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		text := make([]byte, r.IntN(maxLetters+2))
		for i := range text {
			text[i] = all[r.IntN(len(all))]
		}
		wrong := r.IntN(4) == 0 && len(text) > 0
		if wrong {
			text[r.IntN(len(text))] = byte(r.UintN(256))
			wrong = len(bytes.Trim(text, all)) > 0
		}
		l, ok := Pack(text)
		if ok == (wrong || len(text) > maxLetters) {
			t.Fatalf("%q: %v", text, ok)
		}
		if ok && string(l.AppendTo([]byte("x"))) != "x"+string(text) {
			t.Fatalf("%q came back as %q", text, l.AppendTo(nil))
		}
	}
}
