package flowscope

import (
	"encoding/binary"
	"math"

	"github.com/flowscope-go/flowscope/internal/decode"
	"github.com/flowscope-go/flowscope/internal/defrag"
)

// FragmentPolicy says what is done with the fragments of IP datagrams.
//
// The constants and their texts; go doc flowscope.FragmentsReassemble says more of them:
//
//	FragmentsReassemble reassemble
//	FragmentsIgnore     ignore
type FragmentPolicy uint8

const (
	// FragmentsReassemble reassembles datagrams by the rules of RFC 5722 and RFC 8200, for both IPv4
	// and IPv6: a datagram whose fragments overlap is dropped, with all that comes under its
	// identification until FragmentTimeout. A datagram goes to its flow with its last fragment, and
	// counts there as many packets and bytes as its frames were. For a second after that, a fragment
	// that repeats a part of it is a duplicate; any other begins the next datagram of that
	// identification. A datagram that never becomes complete is counted in FragmentStats; its first
	// fragment, which names the flow, counts in the flow as a packet at once, without its payload,
	// unless it would begin a TCP flow, may hold a tunnel, or is of an ICMP error. A fragment that the
	// capture cut cannot be reassembled, and is treated as under FragmentsIgnore. One that is not as
	// long as its IP header says, in a frame that is whole, is refused as RefusedLongFragment.
	FragmentsReassemble FragmentPolicy = iota
	// FragmentsIgnore leaves fragments as they are: the first one is a packet of its flow, with the
	// payload that it has, and the others are refused.
	FragmentsIgnore
)

var fragmentPolicies = &names{of: "FragmentPolicy", choice: true, text: []string{"reassemble", "ignore"}}

// String is "reassemble" or "ignore".
func (p FragmentPolicy) String() string { return fragmentPolicies.string(uint16(p)) }

// AppendText appends what String gives.
func (p FragmentPolicy) AppendText(b []byte) ([]byte, error) {
	return fragmentPolicies.append(b, uint16(p)), nil
}

// MarshalText is what String gives.
func (p FragmentPolicy) MarshalText() ([]byte, error) { return p.AppendText(nil) }

// UnmarshalText takes what String gives. The error wraps ErrConfig.
func (p *FragmentPolicy) UnmarshalText(text []byte) error {
	return unmarshal(fragmentPolicies, p, text)
}

// FragmentStats counts fragments and their datagrams.
type FragmentStats struct {
	Frames     uint64 // fragments
	Datagrams  uint64 // reassembled
	Duplicates uint64 // fragments all of whose bytes were there already
	Bad        uint64 // fragments that were discarded alone: too long, empty, or of a wrong length
	Overlaps   uint64 // datagrams dropped because their fragments contradict each other
	Limited    uint64 // datagrams given up for a limit of Config
	Cut        uint64 // datagrams given up because the capture cut a fragment
	Incomplete uint64 // datagrams that were not complete in time, or at the end
	// Forgotten counts reassembled datagrams that were not remembered for a second, for want of room:
	// a copy of one of their fragments would begin another datagram.
	Forgotten uint64
	// Unused counts fragments that are in no flow's packets: they wait, or their datagram was given
	// up, or was complete before they came. They are not in PacketsUnmatched; the one fragment that
	// was cut, wrong, or for which there was no room, may be.
	Unused  uint64
	Waiting int   // datagrams that wait for fragments now
	Bytes   int64 // memory of reassembly now
}

// fragments reassembles datagrams for a tracker.
type fragments struct {
	table  *defrag.Table[firstFragment]
	frames uint64
	bad    uint64 // IPv6 fragments that were not even given to the table
	unused uint64
	// How many datagrams were reported as AnomalyFragmentLimit and AnomalyFragmentTimeout.
	limitedReported, timedOutReported uint64

	decoder decoder // of the current packet, if it is a reassembled datagram
	raw     []byte  // the same as a frame, for extractors that read frames
	inner   []byte  // copy of a fragment that was inside a datagram
}

// firstFragment is what is kept of the fragment at offset 0.
type firstFragment struct {
	packet  decode.Packet
	counted uint64 // frames that were counted in the flow already
	wire    int    // and their length
	ip      uint32 // and that of their IP packets
}

func newFragments(cfg *Config, seed uint64) *fragments {
	return &fragments{table: defrag.New[firstFragment](defrag.Limits{
		Datagrams: cfg.FragmentDatagrams, TotalBytes: cfg.FragmentBytes, Timeout: int64(cfg.FragmentTimeout),
	}, seed)}
}

