// Package decode reads the headers of one captured frame, once, from the link header to the
// transport.
//
//	frame  | dst MAC src MAC 0800 | 45 .. len .. 06 .. src dst | ports seq ack 5. flags .. | GET / | 00 00
//	       '------- link --------'-------- network -----------'------- transport --------'payload' padding
//	Packet   VLAN, VLANs            Src Dst Family Proto         SrcPort Seq Flags ...       Payload
//
// Numbers are copied out; bytes are not: Payload is a sub-slice of the frame, and lives as long as
// the frame. A tunnel carries a packet inside a packet. With a Peeler, what is read is the
// innermost one, whatever it came in:
//
//	frame  | Ethernet | IP | UDP 4789 | VXLAN 77 | Ethernet | IP | TCP | GET / |
//	Packet                              Tunnel                Src  Seq  Payload
//
// A frame that cannot be read is no error but a Status, a small number with a name, so that
// refusals can be counted. Nothing is allocated, kept or remembered from frame to frame, and every
// input has an answer.
//
// A frame may hold less than its packet, since captures cut (the snap length). What the headers
// promise and the frame does not hold is a number, Missing, and no reason to refuse, as long as the
// headers themselves are there. A frame may hold more, too: padding up to the least Ethernet frame.
// It is never payload.
//
// This package verifies checksums only when Checksum is called, does not reassemble fragments (it
// says where each belongs, and reads the result), and does not know what a flow is.
package decode

import "encoding/binary"

// Decode reads one frame into p. The frame is borrowed: p.Payload and p.Fragment are parts of it
// afterwards. wireLen is the frame's length before the capture cut it; 0, or anything below
// len(frame), stands for len(frame).
//
// With OK everything in p holds. FragmentLater is the one other answer with addresses and a
// Payload. After any other status p holds the headers before the one that was refused; Family is 0
// if no address was read.
//
// VLAN tags are peeled off, and nothing else: what is in a tunnel is the tunnel's payload.
func Decode(p *Packet, frame []byte, link Link, wireLen int) Status {
	return DecodeWith(p, frame, link, wireLen, nil)
}

// DecodeWith is Decode for the innermost packet that can be read, going through whatever w says may
// be peeled off. A nil w peels nothing.
//
// A tunnel over IP is believed if what it carries can be read up to an IP header: else the packet
// is one of the outer addresses and ports, as if w were nil. If what is wrong lies behind the inner
// IP header, or there are too many tunnels, one within another, the status says so, and is that of
// the inner packet.
func DecodeWith(p *Packet, frame []byte, link Link, wireLen int, w *Peeler) Status {
	*p = Packet{}
	cut := 0
	if wireLen > len(frame) {
		cut = wireLen - len(frame)
	}
	var next uint16
	b := frame[:len(frame):len(frame)] // so that the capacity of a part is its distance from the end
	if link <= LinkEthernet {
		if len(b) < ethernetHeader {
			return TruncatedEthernet
		}
		next, b = binary.BigEndian.Uint16(b[12:]), b[ethernetHeader:]
	} else {
		var status Status
		if next, b, cut, status = linkHeader(b, cut, link); status != OK {
			return status
		}
		p.underLength = link == LinkPPPoE
	}
	// From header to header: next says what b begins with. Whatever carries a packet inside another
	// without an IP header of its own sets next and b and goes round; nothing in this package calls
	// itself. What b stands for is len(b) bytes in the frame and cut more on the wire, here and in
	// every function that has the two.
	for {
		var proto uint8
		var status Status
		switch next {
		case typeIPv4:
			proto, b, cut, status = ipv4(p, b, cut)
		case typeIPv6:
			proto, b, cut, status = ipv6(p, b, cut)
		default:
			if isVLAN(next) {
				next, b, status = vlan(p, b)
			} else {
				next, b, cut, status = shim(p, next, b, cut, w)
			}
			if status == OK {
				continue
			}
		}
		if status != OK {
			return status
		}
		if proto == protoTCP {
			return tcp(p, b, cut) // nearly always: as transport would, one call less
		}
		if status = transport(p, proto, b, cut); w != nil && status == OK && w.mayHoldTunnel(p) {
			return w.readInnermost(p)
		}
		return status
	}
}
