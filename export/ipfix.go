package export

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/flowscope-go/flowscope"
)

// IPFIXWriter writes records as IPFIX messages (RFC 7011) with the counters of both directions in one
// record (RFC 5103, biflows). Each message is one Write on the writer below: a UDP socket sends it as a
// datagram, and in a file (RFC 5655) or on TCP they follow each other. Make one with NewIPFIXWriter, and
// call Flush at the end. With a writer that allocates nothing it does not either, once it has seen all kinds
// of flows; but for reports.
//
// Source is the initiator, and the reverse elements are of the responder; biflowDirection is 1, or 0 of a
// connection that was under way, since who began it is a guess. The elements of a record:
//
//	sourceIPv4Address, destinationIPv4Address, or those of IPv6
//	sourceTransportPort, destinationTransportPort   of TCP, UDP and SCTP
//	protocolIdentifier
//	flowId                                          Record.UID.Uint64
//	flowStartMilliseconds, flowEndMilliseconds      or those in nanoseconds; of both directions
//	packetDeltaCount and its reverse                late packets included; their bytes with DetailLateBytes
//	octetDeltaCount and its reverse                 bytes of IP; with DetailIPBytes
//	layer2OctetDeltaCount and its reverse           bytes on the wire
//	initiatorOctets, responderOctets                bytes of transport payload, without late packets
//	tcpControlBits and its reverse                  of TCP
//	icmpTypeCodeIPv4 or icmpTypeCodeIPv6            of ICMP and ICMPv6
//	vlanId                                          if there is one; with DetailOrigin
//	sourceMacAddress, destinationMacAddress         if there are any; with DetailOrigin
//	flowEndReason, biflowDirection
//
// flowEndReason is 1 (idle timeout) of EndIdleTimeout; 2 (active timeout) of a report of a flow that lives
// on; 3 (end of flow detected) of EndFIN, EndRST and EndReused; 4 (forced end) of EndForceClosed and
// EndFinished; 5 (lack of resources) of EndEvicted and EndBufferOverflow.
//
// Reports count from the beginning of their flow. Collectors add up what they get, and few know the elements
// of totals: so each record has what came since the report before, and their sum is the flow's. For that an
// IPFIXWriter keeps the counters of reported flows until these end. Where there is no room, a report is left
// out, which IPFIXStats counts, and the flow's next record says what it would have said. If a later record
// counts less, since packets have turned out to be of another connection, it says 0.
type IPFIXWriter struct {
	w       io.Writer
	options IPFIXOptions

	message []byte // the header and the sets so far
	set     int    // where the open set begins, 0 for none
	setID   uint16
	records uint32              // data records in the message
	flows   uint64              // those of flows
	newest  flowscope.Timestamp // of them
	current flowscope.Timestamp // of the record that is being written

	sequence uint32
	known    [ipfixTemplates + 2]bool
	inUse    []uint16 // the templates that are known, as they came
	messages int      // since the templates were sent
	sent     flowscope.Timestamp
	due      bool // the templates have to be sent again
	fresh    bool // the message has them

	flow     ipfixFlow // that is being written; here, since it would be allocated on its own
	reported map[flowscope.UID]ipfixCounts
	stats    IPFIXStats
}

// IPFIXOptions are those of an IPFIXWriter. The zero value has the defaults.
type IPFIXOptions struct {
	// Domain is the observation domain: a number for what is observed, of the caller's choice.
	Domain uint32
	// MaxMessage is the size of a message at most, from 512 to 65,535. 0 is 1,400, which fits into a packet
	// of Ethernet.
	MaxMessage int
	// Templates are sent when they are first needed, and again after TemplateMessages messages, or when the
	// time of export has moved by TemplateEvery: datagrams get lost, and collectors are started later. 0 is
	// 32 messages, and a minute.
	TemplateMessages int
	TemplateEvery    time.Duration
	// Nanoseconds has times in nanoseconds, not in milliseconds. Some collectors do not know them, and they
	// wrap around every 136 years, next in 2036.
	Nanoseconds bool
	// MaxReported is how many flows may have been reported and not have ended, in about 150 bytes each. 0 is
	// 65,536.
	MaxReported int
	// Now is the time of export in a message's header. Without it, it is the end of the latest of the
	// records in the message: packet time, so that the same records make the same messages.
	Now func() flowscope.Timestamp
}

// IPFIXStats are the counters of an IPFIXWriter.
type IPFIXStats struct {
	Messages uint64 // given to the writer below, which took them
	Octets   uint64 // of these messages
	Flows    uint64 // records of flows in them
	NotSent  uint64 // records of flows in messages that the writer below refused
	// LeftOut counts reports that were left out for IPFIXOptions.MaxReported. What they counted is in the
	// next record of their flow.
	LeftOut uint64
}

