package tls

import (
	"github.com/flowscope-go/flowscope"
)

// Missing bytes.

// Gap takes a gap. If it lies inside a message that is passed over, or at least inside one record, the
// place of the next message or record is known without a search.
func (p *parser) Gap(side flowscope.FlowSide, _, n int64, now flowscope.Timestamp, out *flowscope.Messages) {
	p.time = now
	d := &p.sides[side]
	switch d.mode {
	case modeDone:
		return
	case modeTalk:
		p.gapInTalk(side, n, out)
		return
	}
	if d.mode == modeRecords && n <= int64(d.left) {
		d.left -= int(n)
		if !p.gapInRecord(d, int(n)) {
			d.gapped = true
			p.lost(LostGap, n, out)
		}
		return
	}
	d.gapped = true
	p.lost(LostGap, n, out)
	p.beginHunt(d, out)
}

// gapInRecord passes over n bytes of a record, and reports whether nothing is lost by that.
func (p *parser) gapInRecord(d *direction, n int) bool {
	if d.typ != recordHandshake {
		d.alertLen = 2 // an alert with a gap is none
		d.alert = [2]byte{}
		return d.typ != recordAlert
	}
	switch {
	case d.mute:
		return true
	case n <= d.skip:
		d.skip -= n
		return true
	case d.need > 0 && n <= d.need-len(d.message.b):
		d.skip = d.need - len(d.message.b) - n
		d.need, d.message.b = 0, d.message.b[:0]
	default:
		d.forgetMessage()
		d.deaf, d.mute = true, true
	}
	return false
}

func (d *direction) forgetMessage() {
	d.need, d.skip, d.headerLen, d.message.b = 0, 0, 0, d.message.b[:0]
}

// beginHunt looks for a record from here on.
func (p *parser) beginHunt(d *direction, out *flowscope.Messages) {
	d.carry.Drop(out)
	d.forgetMessage()
	d.mode, d.edge, d.deaf, d.left, d.headLen = modeHunt, true, true, 0, 0
}

// hunt looks for a record behind a gap. Right behind it, where packets and so often records begin,
// the header of any record will do.
func (p *parser) hunt(side flowscope.FlowSide, b []byte, out *flowscope.Messages) (rest []byte, more bool) {
	d := &p.sides[side]
	for ; len(b) > 0; b = b[1:] {
		v := strongRecord(b)
		if d.edge {
			v = headerVerdict(b)
		}
		switch v {
		case flowscope.VerdictYes:
			d.edge, d.mode = false, modeRecords
			return b, true
		case flowscope.VerdictMaybe:
			return b, false
		}
		d.edge = false
		if d.hunted++; d.hunted > defaultMaxHello {
			p.stop(side, out)
			return nil, false
		}
	}
	return nil, false
}
