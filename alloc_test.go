package flowscope_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/frames"
	"github.com/flowscope-go/flowscope/internal/invariants"
)

// bench is a tracker and a clock for tests that count allocations. Every way that a packet can take is one line of
// TestNoAllocs, with the counter that proves that it was taken.
type bench struct {
	t   *tracker
	now flowscope.Timestamp
	id  uint64
}

func (b *bench) send(frame []byte) []flowscope.FlowEvent[flowscope.FiveTupleKey] {
	b.now += flowscope.Timestamp(time.Millisecond)
	b.id++
	return b.t.Track(flowscope.PacketView{Frame: frame, Timestamp: b.now, ID: b.id})
}

// renumber writes the numbers of a TCP frame over IPv4 without VLAN.
func renumber(frame []byte, seq, ack uint32) {
	binary.BigEndian.PutUint32(frame[38:], seq)
	binary.BigEndian.PutUint32(frame[42:], ack)
}

// readdress writes the source address of an IPv4 frame.
func readdress(frame []byte, addr uint32) { binary.BigEndian.PutUint32(frame[26:], addr) }

func TestNoAllocs(t *testing.T) {
	if invariants.Enabled {
		t.Skip("with -tags invariants lent memory is copied, so that it can be trampled")
	}
	there, back := tcp(client, server, "PA", 0, 0, "request"), tcp(server, client, "PA", 0, 0, "response")
	ack := tcp(client, server, "A", 101, 301, "")
	syn, question := tcp(client, server, "S", 1, 0, ""), udp(client, server)
	echo := frames.ICMPEcho{Src: "10.0.0.1", Dst: "10.0.0.2", ID: 1}.Ethernet()
	arp := append([]byte("\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x06"), make([]byte, 46)...)
	cut := frames.Cut(there, 40)
	handshake := func(b *bench) {
		b.send(tcp(client, server, "S", 100, 0, ""))
		b.send(tcp(server, client, "SA", 300, 101, ""))
		b.send(ack)
	}
	nothing := func(*bench) {}
	last := func(st flowscope.TrackerStats) uint64 {
		return st.Packets - st.PacketsUnmatched - st.PacketsLate - st.FlowsCreated
	}
	var seq [2]uint32
	for _, c := range []struct {
		name  string
		start func(b *bench)
		run   func(b *bench)
		moved func(flowscope.TrackerStats) uint64 // must grow with every run
	}{
		{"TCP data both ways", func(b *bench) { handshake(b); seq = [2]uint32{101, 301} }, func(b *bench) {
			renumber(there, seq[0], seq[1])
			b.send(there)
			seq[0] += 7
			renumber(back, seq[1], seq[0])
			b.send(back)
			seq[1] += 8
		}, last},
		{"pure ACK", handshake, func(b *bench) { b.send(ack) }, last},
		{"retransmission", handshake, func(b *bench) { renumber(there, 101, 301); b.send(there) }, last},
		{"retransmitted SYN", func(b *bench) { b.send(syn) }, func(b *bench) { b.send(syn) }, last},
		{"UDP", nothing, func(b *bench) { b.send(question) }, func(st flowscope.TrackerStats) uint64 { return last(st) + st.FlowsCreated }},
		{"ICMP", nothing, func(b *bench) { b.send(echo) }, func(st flowscope.TrackerStats) uint64 { return last(st) + st.FlowsCreated }},
		{"refused", nothing, func(b *bench) { b.send(arp) },
			func(st flowscope.TrackerStats) uint64 { return st.Refused[flowscope.RefusedNotIP] }},
		{"malformed", nothing, func(b *bench) { b.send(cut) },
			func(st flowscope.TrackerStats) uint64 { return st.Refused[flowscope.RefusedTruncatedTCP] }},
		{"late", func(b *bench) { handshake(b); b.send(tcp(client, server, "R", 101, 0, "")) }, func(b *bench) { b.send(ack) },
			func(st flowscope.TrackerStats) uint64 { return st.PacketsLate }},
		{"whole connections", nothing, func(b *bench) {
			readdress(syn, uint32(b.id))
			b.send(syn)
			readdress(ack, uint32(b.id-1))
			ack[47] = 0x04 // a reset
			renumber(ack, 2, 0)
			b.send(ack)
			ack[47] = 0x10
		}, func(st flowscope.TrackerStats) uint64 { return st.Ended[flowscope.EndRST] }},
		{"SYN flood", nothing, func(b *bench) { readdress(syn, uint32(b.id)<<8); b.send(syn) },
			func(st flowscope.TrackerStats) uint64 { return st.FlowsEvicted }},
		{"stamps that run back", nothing, func(b *bench) { b.send(question); b.now -= 2e6 },
			func(st flowscope.TrackerStats) uint64 { return st.ClockBackward }},
		{"quiet sweep", handshake, func(b *bench) { b.send(ack); b.t.Sweep(b.now) }, last},
		{"sweep that ends flows", nothing, func(b *bench) { b.send(echo); b.now += 40e9; b.t.Sweep(b.now) },
			func(st flowscope.TrackerStats) uint64 { return st.Ended[flowscope.EndIdleTimeout] }},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, events := range map[string]flowscope.EventMask{"default": 0, "all": flowscope.AllEvents, "none": flowscope.NoEvents} {
				b := &bench{t: newTracker(t, flowscope.Config{MaxFlows: 100, Events: events}), now: 1e18}
				copy(ack[38:46], []byte{0, 0, 0, 101, 0, 0, 1, 45})
				readdress(ack, 0x0a000001)
				readdress(syn, 0x0a000001)
				c.start(b)
				for range 300 { // into steady state: the table is full, slices have grown
					c.run(b)
				}
				before := c.moved(b.t.Stats())
				const runs = 200
				if n := testing.AllocsPerRun(runs, func() { c.run(b) }); n != 0 {
					t.Errorf("events %s: %v allocations", name, n)
				}
				if grown := c.moved(b.t.Stats()) - before; grown < runs {
					t.Errorf("events %s: not the way that was meant: its counter grew by %d in %d runs", name, grown, runs)
				}
			}
		})
	}
}

func TestNoAllocsForOwnKeysWithoutPointers(t *testing.T) {
	if invariants.Enabled {
		t.Skip("with -tags invariants lent memory is copied, so that it can be trampled")
	}
	tr, err := flowscope.NewFlowTracker(portOnly{}, flowscope.Config{})
	if err != nil {
		t.Fatal(err)
	}
	frame := udp(client, server)
	if n := testing.AllocsPerRun(100, func() { tr.Track(flowscope.PacketView{Frame: frame}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestMemoryComesBack: neither a crowd of flows nor its long list of events stays in memory.
func TestMemoryComesBack(t *testing.T) {
	tr := newTracker(t, flowscope.Config{MaxFlows: 20_000})
	frame := udp(client, server)
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		readdress(frame, r.Uint32())
		tr.Track(flowscope.PacketView{Frame: frame})
	}
	crowd := tr.Finish()
	if len(crowd) < 19_000 {
		t.Fatal("too few flows", len(crowd))
	}
	events := tr.Track(flowscope.PacketView{Frame: frame})
	if cap(events) > 5000 {
		t.Errorf("the slice of the next call holds %d events", cap(events))
	}
}
