package flowscope

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"time"

	"github.com/dgryski/go-wyhash"
)

// Record is a flow as it goes into a log or a table: a copy of the Stats of an Ended, Released or
// Report, which refers to no memory of the tracker. RecordOf makes it.
//
// Pairs are of the initiator and the responder. What the counters count, FlowStats and StreamStats say;
// those whose names begin with Late are of packets after the end, which are in none of the others. In
// JSON, what is left out is zero, or was not asked for; see Config.Details.
type Record struct {
	UID UID `json:"uid"`
	// Final is set if the flow has ended. Otherwise it lives on, and another record of the same UID
	// will follow.
	Final bool `json:"final"`

	Proto L4Proto `json:"proto"`
	// Initiator and Responder are the ends; zero if the key has no IP addresses.
	Initiator Endpoint `json:"initiator"`
	Responder Endpoint `json:"responder"`
	// Key is the text of a key that has no IP addresses, as that of MACPair.
	Key      string      `json:"key,omitempty"`
	ICMPID   uint16      `json:"icmp_id,omitempty"`
	ICMPType uint8       `json:"icmp_type,omitempty"`
	ICMPCode uint8       `json:"icmp_code,omitempty"`
	Tunnel   TunnelLabel `json:"tunnel,omitzero"` // as in "vxlan:77"

	Packets [2]uint64 `json:"packets"`
	Late    [2]uint64 `json:"late,omitzero"`
	// WireBytes is FlowStats.Bytes, with link headers; PayloadBytes is FlowStats.Payload.
	WireBytes    [2]uint64 `json:"wire_bytes"`
	IPBytes      [2]uint64 `json:"ip_bytes,omitzero"`
	PayloadBytes [2]uint64 `json:"payload_bytes"`
	LateBytes    [2]uint64 `json:"late_bytes,omitzero"`
	LateIPBytes  [2]uint64 `json:"late_ip_bytes,omitzero"`
	// Retransmitted counts segments.
	Retransmitted      [2]uint64 `json:"retransmitted,omitzero"`
	RetransmittedBytes [2]uint64 `json:"retransmitted_bytes,omitzero"`

	// Of a driver's streams, as StreamStats has them; zero with a FlowTracker.
	Delivered       [2]uint64 `json:"delivered,omitzero"`
	Gaps            [2]uint64 `json:"gaps,omitzero"`
	GapBytes        [2]uint64 `json:"gap_bytes,omitzero"`
	DroppedSegments [2]uint64 `json:"dropped_segments,omitzero"`
	DroppedBytes    [2]uint64 `json:"dropped_bytes,omitzero"`
	Conflicts       [2]uint64 `json:"conflicts,omitzero"`

	// Start and End are the times of the first and the last packet, of either side.
	Start Timestamp `json:"start"`
	End   Timestamp `json:"end"`
	// The times of each side's first FIN, 0 if there was none; with DetailTCP.
	InitiatorFIN Timestamp `json:"initiator_fin,omitzero"`
	ResponderFIN Timestamp `json:"responder_fin,omitzero"`
	// The halves of the handshake's round trip, in nanoseconds.
	SYNToSYNACK time.Duration `json:"syn_to_synack_ns,omitempty"`
	SYNACKToACK time.Duration `json:"synack_to_ack_ns,omitempty"`

	State     FlowState   `json:"state,omitzero"` // left out if it is StateActive
	Reason    EndReason   `json:"reason,omitzero"`
	History   History     `json:"history"`
	Flags     [2]TCPFlags `json:"flags,omitzero"`
	Midstream bool        `json:"midstream"`

	// Of the first packet, with DetailOrigin; VLAN also of a key that has one.
	VLAN      uint16       `json:"vlan,omitempty"`
	Interface uint32       `json:"interface,omitempty"`
	MAC       [2]MAC       `json:"mac,omitzero"`
	Outer     FiveTupleKey `json:"outer,omitzero"` // the tunnel's ends: the initiator's first
}

