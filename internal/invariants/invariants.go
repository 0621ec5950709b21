// Package invariants says whether this build checks itself.
//
// Built with -tags invariants, lent bytes are overwritten as soon as they are taken back, and conditions
// of the fast paths are checked. Without the tag Enabled is a false constant, so the compiler drops the
// checks.
package invariants

// trampled is the byte that overwrites lent memory. It is neither zero nor text, so it is easily seen in
// a failed comparison.
const trampled = 0xDB

// Trample overwrites b, which was lent and has been taken back. It does nothing in a normal build.
func Trample(b []byte) {
	if !Enabled {
		return
	}
	for i := range b {
		b[i] = trampled
	}
}
