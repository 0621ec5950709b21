package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/flowscope-go/flowscope/examples/parquet/records"
)

func call(args ...string) (status int, stdout, stderr string) {
	var out, err bytes.Buffer
	status = run(args, &out, &err)
	return status, out.String(), err.String()
}

func TestWithoutArgumentsTheColumnsAreShown(t *testing.T) {
	status, stdout, stderr := call()
	if status != 0 || stderr != "" || !strings.Contains(stdout, "initiator_ip_bytes") || !strings.Contains(stdout, "16 rows, ") {
		t.Fatal(status, stdout, stderr)
	}
}

func TestWrongCommandLines(t *testing.T) {
	for _, args := range [][]string{{"-group", "0"}, {"-idle", "-1s"}, {"-nonsense"}} {
		if status, _, stderr := call(args...); status != 2 || stderr == "" {
			t.Errorf("%v: %d %s", args, status, stderr)
		}
	}
	if status, stdout, _ := call("-h"); status != 0 || stdout != "" {
		t.Error(status, stdout)
	}
}

// A damaged file is told, and what came before it and after it is in the output.
func TestADamagedCaptureIsToldAndTheRestIsWritten(t *testing.T) {
	dir := t.TempDir()
	whole := "../../testdata/captures/http.pcap"
	b, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(dir, "damaged.pcap")
	if err := os.WriteFile(damaged, b[:len(b)-10], 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out.parquet")
	status, stdout, stderr := call("-o", out, damaged, filepath.Join(dir, "missing.pcap"), whole)
	if status != 1 || strings.Count(stderr, "\n") != 2 || !strings.Contains(stderr, "damaged.pcap") || !strings.Contains(stdout, ": 4 rows, ") {
		t.Fatal(status, stdout, stderr)
	}
	rows, err := parquet.ReadFile[records.Row](out)
	if err != nil || len(rows) != 4 || rows[0].UID != rows[2].UID {
		t.Fatal(rows, err)
	}
	info, err := os.Stat(out)
	if err != nil || !strings.Contains(stdout, fmt.Sprint(" ", info.Size(), " bytes")) {
		t.Fatal(stdout, err, info.Size())
	}
}

func TestAFileThatCannotBeWrittenIsAnError(t *testing.T) {
	status, _, stderr := call("-o", filepath.Join(t.TempDir(), "no", "such", "folder"))
	if status != 1 || !strings.HasPrefix(stderr, "parquet: open ") {
		t.Fatal(status, stderr)
	}
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full")
	}
	if status, _, stderr := call("-o", "/dev/full"); status != 1 || !strings.Contains(stderr, "no space left") {
		t.Fatal(status, stderr)
	}
}
