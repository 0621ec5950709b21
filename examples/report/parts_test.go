package main

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
)

// randomSpans are bursts at distances of every size.
func randomSpans(r *rand.Rand) []span {
	var spans []span
	at := r.Int64N(1<<61) - 1<<60
	for range 1 + r.IntN(40) {
		size := int64(math.Exp2(r.Float64() * 30))
		spans = append(spans, span{at, at + size})
		if at += size; r.IntN(3) > 0 {
			at += int64(math.Exp2(r.Float64() * 58 * r.Float64()))
		}
		if at > 1<<61 {
			break
		}
	}
	return spans
}

// TestAxesKeepTheOrderOfTime: a later time never stands before an earlier one, and folds lie between pieces.
func TestAxesKeepTheOrderOfTime(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		spans := randomSpans(r)
		a := newAxis(spans)
		width := int64(0)
		if seed%2 == 1 {
			width = max(1000, int64(nice(float64(a.shown())/columns)))
			a.snap(width)
		}
		require.LessOrEqual(t, len(a.folds), maxFolds)
		require.InDelta(t, 100, a.pieces[len(a.pieces)-1].x1, 1e-6)
		last := 0.0
		for i, s := range spans {
			if i > 0 { // in a silence
				x := a.x(spans[i-1].to + (s.from-spans[i-1].to)/2)
				require.True(t, x >= last-1e-9 && x <= a.x(s.from)+1e-9, "seed %d", seed)
			}
			for _, at := range []int64{s.from, s.to} {
				x := a.x(at)
				require.True(t, x >= last-1e-9 && x <= 100+1e-9, "seed %d: %v then %v", seed, last, x)
				last = x
				for _, f := range a.folds {
					require.False(t, x > f.X+1e-6 && x < f.X+f.W-1e-6, "seed %d: packets in a fold", seed)
				}
			}
		}
		// What is folded and what is shown is all.
		if width == 0 {
			require.Equal(t, spans[len(spans)-1].to-spans[0].from, a.shown()+int64(a.silent), "seed %d", seed)
		}
	}
}

// TestLabelsDoNotTouch: neither on a narrow page nor on a wide one.
func TestLabelsDoNotTouch(t *testing.T) {
	many := 0
	for seed := range uint64(2000) {
		a := newAxis(randomSpans(rand.New(rand.NewPCG(seed, 2))))
		labels, _ := a.labels(widePixels)
		require.Equal(t, "0", labels[0].Text)
		many += len(labels)
		for _, pixels := range []float64{narrowPixels, 300, widePixels, 1100} {
			end := -math.MaxFloat64
			for i := range labels {
				if labels[i].Wide && pixels < widePixels {
					continue
				}
				from, to := labels[i].extent(pixels)
				require.GreaterOrEqual(t, from, end+4, "seed %d, %v pixels: %+v", seed, pixels, labels)
				require.True(t, from > -2 && to < pixels+2, "seed %d", seed)
				end = to
			}
		}
	}
	require.Greater(t, many, 2000*4)
}

func TestWeeksOfSilenceAreFolded(t *testing.T) {
	const s, week = int64(time.Second), 7 * 24 * int64(time.Hour)
	spans := []span{{0, s}, {2 * s, 3 * s}, {3 * s, 4 * s}, {week, week + s}, {week + s, week + 2*s}}
	a := newAxis(spans)
	require.Len(t, a.folds, 1)
	require.Equal(t, "The grey band is silence left out: 7d.", a.caption())
	require.Greater(t, a.x(4*s), 60.0)
	labels, _ := a.labels(widePixels)
	var texts []string
	for _, l := range labels {
		texts = append(texts, l.Text)
	}
	require.Equal(t, "0, 1 s, 2 s, 3 s, 7d, +1 s", strings.Join(texts, ", "))
	// A packet a second is no silence.
	for n := range int64(20) {
		var even []span
		for i := range n {
			even = append(even, span{i * s, i*s + 1000})
		}
		require.Empty(t, newAxis(even).folds, "%d packets", n)
	}
}

