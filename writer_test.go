package flowscope_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"testing"
	"time"

	"github.com/google/gopacket/pcapgo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// The packets of the connections to one port, as a capture.
func ExampleSaveFlows() {
	var file bytes.Buffer // or os.Create
	saved, err := flowscope.SaveFlows(&file, flowscope.OpenCapture("testdata/captures/sessions.pcap"), func(ev *flowscope.Event) bool {
		_, responder := ev.Ends(flowscope.Initiator)
		return ev.L4 == flowscope.L4TCP && responder.Port() == 80
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(saved, "packets")
	// Output: 40 packets
}

// The packets of the connections to one name: a first reading finds their UIDs, which another reading with the same
// extractor gives them too.
func ExampleSaveFlows_byName() {
	driver, err := flowscope.NewFlowSessionDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{}, tls.Factory{}, tls.StartTLS{})
	if err != nil {
		log.Fatal(err)
	}
	wanted := map[flowscope.UID]bool{}
	for ev, err := range driver.Events(flowscope.OpenCapture("testdata/captures/sessions.pcap")) {
		if err != nil {
			log.Fatal(err)
		}
		if m, ok := ev.Message.(*tls.Handshake); ok && string(m.SNI) == "mail.example.net" {
			wanted[driver.UID(ev)] = true
		}
	}
	var file bytes.Buffer // or os.Create
	saved, err := flowscope.SaveFlows(&file, flowscope.OpenCapture("testdata/captures/sessions.pcap"), func(ev *flowscope.Event) bool {
		return wanted[ev.UID()]
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(wanted), "connection,", saved, "packets")
	// Output: 1 connection, 18 packets
}

// A file that is written is read back equal, by this library and by another.
func TestACaptureIsReadAsItWasWritten(t *testing.T) {
	for _, link := range []flowscope.LinkType{0, flowscope.LinkTypeEthernet, flowscope.LinkTypeNull, flowscope.LinkTypeRaw} {
		packet := frames.UDP{Src: "10.0.0.1:1", Dst: "10.0.0.2:2"}.IP()
		views := []flowscope.PacketView{
			{Frame: packet, Timestamp: 0, LinkType: link},
			{Frame: packet[:20], Timestamp: flowtest.Epoch + 123456789, WireLen: len(packet), LinkType: link},
			{Frame: nil, Timestamp: math.MaxUint32*flowscope.Timestamp(time.Second) + 999999999, WireLen: 9000, LinkType: link},
		}
		var file bytes.Buffer
		w, err := flowscope.NewCaptureWriter(&file, link)
		require.NoError(t, err)
		for _, v := range views {
			require.NoError(t, w.Write(v))
		}
		other, err := pcapgo.NewReader(bytes.NewReader(file.Bytes()))
		require.NoError(t, err)
		n := 0
		for v, err := range flowscope.ReadCapture(bytes.NewReader(file.Bytes())) {
			require.NoError(t, err)
			want := views[n]
			assert.Equal(t, max(want.WireLen, len(want.Frame)), v.WireLen)
			assert.True(t, bytes.Equal(want.Frame, v.Frame))
			assert.Equal(t, want.Timestamp, v.Timestamp)
			data, ci, err := other.ReadPacketData()
			require.NoError(t, err)
			assert.True(t, bytes.Equal(want.Frame, data))
			assert.Equal(t, want.Timestamp, flowscope.TimestampOf(ci.Timestamp))
			if n++; link == 0 {
				link = flowscope.LinkTypeEthernet
			}
			assert.Equal(t, link, v.LinkType)
			assert.Equal(t, link, flowscope.LinkTypeOf(uint16(other.LinkType())))
		}
		assert.Equal(t, len(views), n)
		assert.Error(t, w.Write(flowscope.PacketView{LinkType: flowscope.LinkTypePPP}))
	}
}

// Times that do not fit become the nearest that do.
func TestTimesThatACaptureCannotHold(t *testing.T) {
	var file bytes.Buffer
	w, err := flowscope.NewCaptureWriter(&file, 0)
	require.NoError(t, err)
	for _, at := range []flowscope.Timestamp{-1, math.MinInt64, math.MaxInt64} {
		require.NoError(t, w.Write(flowscope.PacketView{Timestamp: at}))
	}
	var got []flowscope.Timestamp
	for v, err := range flowscope.ReadCapture(&file) {
		require.NoError(t, err)
		got = append(got, v.Timestamp)
	}
	assert.Equal(t, []flowscope.Timestamp{0, 0, math.MaxUint32*1e9 + 999999999}, got)
}

// All flows chosen one by one are all packets of the capture that belong to flows, each once.
func TestSaveFlowsSavesThePacketsOfTheirFlows(t *testing.T) {
	const name = "testdata/captures/tunnels.pcap"
	all := flowtest.Load(t, name)
	taken := map[string]int{}
	sum, flows := 0, 0
	for n := flowscope.FlowID(1); ; n++ {
		var file bytes.Buffer
		saved, err := flowscope.SaveFlows(&file, flowscope.OpenCapture(name), func(ev *flowscope.Event) bool { return ev.Flow == n })
		require.NoError(t, err)
		if saved == 0 {
			for range flowscope.ReadCapture(&file) {
				t.Error("a packet, or no capture")
			}
			break
		}
		flows++
		sum += saved
		for v, err := range flowscope.ReadCapture(&file) {
			require.NoError(t, err)
			taken[string(v.Frame)+v.Timestamp.String()]++
		}
	}
	tracker, err := flowscope.NewFlowTracker(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{})
	require.NoError(t, err)
	flowtest.Replay(tracker, all)
	st := tracker.Stats()
	assert.EqualValues(t, st.FlowsCreated, flows)
	twice := 0
	for _, n := range taken {
		if n > 1 {
			twice++
		}
	}
	assert.EqualValues(t, 0, twice)
	assert.EqualValues(t, st.Packets-st.PacketsUnmatched, sum)
}

// The fragments that wait are saved with the flow of their datagram.
func TestSaveFlowsSavesFragments(t *testing.T) {
	datagram := frames.UDP{Src: "10.0.0.1:1", Dst: "10.0.0.2:2", Payload: make([]byte, 3000)}.IP()
	var views []flowscope.PacketView
	for _, f := range frames.Fragments(datagram, 1000, 7) {
		views = append(views, flowscope.PacketView{Frame: frames.Ethernet(f), Timestamp: flowtest.Epoch})
	}
	views = append(views, flowscope.PacketView{Frame: frames.UDP{Src: "10.0.0.1:1", Dst: "10.0.0.9:2"}.Ethernet(), Timestamp: flowtest.Epoch})
	var file bytes.Buffer
	saved, err := flowscope.SaveFlows(&file, flowtest.Sequence(views), func(ev *flowscope.Event) bool { return ev.Flow == 1 })
	require.NoError(t, err)
	assert.Equal(t, len(views)-1, saved)
}

// A file without packets is a capture too, as far as there is a link type to write into it.
func TestSaveFlowsThatSavesNothing(t *testing.T) {
	none := func(*flowscope.Event) bool { return false }
	var file bytes.Buffer
	views := []flowscope.PacketView{{LinkType: flowscope.LinkTypeRaw}, {}}
	saved, err := flowscope.SaveFlows(&file, flowtest.Sequence(views), none)
	require.NoError(t, err)
	assert.Zero(t, saved)
	r, err := pcapgo.NewReader(&file)
	require.NoError(t, err)
	assert.EqualValues(t, flowscope.LinkTypeRaw, r.LinkType())
	_, _, err = r.ReadPacketData()
	assert.ErrorIs(t, err, io.EOF)

	_, err = flowscope.SaveFlows(&shortWriter{}, flowtest.Sequence(views), none)
	assert.ErrorIs(t, err, errStop)
	file.Reset()
	_, err = flowscope.SaveFlows(&file, flowtest.Sequence(nil), none)
	require.NoError(t, err)
	assert.Zero(t, file.Len())
}

func TestSaveFlowsTellsErrors(t *testing.T) {
	all := func(*flowscope.Event) bool { return true }
	_, err := flowscope.SaveFlows(io.Discard, flowscope.OpenCapture("none.pcap"), all)
	assert.Error(t, err)
	saved, err := flowscope.SaveFlows(&shortWriter{room: 200}, flowscope.OpenCapture("testdata/captures/http.pcap"), all)
	assert.ErrorIs(t, err, errStop)
	assert.Equal(t, 1, saved)
	_, err = flowscope.SaveFlows(&shortWriter{}, flowscope.OpenCapture("testdata/captures/http.pcap"), all)
	assert.ErrorIs(t, err, errStop)
}

var errStop = errors.New("no more room")

// shortWriter takes so many bytes.
type shortWriter struct{ room int }

func (w *shortWriter) Write(b []byte) (int, error) {
	if w.room -= len(b); w.room < 0 {
		return 0, errStop
	}
	return len(b), nil
}
