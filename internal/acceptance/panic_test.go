package acceptance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// blast is what the caller's code panics with.
type blast struct{}

// fused is code of a caller's that panics at the k-th call of one of its parts: an extractor with everything, a
// factory, and a reassembler that passes on what comes in order and gives up on what does not come after 5 s.
type fused struct {
	flowscope.FiveTuple
	part string
	left int
	met  testkit.Key // the flow that it was about
}

func (f *fused) burn(part string, key testkit.Key) {
	if part != f.part {
		return
	}
	if f.left--; f.left == 0 {
		f.met = key
		panic(blast{})
	}
}

func (f *fused) Extract(v flowscope.PacketView, x *flowscope.Extracted[testkit.Key]) bool {
	ok := f.FiveTuple.Extract(v, x)
	f.burn("Extract", x.Key)
	return ok
}

func (f *fused) Hash(k testkit.Key, seed uint64) uint64 {
	f.burn("Hash", k)
	return k.Hash(seed)
}

func (f *fused) IdleTimeout(k testkit.Key) time.Duration {
	f.burn("IdleTimeout", k)
	return 0
}

func (f *fused) init(k testkit.Key) int {
	f.burn("init", k)
	return 7
}

func (f *fused) NewReassembler(k testkit.Key, _ flowscope.FlowSide) flowscope.Reassembler {
	f.burn("NewReassembler", k)
	return &fusedSide{f: f, key: k}
}

type fusedSide struct {
	f    *fused
	key  testkit.Key
	next int64
	late flowscope.Timestamp
}

func (s *fusedSide) Segment(g flowscope.Segment, out *flowscope.Delivery) {
	s.f.burn("Segment", s.key)
	if g.Pos == s.next {
		out.Data(g.Payload)
		s.next += int64(len(g.Payload))
	} else if s.late == 0 {
		s.late = g.Time.Add(5 * time.Second)
	}
}

func (s *fusedSide) Acked(int64, flowscope.Timestamp, *flowscope.Delivery) { s.f.burn("Acked", s.key) }

func (s *fusedSide) OnTimer(now flowscope.Timestamp, out *flowscope.Delivery) flowscope.Timestamp {
	s.f.burn("OnTimer", s.key)
	if s.late != 0 && now >= s.late {
		out.Gap(1, flowscope.GapExpired)
		s.next, s.late = s.next+1, 0
	}
	return s.late
}

func (s *fusedSide) Fin(*flowscope.Delivery) { s.f.burn("Fin", s.key) }
func (s *fusedSide) Rst(*flowscope.Delivery) { s.f.burn("Rst", s.key) }

// fusedScript has connections of every fate, interleaved, and steps at which time passes.
func fusedScript(t *testing.T) (views []flowscope.PacketView) {
	p := &testkit.Play{Book: &testkit.Book{TB: t}, ISN: [2]uint32{999, 7999}}
	add := func(step string, tuples ...int) {
		for _, tuple := range tuples {
			p.Now += time.Millisecond
			views = append(views, p.View(fmt.Sprintf("%s/t%d", step, tuple)))
		}
	}
	all := []int{0, 1, 2, 3, 4, 5}
	add(">S", all...)
	add("<SA", all...)
	add(">0:abc/a0", all...)
	add("<0:xyz/a3", all...)
	add(">5:late/a3", 1, 3)
	p.Now += 6 * time.Second
	add(">9:later/a3", 1, 3, 4)
	add(">F@3/a3", 0, 2)
	add("<F@3/a4", 0, 2)
	add(">A/n3/a4", 0, 2)
	add(">R@3", 4)
	p.Now += 400 * time.Second
	add(">S/n5000", 0, 1, 2, 3)
	add("<A0", 5)
	return views
}

// fusedLog is what was said of a key in a call, numbers of flows left out.
type fusedLog map[struct {
	call int
	key  testkit.Key
}]string

// fusedRun plays the script to its end, whatever goes off, and says in which call it did.
func fusedRun(t *testing.T, part string, k int) (log fusedLog, f *fused, d *flowscope.FlowDriver[testkit.Key, int], at int) {
	t.Helper()
	f = &fused{part: part, left: k}
	d, err := flowscope.NewFlowDriverWithState(f, f, flowscope.Config{MaxFlows: 20, Events: flowscope.AllEvents}, f.init)
	if err != nil {
		t.Fatal(err)
	}
	calls := []func() []testkit.Event{}
	for _, v := range fusedScript(t) {
		calls = append(calls, func() []testkit.Event { return d.Track(v) })
	}
	calls = append(calls,
		func() []testkit.Event { return d.Sweep(d.Now().Add(10 * time.Second)) },
		func() []testkit.Event { return d.Sweep(d.Now().Add(time.Hour)) },
		d.Finish, d.Finish)
	log, at = fusedLog{}, -1
	for i, call := range calls {
		func() {
			defer func() {
				switch r := recover().(type) {
				case nil:
				case blast:
					at = i
				default:
					t.Fatalf("%s, call %d of it: %v", part, k, r)
				}
			}()
			for _, ev := range call() {
				if ev.Flow != 0 {
					_, text, _ := strings.Cut(testkit.EventText(&ev), " ")
					log[struct {
						call int
						key  testkit.Key
					}{i, ev.Key}] += text + "\n"
				}
			}
		}()
	}
	return log, f, d, at
}

var laterParts = []string{"Hash", "IdleTimeout", "init", "OnTimer", "Fin", "Rst"}

// A21. A panic of the caller's code reaches the caller, and the driver can be used afterwards: flows are created,
// ended and counted as before, and those that the blast did not meet say what they would have said without it. A blast
// while flows end, which is where the parts from Hash on are called, may put off the ends of others to the next call.
func TestA21AfterAPanicOfTheCallersCodeTheDriverGoesOn(t *testing.T) {
	for _, part := range []string{"Extract", "NewReassembler", "Segment", "Acked", "Hash", "IdleTimeout", "init", "OnTimer", "Fin", "Rst"} {
		t.Run(part, func(t *testing.T) {
			whole, _, _, _ := fusedRun(t, part, 0)
			for k := 1; ; k++ {
				log, f, d, at := fusedRun(t, part, k)
				if at < 0 {
					if k == 1 {
						t.Error("it never went off")
					}
					return
				}
				if st := d.Stats(); st.FlowsCreated != st.FlowsEnded || d.Len() != 0 || st.FlowsLingering != 0 || st.HeldBytes != 0 {
					t.Errorf("blast %d in call %d: created %d, ended %d, live %d, lingering %d, held %d", k, at,
						st.FlowsCreated, st.FlowsEnded, d.Len(), st.FlowsLingering, st.HeldBytes)
				}
				for where, want := range whole {
					if slices.Contains(laterParts, part) {
						break
					}
					if where.call != at && where.key != f.met && log[where] != want {
						t.Errorf("blast %d in call %d: %v in call %d\n%s", k, at, where.key, where.call, testkit.LineDiff(want, log[where]))
					}
				}
			}
		})
	}
}