// RecordOf makes the record of a flow from its Ended, Released or Report. Of any other event, which has
// no Stats, it is zero. For a log, where totals should be those of the capture, take Released, which
// Config.Events has to ask for: one record of each flow, with its late packets, and their bytes if
// Config.Details has DetailLateBytes. Ended has none of them, but comes up to Config.LingerTimeout
// earlier. With FiveTuple and IPPair it allocates nothing.
func RecordOf[K comparable](ev *FlowEvent[K]) Record {
	s := ev.Stats
	if s == nil {
		return Record{}
	}
	r := Record{
		UID: ev.UID(), Final: ev.Kind == EventEnded || ev.Kind == EventReleased,
		Proto: ev.L4, ICMPType: s.ICMPType, ICMPCode: s.ICMPCode, Tunnel: TunnelLabel{s.Tunnel, s.TunnelID},
		Packets: s.Packets, Late: s.Late, WireBytes: s.Bytes, IPBytes: s.IPBytes, PayloadBytes: s.Payload,
		LateBytes: s.LateBytes, LateIPBytes: s.LateIPBytes, Retransmitted: s.Retransmitted, RetransmittedBytes: s.RetransmittedBytes,
		Start: s.Start(), End: s.End(), InitiatorFIN: s.FIN[Initiator], ResponderFIN: s.FIN[Responder],
		SYNToSYNACK: s.SYNToSYNACK, SYNACKToACK: s.SYNACKToACK,
		State: ev.State, Reason: ev.Reason, History: ev.History, Flags: s.Flags, Midstream: s.Midstream,
		VLAN: s.VLAN, Interface: s.Interface, MAC: [2]MAC{s.MAC[0], s.MAC[1]}, Outer: s.Outer,
	}
	for i := range s.Streams {
		st := &s.Streams[i]
		r.Delivered[i], r.Gaps[i], r.GapBytes[i] = st.Delivered, st.Gaps, st.GapBytes
		r.DroppedSegments[i], r.DroppedBytes[i], r.Conflicts[i] = st.DroppedSegments, st.DroppedBytes, st.Conflicts
	}
	if !r.setEnds(any(&ev.Key), ev.Orientation) {
		text, _ := appendKey(nil, &ev.Key)
		r.Key = string(text)
	}
	return r
}

// Ends are the two ends of the event's flow, that of the side first: those of Ends(Initiator) are the
// initiator and the responder. A message may name a side of its own, such as its client. Ports are 0 where
// the key has none, and both ends are zero if it has no IP addresses, or if the event is about no flow.
func (e *FlowEvent[K]) Ends(side FlowSide) (end, other netip.AddrPort) {
	if e.Flow == 0 {
		return end, other
	}
	var r Record
	// Orientation is that of the packets of Side.
	r.setEnds(any(&e.Key), e.Orientation^Orientation(e.Side^side)&1)
	return netip.AddrPortFrom(r.Initiator.Addr, r.Initiator.Port), netip.AddrPortFrom(r.Responder.Addr, r.Responder.Port)
}

// setEnds reads the ends from a key, given by its address, and reports whether it has any. o is the
// orientation of the initiator's packets.
func (r *Record) setEnds(key any, o Orientation) bool {
	switch k := key.(type) {
	case *FiveTupleKey:
		from, to := k.Ends(o)
		r.Initiator, r.Responder = Endpoint{from.Addr(), from.Port()}, Endpoint{to.Addr(), to.Port()}
		r.ICMPID = k.ICMPID()
		if id, ok := k.VLAN(); ok && r.VLAN == 0 {
			r.VLAN = id
		}
	case *IPPairKey:
		r.Initiator, r.Responder = Endpoint{Addr: k.A()}, Endpoint{Addr: k.B()}
		if o == Reverse {
			r.Initiator, r.Responder = r.Responder, r.Initiator
		}
	case innerKey:
		return r.setEnds(k.innerKey(), o)
	default:
		return false
	}
	return true
}

// innerKey is a key around another, whose address it gives.
type innerKey interface{ innerKey() any }

func (k *TunnelKey[K]) innerKey() any    { return &k.Inner }
func (k *FlowLabelKey[K]) innerKey() any { return &k.Inner }

// Endpoint is one end of a flow. Its text is the address and the port, as in "192.0.2.1:80" and
// "[2001:db8::1]:80", or the address alone if the port is 0; that of the zero Endpoint is empty.
type Endpoint struct {
	Addr netip.Addr
	Port uint16 // 0 also if the protocol has no ports
}

