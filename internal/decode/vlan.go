package decode

import "encoding/binary"

const maxVLANs = 4

// isVLAN reports whether a tag follows: 802.1Q, 802.1ad, and the two numbers that were in use for
// stacked tags before 802.1ad had its own.
func isVLAN(etherType uint16) bool {
	switch etherType {
	case 0x8100, 0x88a8, 0x9100, 0x9200:
		return true
	}
	return false
}

// vlan reads what follows the tag's type: priority and id, and what comes next.
func vlan(p *Packet, b []byte) (uint16, []byte, Status) {
	if p.VLANs == maxVLANs {
		return 0, nil, TooManyVLANs
	}
	if len(b) < 4 {
		return 0, nil, TruncatedVLAN
	}
	if p.VLANs == 0 {
		p.VLAN = binary.BigEndian.Uint16(b) & 0x0fff
	}
	p.VLANs++
	return binary.BigEndian.Uint16(b[2:]), b[4:], OK
}