func (r *fragments) stats() FragmentStats {
	if r == nil {
		return FragmentStats{}
	}
	d := r.table.Stats()
	o := &d.Outcomes
	return FragmentStats{
		Frames: r.frames, Datagrams: o[defrag.Complete], Duplicates: o[defrag.Duplicate] + o[defrag.Conflict],
		Bad:        r.bad + o[defrag.TooLong] + o[defrag.ZeroLength] + o[defrag.NotMultipleOf8],
		Overlaps:   o[defrag.Overlap] + o[defrag.ConflictingEnd] + o[defrag.BeyondEnd],
		Limited:    limited(&d),
		Cut:        o[defrag.Cut],
		Incomplete: d.TimedOut + d.Cleared,
		Forgotten:  d.Forgotten,
		Unused:     r.unused, Waiting: r.table.Len(), Bytes: r.table.Bytes(),
	}
}

// limited is how many datagrams were given up for a limit.
func limited(d *defrag.Stats) uint64 {
	return d.EvictedTable + d.EvictedMemory + d.Outcomes[defrag.TooBig] + d.Outcomes[defrag.TooManyPieces] + d.Outcomes[defrag.NoRoom]
}

// reassemble takes a packet that is a fragment. If its datagram is complete, that becomes the
// current packet, and the second result is the length of all its frames.
func (t *FlowTracker[K, S]) reassemble(v *PacketView, ok bool, wire int) (verdict, int) {
	// A tunnel's packet may be a fragment itself. The depth of tunnels bounds how often the loop
	// goes on.
	for t.x.slow&slowFragment != 0 {
		first := t.x.packet.FragmentOffset == 0
		d, next := t.addFragment(v, ok, wire)
		if d.Data == nil {
			return next, wire
		}
		ok, wire = t.completed(v, d, first)
	}
	return verdictOf(ok), wire
}

// addFragment gives the current packet, a fragment, to its datagram. That is returned if it is
// complete; otherwise the verdict says what happens to the fragment.
func (t *FlowTracker[K, S]) addFragment(v *PacketView, ok bool, wire int) (defrag.Datagram[firstFragment], verdict) {
	var none defrag.Datagram[firstFragment]
	x, r := t.x, t.fragments
	p := &x.packet
	r.frames++
	if t.checksums.mode != ChecksumIgnore && !t.verifyHeader(v) {
		return none, packetDone
	}
	tiny := p.FragmentOffset == 0 && x.status != decode.OK
	if tiny {
		t.anomaly(AnomalyBadFragment, nil, 0, 0, 1)
		if p.Family == 6 {
			r.bad++ // RFC 8200 section 4.5: the first fragment has all headers
			x.Refused = Refusal(x.status)
			return none, packetRefused
		}
	}
	if v.decoder != nil && v.decoder.first != nil {
		t.keepInner(v)
	}
	// The first fragment names the flow, unless that may be another one once the datagram is
	// complete.
	counted := p.FragmentOffset == 0 && ok && x.slow&(slowTunnel|slowICMPError) == 0 && !decode.ICMPError(p) &&
		(!x.HasTCP || t.hasLiveFlow())
	d, out := t.storeFragment(wire, counted)
	t.reportLosses()
	switch out {
	case defrag.Complete:
		return d, packetDone
	case defrag.Cut, defrag.NoRoom:
		return none, verdictOf(ok) // as under FragmentsIgnore
	case defrag.Overlap, defrag.ConflictingEnd, defrag.BeyondEnd, defrag.Conflict:
		t.anomaly(AnomalyFragmentOverlap, nil, 0, 0, 1)
	case defrag.TooLong, defrag.ZeroLength, defrag.NotMultipleOf8:
		if !tiny {
			t.anomaly(AnomalyBadFragment, nil, 0, 0, 1)
		}
		if !counted {
			x.Refused = RefusedFragment
			return none, packetRefused
		}
	}
	t.wakeForFragments()
	t.countFragment(wire, counted && out != defrag.Duplicate && out != defrag.Conflict)
	return none, packetDone
}

// countFragment counts a fragment that waits, or whose datagram was dropped: in the flow, or as
// unused.
func (t *FlowTracker[K, S]) countFragment(wire int, inFlow bool) {
	if !inFlow || !t.countOnly(wire, true) {
		t.fragments.unused += t.frames
	}
}

// keepInner copies a fragment that came inside a datagram: the datagram's memory goes back to the
// table with the next fragment. Nothing else of the datagram can be read again.
func (t *FlowTracker[K, S]) keepInner(v *PacketView) {
	x, r := t.x, t.fragments
	r.inner = append(r.inner[:0], x.packet.Fragment...)
	x.packet.Fragment = r.inner
	x.Missing, x.Payload = x.Missing+len(x.Payload), nil
	v.Frame, v.decoder = nil, nil
}

