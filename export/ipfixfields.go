package export

import (
	"encoding/binary"
	"time"

	"github.com/flowscope-go/flowscope"
)

// Of the protocol, RFC 7011 sections 3.1 and 3.3.2, and RFC 5103 section 6.1.
const (
	ipfixVersion       = 10
	ipfixHeader        = 16
	ipfixSetHeader     = 4
	ipfixTemplateSet   = 2
	ipfixOptionsSet    = 3
	ipfixFirst         = 256 // template numbers below are reserved
	ipfixReverse       = 29305
	ipfixEnterpriseBit = 0x8000
)

// A kind is what a record of a flow has besides what all have: a set of these bits. Each kind has a
// template, whose number is 256 more.
const (
	ipfixIPv4 = 1 << iota
	ipfixIPv6
	ipfixPorts
	ipfixTCP
	ipfixICMP
	ipfixICMPv6
	ipfixOctets
	ipfixVLAN
	ipfixMAC

	// ipfixTemplates is how many kinds there are. The kinds of options have numbers behind.
	ipfixTemplates = 1 << iota
	ipfixExporting = ipfixTemplates
	ipfixMetering  = ipfixTemplates + 1
)

// ipfixKindOf says what a record has.
func ipfixKindOf(r *flowscope.Record) (kind uint16) {
	switch {
	case r.Initiator.Addr.Is4() && r.Responder.Addr.Is4():
		kind = ipfixIPv4
	case r.Initiator.Addr.IsValid() && r.Responder.Addr.IsValid():
		kind = ipfixIPv6
	}
	switch r.Proto {
	case flowscope.L4TCP:
		kind |= ipfixTCP | ipfixPorts
	case flowscope.L4UDP, flowscope.L4SCTP:
		kind |= ipfixPorts
	case flowscope.L4ICMP:
		kind |= ipfixICMP
	case flowscope.L4ICMPv6:
		kind |= ipfixICMPv6
	}
	if r.IPBytes != [2]uint64{} || r.LateIPBytes != [2]uint64{} {
		kind |= ipfixOctets
	}
	if r.VLAN != 0 {
		kind |= ipfixVLAN
	}
	if r.MAC != [2]flowscope.MAC{} {
		kind |= ipfixMAC
	}
	return kind
}

// ipfixFlow is a record with what it counts since the flow's record before.
type ipfixFlow struct {
	record *flowscope.Record
	ipfixCounts
	nanoseconds bool
}

// ipfixField is an element of a template, for records that have all of need.
type ipfixField struct {
	element uint16
	reverse bool
	size    uint8
	need    uint16
	append  func([]byte, *ipfixFlow) []byte
}

