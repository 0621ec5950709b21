package tcp

// Turning reports whether a segment without payload may change the state of the connection: it opens or closes.
func (c *Conn) Turning() bool { return c.state != Established && c.state != Active }

// Turn is Follow for a segment without payload of a connection that opens or closes, of which both SYNs were seen and nothing
// is in doubt or missing: for the ACK that completes the handshake, for a FIN, and for the ACKs behind one. It does what
// Step does; with any other segment it does nothing and reports false.
func (c *Conn) Turn(i Side, seq, ack uint32, window uint16, flags, options uint8, timestamp uint32) bool {
	const required = anchored | synSeen | edgeKnown
	const excluded = synData | zeroWindow | slowPath | signed | guessed
	const doubts = midstream | resetPending0 | resetPending1 | strongReset | soft | doubtful
	i &= 1
	s, p := &c.half[i], &c.half[1-i]
	if flags&(SYN|RST|ACK) != ACK || window == 0 || c.doubt != 0 || c.bits&doubts != 0 || c.state < SynReceived || c.state > ClosingTCP ||
		s.bits&(required|excluded) != required || p.bits&(required|excluded) != required || s.lag|p.lag != 0 ||
		seq != s.number(s.end) || options > OptTimestamps|OptSACKPermitted || c.state == SynReceived && !p.has(hasACK) {
		return false
	}
	ahead := int64(int32(ack - p.number(p.end)))
	if ahead > 0 || p.end+ahead < 0 || s.has(hasACK) && int32(ack-s.ack) < 0 ||
		flags&FIN != 0 && (s.has(finAccepted) || int32(c.edge[1-i]-seq) < 0) {
		return false
	}
	if s.bits&hasTimestamps != 0 && options&OptTimestamps != 0 { // see timely
		newer := int32(timestamp - s.recent)
		if newer < -1 {
			return false
		}
		if newer > 0 && int32(p.ack-seq) >= 0 {
			s.recent = timestamp
		}
	}
	s.ack = ack
	s.flags |= flags
	c.edge[i] = later(c.edge[i], ack+uint32(window)<<s.shift())
	s.bits |= seen | hasACK
	if flags&FIN != 0 {
		s.end++
		s.bits |= finAccepted
	}
	if c.state == SynReceived {
		c.state = Established
		c.bits |= wasEstablished
	}
	if (s.bits|p.bits)&finAccepted != 0 {
		c.updateClosing()
	}
	return true
}

// TurnSYN is Turn for the SYN that begins a connection, and its answer.
func (c *Conn) TurnSYN(i Side, g *Segment) bool {
	if (c.half[0].bits|c.half[1].bits)&slowPath != 0 {
		return false
	}
	return c.stepSYN(i&1, g) || c.stepSYNACK(i&1, g)
}

// Bits of Conn.FINs, for the initiator; those of the responder are the next ones.
const (
	FINAccepted  = 1 << (2 * iota) // the side has sent a FIN
	FINConfirmed                   // see Conn.FINConfirmed
)

// FINs says of both sides what became of their FINs.
func (c *Conn) FINs() (fins uint8) {
	if !c.AnyFIN() {
		return 0
	}
	a, b := &c.half[0], &c.half[1]
	if a.has(finAccepted) {
		fins |= FINAccepted
		if a.finAcked(b) || !c.visible(Responder) {
			fins |= FINConfirmed
		}
	}
	if b.has(finAccepted) {
		fins |= FINAccepted << Responder
		if b.finAcked(a) || !c.visible(Initiator) {
			fins |= FINConfirmed << Responder
		}
	}
	return fins
}

// Reached is the position behind all that side i has sent, a FIN included.
func (c *Conn) Reached(i Side) int64 { return c.half[i&1].end }
