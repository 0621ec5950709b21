//go:build reassembly

package main_test

import (
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/reassembly"
)

// peerName is the name of the peer among the contenders.
const peerName = "reasm"

// newAssembler is a peer with package reassembly.
func newAssembler(first gopacket.LayerType) *peer {
	p := newPeer(first)
	a := reassembly.NewAssembler(reassembly.NewStreamPool(reassemblyFactory{p.bytes}))
	a.MaxBufferedPagesPerConnection, a.MaxBufferedPagesTotal = peerPages, peerAllPages
	p.assemble = func(network gopacket.Flow, t *layers.TCP, at time.Time) {
		// Segments that are held keep their context, so each packet has its own.
		a.AssembleWithContext(network, t, &reassemblyContext{gopacket.CaptureInfo{Timestamp: at}})
	}
	p.flush = func(before time.Time) { a.FlushCloseOlderThan(before) }
	p.finish = func() { a.FlushAll() }
	return p
}

type reassemblyContext struct{ info gopacket.CaptureInfo }

func (c *reassemblyContext) GetCaptureInfo() gopacket.CaptureInfo { return c.info }

type reassemblyFactory struct{ bytes *int }

func (f reassemblyFactory) New(_, _ gopacket.Flow, _ *layers.TCP, _ reassembly.AssemblerContext) reassembly.Stream {
	return &reassemblyStream{f.bytes}
}

// reassemblyStream accepts and discards everything, also of connections whose beginning was not seen.
type reassemblyStream struct{ bytes *int }

func (s *reassemblyStream) Accept(_ *layers.TCP, _ gopacket.CaptureInfo, _ reassembly.TCPFlowDirection,
	_ reassembly.Sequence, start *bool, _ reassembly.AssemblerContext) bool {
	*start = true
	return true
}

func (s *reassemblyStream) ReassembledSG(sg reassembly.ScatterGather, _ reassembly.AssemblerContext) {
	n, _ := sg.Lengths()
	*s.bytes += n
}

func (s *reassemblyStream) ReassemblyComplete(reassembly.AssemblerContext) bool { return true }
