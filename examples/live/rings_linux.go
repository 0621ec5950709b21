package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/gopacket/gopacket/afpacket"
	"golang.org/x/net/bpf"

	"github.com/flowscope-go/flowscope"
)

const (
	// blockSize is that of the blocks of a ring: one has to hold the largest frame, see maxSnap.
	blockSize = 1 << 20
	// The kernel hands a block over when it is full, or after blockTime; up to twice that, if a packet comes when the
	// timer has just run.
	blockTime = 50 * time.Millisecond
	// pollTime is the tick of a network without packets.
	pollTime = 100 * time.Millisecond
	// sweepDelay is how far time stays behind the clock then: for packets in a block that was not handed over.
	sweepDelay = 250 * time.Millisecond
)

// rings are the packet sockets, one for each worker.
type rings struct {
	all     []*afpacket.TPacket
	members []*afpacket.TPacket // of the interfaces, for promiscuous mode
	filter  []bpf.RawInstruction
	none    []bpf.RawInstruction
}

// openRings opens the sockets. No packet comes before start.
//
// The rings of one interface are bound to it. Those of several are bound to none, with a filter for the interfaces:
// a socket for each would bring the two directions of a flow that come in on two of them to different drivers, or
// in the wrong order.
func openRings(all []device, loopback int, program []bpf.Instruction, s *settings) (r *rings, err error) {
	r = new(rings)
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	var indices []int
	options := []any{
		afpacket.TPacketVersion3, afpacket.OptFrameSize(4096), afpacket.OptBlockSize(blockSize), afpacket.OptNumBlocks(s.buffer),
		afpacket.OptBlockTimeout(blockTime), afpacket.OptPollTimeout(pollTime), afpacket.OptAddVLANHeader(true),
	}
	if len(all) > 0 && all[0].datagram {
		options = append(options, afpacket.SocketDgram)
	}
	if len(all) == 1 {
		options = append(options, afpacket.OptInterface(all[0].name))
	} else {
		for _, d := range all {
			indices = append(indices, d.index)
		}
	}
	if r.none, err = assemble(passNone); err != nil {
		return nil, err
	}
	if r.filter, err = assemble(append(guard(indices, loopback), program...)); err != nil {
		return nil, err
	}
	group := uint16(rand.Uint32()) | 1<<15 // programs take small numbers
	for range s.workers {
		ring, err := afpacket.NewTPacket(options...)
		if err != nil {
			return r, withHelp(err)
		}
		r.all = append(r.all, ring)
		if err := ring.SetBPF(r.none); err != nil {
			return r, err
		}
		if s.workers > 1 {
			if err := ring.SetFanout(afpacket.FanoutHashWithDefrag, group); err != nil {
				return r, fmt.Errorf("fan-out: %w", err)
			}
		}
	}
	if !s.unpromiscuous {
		return r, r.join(all)
	}
	return r, nil
}

// join puts the interfaces into promiscuous mode for as long as the sockets are open.
func (r *rings) join(all []device) error {
	page := os.Getpagesize()
	for _, d := range all {
		// The protocol 0 is none: these sockets get no packets.
		m, err := afpacket.NewTPacket(afpacket.OptInterface(d.name), afpacket.OptProtocol(0), afpacket.OptNumBlocks(1),
			afpacket.OptBlockSize(page), afpacket.OptFrameSize(page))
		if err != nil {
			return withHelp(err)
		}
		r.members = append(r.members, m)
		if err := m.SetPromiscuous(true); err != nil {
			return fmt.Errorf("%s: promiscuous mode: %w; -p does without", d.name, err)
		}
	}
	return nil
}

// counts gives the numbers of packets since start that the kernel had room for, and that it has dropped.
func (r *rings) counts() (passed, drops uint64) {
	for _, ring := range r.all {
		// The counters of the kernel include the dropped packets in all.
		if _, s, err := ring.SocketStats(); err == nil {
			passed += uint64(s.Packets() - s.Drops())
			drops += uint64(s.Drops())
		}
	}
	return passed, drops
}

func (r *rings) close() {
	for _, ring := range append(r.all, r.members...) {
		ring.Close()
	}
}

// loopbackOf is the index of the loopback interface if it is among these, or these are any.
func loopbackOf(all []device, find func() int) int {
	lo := find()
	for _, d := range all {
		if d.index == lo {
			return lo
		}
	}
	if len(all) == 0 {
		return lo
	}
	return 0
}

// linkTypeOf is that of all interfaces: any ones should be of Ethernet.
func linkTypeOf(all []device) flowscope.LinkType {
	if len(all) == 0 {
		return flowscope.LinkTypeEthernet
	}
	return all[0].link
}
