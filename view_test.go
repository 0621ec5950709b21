package flowscope_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/invariants"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// pcapOf writes frames as google's pcapgo does.
func pcapOf(tb testing.TB, views []flowscope.PacketView) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriter(&b)
	require.NoError(tb, w.WriteFileHeader(65535, layers.LinkTypeEthernet))
	for _, v := range views {
		ci := gopacket.CaptureInfo{Timestamp: v.Timestamp.Time(), CaptureLength: len(v.Frame), Length: max(len(v.Frame), v.WireLen)}
		require.NoError(tb, w.WritePacket(ci, v.Frame))
	}
	return b.Bytes()
}

// read is everything that a sequence gives.
func read(seq func(func(flowscope.PacketView, error) bool)) (views []flowscope.PacketView, errs []error) {
	for v, err := range seq {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		v.Frame = bytes.Clone(v.Frame)
		views = append(views, v)
	}
	return views, errs
}

func TestReadCaptureOfAFileCutAnywhereGivesTheWholePacketsThenTheOffset(t *testing.T) {
	in := testkit.HTTPSession()
	file := pcapOf(t, in)
	starts := []int{24}
	for _, v := range in {
		starts = append(starts, starts[len(starts)-1]+16+len(v.Frame))
	}
	require.Equal(t, starts[len(starts)-1], len(file))
	for n := range len(file) {
		views, errs := read(flowscope.ReadCapture(bytes.NewReader(file[:n])))
		whole := 0
		for whole+1 < len(starts) && starts[whole+1] <= n {
			whole++
		}
		require.Len(t, views, whole, "cut at %d", n)
		if n >= 24 && starts[whole] == n {
			require.Empty(t, errs, "cut at %d, between packets", n)
			continue
		}
		require.Len(t, errs, 1, "cut at %d", n)
		var at *flowscope.CaptureError
		require.ErrorAs(t, errs[0], &at)
		if n >= 24 {
			assert.ErrorIs(t, errs[0], flowscope.ErrTruncated)
			assert.EqualValues(t, starts[whole], at.Offset, "cut at %d", n)
			assert.Contains(t, errs[0].Error(), "offset")
		}
	}
}

func TestReadCaptureNamesWhatIsWrong(t *testing.T) {
	broken := errors.New("the disk is on fire")
	file := pcapOf(t, testkit.HTTPSession())
	section := "\n\r\r\n\x1c\x00\x00\x00\x4d\x3c\x2b\x1a\x01\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x1c\x00\x00\x00"
	for _, c := range []struct {
		name  string
		in    io.Reader
		want  error
		views int
	}{
		{"text", bytes.NewReader([]byte("This is no capture at all, but long enough to be one.")), flowscope.ErrNotCapture, 0},
		{"nothing", bytes.NewReader(nil), flowscope.ErrNotCapture, 0},
		{"a length that cannot be", bytes.NewReader([]byte(section + "\x06\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00")), flowscope.ErrCorrupt, 0},
		{"a reader that fails", io.MultiReader(bytes.NewReader(file[:24+16+54]), iotest.ErrReader(broken)), broken, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			views, errs := read(flowscope.ReadCapture(c.in))
			require.Len(t, errs, 1)
			assert.ErrorIs(t, errs[0], c.want)
			assert.Len(t, views, c.views)
			for _, other := range []error{flowscope.ErrNotCapture, flowscope.ErrTruncated, flowscope.ErrCorrupt} {
				if other != c.want {
					assert.NotErrorIs(t, errs[0], other)
				}
			}
		})
	}
}

func TestReadCaptureStopsWhenTheLoopBreaks(t *testing.T) {
	n := 0
	for v, err := range flowscope.ReadCapture(bytes.NewReader(pcapOf(t, testkit.HTTPSession()))) {
		require.NoError(t, err)
		n++
		if v.ID == 3 {
			break
		}
	}
	assert.Equal(t, 3, n)
}

func TestOpenCaptureReadsTheFileWhenRangedOver(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.pcap")
	seq := flowscope.OpenCapture(name)
	_, errs := read(seq)
	require.Len(t, errs, 1)
	assert.ErrorIs(t, errs[0], os.ErrNotExist)
	require.NoError(t, os.WriteFile(name, pcapOf(t, testkit.HTTPSession()), 0o600))
	for range 2 { // a name can be opened again
		views, errs := read(seq)
		assert.Len(t, views, 10)
		assert.Empty(t, errs)
	}
}

