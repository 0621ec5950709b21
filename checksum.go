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
	// ChecksumAuto verifies, but accepts checksums that look left to a network card, and learns for
	// up to 16 groups of senders (by their hardware address if the link is Ethernet, else by their
	// IP address) whether their checksums mean anything: if a tenth of the first 1,000 is wrong, they
	// do not. Until it has learned it accepts everything.
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
	sources [16]struct {
		seen, bad uint16
		offloaded bool
	}
}

// checksumSample is how many packets of a source ChecksumAuto learns from.
const checksumSample = 1000

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
	if t.checksums.mode == ChecksumAuto && t.learnOffload(v, bad) {
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
	if t.checksums.mode == ChecksumAuto && t.learnOffload(v, bad) || !bad {
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

// learnOffload notes a checksum, for ChecksumAuto, and reports whether those of its source are to be
// accepted even if they are wrong.
func (t *FlowTracker[K, S]) learnOffload(v *PacketView, bad bool) bool {
	p := &t.x.packet
	from := p.SrcHi ^ p.SrcLo
	if _, src, st := decode.MACs(v.Frame, decode.Link(v.LinkType)); st == decode.OK {
		from = src
	}
	from ^= from >> 32
	from ^= from >> 16
	from ^= from >> 8
	s := &t.checksums.sources[(from^from>>4)%16]
	if s.seen == checksumSample {
		return s.offloaded
	}
	s.seen++
	if bad {
		s.bad++
	}
	if s.seen == checksumSample && s.bad >= checksumSample/10 {
		s.offloaded = true
		t.anomaly(AnomalyChecksumOffload, nil, 0, 0, int64(s.bad))
	}
	return true
}
