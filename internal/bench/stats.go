package main

import "math"

// estimate is a mean and its standard error.
type estimate struct{ mean, err float64 }

// meanOf estimates the mean of what the values are a sample of.
func meanOf(values []float64) estimate {
	n := float64(len(values))
	sum, squares := 0.0, 0.0
	for _, v := range values {
		sum += v
	}
	mean := sum / n
	for _, v := range values {
		squares += (v - mean) * (v - mean)
	}
	if n < 2 {
		return estimate{mean, math.Inf(1)} // one value says nothing about how far the mean may be off
	}
	return estimate{mean, math.Sqrt(squares / (n - 1) / n)}
}

// ratioOf estimates the ratio of the means of pairs that were measured together. What befell both
// values of a pair is no error of the ratio: the error is that of the differences old*ratio - new,
// which are 0 on average.
func ratioOf(new, old []float64) estimate {
	mean := meanOf(old).mean
	ratio := meanOf(new).mean / mean
	rest := make([]float64, len(old))
	for i := range rest {
		rest[i] = new[i] - ratio*old[i]
	}
	return estimate{ratio, meanOf(rest).err / mean}
}

// tolerance is how far a ratio may be beyond a limit if its error explains that.
const tolerance = 0.03

// margin is how far a ratio is from failing the rule of "at most limit": the ratio less two
// standard errors is at most the limit, and the ratio itself at most the limit and the tolerance.
// It is negative if the ratio fails.
func (e estimate) margin(limit float64) float64 {
	return min(limit-(e.mean-2*e.err), limit+tolerance-e.mean)
}

// atMost reports whether a ratio passes the rule.
func (e estimate) atMost(limit float64) bool { return e.margin(limit) >= 0 }

// isClose reports whether a move of two standard errors would turn the verdict.
func (e estimate) isClose(limit float64) bool { return math.Abs(e.margin(limit)) <= 2*e.err }

// verdict is "yes", "no", or one of them with "close".
func (e estimate) verdict(limit float64) string {
	s := "no"
	if e.atMost(limit) {
		s = "yes"
	}
	if e.isClose(limit) {
		s += ", close"
	}
	return s
}
