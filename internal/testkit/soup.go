package testkit

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/internal/fastpath"
)

// soup turns any bytes into a sequence of calls: packets of a few conversations whose numbers mostly fit and
// sometimes do not, timestamps that mostly advance and sometimes do not, and now and then a call from outside.
type soup struct {
	in    []byte
	now   int64
	id    uint64
	next  [soupTuples][2]uint32 // the number each side would send next
	frame [soupTuples + 2][2][]byte
	keys  [soupTuples + 2]flowscope.FiveTupleKey
}

const soupTuples = 4

// Call is one step. Exactly one of the functions of a tracker is meant.
type Call struct {
	Kind CallKind
	View flowscope.PacketView
	At   flowscope.Timestamp
	Key  flowscope.FiveTupleKey
	N    int
}

// CallKind says which method a Call calls.
type CallKind uint8

// The methods.
const (
	CallTrack CallKind = iota
	CallSweep
	CallFinish
	CallClose
	CallLimit
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

// What random bytes choose from. SoupTimes are the steps of the time.
var (
	soupFlags = []string{"S", "S", "SA", "SA", "A", "A", "A", "PA", "PA", "FA", "FA", "R", "RA", "F", "", "SF", "SR", "SFRA", "PAU"}
	soupSteps = []uint32{0, 0, 0, 0, 0, 0, 1, ^uint32(0), 10, ^uint32(9), 100, 5000, 1 << 16, 1 << 30, 1 << 31, 3 << 30}
	soupLens  = []int{0, 0, 0, 0, 1, 1, 10, 10, 10, 100, soupPayload}
	SoupTimes = []int64{
		0, 1, 1e6, 1e6, 1e6, 1e6, 1e6, 1e7, 1e8, 1e9, 1e9, 3e9, 10e9, 30e9, 30e9 - 1, 60e9, 60e9 - 1, 75e9, 150e9,
		300e9, 300e9 - 1, 300e9 + 1, -1, -1e9, -4000e9, 3600e9, 3600e9 + 1, 1e17, math.MaxInt64, math.MinInt64,
	}
)

// step gives the next call, or false at the end.
func (s *soup) step() (Call, bool) {
	if len(s.in) == 0 {
		return Call{}, false
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
		c.View.WireLen = len(f)
		return c, true
	case op < 240:
		return Call{Kind: CallSweep, At: stamp}, true
	case op < 242:
		return Call{Kind: CallFinish}, true
	case op < 250:
		return Call{Kind: CallClose, Key: s.keys[tuple%len(s.keys)]}, true
	default:
		return Call{Kind: CallLimit, N: tuple % 3}, true
	}
}

// time is the timestamp of the next call. One that runs off the scale does not stay.
func (s *soup) time() flowscope.Timestamp {
	b := s.byte()
	d := SoupTimes[b%len(SoupTimes)]
	switch d {
	case math.MaxInt64, math.MinInt64:
		return flowscope.Timestamp(d)
	case 1e17:
		if b < 128 {
			return flowscope.Timestamp(s.now + d) // a jump that nobody confirms
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

func (s *soup) track(frame []byte, at flowscope.Timestamp) Call {
	s.id++
	return Call{Kind: CallTrack, View: flowscope.PacketView{Frame: frame, Timestamp: at, ID: s.id}}
}

// TCP makes a segment that continues the conversation, or does not quite.
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

// Calls are all steps of a soup.
func Calls(in []byte) (all []Call) {
	s := newSoup(in)
	for {
		c, ok := s.step()
		if !ok {
			return all
		}
		all = append(all, c)
	}
}

// SoupConfigs are small tables and times at which many things happen.
var SoupConfigs = []flowscope.Config{
	{MaxFlows: 2},
	{MaxFlows: 3, ClockJump: flowscope.Never},
	{MaxFlows: 64, Details: flowscope.AllDetails, ReportEvery: 3 * time.Second},
	{MaxFlows: 8, Details: flowscope.DetailIPBytes | flowscope.DetailTCP, LingerTimeout: time.Second, EstablishedTimeout: 20 * time.Second, OpeningTimeout: flowscope.Never},
	{MaxFlows: 8, Details: flowscope.DetailLateBytes | flowscope.DetailOrigin, ReportEvery: 100 * time.Millisecond, LingerTimeout: 1, UDPTimeout: flowscope.Never},
}

// WithoutFastPaths makes a tracker or a driver that takes the slow paths everywhere.
func WithoutFastPaths[T any](make func() T) T {
	fastpath.Off = true
	defer func() { fastpath.Off = false }()
	return make()
}

// RandomBytes are the same in every run.
func RandomBytes(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 7))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