// ipfixFields are the elements in their order.
var ipfixFields = []ipfixField{
	{8, false, 4, ipfixIPv4, func(b []byte, v *ipfixFlow) []byte { return appendAddr(b, v.record.Initiator.Addr) }},
	{12, false, 4, ipfixIPv4, func(b []byte, v *ipfixFlow) []byte { return appendAddr(b, v.record.Responder.Addr) }},
	{27, false, 16, ipfixIPv6, func(b []byte, v *ipfixFlow) []byte { return appendAddr16(b, v.record.Initiator) }},
	{28, false, 16, ipfixIPv6, func(b []byte, v *ipfixFlow) []byte { return appendAddr16(b, v.record.Responder) }},
	{7, false, 2, ipfixPorts, func(b []byte, v *ipfixFlow) []byte { return append16(b, v.record.Initiator.Port) }},
	{11, false, 2, ipfixPorts, func(b []byte, v *ipfixFlow) []byte { return append16(b, v.record.Responder.Port) }},
	{4, false, 1, 0, func(b []byte, v *ipfixFlow) []byte { return append(b, uint8(v.record.Proto)) }},
	{148, false, 8, 0, func(b []byte, v *ipfixFlow) []byte { return append64(b, v.record.UID.Uint64()) }},
	{ipfixStart, false, 8, 0, func(b []byte, v *ipfixFlow) []byte { return v.appendTime(b, v.record.Start) }},
	{ipfixEnd, false, 8, 0, func(b []byte, v *ipfixFlow) []byte { return v.appendTime(b, v.record.End) }},
	{2, false, 8, 0, func(b []byte, v *ipfixFlow) []byte { return append64(b, v.packets[0]) }},
	{2, true, 8, 0, func(b []byte, v *ipfixFlow) []byte { return append64(b, v.packets[1]) }},
	{1, false, 8, ipfixOctets, func(b []byte, v *ipfixFlow) []byte { return append64(b, v.octets[0]) }},
	{1, true, 8, ipfixOctets, func(b []byte, v *ipfixFlow) []byte { return append64(b, v.octets[1]) }},
	{352, false, 8, 0, func(b []byte, v *ipfixFlow) []byte { return append64(b, v.layer2[0]) }},
	{352, true, 8, 0, func(b []byte, v *ipfixFlow) []byte { return append64(b, v.layer2[1]) }},
	{231, false, 8, 0, func(b []byte, v *ipfixFlow) []byte { return append64(b, v.payload[0]) }},
	{232, false, 8, 0, func(b []byte, v *ipfixFlow) []byte { return append64(b, v.payload[1]) }},
	// In one octet it says nothing of the upper bits (RFC 7125), which a record does not have. The reverse one
	// comes first, since nfdump has one place for flags, and the last of both in it.
	{6, true, 1, ipfixTCP, func(b []byte, v *ipfixFlow) []byte { return append(b, uint8(v.record.Flags[1])) }},
	{6, false, 1, ipfixTCP, func(b []byte, v *ipfixFlow) []byte { return append(b, uint8(v.record.Flags[0])) }},
	{32, false, 2, ipfixICMP, func(b []byte, v *ipfixFlow) []byte { return append(b, v.record.ICMPType, v.record.ICMPCode) }},
	{139, false, 2, ipfixICMPv6, func(b []byte, v *ipfixFlow) []byte { return append(b, v.record.ICMPType, v.record.ICMPCode) }},
	{58, false, 2, ipfixVLAN, func(b []byte, v *ipfixFlow) []byte { return append16(b, v.record.VLAN) }},
	{56, false, 6, ipfixMAC, func(b []byte, v *ipfixFlow) []byte { return append(b, v.record.MAC[0][:]...) }},
	{80, false, 6, ipfixMAC, func(b []byte, v *ipfixFlow) []byte { return append(b, v.record.MAC[1][:]...) }},
	{136, false, 1, 0, func(b []byte, v *ipfixFlow) []byte { return append(b, ipfixEndReason(v.record)) }},
	{239, false, 1, 0, func(b []byte, v *ipfixFlow) []byte { return append(b, ipfixDirection(v.record)) }},
}

// flowStartMilliseconds and flowEndMilliseconds; those in nanoseconds are 4 more.
const (
	ipfixStart       = 152
	ipfixEnd         = 153
	ipfixToNanos     = 4
	ipfixScope       = 149 // observationDomainId
	secondsFrom1900  = 2208988800
	ipfixFieldLength = 4
	ipfixEnterprise  = 4
)

// The elements of options, behind the scope; all are of eight bytes. exportedOctetTotalCount,
// exportedMessageTotalCount, exportedFlowRecordTotalCount and notSentFlowTotalCount; observedFlowTotalCount
// and ignoredPacketTotalCount.
var ipfixOptions = [...][]uint16{{40, 41, 42, 166}, {163, 164}}

// ipfixSize is the size of a template, and of its records.
type ipfixSize struct{ template, data int }

