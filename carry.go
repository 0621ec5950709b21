package flowscope

// Carry keeps the end of one side's bytes, which a parser could not read yet, until more come. It
// counts its memory with Messages.Hold. The zero value is empty and ready.
//
// A parser has one for each side and uses it in every call of Data:
//
//	b, ok := p.carry.Join(c.Bytes, out)  // what was kept, followed by the new bytes
//	for ok && len(b) > 0 {
//		n := ...                         // read one unit of b; 0: it is not complete
//		m.Name = p.carry.Lend(name, out) // a part of b, for a message
//		b = b[n:]
//	}
//	ok = ok && p.carry.Keep(b, out)      // the rest, for the next call
//	if !ok {
//		...                              // SessionBytes is used up: say so and be Done
//	}
//
// Nothing is copied where nothing was kept.
type Carry struct {
	buf  []byte // buf[from:] is kept
	from int
	held int  // of the capacity of buf, what Hold has granted
	own  bool // what Join gave last lies in buf
}

// carryKeeps is how much memory an empty Carry keeps for the next bytes.
const carryKeeps = 4096

// Len is the number of bytes kept.
func (c *Carry) Len() int { return len(c.buf) - c.from }

// Join gives the bytes that were kept followed by b. If nothing was kept that is b itself. It is
// good until the next Join or Keep. It reports false if there is no room; then b is not added.
func (c *Carry) Join(b []byte, out *Messages) ([]byte, bool) {
	if c.own = c.Len() > 0; !c.own {
		return b, true
	}
	ok := c.add(b, out)
	return c.buf[c.from:], ok
}

// Keep keeps rest, which must be the end of what Join gave, until the next Join. It reports false
// if there is no room; then nothing is kept.
func (c *Carry) Keep(rest []byte, out *Messages) bool {
	if c.own {
		c.from = len(c.buf) - len(rest)
	} else {
		c.buf, c.from = c.buf[:0], 0
		if len(rest) == 0 {
			return true // the usual case: all was read, and nothing is kept
		}
		if !c.add(rest, out) {
			return false
		}
	}
	if c.own = false; c.Len() == 0 {
		c.release(out)
	}
	return true
}

// Lend gives b, a part of what Join gave, as something that a message may refer to: b itself if it
// lies in the chunk, otherwise a copy.
func (c *Carry) Lend(b []byte, out *Messages) []byte {
	if c.own {
		return out.Copy(b)
	}
	return b
}

// Drop forgets what is kept, as after a gap.
func (c *Carry) Drop(out *Messages) {
	c.own = false
	c.release(out)
}

// Reset forgets what is kept, for SessionParser.Reset.
func (c *Carry) Reset() {
	buf := c.buf[:0]
	if cap(buf) > carryKeeps {
		buf = nil
	}
	*c = Carry{buf: buf}
}

// add appends b, in more memory if need be and granted.
func (c *Carry) add(b []byte, out *Messages) bool {
	n := c.Len()
	if c.from > 0 && (c.from >= n || len(c.buf)+len(b) > cap(c.buf) && c.from >= cap(c.buf)/4) {
		c.buf, c.from = c.buf[:copy(c.buf, c.buf[c.from:])], 0 // amortised: it moves at most 3 times what was read
	}
	size := cap(c.buf)
	if len(c.buf)+len(b) > size {
		size = max(2*size, len(c.buf)+len(b), 256)
	}
	if size > c.held {
		if !out.Hold(size - c.held) {
			return false
		}
		c.held = size
	}
	if size > cap(c.buf) {
		c.buf = append(make([]byte, 0, size), c.buf...)
	}
	c.buf = append(c.buf, b...)
	return true
}

// release lets go of a large buffer that is empty.
func (c *Carry) release(out *Messages) {
	if c.buf, c.from = c.buf[:0], 0; cap(c.buf) > carryKeeps {
		out.Hold(-c.held)
		c.buf, c.held = nil, 0
	}
}
