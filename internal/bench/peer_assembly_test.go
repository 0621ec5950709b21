//go:build !reassembly

package main_test

import (
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/tcpassembly"
)

// peerName is the name of the peer among the contenders.
const peerName = "asm"

// newAssembler is a peer with package tcpassembly.
func newAssembler(first gopacket.LayerType) *peer {
	p := newPeer(first)
	a := tcpassembly.NewAssembler(tcpassembly.NewStreamPool(assemblyFactory{p.bytes}))
	a.MaxBufferedPagesPerConnection, a.MaxBufferedPagesTotal = peerPages, peerAllPages
	p.assemble = a.AssembleWithTimestamp
	p.flush = func(before time.Time) { a.FlushOlderThan(before) }
	p.finish = func() { a.FlushAll() }
	return p
}

type assemblyFactory struct{ bytes *int }

func (f assemblyFactory) New(_, _ gopacket.Flow) tcpassembly.Stream { return &assemblyStream{f.bytes} }

// assemblyStream discards what it is given.
type assemblyStream struct{ bytes *int }

func (s *assemblyStream) Reassembled(all []tcpassembly.Reassembly) {
	for i := range all {
		*s.bytes += len(all[i].Bytes)
	}
}

func (s *assemblyStream) ReassemblyComplete() {}
