package flowscope

import (
	"encoding/binary"

	"github.com/dgryski/go-wyhash"

	"github.com/flowscope-go/flowscope/internal/decode"
)

// Sharder says which of several workers a packet belongs to, each with a tracker
// or driver of its own. It looks at the two addresses of the innermost packet, in
// any order: ports would tell more, but the fragments of a datagram do not have
// them. So both directions of a conversation, its fragments, what a tunnel carries
// of it and the ICMP errors about it meet in one worker, and two hosts that only
// talk to each other keep one worker busy. What has no addresses goes to worker 0.
//
//	                     +--> worker 0: FlowTracker
//	packets --> Sharder -+--> worker 1: FlowTracker
//	                     +--> ...
//
// The trackers must look into tunnels as it does, with AutoDetectEncap, and put
// fragments together: one that does not sees the ends of a tunnel, whose packets are
// in several workers. ICMP
// errors about packets that nobody saw are flows of the worker that the quoted
// addresses name.
//
// It belongs to one goroutine. The same packets always get the same answers. It
// remembers the fragments of tunnels, in 32 KiB: the first of a datagram says where
// the others go. If one of them comes before the first, the datagram is not put
// together.
type Sharder struct {
	n      uint64
	peeler *decode.Peeler
	// firsts has, at a place chosen by a datagram's hash, another part of that
	// hash (upper half) and where the datagram went. A newer datagram displaces
	// an older one.
	firsts [4096]uint64
}

// NewSharder makes a Sharder for n workers whose trackers have AutoDetectEncap;
// fewer than 1 count as 1. It looks as deep as any tracker may.
func NewSharder(n int) *Sharder { return NewSharderWith(n, EncapOptions{Depth: 32}) }

// NewSharderWith makes a Sharder for n workers whose trackers have
// AutoDetectEncapWith these options.
func NewSharderWith(n int, o EncapOptions) *Sharder {
	return &Sharder{n: uint64(max(n, 1)), peeler: decode.NewPeeler(o.decode())}
}

// Shard gives the worker of a packet, from 0 on.
func (s *Sharder) Shard(v PacketView) int {
	if v.LinkType <= LinkTypeEthernet {
		if h, ok := decode.AsPlain(v.Frame); ok && (L4Proto(h.Proto) == L4TCP || !s.peeler.MayPlain(h.Ports(v.Frame))) {
			var k FiveTupleKey
			k.setPlain(v.Frame, h, false)
			return s.worker(hashPair(k.aHi, k.aLo, k.bHi, k.bLo))
		}
	}
	var p decode.Packet
	decode.DecodeWith(&p, v.Frame, decode.Link(v.LinkType), v.WireLen, s.peeler)
	return s.place(&p)
}

// place is Shard for a packet that was read.
func (s *Sharder) place(p *decode.Packet) int {
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

// worker takes the lower half of a hash: tables of flows take the upper half of
// theirs, which has a seed of its own besides.
func (s *Sharder) worker(h uint64) int { return int(uint64(uint32(h)) * s.n >> 32) }

// fragment is for one of a datagram. If that holds a tunnel or an ICMP error, what
// is inside is in the first fragment, as far as addresses are concerned. Later
// ones have no ports, so it does not show in them what they are of. A fragment that
// the capture cut is not put together, and stays a packet outside the tunnel.
func (s *Sharder) fragment(p *decode.Packet) int {
	h := hashDatagram(p)
	first := &s.firsts[h%uint64(len(s.firsts))]
	known := *first>>32 == h>>32
	switch {
	case p.FragmentOffset != 0 && known:
		return int(uint32(*first))
	case p.FragmentOffset != 0, !decode.ICMPError(p) && (p.FragmentCut || !s.peeler.May(p)):
		if known {
			*first = 0 // of an earlier datagram with the same identification
		}
		return s.worker(hashPair(p.SrcHi, p.SrcLo, p.DstHi, p.DstLo))
	}
	inside := *p
	decode.Beginning(&inside, p.Fragment, s.peeler)
	worker := s.place(&inside) // a fragment in a fragment is in a tunnel: no deeper than these
	*first = h>>32<<32 | uint64(uint32(worker))
	return worker
}

// hashDatagram hashes what the fragments of a datagram have in common (RFC 791
// section 3.2, RFC 8200 section 4.5): unlike hashPair it tells the directions apart.
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

// hashPair hashes two addresses in order. The seed is no secret: an adversary who
// wants a worker's whole attention needs no more than one pair of addresses.
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
