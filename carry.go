package flowscope

// Carry keeps the end of one side's bytes, which a parser cannot read yet, until more come. It
// counts its memory with Messages.Hold. The zero value is empty and ready.
//
// A parser has one for each side and goes through it in every call of Data:
//
//	at := c.Offset - int64(p.carry.Len())
//	b, ok := p.carry.Join(c.Bytes, out)  // what was kept, followed by the new bytes
//	for ok && len(b) > 0 {
//		n := ...                         // read one unit of b; 0: it is not complete
//		m.Name = p.carry.Lend(name, out) // a part of b, for a message
//		b = b[n:]
//	}
//	if !ok || !p.carry.Keep(b, out) {    // the rest, for the next call
//		...                              // SessionBytes is used up: say so, and Done
//	}
//
// Where everything was read, nothing is copied. Where a unit comes in many pieces, each byte is
// copied a few times; a parser that remembers how far it has looked need not look again.
type Carry struct {
	buf  []byte
	from int  // buf[from:] was kept, or joined
	n    int  // bytes kept; 0 between Join and Keep
	held int  // of the capacity of buf, what Hold has granted
	own  bool // what Join gave lies in buf
}

// carryKeeps is how much memory an empty Carry keeps for the next bytes.
const carryKeeps = 4096

// Len is the number of bytes kept; ask before Join.
func (c *Carry) Len() int { return c.n }

// Join gives the bytes that were kept, followed by b, and keeps none of them. If nothing was kept it
// gives b itself. What it gives is good until the next Join or Keep. It reports false if there is no
// room; then b is left out.
func (c *Carry) Join(b []byte, out *Messages) ([]byte, bool) {
	if c.own = c.n > 0; !c.own {
		return b, true
	}
	ok := c.add(b, out)
	c.n = 0
	return c.buf[c.from:], ok
}

// Keep keeps rest, which must be the end of what Join gave, until the next Join. It reports false
// if there is no room; then nothing is kept.
func (c *Carry) Keep(rest []byte, out *Messages) bool {
	if !c.own {
		if c.buf, c.from = c.buf[:0], 0; len(rest) == 0 {
			return true // as nearly always
		}
		return c.add(rest, out)
	}
	c.own = false
	c.from, c.n = len(c.buf)-len(rest), len(rest)
	if c.n == 0 {
		c.Drop(out)
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
	c.buf, c.from, c.n, c.own = c.buf[:0], 0, 0, false
	if cap(c.buf) > carryKeeps {
		out.Hold(-c.held)
		c.buf, c.held = nil, 0
	}
}

// Reset forgets what is kept, for SessionParser.Reset.
func (c *Carry) Reset() {
	buf := c.buf[:0]
	if cap(buf) > carryKeeps {
		buf = nil
	}
	*c = Carry{buf: buf}
}

// add appends b to what is kept, in more memory if need be and granted.
func (c *Carry) add(b []byte, out *Messages) bool {
	if c.from > 0 && len(c.buf)+len(b) > cap(c.buf) && c.from >= c.n {
		// No more bytes are moved than were read, so it is a constant price a byte.
		c.buf, c.from = c.buf[:copy(c.buf, c.buf[c.from:])], 0
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
	c.n += len(b)
	return true
}
