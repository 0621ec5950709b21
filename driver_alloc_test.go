package flowscope_test

import (
	"encoding/binary"
	"testing"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/invariants"
)

// drvLine is a connection under way whose packets are made without allocation.
type drvLine struct {
	d     *drvDriver
	frame [2][]byte
	ack   [2][]byte
	seq   [2]uint32
	now   flowscope.Timestamp
	bytes int64
	gaps  int
}

func newDrvLine(tb testing.TB, cfg flowscope.Config) *drvLine {
	cfg.Events = flowscope.DefaultEvents
	l := &drvLine{d: drvNew(tb, nil, cfg), now: 1e18}
	for side := range l.frame {
		l.frame[side] = drvSegment{dir: side, flags: "PA", window: 60000, payload: make([]byte, 1000)}.frame()
		l.ack[side] = drvSegment{dir: side, flags: "A", window: 60000}.frame()
	}
	for i, flags := range []string{"S", "SA", "A"} {
		g := drvSegment{dir: i % 2, flags: flags, seq: uint32(max(i-1, 0)), ack: min(uint32(i), 1), window: 60000}
		l.track(g.frame())
	}
	l.seq = [2]uint32{1, 1}
	return l
}

func (l *drvLine) track(frame []byte) {
	l.now += 1000
	events := l.d.Track(flowscope.PacketView{Frame: frame, Timestamp: l.now})
	for i := range events {
		switch events[i].Kind {
		case flowscope.EventData:
			l.bytes += events[i].Len
		case flowscope.EventGap:
			l.gaps++
		}
	}
}

// send sends the n-th segment from where the side stands.
func (l *drvLine) send(side, n int) {
	binary.BigEndian.PutUint32(l.frame[side][38:], l.seq[side]+uint32(1000*n))
	binary.BigEndian.PutUint32(l.frame[side][42:], l.seq[1-side])
	l.track(l.frame[side])
}

func (l *drvLine) acks(side int) {
	binary.BigEndian.PutUint32(l.ack[side][38:], l.seq[side])
	binary.BigEndian.PutUint32(l.ack[side][42:], l.seq[1-side])
	l.track(l.ack[side])
}

func (l *drvLine) moves(side, n int) { l.seq[side] += uint32(1000 * n) }

func TestSteadyTrafficAllocatesNothing(t *testing.T) {
	if invariants.Enabled {
		t.Skip("with -tags invariants lent memory is copied, so that it can be trampled")
	}
	for _, r := range []struct {
		name string
		data int64 // bytes a round
		cfg  flowscope.Config
		turn func(l *drvLine)
	}{
		{"in order, both ways", 2000, flowscope.Config{}, func(l *drvLine) {
			l.send(0, 0)
			l.moves(0, 1)
			l.send(1, 0)
			l.moves(1, 1)
		}},
		{"ACKs", 1000, flowscope.Config{}, func(l *drvLine) {
			l.send(0, 0)
			l.moves(0, 1)
			l.acks(1)
			l.acks(1)
		}},
		{"sent again", 1000, flowscope.Config{}, func(l *drvLine) {
			l.send(0, 0)
			l.send(0, 0)
			l.moves(0, 1)
			l.send(0, -1)
		}},
		{"two in the wrong order", 2000, flowscope.Config{}, func(l *drvLine) {
			l.send(0, 1)
			l.send(0, 0)
			l.moves(0, 2)
			l.acks(1)
		}},
		{"many held and released", 20000, flowscope.Config{}, func(l *drvLine) {
			for n := 19; n >= 0; n-- {
				l.send(0, n)
			}
			l.moves(0, 20)
			l.acks(1)
		}},
		{"a hole given up in each round", 1000, flowscope.Config{}, func(l *drvLine) {
			l.send(0, 1)
			l.moves(0, 2)
			l.acks(1)
			l.now += 11e6
			l.acks(1)
		}},
		{"delivered bytes remembered", 2000, flowscope.Config{KeepDelivered: 4096}, func(l *drvLine) {
			l.send(0, 1)
			l.send(0, 0)
			l.moves(0, 2)
		}},
	} {
		t.Run(r.name, func(t *testing.T) {
			l := newDrvLine(t, r.cfg)
			for range 200 {
				r.turn(l)
			}
			before := l.bytes
			if n := testing.AllocsPerRun(200, func() { r.turn(l) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
			if got := l.bytes - before; got != 201*r.data {
				t.Errorf("%d bytes in 201 rounds, want %d each: this is not what it says", got, r.data)
			}
		})
	}
}
