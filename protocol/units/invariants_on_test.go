//go:build invariants

package units_test

const invariantsEnabled = true
