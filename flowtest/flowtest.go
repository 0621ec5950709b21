// Package flowtest is for the tests of programs that use flowscope, as httptest is for those that use
// net/http: packets without a capture, the conversations of a capture in one line, events to compare.
//
//	Dialogue         a TCP connection that a test writes as who says what, with loss, repetition,
//	                 reordering and overlap; package frames makes single frames of every other kind
//	Views, Load      frames, or the packets of a capture file, as a slice of views
//	Conversations    the TCP connections of a capture file, with the bytes of both sides
//	Replay, Text     all events of a tracker or driver, kept; and as lines
//	Golden           compares a text with a file, and renews the file with -flowtest.update or FLOWTEST_UPDATE=1
//	Scripts, Script  files in which each packet is followed by the events that it must cause, played to a
//	                 tracker or driver of yours; Script explains their language
//
// Everything is deterministic: times count from Epoch, one millisecond for each packet. A call that cannot
// do its work fails the test; none returns an error.
package flowtest

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
)

// Epoch is the time of the first packet that is made here: 2020-01-01 00:00:00 UTC.
const Epoch = flowscope.Timestamp(1_577_836_800_000_000_000)

// Step is the time from one packet to the next.
const Step = time.Millisecond

// Views makes views of Ethernet frames. They are numbered from 1, and stamped Step after Step from Epoch.
func Views(frames ...[]byte) []flowscope.PacketView {
	views := make([]flowscope.PacketView, len(frames))
	for i, f := range frames {
		views[i].Frame = f
	}
	return stamped(views)
}

func stamped(views []flowscope.PacketView) []flowscope.PacketView {
	for i := range views {
		views[i].ID, views[i].Timestamp = uint64(i+1), Epoch.Add(time.Duration(i)*Step)
	}
	return views
}

// Load reads all packets of a capture file. The views share no memory. A file that is damaged fails the
// test.
func Load(t testing.TB, name string) (views []flowscope.PacketView) {
	t.Helper()
	for v, err := range flowscope.OpenCapture(name) {
		if err != nil {
			t.Fatal(err)
		}
		v.Frame = bytes.Clone(v.Frame)
		views = append(views, v)
	}
	return views
}

// Snap returns copies of the views as a capture with a snap length of n bytes holds them: each frame cut
// after n bytes, with its length on the wire as it was.
func Snap(views []flowscope.PacketView, n int) []flowscope.PacketView {
	cut := slices.Clone(views)
	for i := range cut {
		v := &cut[i]
		v.WireLen = max(v.WireLen, len(v.Frame))
		v.Frame = v.Frame[:min(n, len(v.Frame)):min(n, len(v.Frame))]
	}
	return cut
}

// Sequence is the views as the functions of flowscope take them that read a capture, such as Events of a
// driver.
func Sequence(views []flowscope.PacketView) func(yield func(flowscope.PacketView, error) bool) {
	return func(yield func(flowscope.PacketView, error) bool) {
		for _, v := range views {
			if !yield(v, nil) {
				return
			}
		}
	}
}