// Who reads many files wants to know which one is damaged.
func TestErrorsOfOpenCaptureNameTheFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "cut.pcap")
	file := pcapOf(t, testkit.HTTPSession())
	require.NoError(t, os.WriteFile(name, file[:len(file)-1], 0o600))
	views, errs := read(flowscope.OpenCapture(name))
	assert.Len(t, views, 9)
	require.Len(t, errs, 1)
	var at *flowscope.CaptureError
	require.ErrorAs(t, errs[0], &at)
	assert.Equal(t, name, at.Name)
	assert.ErrorIs(t, at, flowscope.ErrTruncated)
	assert.Equal(t, 1, strings.Count(at.Error(), name), at.Error())

	_, unnamed := read(flowscope.ReadCapture(bytes.NewReader(file[:len(file)-1])))
	require.Len(t, unnamed, 1)
	assert.Equal(t, name+": "+unnamed[0].Error(), at.Error())

	for _, name := range []string{filepath.Join(dir, "absent.pcap"), dir} { // what cannot be opened, and what cannot be read
		_, errs := read(flowscope.OpenCapture(name))
		require.Len(t, errs, 1)
		assert.Contains(t, errs[0].Error(), name)
	}
}

func TestOpenCaptureOfADashIsStandardInput(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	was := os.Stdin
	os.Stdin = r
	defer func() { os.Stdin = was }()
	go func() {
		w.Write(pcapOf(t, testkit.DNSQueries()))
		w.Close()
	}()
	views, errs := read(flowscope.OpenCapture("-"))
	assert.Len(t, views, 6)
	assert.Empty(t, errs)
}

// forkInfo has the fields of CaptureInfo, but is a type of another module, as that of gopacket's maintained fork.
type forkInfo struct {
	Timestamp      time.Time
	CaptureLength  int
	Length         int
	InterfaceIndex int
	AncillaryData  []interface{}
}

// forkSource gives packets, and now and then an error, from a script.
type forkSource struct {
	steps []any // a PacketView or an error
	reads int
}

func (s *forkSource) ReadPacketData() ([]byte, forkInfo, error) {
	s.reads++
	if len(s.steps) == 0 {
		return nil, forkInfo{}, io.EOF
	}
	step := s.steps[0]
	s.steps = s.steps[1:]
	if err, ok := step.(error); ok {
		return nil, forkInfo{}, err
	}
	v := step.(flowscope.PacketView)
	return v.Frame, forkInfo{Timestamp: v.Timestamp.Time(), CaptureLength: len(v.Frame), Length: v.WireLen}, nil
}

type forkZeroCopy struct{ forkSource }

func (s *forkZeroCopy) ZeroCopyReadPacketData() ([]byte, forkInfo, error) { return s.ReadPacketData() }

func TestSourcesOfGopacketAndOfItsForkGiveWhatReadCaptureGives(t *testing.T) {
	in := testkit.HTTPSession()
	in[3].WireLen = 1000
	file := pcapOf(t, in)
	want, errs := read(flowscope.ReadCapture(bytes.NewReader(file)))
	require.Empty(t, errs)
	r, err := pcapgo.NewReader(bytes.NewReader(file))
	require.NoError(t, err)
	got, errs := read(flowscope.FromSource(context.Background(), r, flowscope.LinkTypeOf(uint16(r.LinkType()))))
	require.Empty(t, errs)
	assert.Equal(t, want, got)
	r, err = pcapgo.NewReader(bytes.NewReader(file))
	require.NoError(t, err)
	got, errs = read(flowscope.FromZeroCopySource(context.Background(), r, flowscope.LinkTypeEthernet))
	require.Empty(t, errs)
	assert.Equal(t, want, got)
	fork := &forkSource{}
	for _, v := range want {
		fork.steps = append(fork.steps, v)
	}
	got, errs = read(flowscope.FromSource(context.Background(), fork, flowscope.LinkTypeEthernet))
	require.Empty(t, errs)
	assert.Equal(t, want, got)
}

func TestASourcesErrorsArePassedOnAndReadingGoesOn(t *testing.T) {
	timeout := errors.New("nothing came")
	v := testkit.HTTPSession()[0]
	src := &forkZeroCopy{forkSource{steps: []any{v, timeout, v, io.ErrUnexpectedEOF, v}}}
	var seen []any
	for v, err := range flowscope.FromZeroCopySource(context.Background(), src, flowscope.LinkTypeEthernet) {
		if err != nil {
			assert.Empty(t, v)
			seen = append(seen, err)
			continue
		}
		seen = append(seen, v.ID)
	}
	assert.Equal(t, []any{uint64(1), timeout, uint64(2), io.ErrUnexpectedEOF, uint64(3)}, seen)
}

func TestASourceIsReadNoMoreOnceTheContextIsDone(t *testing.T) {
	v := testkit.HTTPSession()[0]
	src := &forkSource{steps: []any{v, v, v}}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var errs []error
	n := 0
	for _, err := range flowscope.FromSource(ctx, src, flowscope.LinkTypeEthernet) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if n++; n == 2 {
			cancel()
		}
	}
	require.Len(t, errs, 1)
	assert.ErrorIs(t, errs[0], context.Canceled)
	assert.Equal(t, 2, src.reads)
}

