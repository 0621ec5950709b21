//go:build invariants

package dns_test

const invariantsEnabled = true
