package capfile

import (
	"bytes"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/stretchr/testify/require"
)

// peerRead reads with pcapgo, in the only way in which it reads tolerantly. Its
// link types are eight bits wide, a fault: 276 becomes 20.
func peerRead(t *testing.T, data []byte) ([]Packet, error) {
	var read func() ([]byte, gopacket.CaptureInfo, error)
	var link func(gopacket.CaptureInfo) uint16
	if isPcapng(data) {
		r, err := pcapgo.NewNgReader(bytes.NewReader(data), pcapgo.NgReaderOptions{WantMixedLinkType: true})
		require.NoError(t, err)
		read = r.ReadPacketData
		link = func(ci gopacket.CaptureInfo) uint16 { return uint16(ci.AncillaryData[0].(layers.LinkType)) }
	} else {
		r, err := pcapgo.NewReader(bytes.NewReader(data))
		require.NoError(t, err)
		r.SetSnaplen(MaxRecord)
		read = r.ReadPacketData
		link = func(gopacket.CaptureInfo) uint16 { return uint16(r.LinkType()) }
	}
	var got []Packet
	last := int64(0) // none of these files has a section that begins with packets without a time
	for {
		data, ci, err := read()
		if err == io.EOF {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		p := Packet{Data: data, WireLen: ci.Length, Interface: ci.InterfaceIndex, Link: link(ci)}
		if !ci.Timestamp.IsZero() {
			last = saturated(ci.Timestamp)
		}
		p.Time = last
		got = append(got, p)
	}
}

// saturated is UnixNano for times that may lie beyond its range. One of the
// collected files holds such: negative times, which the format cannot express.
func saturated(t time.Time) int64 {
	switch {
	case t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	case t.Before(time.Unix(0, math.MinInt64)):
		return math.MinInt64
	}
	return t.UnixNano()
}

// requireAsPeer compares with pcapgo, but for the upper half of the link type.
func requireAsPeer(t *testing.T, want, got []Packet) {
	t.Helper()
	require.Equal(t, len(want), len(got), "number of packets")
	for i := range want {
		p := got[i]
		p.Link &= 0xff
		require.True(t, samePacket(want[i], p), "packet %d: pcapgo has %+v, we have %+v", i, want[i], p)
	}
}

// peerPackets are packets of all sizes at times of all sub-second digits.
func peerPackets(rnd *rand.Rand, n int) []gopacket.CaptureInfo {
	var all []gopacket.CaptureInfo
	for range n {
		size := rnd.IntN(200)
		if rnd.IntN(20) == 0 {
			size = rnd.IntN(200_000)
		}
		all = append(all, gopacket.CaptureInfo{
			Timestamp:     time.Unix(rnd.Int64N(1<<32), rnd.Int64N(1e9)),
			CaptureLength: size,
			Length:        size + rnd.IntN(2)*rnd.IntN(1000),
		})
	}
	return all
}

func TestPcapWrittenByPcapgoReadsAsPcapgoReadsIt(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, nano := range []bool{false, true} {
		var b bytes.Buffer
		w := pcapgo.NewWriter(&b)
		if nano {
			w = pcapgo.NewWriterNanos(&b)
		}
		require.NoError(t, w.WriteFileHeader(1<<18, layers.LinkTypeRaw))
		for _, ci := range peerPackets(rnd, 300) {
			require.NoError(t, w.WritePacket(ci, payload(ci.CaptureLength)))
		}
		want, err := peerRead(t, b.Bytes())
		require.NoError(t, err)
		require.Len(t, want, 300)
		for _, data := range [][]byte{b.Bytes(), zip(b.Bytes())} {
			got, err := readAll(bytes.NewReader(data))
			require.NoError(t, err)
			requireAsPeer(t, want, got)
		}
	}
}

func TestPcapngWrittenByPcapgoReadsAsPcapgoReadsIt(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	var b bytes.Buffer
	w, err := pcapgo.NewNgWriterInterface(&b, pcapgo.NgInterface{
		Name: "a", Comment: "first", LinkType: layers.LinkTypeEthernet, TimestampResolution: 9, SnapLength: 1 << 18,
	}, pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Hardware: "h", Comment: "odd"}})
	require.NoError(t, err)
	_, err = w.AddInterface(pcapgo.NgInterface{Name: "bb", LinkType: layers.LinkTypeRaw, Filter: "tcp", OS: "none", TimestampOffset: 77})
	require.NoError(t, err)
	for i, ci := range peerPackets(rnd, 300) {
		ci.InterfaceIndex = i % 2
		require.NoError(t, w.WritePacket(ci, payload(ci.CaptureLength)))
		if i%50 == 0 {
			require.NoError(t, w.WriteInterfaceStats(0, pcapgo.NgInterfaceStatistics{PacketsReceived: uint64(i)}))
		}
	}
	require.NoError(t, w.Flush())
	want, err := peerRead(t, b.Bytes())
	require.NoError(t, err)
	require.Len(t, want, 300)
	for _, data := range [][]byte{b.Bytes(), zip(b.Bytes())} {
		got, err := readAll(bytes.NewReader(data))
		require.NoError(t, err)
		requireAsPeer(t, want, got)
	}
}

func TestCollectedCapturesReadAsPcapgoAndTheSlowReaderDo(t *testing.T) {
	for name, data := range collected(t) {
		t.Run(name, func(t *testing.T) {
			got, err := readAll(bytes.NewReader(data))
			slow, v := slowRead(data)
			require.Equal(t, v, verdictOf(err))
			requireSame(t, slow, got)

			want, peerErr := peerRead(t, data)
			if peerErr == nil {
				require.NoError(t, err)
				requireAsPeer(t, want, got)
				return
			}
			t.Logf("pcapgo stops after %d of our %d packets: %v; we say %v", len(want), len(got), peerErr, err)
			require.LessOrEqual(t, len(want), len(got))
			requireAsPeer(t, want, got[:len(want)])
		})
	}
}

// collected are the captures kept beside the checkout, if any.
func collected(t testing.TB) map[string][]byte {
	names, err := filepath.Glob("../../../shared/captures/open/*.pcap*")
	require.NoError(t, err)
	if len(names) == 0 {
		t.Skip("no collection of captures beside the checkout")
	}
	files := map[string][]byte{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		if strings.HasPrefix(string(data), "version https://") {
			continue // a pointer to a file that was not fetched
		}
		files[filepath.Base(name)] = data
	}
	return files
}
