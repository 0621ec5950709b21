package acceptance

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/internal/testkit/attack"
)

// mixed is traffic of every kind, the same in each run: clean conversations, soup, attacks and damaged frames. Frames
// of real captures come to it where they are there.
func mixed(tb testing.TB, packets int) (views []flowscope.PacketView) {
	tb.Helper()
	r := rand.New(rand.NewPCG(6, 6))
	now := flowscope.Timestamp(1e18)
	add := func(v flowscope.PacketView) {
		if v.Timestamp == 0 {
			now = now.Add(time.Duration(r.IntN(3_000_000)))
			v.Timestamp = now
		}
		v.ID = uint64(len(views) + 1)
		views = append(views, v)
	}
	for i := 0; len(views) < packets; i++ {
		switch i % 4 {
		case 0:
			for _, v := range testkit.NewTalk(r, 20_000).Views {
				add(v)
			}
		case 1:
			for _, c := range testkit.DriverCalls(testkit.RandomBytes(uint64(i), 2000)) {
				if c.Kind == testkit.CallTrack {
					now = now.Add(time.Millisecond)
					add(flowscope.PacketView{Frame: c.View.Frame, WireLen: c.View.WireLen})
				}
			}
		case 2:
			for _, f := range keep(attack.Lifetimes(uint32(i)*100, 100)) {
				add(flowscope.PacketView{Frame: f})
			}
		default:
			// Many flows become due at once, and then some of them go on.
			now = now.Add(time.Duration(i/4%2) * 400 * time.Second)
			m := attack.NewMutator(uint64(i))
			for _, f := range keep(attack.Busy(0, 10, 200, i)) {
				add(flowscope.PacketView{Frame: bytes.Clone(m.Frame(f))})
			}
			for f := range attack.SYNFlood(50) {
				add(flowscope.PacketView{Frame: bytes.Clone(f)})
			}
		}
		now = now.Add(time.Duration(r.IntN(20)) * time.Second)
	}
	return views
}

// captured are the packets of all captures at hand, or none.
func captured(tb testing.TB) (files map[string][]flowscope.PacketView) {
	tb.Helper()
	files = map[string][]flowscope.PacketView{}
	for _, pattern := range []string{"testdata/captures/*.pcap", "examples/internal/sample/*.pcapng", "../shared/captures/open/*.pcap*"} {
		names, _ := filepath.Glob(testkit.Path(pattern))
		for _, name := range names {
			for v, err := range flowscope.OpenCapture(name) {
				if err != nil {
					break // what is sound of a damaged file was read
				}
				v.Frame = bytes.Clone(v.Frame)
				files[filepath.Base(name)] = append(files[filepath.Base(name)], v)
			}
		}
	}
	return files
}

// names of a map in order.
func sortedNames[V any](m map[string]V) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// appendEvent appends all that an event of a flow says but its number, its moment, its history and the cause of a gap.
func appendEvent(b []byte, ev *testkit.Event) []byte {
	b = append(b, byte(ev.Kind), byte(ev.Side), byte(ev.Orientation), byte(ev.L4), byte(ev.State), byte(ev.From),
		byte(ev.Reason), byte(ev.Anomaly))
	b = binary.AppendVarint(b, ev.Offset)
	b = binary.AppendVarint(b, ev.Len)
	b = binary.AppendUvarint(b, uint64(len(ev.Bytes)))
	b = append(b, ev.Bytes...)
	if ev.Stats != nil {
		b = fmt.Appendf(b, "%+v", *ev.Stats)
	}
	return b
}

