package flowscope

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/dgryski/go-wyhash"
	"github.com/google/gopacket/layers"

	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/internal/decode"
	"github.com/flowscope-go/flowscope/internal/flowtable"
)

// Tests of the package that need unexported names. The others stand in flowscope_test.

// What a packet touches lies on whole lines of 64 bytes; see record.
func TestASlotIsFourLines(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) < 8 {
		t.Skip("the lines are those of 64 bits")
	}
	type tracked = slot[FiveTupleKey, struct{}]
	var s tracked
	var f record
	value := unsafe.Offsetof(s.Value)
	for _, c := range []struct {
		what      string
		got, want uintptr
	}{
		{"a slot", unsafe.Sizeof(s), 256},
		{"a slot of a driver", unsafe.Sizeof(slot[FiveTupleKey, driverState[struct{}]]{}), 392},
		{"the counters' place", value + unsafe.Offsetof(f.bytes), 64},
		{"the end of what each packet touches", value + unsafe.Offsetof(f.first), 192},
		{"the place of a driver's bits", value + unsafe.Offsetof(driverState[struct{}]{}.directions), 40},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d bytes, want %d", c.what, c.got, c.want)
		}
	}
}

// What the documents say of Config.Details and ReportEvery: bytes of a flow.
func TestWhatDetailsTake(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) < 8 {
		t.Skip("the figures are those of 64 bits")
	}
	var d details
	for _, c := range []struct {
		what      string
		got, want uintptr
	}{
		{"DetailIPBytes", unsafe.Sizeof(d.ip.chunks[0][0]), 16},
		{"DetailTCP", unsafe.Sizeof(d.tcp.chunks[0][0]), 40},
		{"DetailLateBytes", unsafe.Sizeof(d.late.chunks[0][0]), 32},
		{"DetailOrigin", unsafe.Sizeof(d.origin.chunks[0][0]), 64},
		{"ReportEvery", unsafe.Sizeof(reports{}.flows.chunks[0][0]), 16},
	} {
		if c.got != c.want {
			t.Errorf("%s takes %d bytes, not %d", c.what, c.got, c.want)
		}
	}
}

func TestASessionCostsWhatIsCounted(t *testing.T) {
	if n := unsafe.Sizeof(openSession{}); n > sessionCost {
		t.Errorf("a session takes %d bytes, counted are %d", n, sessionCost)
	}
	if n := unsafe.Sizeof(item{}); 2*n > pieceCost {
		t.Errorf("a piece takes up to %d bytes, counted are %d", 2*n, pieceCost)
	}
}

func TestPacketsAreCountedBeyond32Bits(t *testing.T) {
	var f record
	f.packetsLo[1] = math.MaxUint32
	f.first[1] = -1
	if f.countPacket(Responder, 0, 1, 1, 1); f.packets(Responder) != 1<<32 {
		t.Fatalf("%d", f.packets(Responder))
	}
	if f.countPacket(Responder, 0, 1, 1, 1); f.packets(Responder) != 1<<32+1 || f.first[1] != -1 {
		t.Fatalf("%d, the first at %d", f.packets(Responder), f.first[1])
	}
}

func TestATimeOfTheHandshakeHolds39Hours(t *testing.T) {
	const most = 1<<47 - 1
	for d, want := range map[int64]int64{
		0: 0, -1: -1, most: most, -most - 1: -most - 1, most + 1: most, math.MaxInt64: most, math.MinInt64: -most - 1, 1 << 32: 1 << 32,
	} {
		var f record
		f.setHandshake(Responder, d)
		if f.handshake(Responder) != want || f.handshake(Initiator) != 0 {
			t.Errorf("%d is kept as %d, want %d", d, f.handshake(Responder), want)
		}
	}
}

