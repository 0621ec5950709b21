package decode

import "encoding/binary"

// IP protocol numbers of headers that another one follows.
const (
	protoHopByHop = 0
	protoRouting  = 43
	protoFragment = 44
	protoAH       = 51
	protoOptions  = 60
	protoMobility = 135
	protoHIP      = 139
	protoShim6    = 140
)

// maxExtensions ends a chain that leads nowhere: RFC 8200 section 4.1 knows of seven headers.
const maxExtensions = 16

// isExtension reports whether an IPv6 header of this number says what follows it. ESP (50) does
// not, and nothing follows 59.
func isExtension(proto uint8) bool {
	switch proto {
	case protoHopByHop, protoRouting, protoFragment, protoAH, protoOptions, protoMobility, protoHIP, protoShim6:
		return true
	}
	return false
}

// extensions walks the headers between the IP header and the transport; IPv4 has the authentication
// header alone. All have the next number in their first byte; the second is the length, in units of
// its own, but for the fragment header, which has none (RFC 8200 section 4, RFC 4302 section 2.2).
//
// Order is not checked: RFC 8200 section 4.1 asks receivers to take any, and hosts do.
func extensions(p *Packet, proto uint8, b []byte, cut int, v6 bool) (uint8, []byte, int, Status) {
	fragments := p.Fragmented
	for n := 0; proto == protoAH || v6 && isExtension(proto); n++ {
		if n == maxExtensions {
			return 0, nil, 0, TooManyExtensions
		}
		if len(b) < 8 {
			return 0, nil, 0, TruncatedExtension
		}
		size := (int(b[1]) + 1) * 8
		switch proto {
		case protoAH:
			if size = (int(b[1]) + 2) * 4; size < 12 {
				return 0, nil, 0, BadAuthHeader
			}
		case protoFragment:
			size = 8
		}
		if size > len(b) {
			return 0, nil, 0, TruncatedExtension
		}
		h := b[:size]
		b = b[size:]
		if proto != protoFragment {
			if proto == protoRouting && h[3] != 0 || proto == protoOptions && homeAddress(h) {
				p.before = rerouted
			}
			proto = h[0]
			p.Proto = proto
			continue
		}
		if fragments {
			return 0, nil, 0, NestedFragment
		}
		fragments = true
		proto = h[0]
		p.Proto = proto
		// An atomic fragment, the only one of its packet, is a packet like any other (RFC 6946).
		if place := binary.BigEndian.Uint16(h[2:]); place&0xfff9 != 0 {
			status := fragment(p, proto, binary.BigEndian.Uint32(h[4:]), place&0xfff8, place&1 != 0, b, cut)
			if status != OK {
				return 0, nil, 0, status
			}
		}
	}
	return proto, b, cut, OK
}

// homeAddress reports whether destination options hold the home address of a mobile node, which
// then is the source as far as the transport is concerned (RFC 6275 section 6.3). Option 0 is one
// byte, all others have a length.
func homeAddress(h []byte) bool {
	const home = 201
	for o := h[2:]; len(o) >= 2; {
		switch {
		case o[0] == 0:
			o = o[1:]
			continue
		case o[0] == home:
			return true
		}
		o = o[min(2+int(o[1]), len(o)):]
	}
	return false
}