// String is the text, or "none" for the zero Endpoint.
func (e Endpoint) String() string {
	if e == (Endpoint{}) {
		return noKey
	}
	b, _ := e.AppendText(make([]byte, 0, 64))
	return string(b)
}

// AppendText appends the text.
func (e Endpoint) AppendText(b []byte) ([]byte, error) {
	switch {
	case !e.Addr.IsValid():
		return b, nil
	case e.Port == 0:
		return e.Addr.AppendTo(b), nil
	}
	return netip.AddrPortFrom(e.Addr, e.Port).AppendTo(b), nil
}

// MarshalText gives the text.
func (e Endpoint) MarshalText() ([]byte, error) { return e.AppendText(nil) }

// UnmarshalText takes the text.
func (e *Endpoint) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*e = Endpoint{}
		return nil
	}
	if a, err := netip.ParseAddr(string(text)); err == nil {
		*e = Endpoint{Addr: a}
		return nil
	}
	a, err := netip.ParseAddrPort(string(text))
	if err != nil {
		return notText("Endpoint", text)
	}
	*e = Endpoint{a.Addr(), a.Port()}
	return nil
}

// TunnelLabel is a tunnel and its identifier, 0 for none. Its text is as in "vxlan:77" or "ipip", and
// empty for no tunnel.
type TunnelLabel struct {
	Kind Tunnel
	ID   uint32
}

// String is the text.
func (l TunnelLabel) String() string { return tunnelString(l.Kind, l.ID) }

// AppendText appends the text.
func (l TunnelLabel) AppendText(b []byte) ([]byte, error) {
	if l.Kind == NoTunnel {
		return b, nil
	}
	return appendTunnel(b, l.Kind, l.ID), nil
}

// MarshalText gives the text.
func (l TunnelLabel) MarshalText() ([]byte, error) { return l.AppendText(nil) }

// UnmarshalText takes the text.
func (l *TunnelLabel) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*l = TunnelLabel{}
		return nil
	}
	k, ok := parseTunnel(string(text))
	if !ok {
		return notText("TunnelLabel", text)
	}
	*l = k
	return nil
}

func parseTunnel(s string) (l TunnelLabel, ok bool) {
	name := s
	for i := range len(s) {
		if s[i] == ':' {
			id, err := strconv.ParseUint(s[i+1:], 10, 32)
			if err != nil || id == 0 {
				return l, false
			}
			name, l.ID = s[:i], uint32(id)
			break
		}
	}
	return l, l.Kind.UnmarshalText([]byte(name)) == nil && l.Kind != NoTunnel && l.String() == s
}

// MAC is an Ethernet address. Its text is as in "02:00:00:00:00:01".
type MAC [6]byte

// String is the text.
func (m MAC) String() string {
	b, _ := m.AppendText(make([]byte, 0, 17))
	return string(b)
}

// AppendText appends the text.
func (m MAC) AppendText(b []byte) ([]byte, error) {
	var w [8]byte
	copy(w[2:], m[:])
	return appendMAC(b, binary.BigEndian.Uint64(w[:])), nil
}

// MarshalText gives the text.
func (m MAC) MarshalText() ([]byte, error) { return m.AppendText(nil) }

// UnmarshalText takes the text.
func (m *MAC) UnmarshalText(text []byte) error {
	n := uint64(0)
	for i, c := range text {
		switch {
		case i%3 == 2 && c == ':':
		case i%3 != 2 && '0' <= c && c <= '9':
			n = n<<4 | uint64(c-'0')
		case i%3 != 2 && 'a' <= c && c <= 'f':
			n = n<<4 | uint64(c-'a'+10)
		default:
			return notText("MAC", text)
		}
	}
	if len(text) != 17 {
		return notText("MAC", text)
	}
	*m = macOf(n)
	return nil
}

