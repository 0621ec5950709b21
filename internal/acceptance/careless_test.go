package acceptance

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// odd is an extractor of a caller's that says what cannot be.
type odd struct {
	flowscope.FiveTuple
	change func(*flowscope.Extracted[testkit.Key])
}

func (o *odd) Extract(v flowscope.PacketView, x *flowscope.Extracted[testkit.Key]) bool {
	ok := o.FiveTuple.Extract(v, x)
	o.change(x)
	return ok
}

func TestAnExtractorThatSaysWhatCannotBe(t *testing.T) {
	f := testkit.TCP(testkit.Client, testkit.Server, "PA", 1, 1, "hello")
	for name, change := range map[string]func(*flowscope.Extracted[testkit.Key]){
		"orientation 2":    func(x *flowscope.Extracted[testkit.Key]) { x.Orientation = 2 },
		"orientation 255":  func(x *flowscope.Extracted[testkit.Key]) { x.Orientation = 255 },
		"negative missing": func(x *flowscope.Extracted[testkit.Key]) { x.Missing = -1 },
	} {
		for _, batch := range []bool{false, true} {
			d, err := flowscope.NewFlowDriver(&odd{change: change}, nil, flowscope.Config{})
			require.NoError(t, err)
			views := []flowscope.PacketView{{Frame: f}, {Frame: f}}
			if batch {
				for range d.TrackBatch(views) {
				}
			} else {
				d.Track(views[0])
				d.Track(views[1])
			}
			d.Finish()
			st := d.Stats()
			assert.EqualValues(t, [3]uint64{2, 2, 0}, [3]uint64{st.PacketsUnmatched, st.Refused[flowscope.RefusedByExtractor], st.FlowsCreated}, name)
		}
	}
	for name, change := range map[string]func(*flowscope.Extracted[testkit.Key]){
		"a scale of 255": func(x *flowscope.Extracted[testkit.Key]) {
			x.TCP.WindowScale, x.TCP.HasWindowScale = 255, true
			x.TCP.Flags |= flowscope.FlagSYN
		},
		"much missing":        func(x *flowscope.Extracted[testkit.Key]) { x.Missing = 1 << 30 },
		"a bad length":        func(x *flowscope.Extracted[testkit.Key]) { x.TCP.Options = 255 },
		"an unknown refusal":  func(x *flowscope.Extracted[testkit.Key]) { x.Refused = 255 },
		"no protocol for TCP": func(x *flowscope.Extracted[testkit.Key]) { x.L4 = 0 },
		"TCP, and then not":   func(x *flowscope.Extracted[testkit.Key]) { x.HasTCP = len(x.Payload) > 0 },
	} {
		d, err := flowscope.NewFlowDriver(&odd{change: change}, nil, flowscope.Config{})
		require.NoError(t, err, name)
		for i := range 4 {
			d.Track(flowscope.PacketView{Frame: f, Timestamp: testkit.Seconds(float64(i))})
			d.Track(flowscope.PacketView{Frame: testkit.TCP(testkit.Server, testkit.Client, "A", 1, 6, ""), Timestamp: testkit.Seconds(float64(i))})
		}
		d.Finish()
	}
}

// A nil pointer has methods, and they panic at the first packet.
func TestWhatIsNilIsAnErrorAtOnce(t *testing.T) {
	var extractor *odd
	var factory *fused
	wrong := func(err error, says string) {
		t.Helper()
		if !errors.Is(err, flowscope.ErrConfig) || !strings.Contains(err.Error(), says) {
			t.Error(err)
		}
	}
	_, err := flowscope.NewFlowTracker(extractor, flowscope.Config{})
	wrong(err, "extractor")
	_, err = flowscope.NewFlowDriver(flowscope.AutoDetectEncap[testkit.Key](extractor), nil, flowscope.Config{})
	wrong(err, "extractor")
	_, err = flowscope.NewFlowTracker(flowscope.PerTunnel[testkit.Key](flowscope.StripVLAN[testkit.Key](extractor)), flowscope.Config{})
	wrong(err, "extractor")
	_, err = flowscope.NewFlowDriver(flowscope.FiveTuple{}, flowscope.ReassemblerFunc[testkit.Key](nil), flowscope.Config{})
	wrong(err, "factory")
	_, err = flowscope.NewFlowDriver[testkit.Key](flowscope.FiveTuple{}, factory, flowscope.Config{})
	wrong(err, "factory")
	d, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, flowscope.Config{})
	require.NoError(t, err)
	var parsers *nilFactory
	wrong(d.UseParsers(parsers), "factory")
}

type nilFactory struct{ flowscope.SessionParserFactory }