// The ends of a key are in the order of address and port, however the packet runs.
func TestTheOrderOfEndsIsThatOfAddressThenPort(t *testing.T) {
	few := func() uint64 { return []uint64{0, 1, 1 << 63, math.MaxUint64}[rand.IntN(4)] }
	for range 20000 {
		p := decode.Packet{
			SrcHi: few(), SrcLo: few(), SrcPort: uint16(few()), DstHi: few(), DstLo: few(), DstPort: uint16(few()), Proto: 17, Family: 6,
		}
		after := p.SrcPort > p.DstPort
		if p.SrcLo != p.DstLo {
			after = p.SrcLo > p.DstLo
		}
		if p.SrcHi != p.DstHi {
			after = p.SrcHi > p.DstHi
		}
		straight := FiveTupleKey{p.SrcHi, p.SrcLo, p.DstHi, p.DstLo, 17<<24 | keyIPv6 | uint64(p.SrcPort)<<48 | uint64(p.DstPort)<<32}
		turnedRound := FiveTupleKey{p.DstHi, p.DstLo, p.SrcHi, p.SrcLo, 17<<24 | keyIPv6 | uint64(p.DstPort)<<48 | uint64(p.SrcPort)<<32}
		want, way := straight, Forward
		if after {
			want, way = turnedRound, Reverse
		}
		var k FiveTupleKey
		if o := k.set(&p, FiveTuple{}); k != want || o != way || !k.equal(&want) {
			t.Fatalf("%v %v, want %v %v", k, o, want, way)
		}
		if o := k.set(&p, FiveTuple{Directional: true}); k != straight || o != Forward {
			t.Fatalf("directional: %v %v, want %v", k, o, straight)
		}
	}
	// Each of the five words counts.
	for i := range 5 {
		a := FiveTupleKey{1, 2, 3, 4, 5}
		b := a
		*[]*uint64{&b.aHi, &b.aLo, &b.bHi, &b.bLo, &b.meta}[i]++
		if a.equal(&b) || !a.equal(&FiveTupleKey{1, 2, 3, 4, 5}) {
			t.Errorf("word %d", i)
		}
	}
}

func TestEndingsAreSortedByFlow(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, gap := range []int{1, 2, 3, 10, 1000} { // between numbers, on average half of it
		for n := range 50 {
			var want []expiredFlow
			for flow := FlowID(r.IntN(1000)); len(want) < n; flow += FlowID(1 + r.IntN(gap)) {
				want = append(want, expiredFlow{flow, flowtable.ID(1 + r.IntN(n))})
			}
			got := slices.Clone(want)
			r.Shuffle(n, func(i, j int) { got[i], got[j] = got[j], got[i] })
			if got = sortByCreation(got); !slices.Equal(got, want) {
				t.Fatalf("gaps of %d: %v, want %v", gap, got, want)
			}
		}
	}
}

// The hash that is written out for a key is that of the package.
func TestTheHashOfAKeyIsWyhashOfItsBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	word := func() uint64 { return r.Uint64() >> (r.Uint64() % 65) } // 0 too
	for range 100_000 {
		k, seed := FiveTupleKey{aHi: word(), aLo: word(), bHi: word(), bLo: word(), meta: word()}, word()
		var b []byte
		for _, w := range []uint64{k.aHi, k.aLo, k.bHi, k.bLo, k.meta} {
			b = binary.LittleEndian.AppendUint64(b, w)
		}
		if got, want := k.hash(seed), wyhash.Hash(b, seed); got != want {
			t.Fatalf("the hash of %#v with seed %#x is %#x, not %#x", k, seed, got, want)
		}
	}
}

