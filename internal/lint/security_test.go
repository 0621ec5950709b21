package lint

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestSECURITYNamesTestsThatExist: every test that SECURITY.md names is in the folder that it names, every acceptance
// test is named there, and the list goes from A1 to A40.
func TestSECURITYNamesTestsThatExist(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(tree, "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	there := map[string][]string{} // the folders of each test
	err = filepath.WalkDir(tree, func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		source, err := os.ReadFile(name)
		for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllSubmatch(source, -1) {
			there[string(m[1])] = append(there[string(m[1])], folder(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for row := range strings.Lines(string(text)) {
		in := ""
		for _, m := range regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w+)`|(`\\.`|\\w+): ").FindAllStringSubmatch(row, -1) {
			if m[2] != "" {
				in = strings.Trim(m[2], "`")
				continue
			}
			if named[m[1]] = true; !slices.Contains(there[m[1]], in) {
				t.Errorf("%s is in %q, not in %q", m[1], there[m[1]], in)
			}
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

// folder is where a file of the tree is, without internal/.
func folder(name string) string {
	rel, err := filepath.Rel(tree, filepath.Dir(name))
	if err != nil {
		return name
	}
	return strings.TrimPrefix(filepath.ToSlash(rel), "internal/")
}
