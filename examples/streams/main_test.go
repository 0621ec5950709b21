package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest"
	"github.com/flowscope-go/flowscope/flowtest/frames"
)

const captures = "../../testdata/captures/"

// record is a line of -json.
type record struct {
	Initiator, Responder, Side, SHA256, Reason string
	Length                                     int64
	Gaps                                       [][2]int64
	Conflicts                                  *int
	Anchored                                   *bool
}

func play(t *testing.T, status int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	if got := run(args, &out, &errs); got != status {
		t.Fatalf("streams %v: status %d, want %d: %s", args, got, status, errs.String())
	}
	return out.String(), errs.String()
}

func records(t *testing.T, text string) (all []record) {
	t.Helper()
	for line := range strings.Lines(text) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, r)
	}
	return all
}

func TestTheTextIsWhatTheServerSaysItRead(t *testing.T) {
	dir := t.TempDir()
	out, _ := play(t, 0, "-json", "-o", dir, captures+"lossy.pcap")
	all := records(t, out)
	if len(all) != 2 {
		t.Fatalf("%d lines: %s", len(all), out)
	}
	// The answer is the hash of what was read, in hexadecimal and a line feed.
	const sum = "f4fd62770456e5560abd8196675da2b500662c6042710056d1122eb79a621937"
	answer := sha256.Sum256([]byte(sum + "\n"))
	for _, r := range all {
		want, length := sum, int64(18300)
		if r.Side == "responder" {
			want, length = hex.EncodeToString(answer[:]), int64(len(sum)+1)
		}
		if r.SHA256 != want || r.Length != length || r.Reason != "fin" || len(r.Gaps) != 0 {
			t.Errorf("%+v", r)
		}
	}
	files, _ := os.ReadDir(dir)
	if len(files) != 2 {
		t.Fatalf("%d files", len(files))
	}
	sums := map[string]bool{}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		s := sha256.Sum256(b)
		sums[hex.EncodeToString(s[:])] = true
	}
	for _, r := range all {
		if !sums[r.SHA256] {
			t.Errorf("no file holds the bytes of the %s", r.Side)
		}
	}
}

// Each server answers with the hash of what it read, so the capture carries its own truth.
func TestStreamsInTunnelsAreWhatTheirServersRead(t *testing.T) {
	dir := t.TempDir()
	out, _ := play(t, 0, "-json", "-checksums", "auto", "-o", dir, captures+"tunnels.pcap")
	sent, answers := map[string]bool{}, 0
	for _, r := range records(t, out) {
		if r.Side == "initiator" {
			sent[r.SHA256] = true
		}
	}
	files, _ := os.ReadDir(dir)
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if len(b) == 2*sha256.Size+1 {
			answers++
			if !sent[strings.TrimSpace(string(b))] {
				t.Errorf("%s was read by its server, and is the hash of no stream", b)
			}
		}
	}
	if len(sent) != 3 || answers != 3 {
		t.Errorf("%d streams, %d answers", len(sent), answers)
	}
}

func TestALineHasTheDocumentedFields(t *testing.T) {
	out, _ := play(t, 0, "-json", captures+"http.pcap")
	for line := range strings.Lines(out) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"initiator", "responder", "side", "length", "sha256", "gaps", "conflicts", "anchored", "reason"} {
			if _, ok := fields[name]; !ok {
				t.Errorf("no %q in %s", name, line)
			}
		}
		if _, ok := fields["gaps"].([]any); !ok {
			t.Errorf("gaps is no list in %s", line)
		}
	}
}

func TestWithoutAFileItReadsTheBuiltInSample(t *testing.T) {
	out, _ := play(t, 0)
	if n := strings.Count(out, "\n"); n < 5 || !strings.Contains(out, "198.51.100.20:80") {
		t.Errorf("%d lines: %s", n, out)
	}
}

func TestALineOfTextNamesTheHash(t *testing.T) {
	text, _ := play(t, 0, captures+"http.pcap")
	object, _ := play(t, 0, "-json", captures+"http.pcap")
	lines := strings.Split(text, "\n")
	for i, r := range records(t, object) {
		if !strings.Contains(lines[i], " sha256 "+r.SHA256[:16]+"...  gaps []") {
			t.Errorf("%s: %s", r.SHA256, lines[i])
		}
	}
}

func TestSeveralFilesAreReadOneByOne(t *testing.T) {
	one, _ := play(t, 0, "-json", captures+"http.pcap")
	two, _ := play(t, 0, "-json", captures+"lossy.pcap")
	both, _ := play(t, 0, "-json", captures+"http.pcap", captures+"lossy.pcap")
	if both != one+two {
		t.Errorf("%s is not %s and %s", both, one, two)
	}
}

func TestADamagedFileGivesItsSoundPartAndAnError(t *testing.T) {
	b, err := os.ReadFile(captures + "http.pcap")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "cut.pcap")
	if err := os.WriteFile(name, b[:len(b)-7], 0o600); err != nil {
		t.Fatal(err)
	}
	out, stderr := play(t, 1, "-json", name)
	if len(records(t, out)) != 2 || !strings.Contains(stderr, "cut.pcap") {
		t.Errorf("%s, %s", out, stderr)
	}
}

func TestWrongUse(t *testing.T) {
	play(t, 2, "-no-such-flag")
	if out, stderr := play(t, 1, filepath.Join(t.TempDir(), "none.pcap")); out != "" || stderr == "" {
		t.Errorf("%q, %q", out, stderr)
	}
	if _, stderr := play(t, 1, "-o", captures+"http.pcap", captures+"http.pcap"); stderr == "" {
		t.Error("no error about a directory that is a file")
	}
}

