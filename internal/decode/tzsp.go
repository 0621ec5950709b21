package decode

import "encoding/binary"

// tzsp reads what a sniffer puts before a frame that it sends on (TaZmen Sniffer Protocol): version 1,
// type 0 for a frame received and 1 for one to be sent, the kind of frame (Ethernet 1, 802.11 18), and
// fields up to one of kind 1. That one and padding, kind 0, have no length. Other types carry no
// frame. Port 37008 is not registered, and one that systems hand out: all of the header has to be
// right.
//
//	| 1 | type | kind | field, length, value ... | 0 | 1 | frame
func tzsp(b []byte, cut int) inner {
	if len(b) < 5 || b[0] != 1 || b[1] > 1 {
		return inner{}
	}
	const (
		ethernet  = 1
		ieee80211 = 18
		padding   = 0
		end       = 1
	)
	kind := binary.BigEndian.Uint16(b[2:])
	for b = b[4:]; ; {
		if len(b) == 0 {
			return inner{}
		}
		field := b[0]
		b = b[1:]
		if field == end {
			break
		}
		if field == padding {
			continue
		}
		if len(b) == 0 || len(b) <= int(b[0]) {
			return inner{}
		}
		b = b[1+int(b[0]):]
	}
	in := inner{kind: TZSP, cut: cut}
	switch kind {
	case ethernet:
		return in.frame(b)
	case ieee80211:
		next, b, status := wifi(b, false)
		if status != OK {
			return inner{}
		}
		in.next, in.b = next, b
		return in
	}
	return inner{}
}