// TestBinsAreBoundedAndLoseNothing compares with a map of all times.
func TestBinsAreBoundedAndLoseNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	b := newBins()
	exact := map[int64]uint64{}
	at := int64(-1 << 61)
	for range 100_000 {
		at += int64(math.Exp2(r.Float64() * 45))
		b.of(at).packets++
		exact[at]++
		require.LessOrEqual(t, len(b.at), maxBins)
	}
	require.Greater(t, b.width, int64(1000))
	coarse := map[int64]uint64{}
	for at, n := range exact {
		coarse[at/b.width+min(0, sign(at%b.width))] += n
	}
	for n, one := range b.at {
		require.Equal(t, coarse[n], one.packets)
	}
	require.Len(t, b.at, len(coarse))
}

func sign(n int64) int64 {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

// TestHeavyIsRightWithinWhatItMissed compares with exact sums.
func TestHeavyIsRightWithinWhatItMissed(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 4))
	h := newHeavy[int](byNumber)
	exact := map[int]uint64{}
	for range 400_000 {
		key := int(math.Exp2(r.Float64() * 18))
		h.of(key).n++
		exact[key]++
		require.LessOrEqual(t, len(h.at), maxKeys)
	}
	require.Positive(t, h.forgotten)
	require.Positive(t, h.missed)
	for i, e := range h.ranked()[:100] {
		require.LessOrEqual(t, e.n, exact[e.key])
		require.LessOrEqual(t, exact[e.key]-e.n, h.missed, "key %d, rank %d", e.key, i)
	}
}

func TestLeadersAreTheFirstOfASort(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	l := leaders[int]{max: 20}
	var exact []scored[int]
	for i := range 5000 {
		score := r.Uint64N(800)
		require.Equal(t, l.wants(score), len(exact) < 20 || score > l.items[19].score)
		l.add(score, i)
		exact = append(exact, scored[int]{score, i})
	}
	slices.SortStableFunc(exact, func(a, b scored[int]) int { return cmp.Compare(b.score, a.score) })
	require.Equal(t, exact[:20], l.items)
	require.EqualValues(t, 5000, l.seen)
}

func TestQuantilesAreNearTheExactOnes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 6))
	var d durations
	var exact []time.Duration
	require.Zero(t, d.quantile(0.5))
	for range 9999 {
		one := time.Duration(math.Exp2(1 + r.Float64()*50))
		d.add(one)
		exact = append(exact, one)
	}
	slices.Sort(exact)
	for _, share := range []float64{0.01, 0.5, 0.9, 0.999} {
		want := exact[int(math.Ceil(share*float64(len(exact))))-1]
		require.InEpsilon(t, want, d.quantile(share), 0.011)
	}
	d.add(math.MaxInt64) // has its place too
	d.add(-1)
	sum := uint64(0)
	for _, n := range d.bars {
		sum += n
	}
	require.Equal(t, d.n, sum)
	for i := range 19 {
		require.Equal(t, i*barsPerDecade, barOf(math.Pow(10, float64(i))), "a power of ten begins a bar")
	}
}

// TestLongConnectionsAreDrawnInBoundedMemory: segments are joined, and nothing of what was sent is lost from the picture.
func TestLongConnectionsAreDrawnInBoundedMemory(t *testing.T) {
	s := &series{thinBy: 1}
	for i := range int64(200_000) {
		s.add(segment{i * 5000, i * 5000, i * 1000, (i + 1) * 1000, false})
		s.sent = (i + 1) * 1000
		s.ack(i*5000+100, s.sent)
		s.hole(hole{i, i, i + 1})
	}
	require.LessOrEqual(t, len(s.segments), maxSegments)
	require.Greater(t, len(s.segments), maxSegments/4)
	require.LessOrEqual(t, len(s.acks), maxACKs)
	require.Greater(t, len(s.acks), maxACKs/4)
	require.Len(t, s.holes, maxHoles)
	require.EqualValues(t, 200_000-maxHoles, s.moreHole)
	next := int64(0)
	for _, g := range s.segments {
		require.Equal(t, next, g.lo)
		next = g.hi
	}
	require.EqualValues(t, 200_000_000, next)
	// Segments that never follow upon each other are thinned out.
	s = &series{thinBy: 1}
	for i := range int64(20_000) {
		s.add(segment{i, i, i * 10, i*10 + 1, false})
		require.LessOrEqual(t, len(s.segments), maxSegments)
	}
}

