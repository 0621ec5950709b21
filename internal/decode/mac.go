package decode

import "encoding/binary"

// MACs reads the Ethernet addresses of a frame, as 48-bit numbers in the order of the wire. It
// looks at nothing behind them, so it answers for frames that Decode refuses, too. Other links have
// no two addresses: NoMACs.
func MACs(frame []byte, link Link) (dst, src uint64, status Status) {
	if link > LinkEthernet {
		return 0, 0, NoMACs
	}
	if len(frame) < ethernetHeader {
		return 0, 0, TruncatedEthernet
	}
	return binary.BigEndian.Uint64(frame) >> 16, binary.BigEndian.Uint64(frame[6:]) >> 16, OK
}
