package flowtest

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// update has the name of the package in it, since a test program may have an -update of its own.
var update = flag.Bool("flowtest.update", false, "write the golden files of flowtest.Golden; read the difference before you keep it")

// Golden compares a text with that of a file, usually below testdata, and fails the test with the lines that
// differ. With -flowtest.update it writes the file instead, and the folders above it.
func Golden(t testing.TB, name, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("%v; go test -flowtest.update writes it", err)
	}
	if diff := difference(string(want), got); diff != "" {
		t.Errorf("%s differs: - is the file, + is what came; go test -flowtest.update renews it\n%s", name, diff)
	}
}

// around is how many equal lines are shown on each side of a difference.
const around = 2

// difference shows the lines that differ, with a few around them, "" if none do. It compares what is left when
// the equal lines at the beginning and the end are taken away.
func difference(want, got string) string {
	if want == got {
		return ""
	}
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	head := 0
	for head < min(len(a), len(b)) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < min(len(a), len(b))-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var out strings.Builder
	lines := func(sign string, some []string) {
		for _, l := range some {
			out.WriteString(sign + l + "\n")
		}
	}
	lines("  ", a[max(head-around, 0):head])
	lines("- ", a[head:len(a)-tail])
	lines("+ ", b[head:len(b)-tail])
	lines("  ", a[len(a)-tail:min(len(a)-tail+around, len(a))])
	return out.String()
}
