package testkit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
)

// driverSoup turns any bytes into calls of a driver: segments of a few conversations that are mostly where they should
// be, and sometimes early, late, repeated, changed, cut or absurd; SYNs, FINs and RSTs anywhere; and calls from
// outside.
type driverSoup struct {
	in   []byte
	now  int64
	isn  [driverTuples][2]uint32
	next [driverTuples][2]int64
}

const driverTuples = 3

func (s *driverSoup) byte() int {
	if len(s.in) == 0 {
		return 0
	}
	b := s.in[0]
	s.in = s.in[1:]
	return int(b)
}

// What random bytes choose from. ISNs are sequence numbers of a SYN.
var (
	ISNs        = []uint32{0, 1, 1<<31 - 3, 1 << 31, 1<<32 - 1, 1<<32 - 2, 1<<32 - 3, 1<<32 - 11, 5000}
	driverSteps = []int64{
		0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 5, 10, 20, 40, 100, 1000, -1, -1, -2, -5, -10, -20, -60, -300, 3000, 70000, 200000,
		1 << 30, 1 << 31, -1 << 30, 7, 15,
	}
	driverLens  = []int{0, 0, 1, 1, 2, 3, 5, 8, 10, 10, 20, 40, 100, 300}
	driverTimes = []int64{
		0, 0, 0, 0, 1, 1e3, 1e6, 1e6, 5e6, 10e6, 10e6 - 1, 1e8, 1e9, 4e9, 4e9 - 1, 5e9, 10e9, 30e9, 30e9 + 1, 61e9, -1e6, -1e9,
		-2 * 3600e9, 2 * 3600e9,
	}
	driverFlags = []string{
		"A", "A", "A", "A", "A", "A", "A", "A", "A", "A", "A", "A", "PA", "PA", "FA", "FA", "S", "SA", "S", "SA", "R", "RA",
		"UA", "UA", "F", "", "SFA",
	}
)

// DriverCall is one step of a soup.
type DriverCall struct {
	Kind     CallKind
	View     flowscope.PacketView
	At       flowscope.Timestamp
	Key      Key
	N        int
	Stop     bool // stop a side of the last flow spoken of
	StopSide flowscope.FlowSide
}

// DriverCalls reads random bytes as calls of a driver: segments of a few connections, mostly where they should be.
func DriverCalls(in []byte) (all []DriverCall) {
	s := &driverSoup{in: in, now: 1e18}
	for t := range s.isn {
		s.isn[t] = [2]uint32{ISNs[s.byte()%len(ISNs)], ISNs[s.byte()%len(ISNs)]}
	}
	if s.byte()%2 == 0 { // usually conversations begin well
		for t := range s.isn {
			for i, flags := range []string{"S", "SA", "A"} {
				all = append(all, s.track(t, i%2, flags, 0, 0, nil))
			}
		}
	}
	for len(s.in) > 0 {
		all = append(all, s.step())
	}
	for i := range all {
		all[i].View.ID = uint64(i + 1)
	}
	return all
}

func (s *driverSoup) step() DriverCall {
	op, who := s.byte(), s.byte()
	tuple, dir := who%driverTuples, who>>7
	if d := driverTimes[s.byte()%len(driverTimes)]; d >= 0 {
		s.now += d
	} else {
		defer func(now int64) { s.now = now }(s.now)
		s.now += d
	}
	switch {
	case op < 228:
		flags := driverFlags[op%len(driverFlags)]
		if op < 160 {
			flags = "A"
		}
		return s.segment(tuple, dir, flags)
	case op < 238:
		return DriverCall{Kind: CallSweep, At: flowscope.Timestamp(s.now)}
	case op < 240:
		return DriverCall{Kind: CallFinish}
	case op < 244:
		return DriverCall{Kind: CallClose, Key: TupleKey(tuple)}
	case op < 250:
		return DriverCall{Kind: CallSweep, At: flowscope.Timestamp(s.now), Stop: true, StopSide: flowscope.FlowSide(dir)}
	default:
		return DriverCall{Kind: CallLimit, N: tuple % 3}
	}
}

func (s *driverSoup) segment(tuple, dir int, flags string) DriverCall {
	next := &s.next[tuple]
	step, n := driverSteps[s.byte()%len(driverSteps)], driverLens[s.byte()%len(driverLens)]
	how := s.byte()
	if strings.Contains(flags, "S") && how >= 192 {
		s.isn[tuple][dir] = ISNs[how%len(ISNs)]
		next[dir] = 0
	}
	pos := next[dir] + step
	ack := next[1-dir]
	if how%4 == 0 {
		ack += driverSteps[s.byte()%len(driverSteps)]
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte((pos+int64(i))%26+26)%26
		if how%16 == 5 {
			b[i] -= 32 // another copy
		}
	}
	c := s.track(tuple, dir, flags, pos, ack, b)
	switch {
	case how%16 == 7 && n > 0:
		c.View.WireLen = len(c.View.Frame)
		c.View.Frame = c.View.Frame[:len(c.View.Frame)-1-how%n]
	case how%16 == 9:
		c.View.Frame[48], c.View.Frame[49] = 0, 0 // a closed window
	case how%16 == 11:
		c.View.Frame[53] = byte(how / 16)
	}
	if step >= 0 && step < 1000 && !strings.ContainsAny(flags, "SR") {
		next[dir] = max(next[dir], pos+int64(n))
	}
	return c
}