// gappy makes a capture of one connection: "ab", four bytes that are missing (two that a snap length cut off and two
// that were lost), then "gh", and a second copy of bytes that are held.
func gappy(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "gappy.pcap")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := flowscope.NewCaptureWriter(f, flowscope.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	const a, b = "10.0.0.1:1000", "10.0.0.2:80"
	seg := func(seq uint32, payload string) []byte {
		return frames.TCP{Src: a, Dst: b, Seq: seq, Ack: 101, Flags: "PA", Window: 1000, Payload: []byte(payload)}.Ethernet()
	}
	for _, v := range flowtest.Snap(flowtest.Views(
		frames.TCP{Src: a, Dst: b, Seq: 0, Flags: "S", Window: 1000}.Ethernet(),
		frames.TCP{Src: b, Dst: a, Seq: 100, Ack: 1, Flags: "SA", Window: 1000}.Ethernet(),
		seg(1, "abXX"), seg(7, "gh"), seg(7, "GH"),
	), 54+2) {
		if err := w.Write(v); err != nil {
			t.Fatal(err)
		}
	}
	return name
}

func TestGapsAreListedAndNeverFilled(t *testing.T) {
	dir := t.TempDir()
	out, _ := play(t, 0, "-json", "-o", dir, gappy(t))
	all := records(t, out)
	if len(all) != 1 {
		t.Fatalf("%d lines: %s", len(all), out)
	}
	sum := sha256.Sum256([]byte("abgh"))
	r := all[0]
	if r.Length != 4 || r.SHA256 != hex.EncodeToString(sum[:]) || r.Reason != "finished" {
		t.Errorf("%+v", r)
	}
	if len(r.Gaps) != 1 || r.Gaps[0] != [2]int64{2, 4} {
		t.Errorf("gaps %v: adjacent ones are one", r.Gaps)
	}
	if r.Conflicts == nil || *r.Conflicts != 1 || r.Anchored == nil || !*r.Anchored {
		t.Errorf("conflicts %v, anchored %v", r.Conflicts, r.Anchored)
	}
	files, _ := os.ReadDir(dir)
	bytesOf, lists := 0, 0
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case string(b) == "abgh":
			bytesOf++
		case strings.Contains(string(b), "2") && strings.Contains(string(b), "4"):
			lists++
		}
	}
	if bytesOf != 1 || lists != 1 {
		t.Errorf("%d files with the bytes, %d with the gaps, of %d", bytesOf, lists, len(files))
	}
}

func TestIdleEndsFlowsOfEveryKind(t *testing.T) {
	out, _ := play(t, 0, "-json", "-idle", "1ns", captures+"http.pcap")
	for _, r := range records(t, out) {
		if r.Reason == "idle" {
			return
		}
	}
	t.Errorf("no flow ended idle: %s", out)
}

func TestFilesOfOneNameDoNotMeet(t *testing.T) {
	bytes, err := os.ReadFile(captures + "http.pcap")
	if err != nil {
		t.Fatal(err)
	}
	from, to := t.TempDir(), t.TempDir()
	var names []string
	for _, dir := range []string{"a", "b"} {
		name := filepath.Join(from, dir, "http.pcap")
		if err := errors.Join(os.Mkdir(filepath.Dir(name), 0o777), os.WriteFile(name, bytes, 0o666)); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	out, _ := play(t, 0, append([]string{"-json", "-o", to}, names...)...)
	files, _ := os.ReadDir(to)
	if lines := strings.Count(out, "\n"); lines == 0 || len(files) != lines {
		t.Errorf("%d lines, %d files", lines, len(files))
	}
}

// full is a writer that has no room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestAFailedWriteIsAnError(t *testing.T) {
	var said bytes.Buffer
	if status := run(nil, full{}, &said); status != 1 || !strings.Contains(said.String(), io.ErrShortWrite.Error()) {
		t.Errorf("status %d: %s", status, said.String())
	}
}

// The bytes of the n-th connection are those that -o writes to a file.
func TestTheBytesOfOneConnection(t *testing.T) {
	dir, lossy := t.TempDir(), captures+"lossy.pcap"
	play(t, 0, "-o", dir, lossy)
	files, err := filepath.Glob(filepath.Join(dir, "lossy-*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, side := range []string{"initiator", "responder"} {
		raw, _ := play(t, 0, "-n", "1", "-side", side, lossy)
		found := false
		for _, name := range files {
			whole, err := os.ReadFile(name)
			found = found || err == nil && string(whole) == raw
		}
		if !found || raw == "" {
			t.Errorf("the %d bytes of the %s are in no file", len(raw), side)
		}
		text, _ := play(t, 0, "-n", "1", "-side", side, "-hex", lossy)
		digits := ""
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, side+" ") {
				t.Errorf("%q", line)
			}
			if !strings.Contains(line, "missing") {
				digits += strings.ReplaceAll(line[20:69], " ", "")
			}
		}
		if digits != hex.EncodeToString([]byte(raw)) {
			t.Errorf("the digits are not those of the bytes: %s", digits)
		}
	}
	if out, said := play(t, 1, "-n", "99", lossy); out != "" || !strings.Contains(said, "TCP connections") {
		t.Errorf("%q %q", out, said)
	}
	for _, args := range [][]string{{"-hex"}, {"-side", "initiator"}, {"-n", "-1"}, {"-n", "1", "-side", "client"}} {
		play(t, 2, args...)
	}
}
