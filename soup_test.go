package flowscope_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/fastpath"
	"github.com/flowscope-go/flowscope/internal/frames"
)

// soup turns any bytes into a sequence of calls: packets of a few conversations whose numbers mostly fit and
// sometimes do not, stamps that mostly advance and sometimes do not, and now and then a call from outside.
type soup struct {
	in    []byte
	now   int64
	id    uint64
	next  [soupTuples][2]uint32 // the number each side would send next
	frame [soupTuples + 2][2][]byte
	keys  [soupTuples + 2]flowscope.FiveTupleKey
}

const soupTuples = 4

// call is one step. Exactly one of the functions of a tracker is meant.
type call struct {
	kind callKind
	view flowscope.PacketView
	at   flowscope.Timestamp
	key  flowscope.FiveTupleKey
	n    int
}

type callKind uint8

const (
	callTrack callKind = iota
	callSweep
	callFinish
	callClose
	callLimit
)

func newSoup(in []byte) *soup {
	s := &soup{in: in, now: 1_600_000_000e9}
	ends := [soupTuples][2]string{
		{"10.0.0.1:1000", "10.0.0.2:80"}, {"10.0.0.2:80", "10.0.0.1:1001"},
		{"10.0.0.3:7", "10.0.0.3:7"}, {"[fd00::1]:5", "[fd00::2]:5"},
	}
	payload := make([]byte, soupPayload)
	for i := range payload {
		payload[i] = byte(i)
	}
	for i, e := range ends {
		s.frame[i][0] = frames.TCP{Src: e[0], Dst: e[1], Window: 1000, Payload: payload}.Ethernet()
		s.frame[i][1] = frames.TCP{Src: e[1], Dst: e[0], Window: 1000, Payload: payload}.Ethernet()
	}
	u := [2]string{"10.0.0.1:1000", "10.0.0.2:80"}
	s.frame[soupTuples][0] = frames.UDP{Src: u[0], Dst: u[1], Payload: payload[:9]}.Ethernet()
	s.frame[soupTuples][1] = frames.UDP{Src: u[1], Dst: u[0], Payload: payload[:9]}.Ethernet()
	s.frame[soupTuples+1][0] = frames.ICMPEcho{Src: "10.0.0.1", Dst: "10.0.0.2", ID: 3}.Ethernet()
	s.frame[soupTuples+1][1] = frames.ICMPEcho{Src: "10.0.0.2", Dst: "10.0.0.1", ID: 3, Reply: true}.Ethernet()
	for i := range s.frame {
		var x flowscope.Extracted[flowscope.FiveTupleKey]
		flowscope.FiveTuple{}.Extract(flowscope.PacketView{Frame: s.frame[i][0]}, &x)
		s.keys[i] = x.Key
	}
	return s
}

const soupPayload = 1000

func (s *soup) byte() int {
	if len(s.in) == 0 {
		return 0
	}
	b := s.in[0]
	s.in = s.in[1:]
	return int(b)
}

var (
	soupFlags = []string{"S", "S", "SA", "SA", "A", "A", "A", "PA", "PA", "FA", "FA", "R", "RA", "F", "", "SF", "SR", "SFRA", "PAU"}
	soupSteps = []uint32{0, 0, 0, 0, 0, 0, 1, ^uint32(0), 10, ^uint32(9), 100, 5000, 1 << 16, 1 << 30, 1 << 31, 3 << 30}
	soupLens  = []int{0, 0, 0, 0, 1, 1, 10, 10, 10, 100, soupPayload}
	soupTimes = []int64{
		0, 1, 1e6, 1e6, 1e6, 1e6, 1e6, 1e7, 1e8, 1e9, 1e9, 3e9, 10e9, 30e9, 30e9 - 1, 60e9, 60e9 - 1, 75e9, 150e9,
		300e9, 300e9 - 1, 300e9 + 1, -1, -1e9, -4000e9, 3600e9, 3600e9 + 1, 1e17, math.MaxInt64, math.MinInt64,
	}
)

// step gives the next call, or false at the end.
func (s *soup) step() (call, bool) {
	if len(s.in) == 0 {
		return call{}, false
	}
	op := s.byte()
	tuple, dir := s.byte(), 0
	if tuple >= 128 {
		dir = 1
	}
	stamp := s.time()
	switch {
	case op < 200:
		return s.track(s.tcp(tuple%soupTuples, dir), stamp), true
	case op < 220:
		return s.track(s.frame[soupTuples+tuple%2][dir], stamp), true
	case op < 224:
		f := s.frame[tuple%len(s.frame)][dir]
		c := s.track(f[:s.byte()%len(f)], stamp)
		c.view.WireLen = len(f)
		return c, true
	case op < 240:
		return call{kind: callSweep, at: stamp}, true
	case op < 242:
		return call{kind: callFinish}, true
	case op < 250:
		return call{kind: callClose, key: s.keys[tuple%len(s.keys)]}, true
	default:
		return call{kind: callLimit, n: tuple % 3}, true
	}
}

// time is the stamp of the next call. One that runs off the scale does not stay.
func (s *soup) time() flowscope.Timestamp {
	b := s.byte()
	d := soupTimes[b%len(soupTimes)]
	switch d {
	case math.MaxInt64, math.MinInt64:
		return flowscope.Timestamp(d)
	case 1e17:
		if b < 128 {
			return flowscope.Timestamp(s.now + d) // a leap that nobody confirms
		}
	}
	if s.now+d > 8e18 {
		return flowscope.Timestamp(s.now)
	}
	if s.now += d; d < 0 && b < 200 {
		s.now -= d
		return flowscope.Timestamp(s.now + d)
	}
	return flowscope.Timestamp(s.now)
}

