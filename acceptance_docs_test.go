package flowscope_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestSECURITYNamesTestsThatExist: every test that SECURITY.md names is there, every acceptance test is named there, and
// the list goes from A1 to A40.
func TestSECURITYNamesTestsThatExist(t *testing.T) {
	text, err := os.ReadFile("SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	err = filepath.WalkDir(".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		source, err := os.ReadFile(name)
		for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllSubmatch(source, -1) {
			there[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, m := range regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w+)`").FindAllSubmatch(text, -1) {
		if named[string(m[1])] = true; !there[string(m[1])] {
			t.Errorf("there is no %s", m[1])
		}
	}
	for name := range there {
		if regexp.MustCompile(`^TestA\d`).MatchString(name) && !named[name] {
			t.Errorf("%s is not named", name)
		}
	}
	for i := 1; i <= 40; i++ {
		if !regexp.MustCompile(`(?m)^\|.*\bA` + strconv.Itoa(i) + `\b.*\| .* \|`).Match(text) {
			t.Errorf("A%d is not in the list", i)
		}
	}
}