// NewIPFIXWriter makes an IPFIXWriter. It is an error if an option is out of range.
func NewIPFIXWriter(w io.Writer, o IPFIXOptions) (*IPFIXWriter, error) {
	if o.MaxMessage == 0 {
		o.MaxMessage = 1400
	}
	if o.TemplateMessages == 0 {
		o.TemplateMessages = 32
	}
	if o.TemplateEvery == 0 {
		o.TemplateEvery = time.Minute
	}
	if o.MaxReported == 0 {
		o.MaxReported = 1 << 16
	}
	switch {
	case o.MaxMessage < 512 || o.MaxMessage > math.MaxUint16:
		return nil, fmt.Errorf("export: IPFIXOptions.MaxMessage is %d, and must be from 512 to 65535", o.MaxMessage)
	case o.TemplateMessages < 0 || o.TemplateEvery < 0 || o.MaxReported < 0:
		return nil, fmt.Errorf("export: IPFIXOptions has a negative number")
	}
	return &IPFIXWriter{
		w: w, options: o, message: make([]byte, 0, o.MaxMessage), reported: map[flowscope.UID]ipfixCounts{}, due: true,
	}, nil
}

// Write writes a record. It goes out when its message is full, or with Flush. An error is that of the
// writer below, and of the message that was full: its records are lost and counted, and the next
// messages show it by their sequence number. The record itself is in the message behind it.
func (x *IPFIXWriter) Write(r *flowscope.Record) error {
	v := &x.flow
	*v = ipfixFlow{record: r, nanoseconds: x.options.Nanoseconds}
	if !x.count(v) {
		return nil
	}
	kind := ipfixKindOf(r)
	err := x.begin(kind, ipfixSizes(kind).data, r.End)
	x.message = appendIPFIXFlow(x.message, kind, v)
	v.record = nil // it is the caller's
	x.flows++
	return err
}

// WriteStats writes two options records about the observation domain: what the exporting process has done
// (RFC 7011 sections 4.1 and 4.3: octets, messages and flow records that were sent, and flow records that
// were not), and what the metering process has (observedFlowTotalCount, the flows that began, and
// ignoredPacketTotalCount, the packets that were refused but for those that are not IP). now is the time, such
// as FlowTracker.Now. The error is as that of Write.
func (x *IPFIXWriter) WriteStats(now flowscope.Timestamp, s *flowscope.TrackerStats) error {
	ignored := uint64(0)
	for refusal, n := range s.Refused {
		if flowscope.Refusal(refusal) != flowscope.RefusedNotIP {
			ignored += n
		}
	}
	err := x.begin(ipfixExporting, ipfixSizes(ipfixExporting).data, now)
	x.appendOptions(x.stats.Octets, x.stats.Messages, x.stats.Flows, x.stats.NotSent)
	err = first(err, x.begin(ipfixMetering, ipfixSizes(ipfixMetering).data, now))
	x.appendOptions(s.FlowsCreated, ignored)
	return err
}

func (x *IPFIXWriter) appendOptions(values ...uint64) {
	x.message = binary.BigEndian.AppendUint32(x.message, x.options.Domain)
	for _, v := range values {
		x.message = append64(x.message, v)
	}
}

// begin begins a data record of that kind, size and time: the template is there before it.
func (x *IPFIXWriter) begin(kind uint16, size int, now flowscope.Timestamp) (err error) {
	x.current = now
	if len(x.message) == 0 {
		x.newest = now
		x.due = x.due || x.passed(x.exportTime())
	}
	if !x.known[kind] {
		x.known[kind] = true
		if x.inUse = append(x.inUse, kind); !x.due {
			err = x.sendTemplate(kind)
		}
	}
	if x.due {
		x.fresh = true
		for _, k := range x.inUse {
			err = first(err, x.sendTemplate(k))
		}
		x.due = false // also if they needed several messages
	}
	err = first(err, x.open(ipfixFirst+kind, size))
	x.records++
	x.newest = max(x.newest, now)
	return err
}

// passed reports whether the templates are old at a time of export.
func (x *IPFIXWriter) passed(now flowscope.Timestamp) bool {
	return max(now.Sub(x.sent), x.sent.Sub(now)) >= x.options.TemplateEvery
}

// first is the first error of two.
func first(err, next error) error {
	if err != nil {
		return err
	}
	return next
}

// Stats are the counters so far.
func (x *IPFIXWriter) Stats() IPFIXStats { return x.stats }