// UID names a flow in logs: 96 bits that depend on the flow's key, the time of its first packet and a
// count, and on nothing else, so that every tracker, worker and run that sees the packets gives it the
// same. Its text is "C" and 17 letters and digits, as Zeek's are. The zero UID names no flow.
//
// The count is for connections of one key that begin in the same nanosecond, as where a capture has no
// times or coarse ones. It is 0, and one more than that of the flow before it if a connection takes the
// place of that flow, live or lingering, and has the same start; at most 7. So up to 8 of them in a row
// have UIDs of their own, and those behind them that of the eighth. A flow has the UID of an earlier one
// of the same key and start if a flow with another start came between them, or if the earlier one was
// evicted.
//
// The time is FlowStats.Start as it stands. Where that changes, the UID does: if the first packet of the
// other side has an earlier timestamp, or if a first timestamp ahead of the clock is taken back.
type UID struct {
	hi uint32
	lo uint64
}

// uidOf hashes the text of the key, which is stable, with start and again.
func uidOf[K comparable](key *K, start Timestamp, again uint8) UID {
	var space [160]byte
	var b []byte
	if k, ok := any(key).(*FiveTupleKey); ok {
		b, _ = k.AppendText(space[:0]) // not through an interface, so that space stays on the stack
	} else {
		b, _ = appendKey[K](nil, key)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(start))
	b = append(b, again)
	u := UID{uint32(wyhash.Hash(b, 1)), wyhash.Hash(b, 2)}
	if u == (UID{}) {
		u.lo = 1
	}
	return u
}

// Uint64 is a part of it, for logs that name flows by numbers.
func (u UID) Uint64() uint64 { return u.lo }

const uidDigits = 17 // 62^17 > 2^96

// String is the text.
func (u UID) String() string {
	b, _ := u.AppendText(make([]byte, 0, 1+uidDigits))
	return string(b)
}

// AppendText appends the text.
func (u UID) AppendText(b []byte) ([]byte, error) {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	var text [1 + uidDigits]byte
	text[0] = 'C'
	hi, lo := uint64(u.hi), u.lo
	for i := uidDigits; i > 0; i-- {
		// A long division of three digits of 32 bits by 62.
		rest := hi % 62
		hi /= 62
		high := rest<<32 | lo>>32
		low := high%62<<32 | lo&0xffffffff
		lo = high/62<<32 | low/62
		text[i] = digits[low%62]
	}
	return append(b, text[:]...), nil
}

// MarshalText gives the text.
func (u UID) MarshalText() ([]byte, error) { return u.AppendText(nil) }

// UnmarshalText takes the text.
func (u *UID) UnmarshalText(text []byte) error {
	if len(text) != 1+uidDigits || text[0] != 'C' {
		return notText("UID", text)
	}
	var v UID
	for _, c := range text[1:] {
		digit := uint64(0)
		switch {
		case '0' <= c && c <= '9':
			digit = uint64(c - '0')
		case 'A' <= c && c <= 'Z':
			digit = uint64(c-'A') + 10
		case 'a' <= c && c <= 'z':
			digit = uint64(c-'a') + 36
		default:
			return notText("UID", text)
		}
		low := v.lo&0xffffffff*62 + digit
		high := v.lo>>32*62 + low>>32
		top := uint64(v.hi)*62 + high>>32
		if top > 1<<32-1 {
			return notText("UID", text)
		}
		v = UID{uint32(top), high<<32 | low&0xffffffff}
	}
	*u = v
	return nil
}

// UID names the flow of an event with Stats, and is zero for others; see FlowTracker.UID.
func (e *FlowEvent[K]) UID() UID {
	if e.Stats == nil || e.Flow == 0 {
		return UID{}
	}
	return uidOf(&e.Key, e.Stats.Start(), e.Stats.again)
}

// UID names the flow.
func (f *Flow[K, S]) UID() UID { return uidOf(&f.Key, f.Stats.Start(), f.Stats.again) }

// UID names the flow of an event of the last call, as State gives its state: so that what is written of
// a message or an anomaly can be found beside the record of its flow. It is zero if the event concerns
// no flow, or one that ended in an earlier call.
func (t *FlowTracker[K, S]) UID(ev *FlowEvent[K]) UID {
	if ev.Stats != nil {
		return ev.UID()
	}
	if t.State(ev) == nil {
		return UID{}
	}
	var s FlowStats
	t.table.At(ev.slot).Value.stats(&s)
	return uidOf(&ev.Key, s.Start(), s.again)
}

// UID names the flow of an event; see FlowTracker.UID.
func (d *FlowDriver[K, S]) UID(ev *FlowEvent[K]) UID { return d.t.UID(ev) }