func TestAllThatIsWrongIsReportedTogether(t *testing.T) {
	cfg := flowscope.Config{
		MaxFlows: -1, SidePieces: 1 << 30, UDPTimeout: -time.Second, ClockJump: -1, TotalBytes: -1, SessionBytes: -5, Overlap: 77, Checksums: 88, Events: 1 << 31,
	}
	var extractor *odd
	for _, err := range []error{
		func() error { _, err := flowscope.NewFlowTracker(extractor, cfg); return err }(),
		func() error {
			_, err := flowscope.NewFlowDriver[testkit.Key](extractor, flowscope.ReassemblerFunc[testkit.Key](nil), cfg)
			if err != nil && !strings.Contains(err.Error(), "factory") {
				t.Error(err)
			}
			return err
		}(),
	} {
		require.ErrorIs(t, err, flowscope.ErrConfig)
		for _, field := range []string{"MaxFlows", "SidePieces", "UDPTimeout", "ClockJump", "TotalBytes", "SessionBytes", "Overlap", "Checksums", "Events", "extractor"} {
			assert.Contains(t, err.Error(), field)
		}
		for _, field := range []string{"SideBytes", "ICMPTimeout", "Overflow", "Fragments"} {
			assert.NotContains(t, err.Error(), field)
		}
	}
}

// meddler is a Reassembler that calls the driver that calls it.
type meddler struct {
	d    *testkit.Driver
	part string
	view flowscope.PacketView
	n    int
}

func (m *meddler) meddle(part string) {
	if part != m.part {
		return
	}
	m.n += 4
	if len(m.d.Track(m.view)) != 0 || len(m.d.Sweep(m.view.Timestamp+1e9)) != 0 || len(m.d.Finish()) != 0 {
		panic("events inside a call")
	}
	for range m.d.TrackBatch([]flowscope.PacketView{m.view, m.view}) {
		panic("events inside a call")
	}
}

func (m *meddler) NewReassembler(testkit.Key, flowscope.FlowSide) flowscope.Reassembler {
	m.meddle("NewReassembler")
	return m
}

func (m *meddler) Segment(s flowscope.Segment, out *flowscope.Delivery) {
	m.meddle("Segment")
	out.Data(s.Payload)
}
func (m *meddler) HandlePiece(p flowscope.Piece, out *flowscope.Delivery) {
	m.meddle("HandlePiece")
	out.Data(p.Bytes)
}
func (m *meddler) Fin(*flowscope.Delivery)                               { m.meddle("Fin") }
func (m *meddler) Rst(*flowscope.Delivery)                               { m.meddle("Rst") }
func (m *meddler) Acked(int64, flowscope.Timestamp, *flowscope.Delivery) { m.meddle("Acked") }
func (m *meddler) OnTimer(now flowscope.Timestamp, _ *flowscope.Delivery) flowscope.Timestamp {
	m.meddle("OnTimer")
	return now + 1e8
}

func TestAReassemblerThatCallsItsDriver(t *testing.T) {
	for _, part := range []string{"", "NewReassembler", "Segment", "HandlePiece", "Fin", "Rst", "Acked", "OnTimer"} {
		for _, end := range []string{"<F@4 >F@5", ">R@5"} {
			m := &meddler{part: part, view: flowscope.PacketView{Frame: testkit.TCP("10.9.9.9:1", "10.9.9.8:2", "S", 1, 0, ""), Timestamp: 1e18}}
			p := testkit.NewPlay(t, m, flowscope.Config{})
			m.d = p.Driver
			p.Play("hs >0:hello <0:/fA/a5 +1s sweep <0:well/a5 >5:/fA/a4 " + end + " >F@5 <A6 >A5 +2s sweep finish")
			st := p.Driver.Stats()
			if p.Text(0) != "hello" || p.Text(1) != "well" || p.Starts != 1 || st.NestedCalls != uint64(m.n) {
				t.Errorf("%s: said %q and %q, %d flows, %d nested calls, %d were made", part, p.Text(0), p.Text(1), p.Starts, st.NestedCalls, m.n)
			}
			if m.n == 0 && part != "" && (part != "Fin" && part != "Rst") {
				t.Errorf("%s was not called", part)
			}
		}
	}
}

// The body of TrackBatch's loop is inside a call, too.
func TestALoopThatCallsItsTracker(t *testing.T) {
	l := testkit.NewTracker(t, flowscope.Config{})
	views := []flowscope.PacketView{{Frame: testkit.UDP(testkit.Client, testkit.Server)}, {Frame: testkit.UDP(testkit.Server, testkit.Client)}}
	n := 0
	for _, events := range l.TrackBatch(views) {
		n += len(events)
		assert.Empty(t, l.Track(views[0]))
		assert.Empty(t, l.Finish())
		assert.NotZero(t, events[0].Kind)
	}
	assert.NotZero(t, n)
	assert.EqualValues(t, [2]uint64{4, 2}, [2]uint64{l.Stats().NestedCalls, l.Stats().Packets})
	for range l.TrackBatch(views) {
		break
	}
	assert.NotEmpty(t, l.Finish())
}
