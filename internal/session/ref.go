package session

// Ref is a flow's reference to its session, in 32 bits: the session's place among those that are
// live, or why there is none. It is 0 before the first bytes.
//
//	place     0, then the place, which is not 0
//	unread    100
//	parked    101, 8 bits of the factory's number, 16 of the parser's state
//	asked     110, a bit for whether a parser has read before, 2 for sides that no factory recognises
type Ref uint32

const (
	// Unread: no parser wants the flow.
	Unread Ref = 0b100 << 29

	parked Ref = 0b101 << 29
	asked  Ref = 0b110 << 29
	kind   Ref = 0b111 << 29
	read   Ref = 1 << 2
	both   Ref = 0b11
)

// MaxPlace is the highest place of a session.
const MaxPlace = 1<<31 - 1

// Place is the place of the flow's session, 0 if it has none.
func (r Ref) Place() uint32 {
	if r >= Unread {
		return 0
	}
	return uint32(r)
}

// Parked is the reference of a flow that a new parser of a factory goes on with.
func Parked(factory int, state uint16) Ref { return parked | Ref(factory&0xff)<<16 | Ref(state) }

// Parked are the arguments of the function Parked; ok is false if the flow is not parked.
func (r Ref) Parked() (factory int, state uint16, ok bool) {
	return int(r >> 16 & 0xff), uint16(r), r&kind == parked
}

// Asked is the reference of a flow of which no factory recognises the sides with a set bit: Unread if
// that is both. readBefore says that a parser has read the flow before.
func Asked(sides uint8, readBefore bool) Ref {
	r := asked | Ref(sides)&both
	switch {
	case r&both == both:
		return Unread
	case readBefore:
		r |= read
	}
	return r
}

// Asked are the arguments of the function Asked; they are zero for any other reference.
func (r Ref) Asked() (sides uint8, readBefore bool) {
	if r&kind != asked {
		return 0, false
	}
	return uint8(r & both), r&read != 0
}

// Undecided reports whether the flow has no session and a factory may yet recognise it.
func (r Ref) Undecided() bool { return r == 0 || r&kind == asked }

// Ignores reports whether no parser wants the bytes of a side, whatever they are.
func (r Ref) Ignores(side uint8) bool { return r == Unread || r&kind == asked && r>>side&1 != 0 }
