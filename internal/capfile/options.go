package capfile

// Option codes of pcapng that change what a packet is; all others are skipped.
const (
	optEnd = 0

	optPacketFlags = 2 // of packet blocks: bits 5 to 8 are the FCS length in octets

	optTimeResolution = 9  // of interfaces: 1 octet, see clock
	optFCSLength      = 13 // of interfaces: 1 octet
	optTimeOffset     = 14 // of interfaces: 8 octets, seconds
)

// options walks an option list of pcapng (draft-ietf-opsawg-pcapng, "Options"):
//
//	| code 2 | length 2 | value, padded to 4 | code | length | ... | 0 | 0 |
//
// The closing pair of zeros may be missing. A value may be empty, or shorter or
// longer than its code demands; the caller looks at its length.
type options struct {
	order order
	rest  []byte
	bad   bool // an option reached beyond the list, which ended the walk
}

// next returns the next option; ok is false behind the last one.
func (o *options) next() (code uint16, value []byte, ok bool) {
	if len(o.rest) < 4 {
		return 0, nil, false
	}
	code = o.order.u16(o.rest)
	if code == optEnd {
		return 0, nil, false
	}
	n := int(o.order.u16(o.rest[2:]))
	rest := o.rest[4:]
	if n > len(rest) {
		o.bad = true
		return 0, nil, false
	}
	// The last value may lack its padding.
	o.rest = rest[min(padded(n), len(rest)):]
	return code, rest[:n], true
}

// padded is n rounded up to a multiple of four.
func padded(n int) int { return (n + 3) &^ 3 }