func (s *soup) track(frame []byte, at flowscope.Timestamp) call {
	s.id++
	return call{kind: callTrack, view: flowscope.PacketView{Frame: frame, Timestamp: at, ID: s.id}}
}

// tcp makes a segment that continues the conversation, or does not quite.
func (s *soup) tcp(tuple, dir int) []byte {
	f := append([]byte(nil), s.frame[tuple][dir]...)
	b := s.byte()
	flags := uint8(b)
	if b < 240 {
		flags = flagBits(soupFlags[b%len(soupFlags)])
	}
	b = s.byte()
	next := &s.next[tuple]
	if flags&0x12 == 0x02 && b >= 160 {
		next[dir] = uint32(b) << 24 // a new connection
	}
	seq := next[dir] + soupSteps[b%len(soupSteps)]
	ack := next[1-dir] + soupSteps[s.byte()%len(soupSteps)]
	n := soupLens[s.byte()%len(soupLens)]
	tcp := f[14+20:]
	if f[12] == 0x08 {
		binary.BigEndian.PutUint16(f[16:], uint16(40+n))
	} else {
		tcp = f[14+40:]
		binary.BigEndian.PutUint16(f[18:], uint16(20+n))
	}
	binary.BigEndian.PutUint32(tcp[4:], seq)
	if flags&0x10 != 0 {
		binary.BigEndian.PutUint32(tcp[8:], ack)
	}
	tcp[13] = flags
	if seq == next[dir] {
		next[dir] += uint32(n)
		if flags&0x03 != 0 {
			next[dir]++
		}
	}
	return f[:len(f)-soupPayload+n]
}

func flagBits(text string) (flags uint8) {
	for _, c := range text {
		for i, name := range "FSRPAUEC" {
			if c == name {
				flags |= 1 << i
			}
		}
	}
	return flags
}

// calls are all steps of a soup.
func calls(in []byte) (all []call) {
	s := newSoup(in)
	for {
		c, ok := s.step()
		if !ok {
			return all
		}
		all = append(all, c)
	}
}

func (l *ledger[K]) play(c call, key K) []flowscope.FlowEvent[K] {
	switch c.kind {
	case callTrack:
		return l.Track(c.view)
	case callSweep:
		return l.Sweep(c.at)
	case callFinish:
		return l.Finish()
	case callClose:
		l.ForceClose(key)
	case callLimit:
		l.SetMaxFlows(c.n)
	}
	return nil
}

// soupConfigs are small tables and times at which many things happen.
var soupConfigs = []flowscope.Config{
	{MaxFlows: 2},
	{MaxFlows: 3, ClockJump: flowscope.Never},
	{MaxFlows: 64},
	{MaxFlows: 8, LingerTimeout: time.Second, EstablishedTimeout: 20 * time.Second, OpeningTimeout: flowscope.Never},
	{MaxFlows: 8, LingerTimeout: 1, UDPTimeout: flowscope.Never},
}

// withoutFastPaths makes a tracker or a driver that takes the slow paths everywhere.
func withoutFastPaths[T any](make func() T) T {
	fastpath.Off = true
	defer func() { fastpath.Off = false }()
	return make()
}

// judge plays the calls under a ledger and once more on a tracker of another seed that takes no fast path.
func judge(tb testing.TB, cfg flowscope.Config, all []call) {
	tb.Helper()
	a := newAudited(tb, flowscope.FiveTuple{}, cfg)
	b := withoutFastPaths(func() *ledger[flowscope.FiveTupleKey] { return newAudited(tb, flowscope.FiveTuple{}, cfg) })
	for i, c := range all {
		ea, eb := a.play(c, c.key), b.play(c, c.key)
		if len(ea) != len(eb) {
			tb.Fatalf("call %d: %d events, and %d on the slow paths", i, len(ea), len(eb))
		}
		for k := range ea {
			if fa, fb := factOf(i, &ea[k]), factOf(i, &eb[k]); fa != fb {
				tb.Fatalf("call %d, event %d differs on the slow paths:\n%+v\n%+v", i, k, fa, fb)
			}
		}
	}
	a.Finish()
	for id, acc := range a.accounts {
		if !acc.ended || !acc.released {
			tb.Fatalf("flow %d: ended %v, released %v", id, acc.ended, acc.released)
		}
	}
}

// randomBytes are the same in every run.
func randomBytes(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 7))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestPromisesHoldForAnySequenceOfCalls(t *testing.T) {
	rounds := uint64(400)
	if testing.Short() {
		rounds = 50
	}
	reasons := map[flowscope.EndReason]bool{}
	for seed := range rounds {
		cfg := soupConfigs[seed%uint64(len(soupConfigs))]
		all := calls(randomBytes(seed, 2000))
		judge(t, cfg, all)
		l := newAudited(t, flowscope.FiveTuple{}, cfg)
		for _, c := range all {
			l.play(c, c.key)
		}
		for r, n := range l.t.Stats().Ended {
			if n > 0 {
				reasons[flowscope.EndReason(r)] = true
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	for _, want := range []flowscope.EndReason{
		flowscope.EndFIN, flowscope.EndRST, flowscope.EndIdleTimeout, flowscope.EndEvicted, flowscope.EndReused,
		flowscope.EndForceClosed, flowscope.EndFinished,
	} {
		if !reasons[want] {
			t.Errorf("no flow ever ended with %v: the soup is too thin", want)
		}
	}
}

func FuzzTracker(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(uint8(seed), randomBytes(seed+1000, 300))
	}
	f.Fuzz(func(t *testing.T, config uint8, in []byte) {
		if len(in) > 4000 {
			return
		}
		judge(t, soupConfigs[int(config)%len(soupConfigs)], calls(in))
	})
}
