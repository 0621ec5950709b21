package flowscope

import (
	"encoding/binary"
	"math"

	"github.com/flowscope-go/flowscope/internal/decode"
	"github.com/flowscope-go/flowscope/internal/defrag"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// What a packet may have to pass between its extractor and its flow. Nearly none
// has to: a fragment waits for its datagram, a wrong checksum keeps a packet out
// of the conversation, and an ICMP error goes to the flow that it is about.
//
//	Extract --> fragment? --> refused? --> checksum --> ICMP error? --> flow

// FragmentPolicy says what is done with the fragments of IP datagrams.
type FragmentPolicy uint8

const (
	// FragmentsReassemble puts datagrams together, by the rules of RFC 5722 and
	// RFC 8200 for both IPv4 and IPv6: one whose fragments overlap is dropped,
	// with all that comes under its identification until FragmentTimeout. A
	// datagram goes to its flow with its last fragment, and counts there as many
	// packets and bytes as its frames were. What never becomes complete is counted
	// in FragmentStats; its first fragment, which names the flow, counts there as a
	// packet at once, without its payload, unless it would begin a TCP flow, may
	// hold a tunnel, or is of an ICMP error. A fragment that the capture cut cannot be
	// put together, and is treated as under FragmentsIgnore.
	FragmentsReassemble FragmentPolicy = iota
	// FragmentsIgnore leaves fragments as they are: the first one is a packet of
	// its flow, of which it holds some payload, and the others are refused.
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

// FragmentStats counts fragments, and the datagrams they are of.
type FragmentStats struct {
	Frames     uint64 // fragments
	Datagrams  uint64 // put together
	Duplicates uint64 // fragments all of whose bytes were there
	Bad        uint64 // fragments that were left out of their datagrams as wrong in themselves
	Overlaps   uint64 // datagrams dropped since their fragments contradict
	Limited    uint64 // datagrams given up for a limit of Config
	Cut        uint64 // datagrams given up since the capture cut a fragment
	Incomplete uint64 // datagrams that were not complete in time, or at the end
	// Unused counts fragments that are in no flow's packets: they wait, or their
	// datagram was given up. They are not in PacketsUnmatched; the one that was cut, wrong,
	// or for which there was no room, may be.
	Unused  uint64
	Waiting int   // datagrams that wait now
	Bytes   int64 // memory of reassembly now
}

// fragments puts datagrams together for a tracker.
type fragments struct {
	table  *defrag.Table[firstFragment]
	frames uint64
	bad    uint64 // IPv6 fragments that were not even given to the table
	unused uint64
	told   uint64 // losses that were made anomalies: to limits,
	late   uint64 // and to time

	decoder decoder // of the datagram at hand,
	raw     []byte  // and the same as a frame, for extractors that read frames
	inner   []byte  // a fragment that was in a datagram
}

// firstFragment is what is kept of the fragment at offset 0.
type firstFragment struct {
	packet  decode.Packet
	counted uint64 // frames in its flow already,
	wire    int    // and their length
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
		Unused:     r.unused, Waiting: r.table.Len(), Bytes: r.table.Bytes(),
	}
}

func limited(d *defrag.Stats) uint64 {
	return d.EvictedTable + d.EvictedMemory + d.Outcomes[defrag.TooBig] + d.Outcomes[defrag.TooManyPieces] + d.Outcomes[defrag.NoRoom]
}

// admit is Track for a packet that does not simply go to its flow.
func (t *FlowTracker[K, S]) admit(v PacketView, ok bool, wire int) []FlowEvent[K] {
	x := t.x
	if x.slow&slowNotDecoded != 0 && (t.fragments != nil || t.checksums.mode != ChecksumIgnore) {
		x.decodeHeaders(&v)
	}
	if x.slow&slowFragment != 0 && t.fragments != nil {
		var next fate
		if next, wire = t.fragment(&v, ok, wire); next == isDone {
			t.frames = 1
			return t.tellRest()
		}
		ok = next == isTaken
	}
	switch {
	case !ok:
		t.refuse(x.Refused)
	case t.checksums.mode != ChecksumIgnore && !t.intact(&v, wire):
	case x.slow&slowICMPError != 0 && t.related(wire):
	default:
		t.take(wire)
	}
	t.frames = 1
	return t.tellRest()
}

func (t *FlowTracker[K, S]) refuse(why Refusal) {
	t.stats.PacketsUnmatched += t.frames
	if int(why) < numRefusals {
		t.stats.Refused[why] += t.frames
	}
}

// fate is what becomes of a fragment.
type fate uint8

const (
	isDone    fate = iota // it waits, or was counted
	isTaken               // the packet at hand goes on to its flow
	isRefused             // the packet at hand is refused
)

// fragment gives a fragment to its datagram. If that is complete it becomes the
// packet at hand, and wire the length of all its frames.
func (t *FlowTracker[K, S]) fragment(v *PacketView, ok bool, wire int) (fate, int) {
	x, r := t.x, t.fragments
	p := &x.packet
	r.frames++
	if t.checksums.mode != ChecksumIgnore && !t.soundHeader(v) {
		return isDone, wire
	}
	first := p.FragmentOffset == 0
	if first && x.status != decode.OK {
		t.anomaly(AnomalyBadFragment, nil, 0, 0, 1) // a tiny one
		if p.Family == 6 {
			r.bad++ // RFC 8200 section 4.5: the first fragment has all headers
			x.Refused = Refusal(x.status)
			return isRefused, wire
		}
	}
	if v.decoder != nil && v.decoder.first != nil {
		t.keepInner(v)
	}
	tallied := first && ok && x.slow&(slowTunnel|slowICMPError) == 0 && !decode.ICMPError(p) && (!x.HasTCP || t.lives())
	d, out := t.addFragment(wire, tallied)
	t.lost()
	switch out {
	case defrag.Complete:
		return t.whole(v, d, first)
	case defrag.Cut, defrag.NoRoom:
		// As if datagrams were not put together.
		return fateOf(ok), wire
	case defrag.Overlap, defrag.ConflictingEnd, defrag.BeyondEnd, defrag.Conflict:
		t.anomaly(AnomalyFragmentOverlap, nil, 0, 0, 1)
	case defrag.TooLong, defrag.ZeroLength, defrag.NotMultipleOf8:
		if !first || x.status == decode.OK { // or it was told
			t.anomaly(AnomalyBadFragment, nil, 0, 0, 1)
		}
		if !tallied {
			x.Refused = RefusedFragment
			return isRefused, wire
		}
	}
	t.wakeForFragments()
	if out == defrag.Duplicate || out == defrag.Conflict || !tallied || !t.tally(wire, true) {
		r.unused += t.frames
	}
	return isDone, wire
}

// keepInner copies a fragment that came in a datagram: that lies in memory which
// goes back to the table with the next fragment. Nothing else of it can be read
// again.
func (t *FlowTracker[K, S]) keepInner(v *PacketView) {
	x, r := t.x, t.fragments
	r.inner = append(r.inner[:0], x.packet.Fragment...)
	x.packet.Fragment = r.inner
	x.Missing, x.Payload = x.Missing+len(x.Payload), nil
	v.Frame, v.decoder = nil, nil
}

// lives reports whether the packet at hand has a live flow, whose time is not over.
func (t *FlowTracker[K, S]) lives() bool {
	s := t.find(&t.x.Key)
	return s != nil && !t.overdue(s, t.clock.Now())
}

func fateOf(ok bool) fate {
	if ok {
		return isTaken
	}
	return isRefused
}

// addFragment gives the fragment at hand to the table.
func (t *FlowTracker[K, S]) addFragment(wire int, tallied bool) (defrag.Datagram[firstFragment], defrag.Outcome) {
	p := &t.x.packet
	f := defrag.Fragment{
		Key: defrag.Key{
			SrcHi: p.SrcHi, SrcLo: p.SrcLo, DstHi: p.DstHi, DstLo: p.DstLo,
			Outer: uint64(p.Tunnel)<<32 | uint64(p.TunnelID),
			ID:    p.FragmentID, VLAN: p.VLAN, Proto: p.FragmentProto, Family: p.Family,
		},
		Offset: int(p.FragmentOffset), Bytes: p.Fragment, More: p.MoreFragments, Cut: p.FragmentCut,
		Time: t.clock.Now(), Wire: wire, Frames: int(t.frames),
	}
	if f.Offset != 0 {
		return t.fragments.table.Add(&f, nil)
	}
	kept := firstFragment{packet: *p}
	kept.packet.Payload, kept.packet.Fragment = nil, nil
	if tallied {
		kept.counted, kept.wire = t.frames, wire
	}
	return t.fragments.table.Add(&f, &kept)
}

// whole makes a datagram the packet at hand. The fragments before the last were
// counted as unused, but for the first if it was counted in its flow; the last
// was not counted yet.
func (t *FlowTracker[K, S]) whole(v *PacketView, d defrag.Datagram[firstFragment], lastIsFirst bool) (fate, int) {
	r, x := t.fragments, t.x
	own := x.slow&slowOwnReader != 0
	frames, wire := uint64(d.Frames), int(min(d.Wire, math.MaxInt))
	if !lastIsFirst {
		frames, wire = frames-d.First.counted, wire-d.First.wire
	}
	r.unused -= frames - t.frames
	t.frames = frames
	r.decoder = decoder{first: &d.First.packet, data: d.Data}
	v.Frame, v.WireLen, v.LinkType, v.decoder = d.Data, len(d.Data), LinkTypeRaw, &r.decoder
	if own {
		r.raw = appendIP(r.raw[:0], &d.First.packet, d.Data)
		v.Frame, v.WireLen = r.raw, len(r.raw)
	}
	x.clear()
	ok := t.ex.Extract(*v, x)
	if x.slow&slowNotDecoded != 0 {
		x.decodeHeaders(v)
	}
	if x.slow&slowFragment != 0 {
		// A tunnel's packet that is a fragment itself. The depth of tunnels bounds
		// how often this happens.
		return t.fragment(v, ok, wire)
	}
	return fateOf(ok), wire
}

// appendIP makes an IP packet of a datagram, for extractors that read frames.
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

// lost makes anomalies of datagrams that were given up.
func (t *FlowTracker[K, S]) lost() {
	r := t.fragments
	d := r.table.Stats()
	if n := limited(&d); n > r.told {
		t.anomaly(AnomalyFragmentLimit, nil, 0, 0, int64(n-r.told))
		r.told = n
	}
	if d.TimedOut > r.late {
		t.anomaly(AnomalyFragmentTimeout, nil, 0, 0, int64(d.TimedOut-r.late))
		r.late = d.TimedOut
	}
}

// expireFragments gives up datagrams whose time is over, at most limit of them.
func (t *FlowTracker[K, S]) expireFragments(limit int) {
	if t.fragments != nil && t.fragments.table.Bytes() != 0 {
		t.fragments.table.Expire(t.clock.Now(), limit)
		t.lost()
	}
}

// clearFragments gives up all datagrams: the capture is over.
func (t *FlowTracker[K, S]) clearFragments() {
	if t.fragments != nil {
		t.fragments.table.Expire(t.clock.Now(), math.MaxInt)
		t.lost()
		t.fragments.table.Clear()
		t.fragments.decoder, t.fragments.raw, t.fragments.inner = decoder{}, nil, nil
	}
}

// wakeForFragments makes expire be called when the next datagram's time is over.
func (t *FlowTracker[K, S]) wakeForFragments() {
	if t.fragments != nil {
		if at, ok := t.fragments.table.Next(); ok {
			t.table.Wake(at)
		}
	}
}

// tally counts the packet at hand in its flow, without its payload and whatever
// its flags. It reports whether there is a flow; if begin is set, it makes one.
func (t *FlowTracker[K, S]) tally(wire int, begin bool) bool {
	hash := t.hash(&t.x.Key)
	s := t.table.Find(hash, &t.x.Key)
	if s != nil && t.overdue(s, t.clock.Now()) {
		t.conclude(hash, s, EndIdleTimeout)
		s = nil
	}
	switch {
	case s == nil && !begin:
		return false
	case s == nil:
		s = t.start(hash, nil)
	}
	t.x.Payload = nil
	if s.Value.bits&lingering != 0 {
		t.late(s, wire)
		return true
	}
	side := t.side(&s.Value)
	if t.inDoubt {
		t.doubt(s, side)
	}
	if _, how := t.engine.count(&s.Value.record, side, wire, 0, nil, false); how&answered != 0 {
		t.table.Join(s, queueRest)
	}
	if t.cfg.Events.Has(EventPacket) {
		t.emitPacket(EventPacket, s, side, wire)
	}
	return true
}

// ChecksumMode says whether checksums are verified: those of the innermost IPv4
// header, and of TCP, UDP, ICMP, ICMPv6 and SCTP. Of a packet that is cut short or a
// fragment alone only the former can be wrong; a UDP datagram without a checksum never
// is.
//
// A packet that is wrong counts in its flow, if there is one, with the letter C
// in the history and AnomalyBadChecksum, and does nothing else: no receiver would
// take it, and who wants to deceive an observer might send it for that reason.
// Without a flow it is refused as RefusedBadChecksum. The same is done if its IPv4
// header is wrong, since that may name the wrong flow.
type ChecksumMode uint8

const (
	// ChecksumIgnore verifies nothing.
	ChecksumIgnore ChecksumMode = iota
	// ChecksumVerify verifies everything. On a machine that leaves checksums to
	// its network card, its own packets are captured before they are filled in, and
	// are wrong.
	ChecksumVerify
	// ChecksumAuto verifies, but accepts what looks left to a network card, and
	// learns for up to 16 groups of senders (by their hardware address if the
	// link is Ethernet, else by their IP address) whether their checksums mean
	// anything: if a tenth of the first 1,000 is wrong, they do not. Until it has
	// learned it accepts everything.
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

// checksums is what was learned of checksums.
type checksums struct {
	mode    ChecksumMode
	sources [16]struct {
		seen, bad uint16
		offloaded bool
	}
}

// sample is how many packets of a source ChecksumAuto learns from.
const sample = 1000

// intact reports whether the packet at hand may go to its flow. If not, it is
// accounted for.
func (t *FlowTracker[K, S]) intact(v *PacketView, wire int) bool {
	header, transport := decode.Checksum(&t.x.packet, v.bytes())
	if v.decoder != nil && v.decoder.first != nil && header == decode.SumUnknown {
		header = decode.SumNone // each fragment had one
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
	if t.checksums.mode == ChecksumAuto && t.learn(v, bad) {
		return true
	}
	if !bad {
		return true
	}
	if header == decode.SumBad || header == decode.SumPartial && t.checksums.mode == ChecksumVerify || !t.wrong(wire) {
		t.refuse(RefusedBadChecksum)
	}
	return false
}

// soundHeader is intact for a fragment: all that can be said of one alone is
// whether its IPv4 header is right. If not, it is refused.
func (t *FlowTracker[K, S]) soundHeader(v *PacketView) bool {
	header, _ := decode.Checksum(&t.x.packet, v.bytes())
	bad := header == decode.SumBad
	switch {
	case bad:
		t.stats.ChecksumsBad++
	case header == decode.SumPartial:
		t.stats.ChecksumsPartial++
		bad = t.checksums.mode == ChecksumVerify
	}
	if t.checksums.mode == ChecksumAuto && t.learn(v, bad) || !bad {
		return true
	}
	t.refuse(RefusedBadChecksum)
	return false
}

// wrong counts a packet with a wrong checksum in its flow, if there is one.
func (t *FlowTracker[K, S]) wrong(wire int) bool {
	s := t.find(&t.x.Key)
	if s == nil || !t.tally(wire, false) {
		return false
	}
	side := t.side(&s.Value)
	if s.Value.bits&isTCP != 0 {
		s.Value.spell(letterC, side)
	}
	t.anomaly(AnomalyBadChecksum, s, side, 0, 1)
	return true
}

// learn takes note of a checksum, and reports whether those of its source are not
// to be held against anybody.
func (t *FlowTracker[K, S]) learn(v *PacketView, bad bool) bool {
	p := &t.x.packet
	from := p.SrcHi ^ p.SrcLo
	if _, src, st := decode.MACs(v.Frame, decode.Link(v.LinkType)); st == decode.OK {
		from = src
	}
	from ^= from >> 32
	from ^= from >> 16
	from ^= from >> 8
	s := &t.checksums.sources[(from^from>>4)%16]
	if s.seen == sample {
		return s.offloaded
	}
	s.seen++
	if bad {
		s.bad++
	}
	if s.seen == sample && s.bad >= sample/10 {
		s.offloaded = true
		t.anomaly(AnomalyChecksumOffload, nil, 0, 0, int64(s.bad))
	}
	return true
}

// related brings an ICMP error to the flow that it quotes, and reports whether
// there is one.
func (t *FlowTracker[K, S]) related(wire int) bool {
	q := &t.x.quoted
	s := t.table.Find(t.hash(&q.key), &q.key)
	if s == nil || t.overdue(s, t.clock.Now()) {
		return false
	}
	t.stats.ICMPErrorsMatched += t.frames
	f := &s.Value
	side := f.forward() ^ FlowSide(q.orientation)
	switch {
	case f.bits&lingering != 0:
	case q.tcp && f.bits&isTCP != 0 && !f.conn.Sent(tcp.Side(side), q.seq):
		t.anomaly(AnomalyImplausibleICMP, s, side, 0, 1)
	case t.cfg.Events.Has(EventICMPError):
		ev := t.emitSide(EventICMPError, s, side)
		ev.ICMPType, ev.ICMPCode, ev.Len = t.x.packet.ICMPType, t.x.packet.ICMPCode, int64(wire)
	}
	return true
}
