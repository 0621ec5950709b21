package flowscope

// A generic type is compiled in the package that instantiates it, a user's, and there the compiler
// inlines a function of internal/ only if it knows the body: if this package declared the function,
// or inlined it somewhere in code of its own that is not generic. Otherwise a look at the clock is a
// call.
//
// So instantiate makes this package compile its generic types once itself. It is never called and the
// linker drops it. Which functions must be inlined in a user's program is held by
// TestSmallFunctionsAreInlinedWhereTheGenericTypesAreInstantiated.
func instantiate() {
	d, _ := NewFlowDriver(FiveTuple{}, nil, Config{})
	d.Track(PacketView{})
}

var _ = instantiate
