package tcp

// maxCandidates bounds the number of candidates once a connection is established.
const maxCandidates = 2

// Reuses reports whether the segment opens a new connection on the addresses and ports of this live
// one. A SYN that may do so, but is no proof yet, becomes a candidate. If the connection is stale,
// silent for so long that it may well be over, a SYN with another number is proof enough.
//
//	state                SYN with another number
//	no number seen yet   replaces this connection
//	opening, initiator's a new attempt: replaces it
//	both FINs seen       replaces it, as does one while a reset is pending
//	otherwise            a candidate, until a SYN+ACK acknowledges it or, where
//	                     the other side is not captured, an ACK follows at it
func (c *Conn) Reuses(i Side, g *Segment, stale bool) bool {
	i &= 1
	switch {
	case g.Flags&RST != 0:
		return false
	case g.Flags&(SYN|FIN) == SYN && c.nothingAnchored():
		return true
	case g.Flags&(SYN|ACK|FIN) == SYN:
		return c.reusesSYN(i, g, stale)
	case c.ncandidates == 0 || c.Opening():
		return false
	case g.Flags&(SYN|ACK) == SYN|ACK:
		return c.isCandidate(1-i, g.Ack-1)
	case g.Flags&ACK != 0:
		return !c.half[1-i].has(seen) && c.isCandidate(i, g.Seq-1)
	}
	return false
}

// nothingAnchored reports whether segments were seen but none of them had a number to count from: a
// SYN that follows a scanner's probe must open the connection.
func (c *Conn) nothingAnchored() bool {
	return c.bits&started != 0 && (c.half[0].bits|c.half[1].bits)&anchored == 0
}

func (c *Conn) reusesSYN(i Side, g *Segment, stale bool) bool {
	s, first := &c.half[i], g.Seq+1
	switch {
	case s.has(synSeen) && s.base == first:
		return false // retransmitted
	case s.has(anchored) && !s.has(synSeen) && s.mayBegin(first, g.Len):
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
	if !c.isCandidate(i, g.Seq) {
		c.addCandidate(i, g.Seq, maxCandidates)
	}
	return false
}

// Reopens reports whether the segment opens a new connection on the addresses and ports of this one,
// which has ended.
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
		case c.bits&wasEstablished == 0 && !s.has(synSeen) && p.contains(g.Ack):
			return true // the reset that refused the SYN was not the responder's
		}
		// The SYN was not captured, and no SYN of this connection has that number.
		return !p.has(seen) || !p.contains(g.Ack)
	}
	return false
}

// ReplaceWith turns c into the connection that replaces it, before Step handles the segment that opens
// it, and returns the side of the old connection that opens the new one.
func (c *Conn) ReplaceWith(i Side, g *Segment) (opener Side) {
	i &= 1
	var next Conn
	opener = i
	switch {
	case g.Flags&(SYN|ACK) == SYN:
		if c.Opening() && i == Initiator {
			// The answer may still be to an earlier attempt.
			next.candidates, next.ncandidates, next.candidateSides = c.candidates, c.ncandidates, c.candidateSides
			next.addCandidate(Initiator, c.half[i].base-1, len(next.candidates))
		}
	case g.Flags&SYN != 0:
		opener = 1 - i
	default:
		// Data right after a candidate's SYN whose answer was not captured.
		h := &next.half[Initiator]
		h.anchor(g.Seq)
		h.bits |= synSeen
		next.state = SynSent
		next.bits |= started
	}
	if c.half[0].has(slowPath) {
		next.DisableFastPath()
	}
	*c = next
	return opener
}

func (c *Conn) isCandidate(i Side, number uint32) bool {
	for k := range c.ncandidates {
		if c.candidates[k] == number && Side(c.candidateSides>>k&1) == i {
			return true
		}
	}
	return false
}

// addCandidate adds a number, and drops the oldest if there are more than limit.
func (c *Conn) addCandidate(i Side, number uint32, limit int) {
	if int(c.ncandidates) >= limit {
		copy(c.candidates[:], c.candidates[1:])
		c.candidateSides >>= 1
		c.ncandidates = uint8(limit - 1)
	}
	c.candidates[c.ncandidates] = number
	c.candidateSides = c.candidateSides&^(1<<c.ncandidates) | uint8(i)<<c.ncandidates
	c.ncandidates++
}
