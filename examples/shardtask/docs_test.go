package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope/examples/internal/rotated"
)

// The lines of docs/archives.md for a shell do what they say.
func TestTheLinesOfTheDocumentSayWhatOneTrackerSays(t *testing.T) {
	for _, tool := range []string{"sh", "seq", "xargs", "ls", "go"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("there is no", tool)
		}
	}
	text, err := os.ReadFile("../../docs/archives.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	require.Len(t, blocks, 1)
	names := rotated.Files(t, 12, 100)
	dir := filepath.Dir(names[0])
	built, err := exec.Command("go", "build", "-o", filepath.Join(dir, "bin", "shardtask"), ".").CombinedOutput()
	require.NoError(t, err, string(built))
	sh := exec.Command("sh", "-c", blocks[0][1])
	sh.Dir, sh.Env = dir, append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
	said, err := sh.CombinedOutput()
	require.NoError(t, err, string(said))
	files, err := filepath.Glob(dir + "/flows-*.ndjson")
	require.NoError(t, err)
	require.Len(t, files, 32)
	var all strings.Builder
	for _, name := range files {
		lines, err := os.ReadFile(name)
		require.NoError(t, err)
		all.Write(lines)
	}
	require.Equal(t, rotated.Sorted(t, rotated.OneTracker(t, names, false)), rotated.Sorted(t, all.String()))
}