func ipfixSizes(kind uint16) (s ipfixSize) {
	if kind >= ipfixTemplates {
		n := len(ipfixOptions[kind-ipfixTemplates])
		return ipfixSize{template: 6 + ipfixFieldLength*(1+n), data: 4 + 8*n}
	}
	s.template = 4
	for _, f := range ipfixFields {
		if f.need&^kind != 0 {
			continue
		}
		s.data += int(f.size)
		if s.template += ipfixFieldLength; f.reverse {
			s.template += ipfixEnterprise
		}
	}
	return s
}

// appendIPFIXTemplate appends the template of a kind, with its number and the number of its fields.
func appendIPFIXTemplate(b []byte, kind uint16, nanoseconds bool) []byte {
	b = append16(b, ipfixFirst+kind)
	if kind >= ipfixTemplates {
		elements := ipfixOptions[kind-ipfixTemplates]
		b = append16(append16(b, uint16(1+len(elements))), 1) // one field is the scope
		b = append16(append16(b, ipfixScope), 4)
		for _, e := range elements {
			b = append16(append16(b, e), 8)
		}
		return b
	}
	at, n := len(b), uint16(0)
	b = append(b, 0, 0)
	for _, f := range ipfixFields {
		if f.need&^kind != 0 {
			continue
		}
		n++
		element := f.element
		if nanoseconds && (element == ipfixStart || element == ipfixEnd) {
			element += ipfixToNanos
		}
		if f.reverse {
			b = append16(append16(b, element|ipfixEnterpriseBit), uint16(f.size))
			b = binary.BigEndian.AppendUint32(b, ipfixReverse)
		} else {
			b = append16(append16(b, element), uint16(f.size))
		}
	}
	binary.BigEndian.PutUint16(b[at:], n)
	return b
}

// appendIPFIXFlow appends the record of a flow.
func appendIPFIXFlow(b []byte, kind uint16, v *ipfixFlow) []byte {
	for _, f := range ipfixFields {
		if f.need&^kind == 0 {
			b = f.append(b, v)
		}
	}
	return b
}

func append16(b []byte, n uint16) []byte { return binary.BigEndian.AppendUint16(b, n) }
func append64(b []byte, n uint64) []byte { return binary.BigEndian.AppendUint64(b, n) }

func appendAddr16(b []byte, e flowscope.Endpoint) []byte {
	a := e.Addr.As16()
	return append(b, a[:]...)
}

// appendTime appends milliseconds since 1970, or the 64 bits of NTP: seconds since 1900, modulo 2^32, and
// their fraction (RFC 7011 section 6.1.10). The fraction is rounded up, so that who rounds down to
// nanoseconds has what was meant.
func (v *ipfixFlow) appendTime(b []byte, t flowscope.Timestamp) []byte {
	seconds, rest := int64(t)/int64(time.Second), int64(t)%int64(time.Second)
	if rest < 0 {
		seconds, rest = seconds-1, rest+int64(time.Second)
	}
	if !v.nanoseconds {
		return append64(b, uint64(max(seconds*1000+rest/int64(time.Millisecond), 0)))
	}
	fraction := (uint64(rest)<<32 + uint64(time.Second) - 1) / uint64(time.Second)
	return append64(b, uint64(seconds+secondsFrom1900)<<32|fraction)
}

// ipfixEndReason is flowEndReason; 0, which is reserved, if an end has none.
func ipfixEndReason(r *flowscope.Record) uint8 {
	if !r.Final {
		return 2
	}
	switch r.Reason {
	case flowscope.EndIdleTimeout:
		return 1
	case flowscope.EndFIN, flowscope.EndRST, flowscope.EndReused:
		return 3
	case flowscope.EndForceClosed, flowscope.EndFinished:
		return 4
	case flowscope.EndEvicted, flowscope.EndBufferOverflow:
		return 5
	}
	return 0
}

// ipfixDirection is biflowDirection: the source is the initiator, or one of both.
func ipfixDirection(r *flowscope.Record) uint8 {
	if r.Midstream {
		return 0
	}
	return 1
}
