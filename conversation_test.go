package flowscope_test

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest"
)

// The connections of a capture, each with both sides.
func ExampleConversations() {
	for c, err := range flowscope.Conversations(flowscope.OpenCapture("testdata/captures/sessions.pcap")) {
		if err != nil {
			log.Fatal(err) // the conversations before the damage have come
		}
		if c.Responder.Port() != 80 {
			continue
		}
		request, answer := &c.Sides[flowscope.Initiator], &c.Sides[flowscope.Responder]
		line, _, _ := strings.Cut(string(request.Bytes), "\r\n")
		fmt.Println(c.Number, c.Responder, line, len(answer.Bytes), answer.Gaps)
	}
	// Output:
	// 2 192.0.2.20:80 GET / HTTP/1.1 6394 [{3364 1448 ended}]
	// 3 [2001:db8::20]:80 GET /one.txt HTTP/1.1 786 [{246 281 ended}]
}

// What a driver says of a flow is what its conversation holds, for every capture of the repository.
func TestConversationsHoldWhatTheDriverSays(t *testing.T) {
	names, err := filepath.Glob("testdata/captures/*.pcap")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		views := flowtest.Load(t, name)
		driver, err := flowscope.NewFlowDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), nil, flowscope.Config{})
		require.NoError(t, err)
		var want []*flowscope.Conversation
		at := map[flowscope.FlowID]*flowscope.Conversation{}
		for _, ev := range flowtest.Replay(driver, views) {
			if ev.L4 != flowscope.L4TCP {
				continue
			}
			c := at[ev.Flow]
			switch ev.Kind {
			case flowscope.EventStarted:
				c = &flowscope.Conversation{Number: len(want) + 1, Key: ev.Key}
				at[ev.Flow], want = c, append(want, c)
			case flowscope.EventData:
				c.Sides[ev.Side].Bytes = append(c.Sides[ev.Side].Bytes, ev.Bytes...)
			case flowscope.EventGap:
				s := &c.Sides[ev.Side]
				s.Gaps = append(s.Gaps, flowscope.StreamGap{Offset: ev.Offset, Len: ev.Len, Cause: ev.Cause})
			case flowscope.EventEnded:
				c.Initiator, c.Responder = ev.Key.Ends(ev.Orientation)
				c.Reason, c.Stats, c.History = ev.Reason, *ev.Stats, ev.History
			}
		}
		assert.Equal(t, want, flowtest.Conversations(t, name), name)
	}
}

func TestConversationsKeepWhatThereIsRoomFor(t *testing.T) {
	dialogue := func(client string) []flowscope.PacketView {
		d := flowtest.NewDialogue(client, "10.0.0.2:80")
		d.MSS = 100
		d.Client(strings.Repeat("a", 100)).Lose(1)
		d.Client(strings.Repeat("b", 300))
		d.Server(strings.Repeat("c", 250))
		d.Close()
		return d.Views()
	}
	type kept struct {
		bytes, gaps int
		notKept     int64
	}
	play := func(o flowscope.ConversationOptions) (all [][2]kept) {
		views := append(dialogue("10.0.0.1:1"), dialogue("10.0.0.1:2")...)
		for c, err := range flowscope.ConversationsWith(flowtest.Sequence(views), o) {
			require.NoError(t, err)
			var k [2]kept
			for i, s := range c.Sides {
				k[i] = kept{len(s.Bytes), len(s.Gaps), s.NotKept}
				assert.Equal(t, s.Whole(), k[i].gaps == 0 && k[i].notKept == 0)
			}
			all = append(all, k)
		}
		return all
	}
	same := func(k [2]kept) [][2]kept { return [][2]kept{k, k} }
	assert.Equal(t, same([2]kept{{300, 1, 0}, {250, 0, 0}}), play(flowscope.ConversationOptions{}))
	assert.Equal(t, same([2]kept{{300, 1, 0}, {250, 0, 0}}), play(flowscope.ConversationOptions{SideBytes: flowscope.Unlimited, TotalBytes: flowscope.Unlimited}))
	assert.Equal(t, same([2]kept{{200, 1, 100}, {200, 0, 50}}), play(flowscope.ConversationOptions{SideBytes: 224}), "whole pieces")
	assert.Equal(t, same([2]kept{{0, 1, 300}, {250, 0, 0}}), play(flowscope.ConversationOptions{TotalBytes: 350}),
		"bytes behind a gap come later, and the room of a connection comes back with its end")
	assert.Equal(t, same([2]kept{{0, 0, 300}, {0, 0, 250}}), play(flowscope.ConversationOptions{SideBytes: 1}))
}

