//go:build invariants

package stream

// invariants: memory that was borrowed is trampled when its time is over.
const invariants = true
