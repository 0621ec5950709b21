package flowscope

import (
	"encoding/binary"

	"github.com/dgryski/go-wyhash"

	"github.com/flowscope-go/flowscope/internal/decode"
)

// Sharder distributes packets over several workers, each with a tracker or driver of its own. It
// goes by the two addresses of the innermost packet, in any order; not by ports, which only the
// first fragment of a datagram has. So both directions of a conversation, its fragments, its
// packets in tunnels and the ICMP errors about it go to one worker, and all the traffic between two
// hosts does. A packet without addresses goes to worker 0.
//
//	                     +--> worker 0: FlowTracker
//	packets --> Sharder -+--> worker 1: FlowTracker
//	                     +--> ...
//
// The trackers must look into tunnels as it does, with AutoDetectEncap, and reassemble fragments:
// for others the flow is the one between the ends of a tunnel, whose packets go to several workers.
// An ICMP error about an unknown packet goes to the worker of the quoted addresses.
//
// Clocks and limits are each worker's own. Tell every worker the time that was read (Sweep), at least once a
// second of it and before Finish; then the workers say of each flow what one tracker says. One wrong
// timestamp is not the time: examples/shards shows a clock that sees all packets.
//
// A Sharder belongs to one goroutine, and gives the same answers for the same packets. It remembers
// fragments of tunnels, in 32 KiB: the first of a datagram decides for the others. If one of them
// comes before the first, the datagram is not reassembled. Whether a packet's worker has to do with
// packets before it, IsFragment says.
//
// The answers are stable: on every machine, and in every release, so that the programs of an archive
// can run at any time and be written in any language. Of addresses lo and hi, the first being the
// lesser one, each as 16 bytes (IPv4 as ::ffff:a.b.c.d), let b be the 32 bytes of lo and hi with the
// order of bytes reversed in each group of 8. Then the worker is
//
//	uint64(uint32(wyhash.Hash(b, 0))) * n >> 32
//
// with the Hash of github.com/dgryski/go-wyhash, and 0 as the seed. A release that reads a tunnel
// which was not read before changes the addresses of the packets inside, and so their worker;
// CHANGELOG.md says so. How fragments are remembered is not part of the promise.
type Sharder struct {
	n      uint64
	peeler *decode.Peeler
	// firsts holds, at an index from a datagram's hash, the upper half of that hash (in the upper
	// half) and the datagram's worker. A newer datagram replaces an older one.
	firsts [4096]uint64
}

// NewSharder makes a Sharder for n workers whose trackers have AutoDetectEncap;
// fewer than 1 count as 1. It peels off as many tunnels as any tracker may.
func NewSharder(n int) *Sharder { return NewSharderWith(n, EncapOptions{Depth: 32}) }

// NewSharderWith makes a Sharder for n workers whose trackers have
// AutoDetectEncapWith these options.
func NewSharderWith(n int, o EncapOptions) *Sharder {
	return &Sharder{n: uint64(max(n, 1)), peeler: decode.NewPeeler(o.decode())}
}

// Shard is the number of the packet's worker, from 0 on.
func (s *Sharder) Shard(v PacketView) int {
	if h, ok := s.simple(&v); ok {
		var k FiveTupleKey
		k.setSimple(v.Frame, h, false)
		return s.worker(hashPair(k.aHi, k.aLo, k.bHi, k.bLo))
	}
	var p decode.Packet
	decode.DecodeWith(&p, v.Frame, decode.Link(v.LinkType), v.WireLen, s.peeler)
	return s.workerOf(&p)
}

// IsFragment reports whether the packet is an IP fragment, be it inside a tunnel. The worker of any
// other packet depends on that packet alone, and that of a fragment may depend on fragments before it. So where
// several readers have a part of the packets each, as the files of an archive, they can use a Sharder each, and
// leave all fragments, in order, to one more: examples/beam does.
func (s *Sharder) IsFragment(v PacketView) bool {
	if _, ok := s.simple(&v); ok {
		return false
	}
	var p decode.Packet
	decode.DecodeWith(&p, v.Frame, decode.Link(v.LinkType), v.WireLen, s.peeler)
	return p.Family != 0 && p.Fragmented
}

