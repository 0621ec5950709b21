package decode

import "encoding/binary"

// monitor reads 802.11 frames, with what the capture put before them.
func monitor(b []byte, link Link) (uint16, []byte, Status) {
	padded := false
	var status Status
	switch link {
	case LinkRadiotap:
		b, padded, status = radiotap(b)
	case LinkPrism, LinkAVS:
		b, status = prism(b)
	}
	if status != OK {
		return 0, nil, status
	}
	return wifi(b, padded)
}

// wifi reads an 802.11 data frame (IEEE 802.11 section 9.2): three addresses, a fourth between two
// access points, two bytes for quality of service, four for high throughput control, and then LLC.
// Some devices pad the header to a multiple of 4.
//
//	| type, flags | duration | addresses | sequence | address 4 | QoS | HT | LLC
//
// Only whole unencrypted packets are read: what is encrypted has a status of its own, and
// fragments, several packets in one frame and frames that carry none are NotIP.
func wifi(b []byte, padded bool) (uint16, []byte, Status) {
	const (
		toDS, fromDS  = 0x01, 0x02
		moreFragments = 0x04
		protected     = 0x40
		order         = 0x80
		qos           = 0x80 // of the subtype
		noData        = 0x40 // of the subtype
		aggregate     = 0x80 // of the QoS field
	)
	if len(b) < 2 {
		return 0, nil, TruncatedWiFi
	}
	kind, flags := b[0], b[1]
	if kind&0x0f != 0x08 || kind&noData != 0 {
		return 0, nil, NotIP // version 0, type data, with data
	}
	size := 24
	if flags&(toDS|fromDS) == toDS|fromDS {
		size += 6
	}
	qosAt := size
	if kind&qos != 0 {
		size += 2
		if flags&order != 0 {
			size += 4
		}
	}
	if padded {
		size = (size + 3) &^ 3
	}
	if len(b) < size {
		return 0, nil, TruncatedWiFi
	}
	switch {
	case flags&protected != 0:
		return 0, nil, Encrypted
	case flags&moreFragments != 0, b[22]&0x0f != 0, kind&qos != 0 && b[qosAt]&aggregate != 0:
		return 0, nil, NotIP
	}
	return llc(b[size:])
}

// radiotap skips a radiotap header: version 0, its length, and a bit for each field that is there,
// in words of which the highest bit announces another. Of the fields only the flags matter: they
// say whether the 802.11 header is padded. The time stamp alone may stand before them.
func radiotap(b []byte) (rest []byte, padded bool, status Status) {
	if len(b) < 8 {
		return nil, false, TruncatedMonitor
	}
	size := int(binary.LittleEndian.Uint16(b[2:]))
	if b[0] != 0 || size < 8 {
		return nil, false, NotIP
	}
	if len(b) < size {
		return nil, false, TruncatedMonitor
	}
	h, rest := b[:size], b[size:]
	present := binary.LittleEndian.Uint32(h[4:])
	at := 8
	for word := present; word>>31 == 1; at += 4 {
		if len(h) < at+4 {
			return nil, false, NotIP
		}
		word = binary.LittleEndian.Uint32(h[at:])
	}
	const stamp, flags, padding = 1, 2, 0x20
	if present&stamp != 0 {
		at = (at+7)&^7 + 8
	}
	return rest, present&flags != 0 && at < len(h) && h[at]&padding != 0, OK
}

// prism skips the headers that older drivers write: a Prism one has a number, and its length in the
// machine's byte order; an AVS one has a number of its own, and its length in network order.
func prism(b []byte) ([]byte, Status) {
	if len(b) < 8 {
		return nil, TruncatedMonitor
	}
	size := binary.BigEndian.Uint32(b[4:])
	if size > 0xffff {
		size = binary.LittleEndian.Uint32(b[4:])
	}
	if size < 8 || size > 0xffff {
		return nil, NotIP
	}
	if len(b) < int(size) {
		return nil, TruncatedMonitor
	}
	return b[size:], OK
}