func TestConversationsEndWithTheErrorOfTheCapture(t *testing.T) {
	file, err := os.ReadFile("testdata/captures/http.pcap")
	require.NoError(t, err)
	name := filepath.Join(t.TempDir(), "cut.pcap")
	require.NoError(t, os.WriteFile(name, file[:len(file)-5], 0o600))
	whole := len(flowtest.Conversations(t, "testdata/captures/http.pcap"))
	n, failed := 0, error(nil)
	for c, err := range flowscope.Conversations(flowscope.OpenCapture(name)) {
		if failed = err; err == nil {
			n++
			continue
		}
		assert.Nil(t, c)
	}
	assert.ErrorIs(t, failed, flowscope.ErrTruncated)
	assert.Equal(t, whole, n)

	for _, o := range []flowscope.ConversationOptions{{SideBytes: -2}, {TotalBytes: -2}, {Config: flowscope.Config{MaxFlows: -1}}} {
		for c, err := range flowscope.ConversationsWith(flowscope.OpenCapture(name), o) {
			assert.Nil(t, c)
			assert.ErrorIs(t, err, flowscope.ErrConfig)
		}
	}
}

// A loop that stops early is not called again.
func TestConversationsStop(t *testing.T) {
	n := 0
	for range flowscope.Conversations(flowscope.OpenCapture("testdata/captures/tunnels.pcap")) {
		n++
		break
	}
	assert.Equal(t, 1, n)
}

// A gap for which there is no room is not forgotten: the side is not whole, and nothing behind the gap is kept.
func TestAConversationIsNotWholeWithoutRoomForAGap(t *testing.T) {
	d := flowtest.NewDialogue("10.0.0.1:1", "10.0.0.2:80")
	d.MSS = 10
	d.Client("0123456789")
	d.Client("lost......").Lose(1)
	d.Client("01234")
	d.Close()
	n := 0
	for c, err := range flowscope.ConversationsWith(flowtest.Sequence(d.Views()), flowscope.ConversationOptions{SideBytes: 30}) {
		require.NoError(t, err)
		n++
		s := &c.Sides[flowscope.Initiator]
		assert.Equal(t, "0123456789", string(s.Bytes))
		assert.Empty(t, s.Gaps)
		assert.False(t, s.Whole())
		assert.EqualValues(t, 5, s.NotKept)
	}
	assert.Equal(t, 1, n)
}

// A standard parser reads what a side said, in a test: here the requests of a connection.
func ExampleConversationSide_Reader() {
	for c, err := range flowscope.Conversations(flowscope.OpenCapture("testdata/captures/http.pcap")) {
		if err != nil {
			log.Fatal(err)
		}
		for b := bufio.NewReader(c.Sides[flowscope.Initiator].Reader()); ; {
			request, err := http.ReadRequest(b)
			if err != nil {
				fmt.Println(err) // io.ErrUnexpectedEOF where bytes are missing
				break
			}
			fmt.Println(request.Method, request.URL)
		}
	}
	// Output:
	// GET /
	// GET /none
	// EOF
}

// The bytes of a side lie where their offsets say, with a gap at any place.
func TestPiecesAndReaderOfASide(t *testing.T) {
	for _, c := range []struct {
		name   string
		lose   int // 0 for none
		pieces string
		read   string
		err    error
	}{
		{"none", 0, `0 "abcdef"`, "abcdef", io.EOF},
		{"the first", 1, `2 "cdef"`, "", io.ErrUnexpectedEOF},
		{"in between", 2, `0 "ab" 4 "ef"`, "ab", io.ErrUnexpectedEOF},
		{"the last", 3, `0 "abcd"`, "abcd", io.ErrUnexpectedEOF},
	} {
		d := flowtest.NewDialogue("10.0.0.1:1234", "10.0.0.2:80")
		d.MSS = 2
		if turn := d.Server("abcdef"); c.lose > 0 {
			turn.Lose(c.lose)
		}
		d.Close()
		side := &flowtest.ConversationsOf(t, d.Views())[0].Sides[flowscope.Responder]
		var pieces []string
		for at, b := range side.Pieces() {
			pieces = append(pieces, fmt.Sprintf("%d %q", at, b))
		}
		assert.Equal(t, c.pieces, strings.Join(pieces, " "), c.name)
		for range side.Pieces() {
			break
		}
		b, err := io.ReadAll(iotest.OneByteReader(side.Reader()))
		assert.Equal(t, c.read, string(b), c.name)
		if c.err == io.EOF {
			assert.NoError(t, err)
		} else {
			assert.ErrorIs(t, err, c.err, c.name)
		}
	}
	notKept := flowscope.ConversationSide{Bytes: []byte("ab"), NotKept: 3}
	b, err := io.ReadAll(notKept.Reader())
	assert.Equal(t, "ab", string(b))
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
}