func TestASourceIsReadNoMoreAfterABreak(t *testing.T) {
	v := testkit.HTTPSession()[0]
	src := &forkSource{steps: []any{v, v, v}}
	for range flowscope.FromSource(context.Background(), src, flowscope.LinkTypeEthernet) {
		break
	}
	assert.Equal(t, 1, src.reads)
}

func TestLinkTypesOfTheRegistry(t *testing.T) {
	for n, want := range map[uint16]flowscope.LinkType{
		0: flowscope.LinkTypeNull, 1: flowscope.LinkTypeEthernet, 9: flowscope.LinkTypePPP, 101: flowscope.LinkTypeRaw,
		108: flowscope.LinkTypeLoop, 113: flowscope.LinkTypeLinuxSLL, 228: flowscope.LinkTypeIPv4, 229: flowscope.LinkTypeIPv6,
		276: flowscope.LinkTypeLinuxSLL2, 147: 147,
	} {
		assert.Equal(t, want, flowscope.LinkTypeOf(n), n)
	}
	var x flowscope.Extracted[flowscope.FiveTupleKey]
	assert.False(t, flowscope.FiveTuple{}.Extract(flowscope.PacketView{Frame: testkit.UDP(testkit.Client, testkit.Server), LinkType: 147}, &x))
	assert.Equal(t, flowscope.RefusedUnknownLink, x.Refused)
}

func TestAFrameThatIsKeptIsFoundOut(t *testing.T) {
	if !invariants.Enabled {
		t.Skip("only builds with -tags invariants overwrite what was lent")
	}
	var kept [][]byte
	for v, err := range flowscope.OpenCapture("testdata/captures/http.pcap") {
		require.NoError(t, err)
		for _, f := range kept {
			require.Equal(t, bytes.Repeat([]byte{0xDB}, 14), f[:14])
		}
		kept = append(kept[:0], v.Frame)
	}
	require.NotEmpty(t, kept)
}

// Events gives what the two loops give that it stands for.
func TestEventsOfACapture(t *testing.T) {
	views := testkit.HTTPSession()
	file := pcapOf(t, views)
	for name, file := range map[string][]byte{"whole": file, "cut": file[:len(file)-1]} {
		var want []flowscope.Event
		var failed error
		d := testkit.NewDriver(t, nil, flowscope.Config{})
		for v, err := range flowscope.ReadCapture(bytes.NewReader(file)) {
			if err != nil {
				failed = err
				break
			}
			want = append(want, clones(d.Track(v))...)
		}
		want = append(want, clones(d.Finish())...)
		require.Equal(t, name == "cut", failed != nil)

		var got []flowscope.Event
		var errs []error
		d = testkit.NewDriver(t, nil, flowscope.Config{})
		for ev, err := range d.Events(flowscope.ReadCapture(bytes.NewReader(file))) {
			if err != nil {
				require.Nil(t, ev)
				errs = append(errs, err)
				continue
			}
			require.Empty(t, errs, "the error comes last")
			got = append(got, ev.Clone())
		}
		assert.Equal(t, want, got, name)
		assert.Equal(t, failed != nil, len(errs) == 1)

		tr := testkit.NewTracker(t, flowscope.Config{})
		n := 0
		for ev := range tr.Events(flowscope.ReadCapture(bytes.NewReader(file))) {
			if n++; ev.Kind == flowscope.EventPacket {
				break // the rest of its call is lost, and the flow lives
			}
		}
		assert.Equal(t, 3, n)
		assert.Equal(t, 1, tr.Len())
	}
}

func clones(events []flowscope.Event) (all []flowscope.Event) {
	for i := range events {
		all = append(all, events[i].Clone())
	}
	return all
}

// The packets of a gopacket.PacketSource are those of the reader below it.
func TestFromPacketsIsFromSource(t *testing.T) {
	const name = "testdata/captures/http.pcap"
	open := func() *pcapgo.Reader {
		file, err := os.Open(name)
		require.NoError(t, err)
		t.Cleanup(func() { file.Close() })
		r, err := pcapgo.NewReader(file)
		require.NoError(t, err)
		return r
	}
	collect := func(views iter.Seq2[flowscope.PacketView, error]) (all []flowscope.PacketView) {
		for v, err := range views {
			require.NoError(t, err)
			v.Frame = bytes.Clone(v.Frame)
			all = append(all, v)
		}
		return all
	}
	r := open()
	link := flowscope.LinkTypeOf(uint16(r.LinkType()))
	want := collect(flowscope.FromSource(context.Background(), r, link))
	require.NotEmpty(t, want)
	assert.Equal(t, want, collect(flowscope.FromPackets(gopacket.NewPacketSource(open(), layers.LinkTypeEthernet).Packets(), link)))
	for range flowscope.FromPackets(gopacket.NewPacketSource(open(), layers.LinkTypeEthernet).Packets(), link) {
		break
	}
}
