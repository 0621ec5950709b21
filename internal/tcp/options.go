package tcp

// Options of the two SYNs decide how a receiver judges the options of the segments that follow. Where
// the handshake was not captured no option is known, and none is judged.

// settleTimestamps takes timestamps back that only one SYN has, once both were seen: then no segment has
// them (RFC 7323 section 3.2).
func (c *Conn) settleTimestamps() {
	a, b := &c.half[0], &c.half[1]
	if a.bits&b.bits&synSeen != 0 && a.bits&b.bits&hasTimestamps == 0 {
		a.bits &^= hasTimestamps
		b.bits &^= hasTimestamps
	}
}

// timely reports whether a receiver takes a segment of side i with these options, and keeps its
// timestamp. A timestamp older than the newest one taken makes it a duplicate of long ago (RFC 7323
// section 5.3; Linux forgives a difference of 1). A signature counts only if both SYNs had one, or none
// (RFC 2385, RFC 5925): the keys cannot be seen.
//
// The timestamp to compare with is that of a segment that begins at or below what the peer has
// acknowledged (RFC 7323 section 4.3).
func (c *Conn) timely(i Side, seq uint32, options uint8, timestamp uint32) bool {
	s, p := &c.half[i], &c.half[1-i]
	if options&OptBadLength != 0 || s.has(synSeen) && c.visible(1-i) && s.has(signed) != (options&signatures != 0) {
		return false
	}
	if !s.has(hasTimestamps) || !p.has(synSeen) || !s.has(synSeen) || options&OptTimestamps == 0 {
		return true
	}
	newer := int32(timestamp - s.recent)
	if newer < -1 {
		return false
	}
	if newer > 0 && int32(p.ack-seq) >= 0 {
		s.recent = timestamp
	}
	return true
}
