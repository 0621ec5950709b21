package tls

import "github.com/flowscope-go/flowscope"

// buffer is memory of a parser that counts with Messages.Hold, by its capacity.
type buffer struct {
	b    []byte
	held int // the part of the capacity that Hold has granted
}

// bufferKeeps is how much memory an empty buffer keeps.
const bufferKeeps = 2048

// add appends p. It reports false if there is no room; then nothing is added.
func (b *buffer) add(p []byte, out *flowscope.Messages) bool {
	size, need := cap(b.b), len(b.b)+len(p)
	if need > size {
		size = max(need, 2*size, 512)
	}
	if size > b.held {
		if !out.Hold(size - b.held) {
			return false
		}
		b.held = size
	}
	if size > cap(b.b) {
		b.b = append(make([]byte, 0, size), b.b...)
	}
	b.b = append(b.b, p...)
	return true
}

// clear empties the buffer, and lets go of it if it is large.
func (b *buffer) clear(out *flowscope.Messages) {
	if b.b = b.b[:0]; cap(b.b) > bufferKeeps {
		out.Hold(-b.held)
		*b = buffer{}
	}
}

// reset empties the buffer for another flow, where it counts nothing.
func (b *buffer) reset() {
	if b.b, b.held = b.b[:0], 0; cap(b.b) > bufferKeeps {
		b.b = nil
	}
}
