//go:build !race

package acceptance

// raceEnabled says that the race detector watches, which makes everything several times slower and larger.
const raceEnabled = false
