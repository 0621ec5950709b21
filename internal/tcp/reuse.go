package tcp

// maxCandidates bounds how many SYNs of possible successors are remembered
// once a connection is established.
const maxCandidates = 2

// Reuses reports whether the segment opens a new connection on the numbers of
// this live one. A SYN that may do so but proves nothing yet is remembered. If
// the connection is stale, silent for so long that it may well be over, a SYN
// with another number is proof enough.
//
//	state                SYN with another number
//	no number seen yet   replaces this connection, which is none
//	opening, by opener   a new attempt: replaces it
//	both FINs seen       replaces it, as does one after a reset in doubt
//	otherwise            a candidate, until a SYN+ACK acknowledges it or, where
//	                     the other side is not captured, an ACK follows at it
func (c *Conn) Reuses(i Side, g *Segment, stale bool) bool {
	i &= 1
	switch {
	case g.Flags&RST != 0:
		return false
	case g.Flags&(SYN|FIN) == SYN && c.blank():
		return true
	case g.Flags&(SYN|ACK|FIN) == SYN:
		return c.reusesSYN(i, g, stale)
	case c.nothers == 0 || c.Opening():
		return false
	case g.Flags&(SYN|ACK) == SYN|ACK:
		return c.candidate(1-i, g.Ack-1)
	case g.Flags&ACK != 0:
		return !c.half[1-i].has(seen) && c.candidate(i, g.Seq-1)
	}
	return false
}

// blank reports whether segments were seen but none of them had a number that
// counts: a scanner's probe must not take the place of the SYN that follows it.
func (c *Conn) blank() bool {
	return c.bits&begun != 0 && (c.half[0].bits|c.half[1].bits)&anchored == 0
}

func (c *Conn) reusesSYN(i Side, g *Segment, stale bool) bool {
	s, first := &c.half[i], g.Seq+1
	switch {
	case s.has(synned) && s.base == first:
		return false // retransmitted
	case s.has(anchored) && !s.has(synned) && s.begins(first, g.Len):
		return false // the SYN of this connection, captured late
	case stale:
		return true
	case !s.has(anchored):
		return false // simultaneous open
	case c.Opening():
		return i == Initiator
	case c.Finished(), c.PendingReset():
		return true
	}
	if !c.candidate(i, g.Seq) {
		c.remember(i, g.Seq, maxCandidates)
	}
	return false
}

// Reopens reports whether the segment opens a new connection on the numbers of
// this one, which has ended.
func (c *Conn) Reopens(i Side, g *Segment) bool {
	i &= 1
	s, p := &c.half[i], &c.half[1-i]
	first := g.Seq + 1
	switch g.Flags & (SYN | ACK | RST | FIN) {
	case SYN:
		return !s.has(anchored) || s.base != first
	case SYN | ACK:
		switch {
		case s.has(anchored) && s.base == first:
			return false // retransmitted
		case c.bits&settled == 0 && !s.has(synned) && p.holds(g.Ack):
			return true // somebody else had refused the SYN
		}
		// The SYN was not captured, but nobody of this connection has it.
		return !p.has(seen) || !p.holds(g.Ack)
	}
	return false
}

// Succeed turns c into the connection that replaces it, before the segment
// that opens it is taken by Step, and says which of the old sides opens.
func (c *Conn) Succeed(i Side, g *Segment) (opener Side) {
	i &= 1
	var next Conn
	opener = i
	switch {
	case g.Flags&(SYN|ACK) == SYN:
		if c.Opening() && i == Initiator {
			// The answer may still be to an earlier attempt.
			next.others, next.nothers, next.sides = c.others, c.nothers, c.sides
			next.remember(Initiator, c.half[i].base-1, len(next.others))
		}
	case g.Flags&SYN != 0:
		opener = 1 - i
	default:
		// Data right after a remembered SYN whose answer was not captured.
		h := &next.half[Initiator]
		h.anchor(g.Seq)
		h.bits |= synned
		next.state = SynSent
		next.bits |= begun
	}
	*c = next
	return opener
}

func (c *Conn) candidate(i Side, number uint32) bool {
	for k := range c.nothers {
		if c.others[k] == number && Side(c.sides>>k&1) == i {
			return true
		}
	}
	return false
}

// remember keeps the last limit numbers.
func (c *Conn) remember(i Side, number uint32, limit int) {
	if int(c.nothers) >= limit {
		copy(c.others[:], c.others[1:])
		c.sides >>= 1
		c.nothers = uint8(limit - 1)
	}
	c.others[c.nothers] = number
	c.sides = c.sides&^(1<<c.nothers) | uint8(i)<<c.nothers
	c.nothers++
}
