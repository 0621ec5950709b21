//go:build !race

package race

// On says that the race detector watches, which makes everything several times slower and larger.
const On = false
