package testkit

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/flowscope-go/flowscope"
)

// Captures are real files that come with the work on the library but are not part of it.
func Captures(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, pattern := range []string{"*.pcap", "*.pcapng"} {
		more, err := filepath.Glob(Path("../shared/captures/open/" + pattern))
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, more...)
	}
	if len(names) == 0 {
		t.Skip("../shared/captures/open is not here: real captures are not part of the repository")
	}
	return names
}

// Load reads the packets of a capture file, up to the first that is damaged.
func Load(t testing.TB, name string) (views []flowscope.PacketView) {
	t.Helper()
	for v, err := range flowscope.OpenCapture(name) {
		if err != nil {
			t.Logf("%s: %v", filepath.Base(name), err)
			break
		}
		v.Frame = bytes.Clone(v.Frame)
		views = append(views, v)
	}
	return views
}

// Path is where a file of the repository is, or one beside the repository, named relative to its root.
func Path(name string) string {
	dir, err := os.Getwd()
	if err != nil {
		return name
	}
	for dir != filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, filepath.FromSlash(name))
		}
		dir = filepath.Dir(dir)
	}
	return name
}