// simple is the fast path of most packets: a simple frame, no fragment, that holds no tunnel.
func (s *Sharder) simple(v *PacketView) (h decode.SimpleFrame, ok bool) {
	if v.LinkType > LinkTypeEthernet {
		return h, false
	}
	h, ok = decode.ParseSimple(v.Frame)
	return h, ok && (L4Proto(h.Proto) == L4TCP || !s.peeler.PortsMayMeanTunnel(h.Ports(v.Frame)))
}

// workerOf is Shard for decoded headers.
func (s *Sharder) workerOf(p *decode.Packet) int {
	switch {
	case p.Family == 0:
		return 0
	case p.Fragmented:
		return s.fragment(p)
	}
	if decode.ICMPError(p) {
		var q decode.Packet
		if decode.Quoted(p, &q) {
			p = &q
		}
	}
	return s.worker(hashPair(p.SrcHi, p.SrcLo, p.DstHi, p.DstLo))
}

// worker maps the lower half of a hash to a worker. Flow tables use the upper half of their hashes,
// which have another seed.
func (s *Sharder) worker(h uint64) int { return int(uint64(uint32(h)) * s.n >> 32) }

// fragment is workerOf for a fragment. If the datagram holds a tunnel or an ICMP error, the inner
// addresses are in the first fragment; later ones have no ports, so they do not show that there is a
// tunnel. A fragment that the capture cut is not reassembled, and counts as a packet of the outer
// addresses.
func (s *Sharder) fragment(p *decode.Packet) int {
	h := hashDatagram(p)
	first := &s.firsts[h%uint64(len(s.firsts))]
	known := *first>>32 == h>>32
	switch {
	case p.FragmentOffset != 0 && known:
		return int(uint32(*first))
	case p.FragmentOffset != 0, !decode.ICMPError(p) && (p.FragmentCut || !s.peeler.FragmentMayHoldTunnel(p)):
		if known {
			*first = 0 // of an earlier datagram with the same identification
		}
		return s.worker(hashPair(p.SrcHi, p.SrcLo, p.DstHi, p.DstLo))
	}
	inside := *p
	decode.FirstFragment(&inside, p.Fragment, s.peeler)
	worker := s.workerOf(&inside) // a fragment in a fragment is in a tunnel: no deeper than these
	*first = h>>32<<32 | uint64(uint32(worker))
	return worker
}

// hashDatagram hashes what the fragments of a datagram have in common (RFC 791
// section 3.2, RFC 8200 section 4.5): unlike hashPair it differs for the two directions.
func hashDatagram(p *decode.Packet) uint64 {
	var b [40]byte
	binary.LittleEndian.PutUint64(b[0:], p.SrcHi)
	binary.LittleEndian.PutUint64(b[8:], p.SrcLo)
	binary.LittleEndian.PutUint64(b[16:], p.DstHi)
	binary.LittleEndian.PutUint64(b[24:], p.DstLo)
	id := uint64(p.FragmentID)
	if p.Family == 4 {
		id |= uint64(p.FragmentProto) << 32
	}
	binary.LittleEndian.PutUint64(b[32:], id)
	return wyhash.Hash(b[:], 1)
}

// hashPair hashes two addresses, in either order. Function and seed are promised: see Sharder. The seed is no
// secret: to overload one worker an attacker needs only one pair of addresses anyway.
func hashPair(aHi, aLo, bHi, bLo uint64) uint64 {
	if after(aHi, aLo, 0, bHi, bLo, 0) != 0 {
		aHi, aLo, bHi, bLo = bHi, bLo, aHi, aLo
	}
	var b [32]byte
	binary.LittleEndian.PutUint64(b[0:], aHi)
	binary.LittleEndian.PutUint64(b[8:], aLo)
	binary.LittleEndian.PutUint64(b[16:], bHi)
	binary.LittleEndian.PutUint64(b[24:], bLo)
	return wyhash.Hash(b[:], 0)
}