// readSimple makes of a frame what extract makes of it, or gives it back; also with bytes changed, cut off
// and appended. What it has left in place before must not matter.
func TestASimpleFrameIsReadAsAnyOther(t *testing.T) {
	options := [][]layers.TCPOption{
		nil,
		{nop, nop, frames.Timestamps(7, 8)},
		{frames.Timestamps(9, 10), nop, nop},
		{frames.MSS(1460), frames.SACKPermitted(), frames.Timestamps(1, 0), nop, frames.WindowScale(9)},
		{frames.WindowScale(3), nop},
	}
	r := rand.New(rand.NewPCG(3, 4))
	ends := [][2]string{{"10.0.0.1:80", "10.0.0.2:4000"}, {"10.0.0.2:4000", "10.0.0.1:80"}, {"[fd00::1]:9", "[fd00::2]:9"}}
	flags := func() (s string) {
		for _, f := range flagLetters {
			if r.IntN(3) == 0 {
				s += string(f)
			}
		}
		return s
	}
	var x, y Extracted[FiveTupleKey]
	simple, usual := 0, map[L4Proto]int{}
	for range 60_000 {
		end := ends[r.IntN(len(ends))]
		f := frames.TCP{
			Src: end[0], Dst: end[1], Seq: r.Uint32(), Ack: r.Uint32(), Window: uint16(r.Uint32()),
			Flags: flags(), Options: options[r.IntN(len(options))],
			Payload: []byte("some bytes of a stream")[:r.IntN(20)],
		}.Ethernet()
		if r.IntN(3) == 0 {
			f = frames.UDP{Src: end[0], Dst: end[1], Payload: []byte("some bytes of a datagram")[:r.IntN(24)]}.Ethernet()
		}
		switch r.IntN(4) {
		case 0:
			f[r.IntN(len(f))] ^= byte(1 << r.IntN(8))
		case 1:
			f = f[:r.IntN(len(f)+1)]
		case 2:
			f = append(f, make([]byte, r.IntN(10))...)
			if f[23] == uint8(L4UDP) {
				f[39] += uint8(r.IntN(8)) // a length that reaches into the padding
			}
		}
		v, ex := PacketView{Frame: f, WireLen: len(f)}, FiveTuple{Directional: r.IntN(2) == 0}
		if !ex.readSimple(&v, nil, &x) {
			if ex.readUsual(&v, nil, &x) {
				t.Fatalf("%x is no simple frame, and read as one", f)
			}
			continue
		}
		simple++
		ex.checkSimple(&v, nil, &x)
		if x = (Extracted[FiveTupleKey]{}); ex.readUsual(&v, nil, &x) {
			usual[x.L4]++
			ex.checkSimple(&v, nil, &x)
		} else if ok := ex.readSimple(&v, nil, &x); !ok {
			t.Fatal("it is simple once, and not a second time")
		}
		if !ex.extract(&v, nil, &y) || string(y.Payload) != string(x.Payload) {
			t.Fatalf("the payload is %q, not %q", x.Payload, y.Payload)
		}
	}
	if simple < 30_000 || usual[L4TCP] < 12_000 || usual[L4UDP] < 6_000 || simple == usual[L4TCP]+usual[L4UDP] {
		t.Fatalf("%d simple frames, of IPv4 %v", simple, usual)
	}
}

var nop = layers.TCPOption{OptionType: layers.TCPOptionKindNop, OptionLength: 1}