func TestTexts(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ns", 999: "999 ns", 1000: "1 µs", 12_345: "12.3 µs", 999_499: "999 µs", 999_500: "1 ms", 1234567: "1.23 ms",
		999_600 * time.Microsecond: "1 s", 59949 * time.Millisecond: "59.9 s", time.Minute: "1m", 90 * time.Second: "1m 30s",
		119*time.Minute + 59600*time.Millisecond: "120m", 3 * time.Hour: "3h", 50*time.Hour + 40*time.Minute: "2d 3h", -time.Second: "-1 s",
		7 * 24 * time.Hour: "7d", 800 * 24 * time.Hour: "2y 70d", math.MaxInt64: "292y 171d", math.MinInt64: "-292y 171d",
	} {
		require.Equal(t, want, lasting(d), "%d", d)
	}
	for n, want := range map[uint64]string{0: "0 B", 999: "999 B", 1000: "1 kB", 1234: "1.23 kB", 99_950: "100 kB", 999_499: "999 kB", 999_500: "1 MB", math.MaxUint64: "18.4 EB"} {
		require.Equal(t, want, size(n))
	}
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", math.MaxUint64: "18,446,744,073,709,551,615"} {
		require.Equal(t, want, count(n))
	}
	require.Equal(t, "1 anomaly, 2 anomalies, 1,000 packets, 0 flows", strings.Join([]string{some(1, "anomaly"), some(2, "anomaly"), some(1000, "packet"), some(0, "flow")}, ", "))
	for text, want := range map[string]string{
		"plain.example": "plain.example", "a\x00b": `a\u{0}b`, "\u202eb": `\u{202e}b`, "\xffx": `\xffx`, "e\u0301": `e\u{301}`, "наша": "наша",
	} {
		require.Equal(t, want, clean(text))
	}
	long := clean(strings.Repeat("ü", 10_000))
	require.Equal(t, strings.Repeat("ü", maxName)+"… (20,000 bytes)", long)
	require.True(t, utf8.ValidString(long))
}

func TestEndsAreShort(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1:80":     "192.0.2.1:80",
		"192.0.2.1":        "192.0.2.1",
		"[2001:db8::1]:80": "[2001:db8::1]:80",
		"[2001:db8:1234:5678:9abc:def0:1234:5678]:65535": "[2001:…:5678]:65535",
		"2001:db8:1234:5678:9abc:def0:1234:5678":         "2001:…:5678",
	} {
		var e flowscope.Endpoint
		require.NoError(t, e.UnmarshalText([]byte(text)))
		require.Equal(t, want, shortEnd(e))
		require.Equal(t, text, end(e))
	}
	require.Equal(t, "?", end(flowscope.Endpoint{}))
}

func TestMarksAreNiceNumbers(t *testing.T) {
	for _, v := range []float64{0, 1, 2, 3, 7, 10, 11, 99, 1234, 5e9, 1e18} {
		all, top := marks(v, 100, func(v float64) string { return fmt.Sprint(v) }, true)
		require.GreaterOrEqual(t, top, v)
		require.LessOrEqual(t, len(all), 6)
		require.GreaterOrEqual(t, len(all), 2)
		require.Equal(t, 100.0, all[0].Y)
		require.InDelta(t, 0, all[len(all)-1].Y, 1e-9)
	}
}