// storeFragment adds the current packet to the table. counted says whether it will be counted in its
// flow.
func (t *FlowTracker[K, S]) storeFragment(wire int, counted bool) (defrag.Datagram[firstFragment], defrag.Outcome) {
	p := &t.x.packet
	outer := uint64(p.Tunnel)<<32 | uint64(p.TunnelID)
	if p.InTunnel {
		outer |= 1 << 63
	}
	f := defrag.Fragment{
		Key: defrag.Key{
			SrcHi: p.SrcHi, SrcLo: p.SrcLo, DstHi: p.DstHi, DstLo: p.DstLo,
			Outer: outer,
			ID:    p.FragmentID, VLAN: p.VLAN, Proto: p.FragmentProto, Family: p.Family,
		},
		Offset: int(p.FragmentOffset), Bytes: p.Fragment, More: p.MoreFragments, Cut: p.FragmentCut,
		Time: t.clock.Elapsed(), Wire: wire, IP: int(p.IPLen), Frames: int(t.frames),
	}
	if f.Offset != 0 {
		return t.fragments.table.Add(&f, nil)
	}
	kept := firstFragment{packet: *p}
	kept.packet.Payload, kept.packet.Fragment = nil, nil
	if counted {
		kept.counted, kept.wire, kept.ip = t.frames, wire, p.IPLen
	}
	return t.fragments.table.Add(&f, &kept)
}

// completed replaces the current packet by the reassembled datagram, and corrects the fragment
// counters: the fragments before the last were counted as unused, but for the first if it was counted
// in its flow; the last was not counted yet. It gives the extractor's answer and the length of all
// frames that are to be counted in the flow now.
func (t *FlowTracker[K, S]) completed(v *PacketView, d defrag.Datagram[firstFragment], lastIsFirst bool) (ok bool, wire int) {
	r, x := t.fragments, t.x
	readsFrames := x.slow&slowOwnReader != 0
	frames, wire, ip := uint64(d.Frames), int(min(d.Wire, math.MaxInt)), d.IP
	if !lastIsFirst {
		frames, wire, ip = frames-d.First.counted, wire-d.First.wire, ip-int64(d.First.ip)
	}
	d.First.packet.IPLen = uint32(min(max(ip, 0), math.MaxUint32))
	r.unused -= frames - t.frames
	t.frames = frames
	r.decoder = decoder{first: &d.First.packet, data: d.Data}
	v.Frame, v.WireLen, v.LinkType, v.decoder = d.Data, len(d.Data), LinkTypeRaw, &r.decoder
	if readsFrames {
		r.raw = appendIP(r.raw[:0], &d.First.packet, d.Data)
		v.Frame, v.WireLen = r.raw, len(r.raw)
	}
	x.clear()
	ok = t.ask(v)
	if x.slow&slowNotDecoded != 0 {
		x.decodeHeaders(v)
	}
	return ok, wire
}

// appendIP appends the IP packet of a datagram, for extractors that read frames.
func appendIP(b []byte, p *decode.Packet, data []byte) []byte {
	if p.Family == 6 {
		b = append(b, 0x60, 0, 0, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
		b = append(b, p.FragmentProto, 64)
		for _, w := range [...]uint64{p.SrcHi, p.SrcLo, p.DstHi, p.DstLo} {
			b = binary.BigEndian.AppendUint64(b, w)
		}
		return append(b, data...)
	}
	size := 20 + len(data)
	if size > 1<<16-1 {
		size = 0 // the rest of the frame
	}
	b = append(b, 0x45, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(size))
	b = append(b, 0, 0, 0, 0, 64, p.FragmentProto, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(p.SrcLo))
	b = binary.BigEndian.AppendUint32(b, uint32(p.DstLo))
	return append(b, data...)
}

// reportLosses adds the anomalies of datagrams that were given up.
func (t *FlowTracker[K, S]) reportLosses() {
	r := t.fragments
	d := r.table.Stats()
	if n := limited(&d); n > r.limitedReported {
		t.anomaly(AnomalyFragmentLimit, nil, 0, 0, int64(n-r.limitedReported))
		r.limitedReported = n
	}
	if d.TimedOut > r.timedOutReported {
		t.anomaly(AnomalyFragmentTimeout, nil, 0, 0, int64(d.TimedOut-r.timedOutReported))
		r.timedOutReported = d.TimedOut
	}
}

// expireFragments gives up datagrams that have timed out, at most limit of them.
func (t *FlowTracker[K, S]) expireFragments(limit int) {
	if t.fragments != nil && t.fragments.table.Bytes() != 0 {
		t.fragments.table.Expire(t.clock.Elapsed(), limit)
		t.reportLosses()
	}
}

// clearFragments gives up all datagrams: the capture is over.
func (t *FlowTracker[K, S]) clearFragments() {
	if t.fragments != nil {
		t.fragments.table.Expire(t.clock.Elapsed(), math.MaxInt)
		t.reportLosses()
		t.fragments.table.Clear()
		t.fragments.decoder, t.fragments.raw, t.fragments.inner = decoder{}, nil, nil
	}
}

// wakeForFragments has expireFlows called when the next datagram times out.
func (t *FlowTracker[K, S]) wakeForFragments() {
	if t.fragments != nil {
		if at, ok := t.fragments.table.Next(); ok {
			t.table.Wake(at)
		}
	}
}
