// Package race says whether the race detector watches the tests. The library starts no goroutine, so
// the detector finds nothing in the thousandth seed that it has not found in the first: tests that play
// many take fewer with it. All are taken without it.
package race

// Seeds is how many of n seeds or rounds a test takes: all, or with the detector one in ten, and at least one.
func Seeds[N int | uint64](n N) N {
	if On {
		return (n + 9) / 10
	}
	return n
}
