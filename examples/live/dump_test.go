package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
)

// written gives the numbers of the packets in each file of a folder.
func written(t *testing.T, dir string) map[string][]int {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	out := map[string][]int{}
	for _, name := range names {
		var all []int
		for v, err := range flowscope.OpenCapture(name) {
			require.NoError(t, err)
			all = append(all, int(binary.BigEndian.Uint32(v.Frame)))
		}
		out[filepath.Base(name)] = all
	}
	return out
}

// fill writes n packets of 99,984 bytes, one every step.
func fill(t *testing.T, o dumpOptions, n int, step time.Duration) {
	t.Helper()
	require.NoError(t, o.check())
	at := time.Date(2026, 12, 31, 23, 58, 30, 0, time.Local)
	d, err := newDump(o, flowscope.LinkTypeEthernet, at)
	require.NoError(t, err)
	for i := range n {
		frame := make([]byte, 99_984)
		binary.BigEndian.PutUint32(frame, uint32(i))
		require.NoError(t, d.write(flowscope.PacketView{Frame: frame, Timestamp: flowscope.TimestampOf(at.Add(time.Duration(i) * step))}))
	}
	require.NoError(t, d.finish())
}

func count(from, to int) (all []int) {
	for i := from; i <= to; i++ {
		all = append(all, i)
	}
	return all
}

// tcpdump begins another file before a packet that finds more than -C million bytes in the old one: 24 bytes, and 16 and
// 99,984 for each packet, are more than a million after ten of them.
func TestAFullFileIsFollowedByAnother(t *testing.T) {
	dir := t.TempDir()
	fill(t, dumpOptions{name: filepath.Join(dir, "f"), size: 1}, 25, time.Second)
	require.Equal(t, map[string][]int{"f": count(0, 9), "f1": count(10, 19), "f2": count(20, 24)}, written(t, dir))
}

func TestTheOldestFileIsOverwritten(t *testing.T) {
	dir := t.TempDir()
	fill(t, dumpOptions{name: filepath.Join(dir, "f"), size: 1, keep: 11}, 125, time.Second)
	got := written(t, dir)
	require.Len(t, got, 11)
	require.Equal(t, count(110, 119), got["f00"])
	require.Equal(t, count(120, 124), got["f01"])
	require.Equal(t, count(20, 29), got["f02"])
	require.Equal(t, count(100, 109), got["f10"])
}

func TestATimeIsFollowedByAnother(t *testing.T) {
	dir := t.TempDir()
	fill(t, dumpOptions{name: filepath.Join(dir, "%Y-%m-%d %H:%M:%S 100%%"), every: time.Minute}, 5, 50*time.Second)
	require.Equal(t, map[string][]int{
		"2026-12-31 23:58:30 100%": {0, 1}, // at 23:58:30 and 23:59:20
		"2026-12-31 23:59:30 100%": {2},    // at 00:00:10
		"2027-01-01 00:00:30 100%": {3},    // at 00:01:00
		"2027-01-01 00:01:30 100%": {4},    // at 00:01:50
	}, written(t, dir))
	// In silence there is no file.
	dir = t.TempDir()
	fill(t, dumpOptions{name: filepath.Join(dir, "%F %T"), every: time.Minute}, 2, 10*time.Minute)
	require.Len(t, written(t, dir), 2)
	// With both, the numbers begin again.
	dir = t.TempDir()
	fill(t, dumpOptions{name: filepath.Join(dir, "%M"), every: time.Minute, size: 1}, 30, 4*time.Second)
	require.Equal(t, map[string][]int{"58": count(0, 9), "581": count(10, 14), "59": count(15, 24), "591": count(25, 29)}, written(t, dir))
}

func TestNamesAreThoseOfStrftime(t *testing.T) {
	at := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	name, err := timedName("%Y%m%d-%H%M%S %y %j %F %T %b %a %s %%", at)
	require.NoError(t, err)
	require.Equal(t, "20260203-040506 26 034 2026-02-03 04:05:06 Feb Tue 1770091506 %", name)
	for _, wrong := range []string{"%", "%q", "a%"} {
		_, err := timedName(wrong, at)
		require.Error(t, err, wrong)
	}
}

func TestAFileThatCannotBeWrittenIsAnErrorFromThenOn(t *testing.T) {
	dir := t.TempDir()
	_, err := newDump(dumpOptions{name: filepath.Join(dir, "no", "such")}, flowscope.LinkTypeEthernet, time.Now())
	require.Error(t, err)
	d, err := newDump(dumpOptions{name: filepath.Join(dir, "f"), size: 1}, flowscope.LinkTypeEthernet, time.Now())
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "f1"), 0o700)) // where the second file should be
	view := flowscope.PacketView{Frame: slices.Repeat([]byte{1}, 1_000_000)}
	require.NoError(t, d.write(view))
	for range 3 {
		err := d.write(view)
		require.Error(t, err)
		require.True(t, strings.Contains(err.Error(), "f1"), err)
	}
	require.NoError(t, d.flush())
	require.NoError(t, d.finish())
}
