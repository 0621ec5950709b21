package decode

// etherIP reads the two bytes before an Ethernet frame in IP: version 3, and zeros (RFC 3378
// section 3, which does not tell receivers to ignore anything else there).
func etherIP(b []byte, cut int) inner {
	if len(b) < 2 || b[0] != 0x30 || b[1] != 0 {
		return inner{}
	}
	return inner{kind: EtherIP, cut: cut}.frame(b[2:])
}