// Flush sends what has been written. A program that captures calls it every second or so.
func (x *IPFIXWriter) Flush() error {
	if len(x.message) == 0 {
		return nil
	}
	x.closeSet()
	now := x.exportTime()
	seconds := min(max(int64(now)/int64(time.Second), 0), math.MaxUint32)
	binary.BigEndian.PutUint16(x.message[2:], uint16(len(x.message)))
	binary.BigEndian.PutUint32(x.message[4:], uint32(seconds))
	binary.BigEndian.PutUint32(x.message[8:], x.sequence)
	_, err := x.w.Write(x.message)
	if err == nil {
		x.stats.Messages++
		x.stats.Octets += uint64(len(x.message))
		x.stats.Flows += x.flows
	} else {
		x.stats.NotSent += x.flows
	}
	x.sequence += x.records // of the records that a collector should have got, modulo 2^32
	x.message, x.records, x.flows = x.message[:0], 0, 0
	if x.fresh {
		x.fresh, x.sent, x.messages = false, now, 0
	}
	x.messages++
	x.due = x.due || x.messages >= x.options.TemplateMessages || x.passed(now)
	return err
}

func (x *IPFIXWriter) exportTime() flowscope.Timestamp {
	if x.options.Now != nil {
		return x.options.Now()
	}
	return x.newest
}

// sendTemplate appends a template to the message.
func (x *IPFIXWriter) sendTemplate(kind uint16) error {
	id := uint16(ipfixTemplateSet)
	if kind >= ipfixTemplates {
		id = ipfixOptionsSet
	}
	err := x.open(id, ipfixSizes(kind).template)
	x.message = appendIPFIXTemplate(x.message, kind, x.options.Nanoseconds)
	return err
}

// open makes room for n bytes in a set of that number. The error is that of the message before, if it had
// to be sent; there is room all the same.
func (x *IPFIXWriter) open(id uint16, n int) (err error) {
	if x.set != 0 && x.setID == id && len(x.message)+n <= x.options.MaxMessage {
		return nil
	}
	x.closeSet()
	if len(x.message)+ipfixSetHeader+n > x.options.MaxMessage {
		err = x.Flush()
	}
	if len(x.message) == 0 {
		x.newest = x.current
		x.message = binary.BigEndian.AppendUint16(x.message, ipfixVersion)
		x.message = append(x.message, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) // see Flush
		x.message = binary.BigEndian.AppendUint32(x.message, x.options.Domain)
	}
	x.set, x.setID = len(x.message), id
	x.message = append(binary.BigEndian.AppendUint16(x.message, id), 0, 0)
	return err
}

func (x *IPFIXWriter) closeSet() {
	if x.set != 0 {
		binary.BigEndian.PutUint16(x.message[x.set+2:], uint16(len(x.message)-x.set))
		x.set = 0
	}
}

// ipfixCounts are the counters of both sides that a record says.
type ipfixCounts struct{ packets, octets, layer2, payload [2]uint64 }

// count sets what the record counts since the flow's report before. It is false if the record is a report
// that has to be left out.
func (x *IPFIXWriter) count(v *ipfixFlow) bool {
	r := v.record
	for i := range r.Packets {
		v.packets[i] = r.Packets[i] + r.Late[i]
		v.octets[i] = r.IPBytes[i] + r.LateIPBytes[i]
		v.layer2[i] = r.WireBytes[i] + r.LateBytes[i]
	}
	v.payload = r.PayloadBytes
	if r.Final && len(x.reported) == 0 {
		return true
	}
	before, ok := x.reported[r.UID]
	switch {
	case r.Final:
		delete(x.reported, r.UID)
	case !ok && len(x.reported) >= x.options.MaxReported:
		x.stats.LeftOut++
		return false
	default:
		x.reported[r.UID] = v.atLeast(&before)
	}
	v.sub(&before)
	return true
}

// each calls do for each counter and the same of another one.
func (c *ipfixCounts) each(other *ipfixCounts, do func(to *uint64, n uint64)) {
	for i := range c.packets {
		do(&c.packets[i], other.packets[i])
		do(&c.octets[i], other.octets[i])
		do(&c.layer2[i], other.layer2[i])
		do(&c.payload[i], other.payload[i])
	}
}

// atLeast is what has been said once c is said after before.
func (c ipfixCounts) atLeast(before *ipfixCounts) ipfixCounts {
	c.each(before, func(to *uint64, n uint64) { *to = max(*to, n) })
	return c
}

// sub takes off what has been said.
func (c *ipfixCounts) sub(before *ipfixCounts) {
	c.each(before, func(to *uint64, n uint64) { *to -= min(*to, n) })
}
