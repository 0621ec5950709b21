package acceptance

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/internal/testkit/attack"
)

// soak is one driver that lives through everything there is, again and again, at a hundredth of the usual limits.
type soak struct {
	t     *testing.T
	d     *testkit.Driver
	r     *rand.Rand
	m     *attack.Mutator
	now   flowscope.Timestamp
	id    uint64
	files [][]flowscope.PacketView
}

// pass plays one capture, or one attack, damaged, under a new book, since the books of hours would not fit.
func (s *soak) pass(n int) {
	book := testkit.NewBook(s.t, s.d)
	book.Streams = s.d.Stats().Streams
	views := s.views(n)
	clocks := s.r.IntN(4) // 0: as captured; 1, 2: a steady clock; 3: wild
	for _, i := range s.m.Order(len(views)) {
		v := views[i]
		before := len(v.Frame)
		if v.Frame = s.m.Frame(v.Frame); before > len(v.Frame) && s.r.IntN(2) == 0 {
			v.WireLen = max(v.WireLen, before)
		}
		s.now = s.now.Add(time.Duration(s.r.IntN(10_000_000)))
		switch {
		case clocks == 3 && s.r.IntN(20) == 0:
			v.Timestamp = flowscope.Timestamp(s.r.Uint64())
		case clocks != 0 || v.Timestamp == 0:
			v.Timestamp = s.now
		}
		s.id++
		v.ID = s.id
		book.Take(s.d.Track(v))
		if s.r.IntN(500) == 0 {
			book.Take(s.d.Sweep(s.d.Now().Add(time.Duration(s.r.IntN(100)) * time.Second)))
		}
	}
	book.Take(s.d.Finish())
	book.Finish()
	if st := s.d.Stats(); st.FlowsCreated != st.FlowsEnded || s.d.Len() != 0 || st.HeldBytes != 0 {
		s.t.Fatalf("pass %d: %+v", n, st)
	}
}

func (s *soak) views(n int) (views []flowscope.PacketView) {
	frames := func(f attack.Frames) {
		for frame := range f {
			views = append(views, flowscope.PacketView{Frame: bytes.Clone(frame)})
		}
	}
	seed := uint32(s.r.Uint32())
	switch kinds := len(s.files) + 6; n % kinds {
	default:
		views = s.files[n%kinds]
		if from := s.r.IntN(len(views)); len(views) > 2000 {
			views = views[from:min(len(views), from+2000)]
		}
	case len(s.files):
		frames(attack.Lifetimes(seed, 300))
	case len(s.files) + 1:
		frames(attack.Handshakes(seed, 20))
		frames(attack.Islands(seed, 20, 60, attack.Order(s.r.IntN(3))))
	case len(s.files) + 2:
		frames(attack.SYNData(seed, 200, 500))
		frames(attack.SYNFlood(1500))
	case len(s.files) + 3:
		frames(attack.Fragments4(200, 4000))
		frames(attack.Fragments6(200, 4000))
	case len(s.files) + 4:
		k := attack.Chaff(s.r.IntN(int(attack.NumChaff)))
		frames(k.Prelude(seed))
		frames(k.Frames(seed, 500))
	case len(s.files) + 5:
		for _, v := range testkit.NewTalk(s.r, 30_000).Views {
			views = append(views, flowscope.PacketView{Frame: v.Frame})
		}
	}
	return views
}

// A40. Hours of damaged traffic of every kind, at limits that always bite: no panic, the sums are right in every call,
// and the heap stays where it was. FLOWSCOPE_SOAK says how long.
func TestA40TheSoak(t *testing.T) {
	cfg := flowscope.Config{
		MaxFlows: 1000, SideBytes: 10 << 10, SidePieces: 10, TotalBytes: 640 << 10, KeepDelivered: 32, Events: flowscope.AllEvents,
	}
	s := &soak{t: t, d: testkit.NewDriver(t, nil, cfg), m: attack.NewMutator(40), r: rand.New(rand.NewPCG(40, 40)), now: 1e18}
	files := captured(t)
	for _, name := range sortedNames(files) {
		s.files = append(s.files, files[name])
	}
	before := testkit.Heap()
	most, passes, measured := int64(0), 0, time.Now()
	for began, limit := time.Now(), soakTime(t); time.Since(began) < limit; passes++ {
		s.pass(passes)
		if time.Since(measured) > limit/20 {
			most, measured = max(most, testkit.Heap()-before), time.Now()
		}
	}
	most = max(most, testkit.Heap()-before)
	st := s.d.Stats()
	t.Logf("%d passes, %d packets, %d flows; the heap grew by %d at most", passes, st.Packets, st.FlowsCreated, most)
	if bound := int64(cfg.TotalBytes + cfg.TotalBytes/4 + 512*int64(cfg.MaxFlows) + 8<<20); most > bound {
		t.Errorf("the heap grew by %d, at most %d", most, bound)
	}
	runtime.KeepAlive(s)
}
