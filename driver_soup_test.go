package flowscope_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
)

// drvSoup turns any bytes into calls of a driver: segments of a few conversations that are mostly where they should
// be, and sometimes early, late, repeated, changed, cut or absurd; SYNs, FINs and RSTs anywhere; and calls from
// outside.
type drvSoup struct {
	in   []byte
	now  int64
	isn  [drvTuples][2]uint32
	next [drvTuples][2]int64
}

const drvTuples = 3

func (s *drvSoup) byte() int {
	if len(s.in) == 0 {
		return 0
	}
	b := s.in[0]
	s.in = s.in[1:]
	return int(b)
}

var (
	drvISNs  = []uint32{0, 1, 1<<31 - 3, 1 << 31, 1<<32 - 1, 1<<32 - 2, 1<<32 - 3, 1<<32 - 11, 5000}
	drvSteps = []int64{
		0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 5, 10, 20, 40, 100, 1000, -1, -1, -2, -5, -10, -20, -60, -300, 3000, 70000, 200000,
		1 << 30, 1 << 31, -1 << 30, 7, 15,
	}
	drvLens  = []int{0, 0, 1, 1, 2, 3, 5, 8, 10, 10, 20, 40, 100, 300}
	drvTimes = []int64{
		0, 0, 0, 0, 1, 1e3, 1e6, 1e6, 5e6, 10e6, 10e6 - 1, 1e8, 1e9, 4e9, 4e9 - 1, 5e9, 10e9, 30e9, 30e9 + 1, 61e9, -1e6, -1e9,
		-2 * 3600e9, 2 * 3600e9,
	}
	drvKinds = []string{
		"A", "A", "A", "A", "A", "A", "A", "A", "A", "A", "A", "A", "PA", "PA", "FA", "FA", "S", "SA", "S", "SA", "R", "RA",
		"UA", "UA", "F", "", "SFA",
	}
)

// drvCall is one step of a soup.
type drvCall struct {
	kind     callKind
	view     flowscope.PacketView
	at       flowscope.Timestamp
	key      drvKey
	n        int
	stop     bool // stop a side of the last flow spoken of
	stopSide flowscope.FlowSide
}

func drvCalls(in []byte) (all []drvCall) {
	s := &drvSoup{in: in, now: 1e18}
	for t := range s.isn {
		s.isn[t] = [2]uint32{drvISNs[s.byte()%len(drvISNs)], drvISNs[s.byte()%len(drvISNs)]}
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
		all[i].view.ID = uint64(i + 1)
	}
	return all
}

func (s *drvSoup) step() drvCall {
	op, who := s.byte(), s.byte()
	tuple, dir := who%drvTuples, who>>7
	if d := drvTimes[s.byte()%len(drvTimes)]; d >= 0 {
		s.now += d
	} else {
		defer func(now int64) { s.now = now }(s.now)
		s.now += d
	}
	switch {
	case op < 228:
		flags := drvKinds[op%len(drvKinds)]
		if op < 160 {
			flags = "A"
		}
		return s.segment(tuple, dir, flags)
	case op < 238:
		return drvCall{kind: callSweep, at: flowscope.Timestamp(s.now)}
	case op < 240:
		return drvCall{kind: callFinish}
	case op < 244:
		return drvCall{kind: callClose, key: drvKeyOf(tuple)}
	case op < 250:
		return drvCall{kind: callSweep, at: flowscope.Timestamp(s.now), stop: true, stopSide: flowscope.FlowSide(dir)}
	default:
		return drvCall{kind: callLimit, n: tuple % 3}
	}
}

func (s *drvSoup) segment(tuple, dir int, flags string) drvCall {
	next := &s.next[tuple]
	step, n := drvSteps[s.byte()%len(drvSteps)], drvLens[s.byte()%len(drvLens)]
	how := s.byte()
	if strings.Contains(flags, "S") && how >= 192 {
		s.isn[tuple][dir] = drvISNs[how%len(drvISNs)]
		next[dir] = 0
	}
	pos := next[dir] + step
	ack := next[1-dir]
	if how%4 == 0 {
		ack += drvSteps[s.byte()%len(drvSteps)]
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
		c.view.WireLen = len(c.view.Frame)
		c.view.Frame = c.view.Frame[:len(c.view.Frame)-1-how%n]
	case how%16 == 9:
		c.view.Frame[48], c.view.Frame[49] = 0, 0 // a closed window
	case how%16 == 11:
		c.view.Frame[53] = byte(how / 16)
	}
	if step >= 0 && step < 1000 && !strings.ContainsAny(flags, "SR") {
		next[dir] = max(next[dir], pos+int64(n))
	}
	return c
}

func (s *drvSoup) track(tuple, dir int, flags string, pos, ack int64, b []byte) drvCall {
	g := drvSegment{tuple: tuple, dir: dir, flags: flags, window: 8192, payload: b}
	g.seq = s.isn[tuple][dir] + 1 + uint32(pos)
	if strings.Contains(flags, "S") {
		g.seq = s.isn[tuple][dir]
	}
	if strings.Contains(flags, "A") {
		g.ack = s.isn[tuple][1-dir] + 1 + uint32(ack)
	}
	return drvCall{kind: callTrack, view: flowscope.PacketView{Frame: g.frame(), Timestamp: flowscope.Timestamp(s.now)}}
}

