// Package invariants says whether this build checks itself.
//
// Build or test with -tags invariants and every borrowed byte that is handed
// out is trampled as soon as its loan ends, and short ways are compared with the
// long ones. Without the tag Enabled is a false constant, so the compiler drops
// the checks.
package invariants

// trampled is the byte that overwrites memory whose loan has ended. It is
// neither zero nor text, so it stands out in a failed comparison.
const trampled = 0xDB

// Trample overwrites b, whose loan has ended. It does nothing in a normal build.
func Trample(b []byte) {
	if !Enabled {
		return
	}
	for i := range b {
		b[i] = trampled
	}
}
