// Package contest measures contenders as differences and ratios. An absolute time says little on a machine that is
// shared, so every round shows the same batch to each contender, one after the other in an order drawn anew, and what
// is reported is the median of what one takes beyond the first, the floor, and of the ratio to it: over the quieter half
// of the rounds, those that took the least time in all. What else the machine did in the others is nobody's figure.
//
// Beside these, and not as medians: the mean time, in which a garbage collection counts that fell into a round, and
// the allocations and bytes, which are exact and come from batches of their own.
package contest

import (
	"cmp"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"
)

// Contender is someone who can be shown what the others are shown.
type Contender[P any] struct {
	Name string
	// Take goes through a batch itself, so that no call stands between a contender and what it is shown: to pass a
	// view on by value is a few nanoseconds, of which a floor that wants two of its fields has none.
	Take func([]P)
}

// Warm shows n things to all contenders, before time is taken. next makes a batch, in the memory of the last one.
func Warm[P any](contenders []Contender[P], n int, next func() []P) {
	for n > 0 {
		batch := next()
		for i := range contenders {
			contenders[i].Take(batch)
		}
		n -= len(batch)
	}
}

// Run runs the rounds, as many as the benchmark wants, and reports the figures as metrics:
//
//	NAME-ns/pkt, NAME-over-FIRST-ns/pkt, NAME/FIRST       medians
//	NAME-mean-ns/pkt, NAME-allocs/pkt, NAME-B/pkt         means
func Run[P any](b *testing.B, contenders []Contender[P], next func() []P) {
	all := make([]figures, len(contenders))
	rng := rand.New(rand.NewPCG(1, 2)) // the order of each round
	runtime.GC()
	for n := 0; b.Loop(); n++ {
		batch := next()
		for _, i := range rng.Perm(len(contenders)) {
			start := time.Now()
			contenders[i].Take(batch)
			all[i].times = append(all[i].times, float64(time.Since(start).Nanoseconds())/float64(len(batch)))
		}
		if n%8 == 0 { // apart, since to read these figures is felt in the caches
			batch := next()
			for i := range contenders {
				all[i].count(len(batch), func() { contenders[i].Take(batch) })
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	rounds := quieter(all)
	for i := range contenders {
		name, f := contenders[i].Name, &all[i]
		for unit, value := range f.metrics(name, contenders[0].Name, all[0].times, rounds) {
			b.ReportMetric(value, unit)
		}
	}
}

// figures are those of one contender.
type figures struct {
	times         []float64 // of each round, by thing
	counted       int       // things with which allocations were counted
	allocs, bytes uint64
}

// count counts what f allocates with n things.
func (f *figures) count(n int, take func()) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	take()
	runtime.ReadMemStats(&after)
	f.counted += n
	f.allocs += after.Mallocs - before.Mallocs
	f.bytes += after.TotalAlloc - before.TotalAlloc
}

func (f *figures) metrics(name, first string, floor []float64, rounds []int) map[string]float64 {
	median := func(of func(i int) float64) float64 {
		var x []float64
		for _, i := range rounds {
			x = append(x, of(i))
		}
		slices.Sort(x)
		return x[len(x)/2]
	}
	m := map[string]float64{
		name + "-ns/pkt":      median(func(i int) float64 { return f.times[i] }),
		name + "-mean-ns/pkt": mean(f.times),
	}
	if name != first {
		m[name+"-allocs/pkt"] = float64(f.allocs) / float64(f.counted)
		m[name+"-B/pkt"] = float64(f.bytes) / float64(f.counted)
		m[name+"-over-"+first+"-ns/pkt"] = median(func(i int) float64 { return f.times[i] - floor[i] })
		m[name+"/"+first] = median(func(i int) float64 { return f.times[i] / floor[i] })
	}
	return m
}

// quieter are the rounds of the quieter half.
func quieter(all []figures) []int {
	rounds := make([]int, len(all[0].times))
	sums := make([]float64, len(rounds))
	for i := range rounds {
		rounds[i] = i
		for k := range all {
			sums[i] += all[k].times[i]
		}
	}
	slices.SortFunc(rounds, func(a, b int) int { return cmp.Compare(sums[a], sums[b]) })
	return rounds[:(len(rounds)+1)/2]
}

func mean(x []float64) (sum float64) {
	for _, v := range x {
		sum += v / float64(len(x))
	}
	return sum
}
