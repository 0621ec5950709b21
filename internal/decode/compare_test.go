package decode

import (
	"bytes"
	"reflect"
	"slices"
	"testing"
)

// everything peels whatever there is, and also from ports that mean something else on one side.
var everything = Options{Peel: PeelAll, Depth: 4, Ports: append(DefaultPorts(), Port{1234, VXLAN}, Port{80, GTPU})}

// check decodes the frame with both decoders, with nothing peeled and with everything, and holds
// them to each other, and to what must be true of any answer. It returns the answer with nothing
// peeled.
func check(t testing.TB, frame []byte, link Link, wireLen int) (Packet, Status) {
	t.Helper()
	checkWith(t, frame, link, wireLen, &everything)
	return checkWith(t, frame, link, wireLen, nil)
}

// checkWith is check for one set of options. nil is a nil Peeler.
func checkWith(t testing.TB, frame []byte, link Link, wireLen int, o *Options) (Packet, Status) {
	t.Helper()
	kept := slices.Clone(frame)
	p := dirtyPacket()
	var w *Peeler
	if o != nil {
		w = NewPeeler(*o)
		o = &Options{Peel: o.Peel, Depth: int(w.depth), Ports: o.Ports}
	} else {
		o = &Options{Depth: DefaultDepth}
	}
	status := DecodeWith(&p, frame, link, wireLen, w)
	want, wantStatus := slowDecode(frame, link, wireLen, o)
	if status != wantStatus {
		t.Fatalf("Decode says %v, the reference %v\nlink %d, wire length %d, %+v, frame %x", status, wantStatus, link, wireLen, o, frame)
	}
	if !samePacket(p, want) {
		t.Fatalf("Decode and the reference differ, both %v\n got %+v\nwant %+v\nlink %d, wire length %d, %+v, frame %x",
			status, p, want, link, wireLen, o, frame)
	}
	header, transport := Checksum(&p, frame)
	if header >= NumSum || transport >= NumSum {
		t.Fatalf("checksums %d %d", header, transport)
	}
	if !bytes.Equal(frame, kept) {
		t.Fatalf("the frame was written to: %x, was %x", frame, kept)
	}
	if !within(p.Payload, frame) || !within(p.Fragment, frame) {
		t.Fatalf("Payload or Fragment is not a part of the frame alone\n%+v\nlink %d, frame %x", p, link, frame)
	}
	if link <= LinkEthernet {
		checkSimple(t, frame, w, &p, status)
	}
	if p.Missing < 0 {
		t.Fatalf("Missing is %d\nlink %d, wire length %d, frame %x", p.Missing, link, wireLen, frame)
	}
	return p, status
}

// dirtyPacket has every field set, as a Packet may have that served for another frame.
func dirtyPacket() Packet {
	return Packet{
		SrcHi: 1, SrcLo: 1, DstHi: 1, DstLo: 1, Payload: []byte{1}, Fragment: []byte{1}, Missing: 1,
		Seq: 1, Ack: 1, FragmentID: 1, FlowLabel: 1, SrcPort: 1, DstPort: 1, Window: 1, Urgent: 1, VLAN: 1,
		FragmentOffset: 1, Family: 1, Proto: 1, FragmentProto: 1, Flags: 1, WindowScale: 1, Options: 1, Timestamp: 1, TimestampEcho: 1, ICMPType: 1, ICMPCode: 1,
		VLANs: 1, Peeled: 1, TunnelID: 1, IPLen: 1, InnerEthernet: 1, Network: 1, NetworkID: 1, Tunnel: 1, Tunnels: 1, fromTransport: 1, before: 1, InTunnel: true, Long: true, noLength: true, underLength: true, HasWindowScale: true, MoreFragments: true, FragmentCut: true, Fragmented: true,
	}
}

// samePacket compares all fields but those that are for Checksum, slices by their place in memory
// and not by their bytes.
func samePacket(a, b Packet) bool {
	if !sameSlice(a.Payload, b.Payload) || !sameSlice(a.Fragment, b.Fragment) {
		return false
	}
	a.Payload, a.Fragment, b.Payload, b.Fragment = nil, nil, nil, nil
	a.fromTransport, a.before, b.fromTransport, b.before = 0, 0, 0, 0
	a.InnerEthernet, b.InnerEthernet = 0, 0 // has a test of its own
	a.Network, a.NetworkID, b.Network, b.NetworkID = 0, 0, 0, 0
	return reflect.DeepEqual(a, b)
}

func sameSlice(a, b []byte) bool {
	if len(a) != len(b) || cap(a) != cap(b) {
		return false
	}
	return len(a) == 0 || &a[0] == &b[0]
}

// within reports whether part has no capacity to spare and lies in whole.
func within(part, whole []byte) bool {
	if cap(part) != len(part) {
		return false
	}
	if len(part) == 0 {
		return true
	}
	for at := range whole {
		if &whole[at] == &part[0] {
			return len(part) <= len(whole)-at
		}
	}
	return false
}

func TestDirtyPacketHasEveryFieldSet(t *testing.T) {
	v := reflect.ValueOf(dirtyPacket())
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("%s is zero", v.Type().Field(i).Name)
		}
	}
}
