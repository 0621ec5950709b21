package tcp

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

// TestAFirstSegmentIsPackedWithoutLoss compares a connection that packs its first segment with one that holds
// it in a doubt.
func TestAFirstSegmentIsPackedWithoutLoss(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	packedOnes := 0
	for range 2000 {
		g := Segment{
			Seq: r.Uint32(), Ack: r.Uint32(), Len: r.Uint32N(3) * r.Uint32N(1500), Window: uint16(r.Uint32()), Flags: ACK | uint8(r.Uint32())&(PSH|URG|FIN),
			Options: uint8(r.Uint32()), Timestamp: r.Uint32(), TimestampEcho: r.Uint32(), Time: r.Int64(),
		}
		if g.Flags&FIN != 0 {
			g.Options &^= OptBadLength // it would be refused
		}
		i := Side(r.Uint32() & 1)
		h := Held{Wire: int(r.Uint32N(3000)), Frames: uint64(1 + r.Uint32N(9)), ID: r.Uint64(), Stamp: r.Int64()}
		var payload []byte
		if r.Uint32()&3 == 0 && g.Len > 0 {
			payload = make([]byte, g.Len)
		}
		var conns [2]Conn
		var doubts [2]Doubts
		own := uint64(r.Uint32() & 3)
		for k := range conns {
			c, ds := &conns[k], &doubts[k]
			if k == 1 {
				c.DisableFastPath()
			}
			var o Outcome
			if c.Step(i, &g, &o, ds); o.Rival != RivalHeld {
				t.Fatalf("%+v: %+v", g, o)
			}
			ds.Owner(c)[0], ds.Owner(c)[1] = own, uint64(h.Stamp)
			ds.Hold(c, i, &g, &o, h, payload)
			if !ds.HasRival(c) {
				t.Fatal("no rival")
			}
		}
		if conns[1].packedFirst() {
			t.Fatal("packed although fast paths are off")
		}
		if may := payload == nil && g.Options&OptBadLength == 0; conns[0].packedFirst() != may || !conns[0].InDoubt() || (conns[0].doubt == 0) != may {
			t.Fatalf("%+v: packed %v, doubt %d", g, conns[0].packedFirst(), conns[0].doubt)
		}
		packedOnes += boolInt(conns[0].packedFirst())
		if a, b := doubts[0].Owner(&conns[0]), doubts[1].Owner(&conns[1]); *a != *b {
			t.Fatalf("%+v and %+v", a, b)
		}
		conns[0].DisableFastPath()
		if conns[0] != conns[1] || !doubts[0].equal(&doubts[1]) {
			t.Fatalf("%+v\n%+v", conns[0], conns[1])
		}
		a, _ := doubts[0].Leap(&conns[0], false)
		b, _ := doubts[1].Leap(&conns[1], false)
		if len(a) != 1 || !reflect.DeepEqual(a, b) || a[0].ID != h.ID || a[0].Wire != h.Wire || a[0].Frames != h.Frames || a[0].Stamp != h.Stamp || a[0].Segment != g {
			t.Fatalf("%+v\n%+v", a, b)
		}
	}
	if packedOnes < 500 {
		t.Fatalf("%d were packed", packedOnes)
	}
}

// TestAConnectionOfOneSegmentHasNoDoubt: many connections of which one segment without payload was seen
// share the memory of one doubt.
func TestAConnectionOfOneSegmentHasNoDoubt(t *testing.T) {
	var ds Doubts
	conns := make([]Conn, 1000)
	for k := range conns {
		c, g := &conns[k], Segment{Seq: uint32(k), Ack: 7, Flags: ACK, Window: 9}
		var o Outcome
		c.Step(Initiator, &g, &o, &ds)
		*ds.Owner(c) = RivalOwner{0, uint64(g.Time)}
		ds.Hold(c, Initiator, &g, &o, Held{}, nil)
	}
	if len(ds.list) != 1 || len(ds.spare) != 1 {
		t.Errorf("%d doubts, and %d to be used again", len(ds.list), len(ds.spare))
	}
	ds.Release(&conns[0])
	if ds.HasRival(&conns[0]) {
		t.Error("a released connection still has its first segment")
	}
}

// TestAFirstSegmentForWhichThereIsNoRoom: if other connections have taken all doubts meanwhile, the next
// segment is believed at once.
func TestAFirstSegmentForWhichThereIsNoRoom(t *testing.T) {
	ds := Doubts{MaxDoubts: 1}
	var c, other Conn
	g := Segment{Seq: 100, Ack: 7, Flags: ACK, Window: 9}
	var o Outcome
	c.Step(Initiator, &g, &o, &ds)
	ds.Hold(&c, Initiator, &g, &o, Held{}, nil)
	ds.need(&other)
	if held, _ := ds.Leap(&c, false); held != nil {
		t.Errorf("%v", held)
	}
	if c.Step(Initiator, &g, &o, &ds); o.Rival != NoRival || !o.Placed || c.Guessing() {
		t.Errorf("%+v", o)
	}
	if _, notHeld, _ := ds.Counters(); notHeld != 1 {
		t.Errorf("%d segments were not held", notHeld)
	}
}
