package acceptance

import (
	"strings"
	"testing"

	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/internal/testkit/race"
)

func TestBytesKeepTheirPromisesForAnySequenceOfCalls(t *testing.T) {
	rounds := uint64(1200)
	if testing.Short() {
		rounds = 120
	}
	logs := map[string]bool{}
	for seed := range race.Seeds(rounds) {
		cfg := testkit.DriverSoupConfigs[seed%uint64(len(testkit.DriverSoupConfigs))]
		log := testkit.Seeded(t, seed, func() string {
			return testkit.JudgeCalls(t, nil, cfg, testkit.DriverCalls(testkit.RandomBytes(seed, 600)))
		})
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
	for seed := range race.Seeds(uint64(sized(20, 100, 1000))) {
		var all []testkit.DriverCall
		for _, c := range testkit.Calls(testkit.RandomBytes(seed, 1500)) {
			all = append(all, testkit.DriverCall{Kind: c.Kind, View: c.View, At: c.At, Key: c.Key, N: c.N})
		}
		cfg := testkit.DriverSoupConfigs[seed%uint64(len(testkit.DriverSoupConfigs))]
		testkit.Seeded(t, seed, func() string { return testkit.JudgeCalls(t, nil, cfg, all) })
	}
}

func FuzzDriver(f *testing.F) {
	for seed := range race.Seeds(uint64(24)) {
		f.Add(uint8(seed), testkit.RandomBytes(seed+500, 200))
	}
	f.Fuzz(func(t *testing.T, config uint8, in []byte) {
		if len(in) > 3000 {
			return
		}
		testkit.JudgeCalls(t, nil, testkit.DriverSoupConfigs[int(config)%len(testkit.DriverSoupConfigs)], testkit.DriverCalls(in))
	})
}
