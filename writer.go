package flowscope

import (
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/flowscope-go/flowscope/internal/capfile"
)

// CaptureWriter writes packets to a capture file: classic pcap with times in nanoseconds. Make one with
// NewCaptureWriter. Each packet is one Write on the writer below; put a bufio.Writer between them if there
// are many.
type CaptureWriter struct {
	file *capfile.Writer
	link LinkType
}

// NewCaptureWriter writes the header of the file. All its packets have the same link type. The error is
// that of w.
func NewCaptureWriter(w io.Writer, link LinkType) (*CaptureWriter, error) {
	number := uint16(canonicalLink(link))
	if link == LinkTypeNull {
		number = 0 // in the registry; see LinkTypeOf
	}
	file, err := capfile.NewWriter(w, number)
	if err != nil {
		return nil, err
	}
	return &CaptureWriter{file: file, link: canonicalLink(link)}, nil
}

// Write writes a packet. An error is that of the writer below, or says that the packet is of another link
// type than the file. Times outside 1970 to 2106 do not fit and become the nearer of the two.
func (w *CaptureWriter) Write(v PacketView) error {
	if link := canonicalLink(v.LinkType); link != w.link {
		return fmt.Errorf("flowscope: a packet of link type %v in a capture of %v", link, w.link)
	}
	return w.file.Write(int64(v.Timestamp), v.Frame, v.WireLen)
}

// canonicalLink is the link type, of which 0 is Ethernet.
func canonicalLink(t LinkType) LinkType {
	if t == 0 {
		return LinkTypeEthernet
	}
	return t
}

// SaveFlows writes the packets of chosen flows to a capture file, and returns how many packets it wrote.
// Flows are those of AutoDetectEncap(FiveTuple{}) with the default Config, and keep is asked about the
// EventEnded of each. Late packets, ICMP errors about the flow, and the fragments of its datagrams are
// saved with it: all fragments between its hosts that have the identification of one of its datagrams.
// The first packets of a connection that begins on the ports of one that goes on count as that one's until
// they are believed, and are saved with that; see EventPacket.
//
//	saved, err := flowscope.SaveFlows(file, flowscope.OpenCapture("traffic.pcap"), func(ev *flowscope.Event) bool {
//		return ev.Reason == flowscope.EndRST
//	})
//
// The packets are read twice, so views must be a sequence that can be: that of OpenCapture, not that of
// ReadCapture. All packets that are saved must be of one link type. An error is that of the writer or of
// views; the packets before it have been saved. If no flow is chosen, the file is a capture without packets, of
// the link type of the first one that was read; if there is none either, nothing is written.
func SaveFlows(w io.Writer, views iter.Seq2[PacketView, error], keep func(ev *Event) bool) (saved int, err error) {
	chosen, failed := chooseFlows(views, keep)
	if len(chosen.flows) == 0 {
		if chosen.packets {
			if _, err := NewCaptureWriter(w, chosen.link); err != nil {
				return 0, err
			}
		}
		return 0, failed
	}
	ex := AutoDetectEncap(FiveTuple{})
	tracker, err := NewFlowTracker(ex, savedConfig)
	if err != nil {
		return 0, err
	}
	var file *CaptureWriter
	for v, err := range views {
		if err != nil {
			return saved, err
		}
		wanted := false
		events := tracker.Track(v)
		for i := range events {
			wanted = wanted || events[i].Kind != EventEnded && chosen.flows[events[i].Flow]
		}
		if !wanted && len(chosen.datagrams) > 0 {
			d, ok := datagramOf(ex, v)
			wanted = ok && chosen.datagrams[d]
		}
		if !wanted {
			continue
		}
		if file == nil {
			if file, err = NewCaptureWriter(w, v.LinkType); err != nil {
				return saved, err
			}
		}
		if err := file.Write(v); err != nil {
			return saved, err
		}
		saved++
	}
	return saved, failed
}

// savedConfig is that of both readings: flows have the same numbers if the packets are the same.
var savedConfig = Config{Events: Events(EventPacket, EventLate, EventICMPError, EventEnded)}

// savedFlows are the flows that SaveFlows saves.
type savedFlows struct {
	flows     map[FlowID]bool
	datagrams map[datagram]bool // those of theirs that came in fragments

	packets bool     // there are any
	link    LinkType // of the first one
}

func chooseFlows(views iter.Seq2[PacketView, error], keep func(ev *Event) bool) (savedFlows, error) {
	s := savedFlows{flows: map[FlowID]bool{}, datagrams: map[datagram]bool{}}
	ex := AutoDetectEncap(FiveTuple{})
	tracker, err := NewFlowTracker(ex, savedConfig)
	if err != nil {
		return s, err
	}
	fragmented := map[FlowID][]datagram{} // of flows that live
	take := func(ev *Event, v PacketView) {
		switch ev.Kind {
		case EventPacket:
			if ev.Len <= int64(max(v.WireLen, len(v.Frame))) {
				break // not of several frames
			}
			if d, ok := datagramOf(ex, v); ok && !slices.Contains(fragmented[ev.Flow], d) {
				fragmented[ev.Flow] = append(fragmented[ev.Flow], d)
			}
		case EventEnded:
			if keep(ev) {
				s.flows[ev.Flow] = true
				for _, d := range fragmented[ev.Flow] {
					s.datagrams[d] = true
				}
			}
			delete(fragmented, ev.Flow)
		}
	}
	var failed error
	for v, err := range views {
		if failed = err; err != nil {
			break
		}
		if !s.packets {
			s.packets, s.link = true, v.LinkType
		}
		events := tracker.Track(v)
		for i := range events {
			take(&events[i], v)
		}
	}
	events := tracker.Finish()
	for i := range events {
		take(&events[i], PacketView{})
	}
	return s, failed
}

// datagram names the fragments of a datagram: two hosts and an identification.
type datagram struct {
	hosts [4]uint64
	id    uint32
}

// datagramOf is the datagram that a packet is a fragment of.
func datagramOf(ex FlowExtractor[FiveTupleKey], v PacketView) (d datagram, ok bool) {
	var x Extracted[FiveTupleKey]
	ex.Extract(v, &x) // that it is no packet of a flow by itself does not matter
	p := &x.packet
	return datagram{[4]uint64{p.SrcHi, p.SrcLo, p.DstHi, p.DstLo}, p.FragmentID}, p.Fragment != nil
}
