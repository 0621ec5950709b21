package acceptance

import (
	"bytes"
	"slices"
	"testing"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// rawViews cuts any bytes into frames of any link type with any timestamps:
//
//	link | step | wire | length | frame ...
func rawViews(in []byte) (views []flowscope.PacketView) {
	links := []flowscope.LinkType{
		flowscope.LinkTypeEthernet, flowscope.LinkTypeEthernet, flowscope.LinkTypeEthernet, flowscope.LinkTypeRaw,
		flowscope.LinkTypeNull, flowscope.LinkTypeLoop, flowscope.LinkTypePPP, flowscope.LinkTypeLinuxSLL,
		flowscope.LinkTypeLinuxSLL2, flowscope.LinkTypeIPv4, flowscope.LinkTypeIPv6, 147,
	}
	now := int64(1_600_000_000e9)
	for len(in) >= 4 {
		link, step, wire, n := in[0], in[1], in[2], min(int(in[3]), len(in)-4)
		now += testkit.SoupTimes[int(step)%(len(testkit.SoupTimes)-3)]
		views = append(views, flowscope.PacketView{
			Frame: in[4 : 4+n : 4+n], Timestamp: flowscope.Timestamp(now), WireLen: n * int(wire%4),
			LinkType: links[int(link)%len(links)], ID: uint64(len(views) + 1),
		})
		in = in[4+n:]
	}
	return views
}

// record is the inverse of rawViews for one Ethernet frame, cut to what fits.
func record(frame []byte) []byte {
	n := min(len(frame), 255)
	return append([]byte{0, 2, 0, byte(n)}, frame[:n]...)
}

// audit tracks the views with fast paths and without, and compares the events.
func audit[K comparable](tb testing.TB, ex flowscope.FlowExtractor[K], views []flowscope.PacketView) {
	newLedger := func() *testkit.Ledger[K] { return testkit.NewAudited(tb, ex, flowscope.Config{MaxFlows: 4}) }
	ledgers := []*testkit.Ledger[K]{newLedger(), testkit.WithoutFastPaths(newLedger)}
	for _, l := range ledgers {
		l.Oversized, l.Keep = true, true
		for _, v := range views {
			kept := bytes.Clone(v.Frame)
			l.Track(v)
			if !bytes.Equal(kept, v.Frame) {
				tb.Fatalf("frame %x was written to: %x", kept, v.Frame)
			}
		}
		l.Finish()
	}
	if !slices.Equal(ledgers[0].Log, ledgers[1].Log) {
		tb.Fatalf("the slow paths have other events:\n%+v\n%+v", ledgers[0].Log, ledgers[1].Log)
	}
}

func FuzzFrames(f *testing.F) {
	var tcp []byte
	for _, flags := range []string{"S", "SA", "A", "PA", "FA", "R"} {
		tcp = append(tcp, record(frames.TCP{Src: "10.0.0.1:1", Dst: "10.0.0.2:2", Flags: flags, Payload: []byte("x")}.Ethernet())...)
		tcp = append(tcp, record(frames.TCP{Src: "10.0.0.2:2", Dst: "10.0.0.1:1", Flags: flags, Payload: []byte("x")}.Ethernet())...)
	}
	f.Add(tcp)
	f.Add(record(frames.UDP{Src: "[fd00::1]:1", Dst: "[fd00::2]:2", VLANs: []uint16{1, 2}}.Ethernet()))
	f.Add(record(frames.ICMPEcho{Src: "10.0.0.1", Dst: "10.0.0.2"}.Ethernet()))
	for _, piece := range frames.Fragments(frames.UDP{Src: "10.0.0.1:1", Dst: "10.0.0.2:2", Payload: make([]byte, 40)}.IP(), 24, 1) {
		f.Add(record(frames.Ethernet(piece)))
	}
	f.Add(record(frames.SNAP(frames.IP{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: 132, Payload: make([]byte, 12)}.IP())))
	f.Add([]byte("\x0b\x00\x00\x04abcd"))
	f.Fuzz(func(t *testing.T, in []byte) {
		views := rawViews(in)
		audit(t, flowscope.FiveTuple{VLAN: true}, views)
		audit(t, flowscope.FiveTuple{Directional: true}, views)
		audit(t, flowscope.IPPair{}, views)
		audit(t, flowscope.MACPair{}, views)
	})
}