// hashLog plays packets on a new driver and gives the hash of everything it says.
func hashLog(tb testing.TB, cfg flowscope.Config, views []flowscope.PacketView) string {
	h, b := sha256.New(), []byte(nil)
	d := testkit.NewDriver(tb, nil, cfg)
	say := func(events []testkit.Event) {
		for i := range events {
			ev := &events[i]
			b = binary.AppendUvarint(b[:0], uint64(ev.Flow))
			b = binary.AppendUvarint(b, ev.Packet)
			b = binary.AppendVarint(b, int64(ev.Timestamp))
			b = append(append(b, ev.History.String()...), byte(ev.Cause))
			h.Write(appendEvent(b, ev))
		}
	}
	for _, v := range views {
		say(d.Track(v))
	}
	say(d.Sweep(d.Now().Add(time.Second)))
	say(d.Finish())
	fmt.Fprintf(h, "%+v", d.Stats())
	return fmt.Sprintf("%x", h.Sum(nil))
}

// A6. The same packets say the same, whatever the seed, however many processors there are and whenever the collector
// comes.
func TestA6TheSamePacketsAlwaysSayTheSame(t *testing.T) {
	traffic := map[string][]flowscope.PacketView{"": mixed(t, sized(3_000, 10_000, 200_000))}
	files := captured(t)
	for _, name := range sortedNames(files) {
		traffic["captures"] = append(traffic["captures"], files[name]...)
	}
	if short := sized(2_000, 20_000, 1<<30); len(traffic["captures"]) > short {
		traffic["captures"] = traffic["captures"][:short]
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	runs := sized(6, 20, 20)
	for name, views := range traffic {
		for _, cfg := range []flowscope.Config{{}, {MaxFlows: 50, SideBytes: 2000, TotalBytes: 20_000, KeepDelivered: 64}} {
			first := ""
			for run := range runs {
				runtime.GOMAXPROCS(1 + run%4)
				debug.SetGCPercent([]int{100, 20, -1, 400}[run/4%4])
				switch got := hashLog(t, cfg, views); {
				case first == "":
					first = got
				case got != first:
					t.Fatalf("%s run %d, %d flows: the log differs from that of run 0", name, run, cfg.MaxFlows)
				}
			}
		}
	}
}

// partLog hashes what is said of each side of each key, leaving out what depends on the packets of others: numbers of
// flows, the moment at which time is told to have passed, whether one side hears of it before the other,
// which also shows in the history, and whether a hole or its flow was given up first where the time of both had come.
type partLog map[shardSide]hash.Hash

type shardSide struct {
	key  testkit.Key
	side flowscope.FlowSide
}

func (l partLog) take(events []testkit.Event) {
	for i := range events {
		ev := &events[i]
		k := shardSide{ev.Key, ev.Side}
		if ev.Flow == 0 {
			continue
		}
		if l[k] == nil {
			l[k] = sha256.New()
		}
		l[k].Write(appendEvent(nil, ev))
	}
}

// A6 and A8. Packets that are split by a symmetric hash over 1, 2, 4 and 8 drivers, each on a goroutine of its own, say
// of each flow what one driver says. Under the race detector this also shows that drivers share nothing.
func TestA6AndA8ShardsSayTheSameOfEachFlow(t *testing.T) {
	views := mixed(t, sized(3_000, 30_000, 100_000))
	play := func(shards int) partLog {
		logs := make([]partLog, shards)
		var wait sync.WaitGroup
		for n := range shards {
			wait.Add(1)
			logs[n] = partLog{}
			go func() {
				defer wait.Done()
				d := testkit.NewDriver(t, nil, flowscope.Config{MaxFlows: 100_000, Events: flowscope.DefaultEvents})
				var x flowscope.Extracted[testkit.Key]
				told := flowscope.Timestamp(0)
				for _, v := range views {
					x = flowscope.Extracted[testkit.Key]{}
					if flowscope.FiveTuple.Extract(flowscope.FiveTuple{}, v, &x); int(x.Key.Hash(99)%uint64(shards)) == n {
						logs[n].take(d.Track(v))
					}
					if shards > 1 && v.Timestamp.Sub(told) >= time.Second {
						told = v.Timestamp
						logs[n].take(d.Sweep(told))
					}
				}
				logs[n].take(d.Sweep(views[len(views)-1].Timestamp)) // all end at one time
				logs[n].take(d.Finish())
			}()
		}
		wait.Wait()
		all := partLog{}
		for _, l := range logs {
			for k, h := range l {
				all[k] = h
			}
		}
		return all
	}
	one := play(1)
	if len(one) < 100 {
		t.Fatalf("only %d keys", len(one))
	}
	for _, shards := range []int{2, 4, 8} {
		many := play(shards)
		if len(many) != len(one) {
			t.Errorf("%d shards: %d keys, one has %d", shards, len(many), len(one))
		}
		for k, h := range one {
			if many[k] == nil || !bytes.Equal(h.Sum(nil), many[k].Sum(nil)) {
				t.Errorf("%d shards: something else is said of the %v of %v", shards, k.side, k.key)
			}
		}
	}
}

// A7. Frames are borrowed: with one buffer that is overwritten after each call a driver says what it says with frames
// that last, and no frame is ever written to.
func TestA7FramesAreOnlyBorrowed(t *testing.T) {
	traffic := map[string][]flowscope.PacketView{"mixed": mixed(t, sized(2_000, 20_000, 200_000))}
	for name, views := range captured(t) {
		traffic[name] = views
	}
	for name, views := range traffic {
		for _, cfg := range []flowscope.Config{{MaxFlows: 10_000}, {MaxFlows: 100, SidePieces: 3, KeepDelivered: 100}} {
			kept, lent := testkit.NewDriver(t, nil, cfg), testkit.NewDriver(t, nil, cfg)
			var before, buffer []byte
			for i, v := range views[:min(len(views), sized(500, 1<<30, 1<<30))] {
				before = append(before[:0], v.Frame...)
				a := kept.Track(v)
				if !bytes.Equal(before, v.Frame) {
					t.Fatalf("%s: frame %d was written to", name, i)
				}
				buffer = append(buffer[:0], v.Frame...)
				w := v
				w.Frame = buffer
				b := lent.Track(w)
				if !bytes.Equal(v.Frame, buffer) {
					t.Fatalf("%s: frame %d was written to", name, i)
				}
				sameDriven(t, fmt.Sprintf("%s: packet %d", name, i), a, b)
				for k := range buffer {
					buffer[k] = 0xa5
				}
			}
			sameDriven(t, name+": at the end", kept.Finish(), lent.Finish())
		}
	}
}

func sameDriven(t *testing.T, where string, a, b []testkit.Event) {
	t.Helper()
	if len(a) != len(b) {
		t.Fatalf("%s: %d events, %d events", where, len(a), len(b))
	}
	for i := range a {
		if a[i].Kind != b[i].Kind || !bytes.Equal(a[i].Bytes, b[i].Bytes) || testkit.EventText(&a[i]) != testkit.EventText(&b[i]) {
			t.Fatalf("%s, event %d:\n%s\n%s", where, i, testkit.EventText(&a[i]), testkit.EventText(&b[i]))
		}
	}
}

// A8. Nothing runs behind the caller's back.
func TestA8NothingRunsBehindTheCaller(t *testing.T) {
	before := runtime.NumGoroutine()
	kept := []*testkit.Driver{}
	for _, views := range captured(t) {
		d := testkit.NewDriver(t, nil, flowscope.Config{})
		for _, v := range views[:min(len(views), 200)] {
			d.Track(v)
			if n := runtime.NumGoroutine(); n > before {
				t.Fatalf("%d goroutines, %d before", n, before)
			}
		}
		kept = append(kept, d)
	}
	for range flowscope.OpenCapture(testkit.Path("testdata/captures/http.pcap")) {
		break
	}
	if n := runtime.NumGoroutine(); n > before || len(kept) < 3 {
		t.Errorf("%d goroutines, %d before; %d drivers", n, before, len(kept))
	}
}
