package linediff

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func numbered(n int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprint("line ", i+1)
	}
	return lines
}

func TestFarChangesAreShownAlone(t *testing.T) {
	want, got := numbered(357), numbered(357)
	got[9] = "another"
	got = append(got[:299], got[300:]...)
	assert.Equal(t, `line 8:
  line 8
  line 9
- line 10
+ another
  line 11
  line 12
line 298:
  line 298
  line 299
- line 300
  line 301
  line 302
`, Of(strings.Join(want, "\n"), strings.Join(got, "\n")))
}

func TestEdges(t *testing.T) {
	for _, c := range []struct{ name, want, got, diff string }{
		{"equal", "a\nb", "a\nb", ""},
		{"an empty file", "", "a", "line 1:\n- \n+ a\n"},
		{"a first line", "b\n", "a\nb\n", "line 1:\n+ a\n  b\n  \n"},
		{"a last line", "a\n", "a\nb\n", "line 1:\n  a\n+ b\n  \n"},
		{"no line feed at the end", "a\n", "a", "line 1:\n  a\n- \n"},
		{"lines in between", "a\nb\nc", "b\nx\nc\nd", "line 1:\n- a\n  b\n+ x\n  c\n+ d\n"},
	} {
		assert.Equal(t, c.diff, Of(c.want, c.got), c.name)
	}
}

func TestLongDifferencesAreCut(t *testing.T) {
	diff := Of(strings.Repeat("a\n", 1000), strings.Repeat("b\n", 3000))
	assert.Equal(t, maxShown+2, strings.Count(diff, "\n"))
	assert.Regexp(t, fmt.Sprintf("and %d more lines that differ\n$", 4000-maxShown), diff)
}

// Each result is one text where plus lines are left out and the other where minus lines are, and has no more changes
// than the longest common subsequence, found in the plain way, leaves.
func TestRandomTexts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		a, b := random(r), random(r)
		var x, y []string
		changes := 0
		for _, e := range compare(a, b, 0) {
			if e.sign != '+' {
				assert.Equal(t, len(x), e.want)
				x = append(x, e.line)
			}
			if e.sign != '-' {
				y = append(y, e.line)
			}
			if e.sign != ' ' {
				changes++
			}
		}
		assert.Equal(t, a, x)
		assert.Equal(t, b, y)
		if n := len(a) + len(b) - 2*common(a, b); changes != n {
			t.Fatalf("%q, %q: %d changes, %d are enough", a, b, changes, n)
		}
	}
}

func random(r *rand.Rand) (lines []string) {
	for range r.IntN(12) {
		lines = append(lines, string(rune('a'+r.IntN(4))))
	}
	return lines
}

func common(a, b []string) int {
	switch {
	case len(a) == 0 || len(b) == 0:
		return 0
	case a[0] == b[0]:
		return 1 + common(a[1:], b[1:])
	default:
		return max(common(a[1:], b), common(a, b[1:]))
	}
}
