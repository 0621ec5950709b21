package flowtest

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/flowscope-go/flowscope/internal/testkit/linediff"
)

// update has the name of the package in it, since a test program may have an -update of its own.
var update = flag.Bool("flowtest.update", false, "write the golden files of flowtest.Golden; read the difference before you keep it")

// Golden compares a text with that of a file, usually below testdata, and fails the test with the lines that
// differ. With -flowtest.update it writes the file instead, and the folders above it. The flag is known to
// packages whose tests import flowtest alone: for "go test ./..." set FLOWTEST_UPDATE=1 in the environment.
func Golden(t testing.TB, name, got string) {
	t.Helper()
	if *update || os.Getenv("FLOWTEST_UPDATE") != "" {
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
	if diff := linediff.Of(string(want), got); diff != "" {
		t.Errorf("%s differs: - is the file, + is what came; go test -flowtest.update renews it\n%s", name, diff)
	}
}
