//go:build !race

package flowscope_test

// raceEnabled says that the race detector watches, which makes everything several times slower and larger.
const raceEnabled = false