func (s *driverSoup) track(tuple, dir int, flags string, pos, ack int64, b []byte) DriverCall {
	g := Segment{Tuple: tuple, Dir: dir, Flags: flags, Window: 8192, Payload: b}
	g.Seq = s.isn[tuple][dir] + 1 + uint32(pos)
	if strings.Contains(flags, "S") {
		g.Seq = s.isn[tuple][dir]
	}
	if strings.Contains(flags, "A") {
		g.Ack = s.isn[tuple][1-dir] + 1 + uint32(ack)
	}
	return DriverCall{Kind: CallTrack, View: flowscope.PacketView{Frame: g.Frame(), Timestamp: flowscope.Timestamp(s.now)}}
}

// DriverSoupConfigs are limits at which many things happen.
var DriverSoupConfigs = []flowscope.Config{
	{},
	{MaxFlows: 2, MaxAnomalies: 2},
	{SideBytes: 400, SidePieces: 3},
	{SideBytes: 1, MaxFlows: 8},
	{SideBytes: 700, Overflow: flowscope.OverflowDropFlow, LingerTimeout: time.Second},
	{TotalBytes: 3000, SideBytes: 2000, Overlap: flowscope.OverlapLast},
	{TotalBytes: 1, Overlap: flowscope.OverlapLinux},
	{KeepDelivered: 16, Overlap: flowscope.OverlapLinux},
	{KeepDelivered: 64, SideBytes: 600, MaxAnomalies: 1},
	{HoleTimeout: 1, HoleOneSidedTimeout: 1, HoleAckedTimeout: 1},
	{HoleTimeout: flowscope.Never, HoleOneSidedTimeout: flowscope.Never, HoleAckedTimeout: flowscope.Never},
	{EstablishedTimeout: 6 * time.Second, SidePieces: 2, Overflow: flowscope.OverflowDropFlow},
}

// RunCalls plays the calls and gives the log. If trample is set every frame is overwritten once its events were read,
// as a caller does who has one buffer.
func RunCalls(tb testing.TB, d *Driver, all []DriverCall, trample bool) string {
	tb.Helper()
	b := NewBook(tb, d)
	var log strings.Builder
	var buffer []byte
	var last Event
	hear := func(events []Event) {
		b.Take(events)
		for i := range events {
			log.WriteString(EventText(&events[i]))
			rest := events[i] // every other field
			rest.Stats, rest.Bytes = nil, nil
			fmt.Fprintf(&log, " %#v\n", rest)
			if events[i].Flow != 0 {
				last = events[i]
				last.Stats, last.Bytes = nil, nil
			}
		}
	}
	for _, c := range all {
		switch c.Kind {
		case CallTrack:
			buffer = append(buffer[:0], c.View.Frame...)
			if v := c.View; trample {
				v.Frame = buffer
				hear(d.Track(v))
			} else {
				hear(d.Track(c.View))
			}
			for i := range buffer {
				buffer[i] = '#'
			}
		case CallSweep:
			hear(d.Sweep(c.At))
			if c.Stop && last.Flow != 0 && d.Stop(&last, c.StopSide) {
				b.Flow(last.Flow).Sides[c.StopSide].Stopped = true
			}
		case CallFinish:
			hear(d.Finish())
			b.Finish()
		case CallClose:
			d.ForceClose(c.Key)
		case CallLimit:
			d.SetMaxFlows(c.N)
		}
	}
	hear(d.Finish())
	b.Finish()
	return log.String()
}

// JudgeCalls plays the calls on two drivers, whose seeds differ, with frames that last and frames that do not. The
// second takes no fast path.
func JudgeCalls(tb testing.TB, make func() flowscope.ReassemblerFactory[Key], cfg flowscope.Config, all []DriverCall) string {
	tb.Helper()
	var fa, fb flowscope.ReassemblerFactory[Key]
	if make != nil {
		fa, fb = make(), make()
	}
	a := NewDriver(tb, fa, cfg)
	b := WithoutFastPaths(func() *Driver { return NewDriver(tb, fb, cfg) })
	x, y := RunCalls(tb, a, all, false), RunCalls(tb, b, all, true)
	if x != y {
		tb.Fatalf("two drivers disagree:\n%s", LineDiff(x, y))
	}
	return x
}

// Seeded names the seed if what it runs fails.
func Seeded(t *testing.T, seed uint64, run func() string) string {
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	return run()
}
