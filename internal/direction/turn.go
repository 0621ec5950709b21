package direction

import "github.com/flowscope-go/flowscope/internal/tcp"

// A turn is a segment without payload with which a connection opens or closes: a SYN, its answer, a FIN, the ACK of one. Where
// nothing is held and nothing in doubt, it changes a few bits of both directions.

// IsTurn reports whether a segment may be one for Turn: without payload, and the connection took all of it, without a doubt.
func IsTurn(c *tcp.Conn, g *tcp.Segment, o *tcp.Outcome) bool {
	return g.Len == 0 && g.Flags&tcp.RST == 0 && o.Placed && o.Notes&^tcp.ZeroWindow == 0 && !c.InDoubt()
}

// Turn does what Segment, Close and Settle would do with such a segment, if nothing is held and no timer runs. It reports
// whether it did, and the directions that are complete, a bit for each; that of the sender is the first to be dealt
// with (ConfirmClosed).
func (f *Streams) Turn(p *Pair, c *tcp.Conn, side tcp.Side, flags uint8, now int64) (complete uint8, ok bool) {
	side &= 1
	d, other := &p[side], &p[side^1]
	if flags&(tcp.SYN|tcp.FIN) == 0 && d.bits&fastPathOn != 0 {
		return 0, true
	}
	const quiet = synPassed | finPending | closed | fastPathOn
	if !f.fastPaths || (d.bits|other.bits)&^quiet != 0 || d.InUse() || other.InUse() ||
		d.acked > d.stream.Next() || other.acked > other.stream.Next() {
		return 0, false
	}
	fins := c.FINs()
	if flags&tcp.FIN != 0 && (fins>>side&tcp.FINAccepted == 0 || c.Reached(side) > max(d.stream.Next(), 1)) {
		return 0, false // it does not count yet, or there is a hole before it
	}
	if flags&(tcp.SYN|tcp.FIN) != 0 && d.bits&closed == 0 {
		d.passSYN()
	}
	if other.bits&finPending != 0 && flags&tcp.ACK != 0 {
		if pos, ok := c.AckedTo(side ^ 1); ok {
			other.Acknowledge(pos+1, now)
		}
	}
	if fins != 0 {
		complete = d.endTurn(c, side, fins>>side) | other.endTurn(c, side^1, fins>>(side^1))
	}
	// As updateFastPath, once the complete ones are closed.
	d.bits, other.bits = d.bits&^fastPathOn, other.bits&^fastPathOn
	if d.bits == synPassed && other.bits&finPending == 0 && complete>>side&1 == 0 {
		d.bits |= fastPathOn
	}
	if other.bits == synPassed && d.bits&finPending == 0 && complete>>(side^1)&1 == 0 {
		other.bits |= fastPathOn
	}
	return complete, true
}

// endTurn is complete for Turn. fins are those of the side, see Conn.FINs.
func (d *Direction) endTurn(c *tcp.Conn, side tcp.Side, fins uint8) uint8 {
	if d.bits&closed != 0 {
		return 0
	}
	d.bits &^= finPending
	switch {
	case fins&tcp.FINAccepted == 0:
	case fins&tcp.FINConfirmed != 0 && d.stream.Next() == c.Reached(side):
		return 1 << side
	default:
		d.bits |= finPending
	}
	return 0
}
