package main

import (
	"math"
	"testing"
)

func near(a, b float64) bool { return math.Abs(a-b) < 1e-12 }

func TestMeanOf(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   estimate
	}{
		{[]float64{3, 5}, estimate{4, 1}},                                // deviation sqrt(2), over sqrt(2)
		{[]float64{100, 104, 96, 100}, estimate{100, math.Sqrt(8. / 3)}}, // variance 32/3, over 4
		{[]float64{7, 7, 7}, estimate{7, 0}},
	} {
		if got := meanOf(c.values); !near(got.mean, c.want.mean) || !near(got.err, c.want.err) {
			t.Errorf("%v: %v, want %v", c.values, got, c.want)
		}
	}
	if got := meanOf([]float64{5}); got.mean != 5 || !math.IsInf(got.err, 1) {
		t.Errorf("one value: %v", got)
	}
}

func TestRatioOf(t *testing.T) {
	for _, c := range []struct {
		what     string
		new, old []float64
		want     estimate
	}{
		// The differences from 1.5 times the old value are +1 and -1: deviation sqrt(2), over
		// sqrt(2) is 1, over the mean 10.
		{"errors of their own", []float64{16, 14}, []float64{10, 10}, estimate{1.5, 0.1}},
		{"both the other way round", []float64{10, 10}, []float64{9, 11}, estimate{1, 0.1}},
		// What both values of a pair have in common is no error.
		{"a common error", []float64{11, 22, 33}, []float64{10, 20, 30}, estimate{1.1, 0}},
	} {
		if got := ratioOf(c.new, c.old); !near(got.mean, c.want.mean) || !near(got.err, c.want.err) {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		ratio, err float64
		want       string
	}{
		{0.80, 0.010, "yes"},
		{1.00, 0.005, "yes"},
		{1.00, 0.015, "yes"},  // 0.05 below 1.05, and 1.00 - 0.03 is 0.05 below 1.02
		{1.019, 0.001, "yes"}, // 0.003 from failing: three errors
		{1.0205, 0.001, "yes, close"},
		{1.03, 0.010, "yes, close"}, // 1.03 - 0.02 is 1.01
		{1.03, 0.004, "no, close"},  // 1.03 - 0.008 is 1.022
		{1.036, 0.010, "yes, close"},
		{1.03, 0.002, "no"},        // 1.03 - 0.004 is 1.026: 0.006 too much, and that is three errors
		{1.06, 0.030, "no, close"}, // 1.06 - 0.06 is 1.00, but 1.06 is above 1.05
		{1.20, 0.010, "no"},
	} {
		if got := (estimate{c.ratio, c.err}).verdict(1.02); got != c.want {
			t.Errorf("%v ± %v: %q, want %q", c.ratio, c.err, got, c.want)
		}
	}
	if e := (estimate{0.81, 0.001}); !e.atMost(0.82) || e.atMost(0.80) {
		t.Error("another limit")
	}
}
