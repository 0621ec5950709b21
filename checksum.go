package flowscope

import (
	"github.com/flowscope-go/flowscope/internal/decode"
	"github.com/flowscope-go/flowscope/internal/history"
)

// ChecksumMode says whether checksums are verified: those of the innermost IPv4 header, and of TCP,
// UDP, ICMP, ICMPv6 and SCTP. Of a packet that is cut short, and of a fragment alone, only the checksum
// of the IPv4 header can be verified; a UDP datagram without a checksum is never wrong.
//
// A packet whose checksum is wrong counts in its flow, if there is one, with the letter C in the
// history and AnomalyBadChecksum, and does nothing else: no receiver would take it, and an attacker
// might send it to deceive an observer. Without a flow it is refused as RefusedBadChecksum. So is one
// whose IPv4 header is wrong, since that may name the wrong flow.
//
// The constants and their texts; go doc flowscope.ChecksumIgnore says more of them:
//
//	ChecksumIgnore ignore
//	ChecksumVerify verify
//	ChecksumAuto   auto
type ChecksumMode uint8

const (
	// ChecksumIgnore verifies nothing.
	ChecksumIgnore ChecksumMode = iota
	// ChecksumVerify verifies everything. On a machine whose network card computes checksums
	// (offload), its own packets are captured before that, and are wrong.
	ChecksumVerify
	// ChecksumAuto verifies, but accepts checksums that look left to a network card: the sum over
	// addresses and length alone, and an IPv4 header's of 0. Some senders leave other values, and it
	// learns for up to 16 groups of them (by their hardware address if the link is Ethernet, else by
	// their IP address) which: if of 1,000 packets a tenth has a wrong checksum that is always 0, or
	// always the same, such are accepted of the next 1,000, and so on. Other wrong ones never are,
	// however many there are, but for the first 1,000 packets of a group, of which all are accepted.
	ChecksumAuto
)

var checksumModes = &names{of: "ChecksumMode", choice: true, text: []string{"ignore", "verify", "auto"}}

// String is "ignore", "verify" or "auto".
func (m ChecksumMode) String() string { return checksumModes.string(uint16(m)) }

// AppendText appends what String gives.
func (m ChecksumMode) AppendText(b []byte) ([]byte, error) {
	return checksumModes.append(b, uint16(m)), nil
}

// MarshalText is what String gives.
func (m ChecksumMode) MarshalText() ([]byte, error) { return m.AppendText(nil) }

// UnmarshalText takes what String gives. The error wraps ErrConfig.
func (m *ChecksumMode) UnmarshalText(text []byte) error { return unmarshal(checksumModes, m, text) }

// checksums is how checksums are verified, and what ChecksumAuto has learned of the groups of senders.
type checksums struct {
	mode    ChecksumMode
	sources [16]checksumSource
}

// checksumSource is what ChecksumAuto has learned of a group of senders, and learns from their packets now.
type checksumSource struct {
	seen, odd uint16 // packets, and those whose wrong checksum looks as if nobody had filled it in
	votes     uint16 // how far the wrong checksum is ahead of all others, in turn
	value     uint32 // the wrong checksum that comes most
	learned   bool   // of as many packets before
	offloaded bool   // what is odd is accepted
}

// checksumSample is how many packets of a source ChecksumAuto learns from.
const checksumSample = 1000

// looksUnfilled reports whether a wrong checksum is one that a sender may have left to its network card.
func (s *checksumSource) looksUnfilled(field uint32) bool { return field == 0 || field == s.value }

// count enters a packet, and reports whether what is odd is accepted from now on, and was not before.
func (s *checksumSource) count(bad bool, field uint32) (found bool) {
	if s.seen == checksumSample {
		s.seen, s.odd = 0, 0
	}
	if bad {
		if s.looksUnfilled(field) {
			s.odd++
		}
		switch {
		case field == s.value:
			s.votes = min(s.votes+1, checksumSample)
		case s.votes == 0:
			s.value, s.votes = field, 1
		default:
			s.votes--
		}
	}
	if s.seen++; s.seen < checksumSample {
		return false
	}
	found = s.odd >= checksumSample/10 && !s.offloaded
	s.offloaded, s.learned = s.odd >= checksumSample/10, true
	return found
}

// verifyChecksums reports whether the current packet may go to its flow. If not, it counts the packet.
func (t *FlowTracker[K, S]) verifyChecksums(v *PacketView, wire int) bool {
	header, transport := decode.Checksum(&t.x.packet, v.bytes())
	if v.decoder != nil && v.decoder.first != nil && header == decode.SumUnknown {
		header = decode.SumNone // each fragment had its own
	}
	bad := header == decode.SumBad || transport == decode.SumBad
	switch {
	case bad:
		t.stats.ChecksumsBad++
	case header == decode.SumPartial || transport == decode.SumPartial:
		t.stats.ChecksumsPartial++
		bad = t.checksums.mode == ChecksumVerify
	case transport == decode.SumUnknown || header == decode.SumUnknown:
		t.stats.ChecksumsUnknown++
		return true
	}
	if t.checksums.mode == ChecksumAuto && t.learnOffload(v, bad, header == decode.SumBad) {
		return true
	}
	if !bad {
		return true
	}
	if header == decode.SumBad || header == decode.SumPartial && t.checksums.mode == ChecksumVerify || !t.countBadChecksum(wire) {
		t.refuse(RefusedBadChecksum)
	}
	return false
}

// verifyHeader is verifyChecksums for a fragment: alone, only its IPv4 header can be verified. If that
// is wrong, the fragment is refused.
func (t *FlowTracker[K, S]) verifyHeader(v *PacketView) bool {
	header, _ := decode.Checksum(&t.x.packet, v.bytes())
	bad := header == decode.SumBad
	switch {
	case bad:
		t.stats.ChecksumsBad++
	case header == decode.SumPartial:
		t.stats.ChecksumsPartial++
		bad = t.checksums.mode == ChecksumVerify
	}
	if t.checksums.mode == ChecksumAuto && t.learnOffload(v, bad, true) || !bad {
		return true
	}
	t.refuse(RefusedBadChecksum)
	return false
}

// countBadChecksum counts a packet with a wrong checksum in its flow, and reports whether there is one.
func (t *FlowTracker[K, S]) countBadChecksum(wire int) bool {
	s := t.find(&t.x.Key)
	if s == nil || !t.countOnly(wire, false) {
		return false
	}
	side := t.sender(&s.Value)
	if s.Value.bits&isTCP != 0 {
		s.Value.addLetters(history.BadChecksum, side)
	}
	t.anomaly(AnomalyBadChecksum, s, side, 0, 1)
	return true
}

// learnOffload notes a checksum, for ChecksumAuto, and reports whether the packet is to be accepted even if
// it is wrong. inHeader says which one is.
func (t *FlowTracker[K, S]) learnOffload(v *PacketView, bad, inHeader bool) bool {
	p := &t.x.packet
	from := p.SrcHi ^ p.SrcLo
	if _, src, st := decode.MACs(v.Frame, decode.Link(v.LinkType)); st == decode.OK {
		from = src
	}
	from ^= from >> 32
	from ^= from >> 16
	from ^= from >> 8
	s := &t.checksums.sources[(from^from>>4)%16]
	var field uint32
	if bad {
		header, transport := decode.Fields(p, v.bytes())
		if field = transport; inHeader {
			field = uint32(header)
		}
	}
	accepted := !s.learned || bad && s.offloaded && s.looksUnfilled(field)
	if s.count(bad, field) {
		t.anomaly(AnomalyChecksumOffload, nil, 0, 0, int64(s.odd))
	}
	return accepted
}
