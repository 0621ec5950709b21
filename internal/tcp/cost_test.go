package tcp

import (
	"reflect"
	"testing"

	"github.com/flowscope-go/flowscope/internal/testkit/allocs"
)

func TestAConnectionIsSmallAndHoldsNoPointers(t *testing.T) {
	typ := reflect.TypeFor[Conn]()
	if typ.Size() > 80 {
		t.Errorf("a Conn takes %d bytes, more than 80", typ.Size())
	}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Struct:
			for i := range typ.NumField() {
				walk(typ.Field(i).Type)
			}
		case reflect.Array:
			walk(typ.Elem())
		case reflect.Bool, reflect.Int64, reflect.Uint8, reflect.Uint16, reflect.Uint32:
		default:
			t.Errorf("a %s in a Conn", typ)
		}
	}
	walk(typ)
}

func TestNothingIsAllocated(t *testing.T) {
	w := play(t, shook)
	c, ds := &w.conn, w.doubts
	g := Segment{Seq: isns[len(isns)-1] + 1, Ack: isns[len(isns)-1] + 1, Flags: ACK, Window: 65535, Len: 1000}
	ack := Segment{Seq: g.Ack, Flags: ACK, Window: 65535}
	syn := Segment{Seq: 5, Flags: SYN}
	placed := 0
	runs := allocs.None(t, 1, func() {
		if o := c.step(Initiator, &g, ds); o.Placed {
			placed++
		}
		c.Reuses(Initiator, &syn)
		g.Seq += g.Len
		ack.Ack = g.Seq
		c.step(Responder, &ack, ds)
	})
	if placed != runs {
		t.Errorf("%d of %d segments placed", placed, runs)
	}
}

var sink Outcome

// BenchmarkStep is the cost of data in order, alone and with its ACKs.
func BenchmarkStep(b *testing.B) {
	ds := &Doubts{}
	start := func() (c Conn) {
		c.step(Initiator, &Segment{Seq: 0, Flags: SYN, Window: 65535}, ds)
		c.step(Responder, &Segment{Seq: 0, Ack: 1, Flags: SYN | ACK, Window: 65535}, ds)
		c.step(Initiator, &Segment{Seq: 1, Ack: 1, Flags: ACK, Window: 65535}, ds)
		return c
	}
	b.Run("mix=one-way", func(b *testing.B) {
		c, g := start(), Segment{Seq: 1, Ack: 1, Flags: ACK, Window: 65535, Len: 1000}
		for b.Loop() {
			sink = c.step(Initiator, &g, ds)
			g.Seq += g.Len
		}
	})
	b.Run("mix=ack-every-second", func(b *testing.B) {
		c, g := start(), Segment{Seq: 1, Ack: 1, Flags: ACK, Window: 65535, Len: 1000}
		a := Segment{Seq: 1, Flags: ACK, Window: 65535}
		for n := 0; b.Loop(); n++ {
			if n%3 == 2 {
				a.Ack = g.Seq
				sink = c.step(Responder, &a, ds)
				continue
			}
			sink = c.step(Initiator, &g, ds)
			g.Seq += g.Len
		}
	})
}