// Of a table in which very many flows have a timer that is due, no call looks at more than its share, and none ends
// more; also where time steps back.
func TestNoCallLooksAtMuchOfTheTimerWheel(t *testing.T) {
	flows := 1_000_000
	if testing.Short() {
		flows = 100_000
	}
	tr, err := NewFlowTracker(FiveTuple{}, Config{MaxFlows: flows, Events: NoEvents})
	if err != nil {
		t.Fatal(err)
	}
	frame := frames.UDP{Src: "10.0.0.1:1", Dst: "10.0.0.2:2", Payload: []byte("x")}.Ethernet()
	now := Timestamp(1e18)
	track := func(source uint32) {
		binary.BigEndian.PutUint32(frame[26:], source)
		looks, ended := tr.table.Looks(), tr.stats.Ended[EndIdleTimeout]
		tr.Track(PacketView{Frame: frame, Timestamp: now})
		looks, ended = tr.table.Looks()-looks, tr.stats.Ended[EndIdleTimeout]-ended
		if looks > 256 || ended > 64 {
			t.Fatalf("a packet looks at %d timers, and ends %d flows", looks, ended)
		}
	}
	for i := range flows {
		now++
		track(1<<24 + uint32(i))
	}
	// Half of the flows are busy: their timers are looked at, and set again.
	now = now.Add(40 * time.Second)
	for i := range flows / 2 {
		track(1<<24 + uint32(i))
	}
	now = now.Add(25 * time.Second)
	for range 100 {
		track(1 << 24)
	}
	if !tr.More() {
		t.Error("there is no more to tell")
	}
	now = now.Add(-10 * time.Second)
	for range 100 {
		track(1 << 24)
	}
	now = now.Add(2 * time.Minute)
	for calls := 0; ; calls++ {
		looks, ended := tr.table.Looks(), tr.stats.FlowsEnded
		tr.Sweep(now)
		looks, ended = tr.table.Looks()-looks, tr.stats.FlowsEnded-ended
		if looks > 4096 || ended > 4096 {
			t.Fatalf("a sweep looks at %d timers, and ends %d flows", looks, ended)
		}
		if !tr.More() {
			break
		}
		if calls > flows/1000 {
			t.Fatalf("after %d sweeps %d flows live", calls, tr.Len())
		}
	}
	if tr.Len() != 0 {
		t.Errorf("%d flows live", tr.Len())
	}
}

// The numbers that go doc shows are those of internal/decode.
func TestNumbersAreThoseOfDecode(t *testing.T) {
	for ours, theirs := range map[LinkType]decode.Link{
		LinkTypeEthernet:   decode.LinkEthernet,
		LinkTypePPP:        decode.LinkPPP,
		LinkTypePPPHDLC:    decode.LinkPPPHDLC,
		LinkTypePPPoE:      decode.LinkPPPoE,
		LinkTypeRaw:        decode.LinkRaw,
		LinkTypeCiscoHDLC:  decode.LinkHDLC,
		LinkTypeWiFi:       decode.LinkWiFi,
		LinkTypeLoop:       decode.LinkLoop,
		LinkTypeLinuxSLL:   decode.LinkSLL,
		LinkTypePFLOG:      decode.LinkPFLOG,
		LinkTypePrism:      decode.LinkPrism,
		LinkTypeRadiotap:   decode.LinkRadiotap,
		LinkTypeAVS:        decode.LinkAVS,
		LinkTypeIPv4:       decode.LinkIPv4,
		LinkTypeIPv6:       decode.LinkIPv6,
		LinkTypeNFLOG:      decode.LinkNFLOG,
		LinkTypeInfiniBand: decode.LinkIPoIB,
		LinkTypeLinuxSLL2:  decode.LinkSLL2,
		LinkTypeNull:       decode.LinkNull,
	} {
		if decode.Link(ours) != theirs {
			t.Errorf("%v is %d, not %d", ours, ours, theirs)
		}
	}
	for ours, theirs := range map[Encap]decode.Peel{
		EncapMPLS:       decode.PeelMPLS,
		EncapPseudoWire: decode.PeelPseudoWire,
		EncapPPPoE:      decode.PeelPPPoE,
		EncapPBB:        decode.PeelPBB,
		EncapVNTag:      decode.PeelVNTag,
		EncapIPIP:       decode.PeelIPIP,
		EncapGRE:        decode.PeelGRE,
		EncapEtherIP:    decode.PeelEtherIP,
		EncapVXLAN:      decode.PeelVXLAN,
		EncapVXLANGPE:   decode.PeelVXLANGPE,
		EncapGeneve:     decode.PeelGeneve,
		EncapGTPU:       decode.PeelGTPU,
		EncapTeredo:     decode.PeelTeredo,
		EncapAYIYA:      decode.PeelAYIYA,
		EncapL2TP:       decode.PeelL2TP,
		EncapTZSP:       decode.PeelTZSP,
	} {
		if decode.Peel(ours) != theirs {
			t.Errorf("%v is %d, not %d", ours, ours, theirs)
		}
	}
}
