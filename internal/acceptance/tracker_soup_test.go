package acceptance

import (
	"testing"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/internal/testkit/race"
)

// judge plays the calls under a ledger and once more on a tracker of another seed that takes no fast path.
func judge(tb testing.TB, cfg flowscope.Config, all []testkit.Call) {
	tb.Helper()
	a := testkit.NewAudited(tb, flowscope.FiveTuple{}, cfg)
	b := testkit.WithoutFastPaths(func() *testkit.Ledger[testkit.Key] { return testkit.NewAudited(tb, flowscope.FiveTuple{}, cfg) })
	for i, c := range all {
		ea, eb := a.Play(c, c.Key), b.Play(c, c.Key)
		if len(ea) != len(eb) {
			tb.Fatalf("call %d: %d events, and %d on the slow paths", i, len(ea), len(eb))
		}
		for k := range ea {
			if fa, fb := testkit.FactOf(i, &ea[k]), testkit.FactOf(i, &eb[k]); fa != fb {
				tb.Fatalf("call %d, event %d differs on the slow paths:\n%+v\n%+v", i, k, fa, fb)
			}
		}
	}
	a.Finish()
	for id, acc := range a.Accounts {
		if !acc.Ended || !acc.Released {
			tb.Fatalf("flow %d: ended %v, released %v", id, acc.Ended, acc.Released)
		}
	}
}

func TestPromisesHoldForAnySequenceOfCalls(t *testing.T) {
	rounds := uint64(400)
	if testing.Short() {
		rounds = 50
	}
	reasons := map[flowscope.EndReason]bool{}
	for seed := range rounds {
		cfg := testkit.SoupConfigs[seed%uint64(len(testkit.SoupConfigs))]
		all := testkit.Calls(testkit.RandomBytes(seed, 2000))
		judge(t, cfg, all)
		l := testkit.NewAudited(t, flowscope.FiveTuple{}, cfg)
		for _, c := range all {
			l.Play(c, c.Key)
		}
		for r, n := range l.Tracker.Stats().Ended {
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
	for seed := range race.Seeds(uint64(20)) {
		f.Add(uint8(seed), testkit.RandomBytes(seed+1000, 300))
	}
	f.Fuzz(func(t *testing.T, config uint8, in []byte) {
		if len(in) > 4000 {
			return
		}
		judge(t, testkit.SoupConfigs[int(config)%len(testkit.SoupConfigs)], testkit.Calls(in))
	})
}