// drvSoupConfigs are limits at which many things happen.
var drvSoupConfigs = []flowscope.Config{
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

// drvRun plays the calls and gives the log. If trample is set every frame is overwritten once its events were read,
// as a caller does who has one buffer.
func drvRun(tb testing.TB, d *drvDriver, all []drvCall, trample bool) string {
	tb.Helper()
	b := newDrvBook(tb, d)
	var log strings.Builder
	var buffer []byte
	var last drvEvent
	hear := func(events []drvEvent) {
		b.take(events)
		for i := range events {
			log.WriteString(drvText(&events[i]))
			rest := events[i] // every other field
			rest.Stats, rest.Bytes = nil, nil
			fmt.Fprintf(&log, " %+v\n", rest)
			if events[i].Flow != 0 {
				last = events[i]
				last.Stats, last.Bytes = nil, nil
			}
		}
	}
	for _, c := range all {
		switch c.kind {
		case callTrack:
			buffer = append(buffer[:0], c.view.Frame...)
			if v := c.view; trample {
				v.Frame = buffer
				hear(d.Track(v))
			} else {
				hear(d.Track(c.view))
			}
			for i := range buffer {
				buffer[i] = '#'
			}
		case callSweep:
			hear(d.Sweep(c.at))
			if c.stop && last.Flow != 0 && d.Stop(&last, c.stopSide) {
				b.flow(last.Flow).sides[c.stopSide].stopped = true
			}
		case callFinish:
			hear(d.Finish())
			b.finish()
		case callClose:
			d.ForceClose(c.key)
		case callLimit:
			d.SetMaxFlows(c.n)
		}
	}
	hear(d.Finish())
	b.finish()
	return log.String()
}

// drvJudge plays the calls on two drivers, whose seeds differ, with frames that last and frames that do not. The
// second takes no fast path.
func drvJudge(tb testing.TB, make func() flowscope.ReassemblerFactory[drvKey], cfg flowscope.Config, all []drvCall) string {
	tb.Helper()
	var fa, fb flowscope.ReassemblerFactory[drvKey]
	if make != nil {
		fa, fb = make(), make()
	}
	a := drvNew(tb, fa, cfg)
	b := withoutFastPaths(func() *drvDriver { return drvNew(tb, fb, cfg) })
	x, y := drvRun(tb, a, all, false), drvRun(tb, b, all, true)
	if x != y {
		tb.Fatalf("two drivers disagree:\n%s", lineDiff(x, y))
	}
	return x
}

func TestBytesKeepTheirPromisesForAnySequenceOfCalls(t *testing.T) {
	rounds := uint64(1200)
	if testing.Short() {
		rounds = 120
	}
	logs := map[string]bool{}
	for seed := range rounds {
		cfg := drvSoupConfigs[seed%uint64(len(drvSoupConfigs))]
		log := drvSeeded(t, seed, func() string { return drvJudge(t, nil, cfg, drvCalls(randomBytes(seed, 600))) })
		for line := range strings.Lines(log) {
			for _, word := range strings.Fields(line) {
				logs[word] = true
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if testing.Short() {
		return // too few rounds to see everything
	}
	for _, word := range []string{
		">data", "<data", "acknowledged", "expired", "budget", "cut", "ended", ">urgent", "conflicting_overlap", "late_data",
		"fin", "rst", "idle", "evicted", "buffer_overflow", "reused", "force_closed", "finished",
	} {
		if !logs[word] {
			t.Errorf("nothing ever was %q: the soup is too thin", word)
		}
	}
}

func TestBytesKeepTheirPromisesInTheTrackersSoup(t *testing.T) {
	rounds := uint64(200)
	if testing.Short() {
		rounds = 20
	}
	for seed := range rounds {
		var all []drvCall
		for _, c := range calls(randomBytes(seed, 1500)) {
			all = append(all, drvCall{kind: c.kind, view: c.view, at: c.at, key: c.key, n: c.n})
		}
		cfg := drvSoupConfigs[seed%uint64(len(drvSoupConfigs))]
		drvSeeded(t, seed, func() string { return drvJudge(t, nil, cfg, all) })
	}
}

// On a path with losses and reordering, fast paths handle most segments; drvJudge compares them with the slow paths.
func TestFastPathsBehindHolesAgreeWithTheSlowPaths(t *testing.T) {
	rounds := uint64(120)
	if testing.Short() {
		rounds = 24
	}
	for seed := range rounds {
		r := rand.New(rand.NewPCG(seed, 34))
		views := drvDisplace(r, newDrvTalk(r, 20_000).views, 1+r.IntN(8))
		var all []drvCall
		now := int64(1e18)
		for i, v := range views {
			if r.IntN(20) == 0 {
				continue
			}
			now += []int64{0, 1e5, 1e6, 1e7, 1e8, 3e9}[r.IntN(5+r.IntN(2))]
			v.Timestamp, v.ID = flowscope.Timestamp(now), uint64(i+1)
			for range 1 + r.IntN(10)/9 {
				all = append(all, drvCall{kind: callTrack, view: v})
			}
			if r.IntN(50) == 0 {
				all = append(all, drvCall{
					kind: callSweep, at: flowscope.Timestamp(now), stop: r.IntN(4) == 0, stopSide: flowscope.FlowSide(r.IntN(2)),
				})
			}
		}
		cfg := drvSoupConfigs[seed%uint64(len(drvSoupConfigs))]
		drvSeeded(t, seed, func() string { return drvJudge(t, nil, cfg, all) })
	}
}

// drvSeeded names the seed if what it runs fails.
func drvSeeded(t *testing.T, seed uint64, run func() string) string {
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	return run()
}

func FuzzDriver(f *testing.F) {
	for seed := range uint64(24) {
		f.Add(uint8(seed), randomBytes(seed+500, 200))
	}
	f.Fuzz(func(t *testing.T, config uint8, in []byte) {
		if len(in) > 3000 {
			return
		}
		drvJudge(t, nil, drvSoupConfigs[int(config)%len(drvSoupConfigs)], drvCalls(in))
	})
}
