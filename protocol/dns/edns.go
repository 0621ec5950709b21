package dns

import (
	"encoding/binary"
	"iter"
	"net/netip"
)

// EDNS is the data of the OPT record of a message, RFC 6891 section 6.1.
type EDNS struct {
	// Size is the largest UDP payload that the sender takes.
	Size uint16
	// Version is 0 in all messages so far.
	Version uint8
	// DO: the sender wants DNSSEC's records (RFC 3225).
	DO bool
	// Flags are all 16 flags, DO the highest of them.
	Flags uint16

	extended uint8
	options  []byte
}

// EDNS is the data of the OPT record, if there is one.
func (m Message) EDNS() (e EDNS, ok bool) {
	if m.opt == 0 {
		return EDNS{}, false
	}
	r, next := m.record(int(m.opt))
	if next < 0 {
		return EDNS{}, false
	}
	return EDNS{
		Size: uint16(r.Class), extended: uint8(r.TTL >> 24), Version: uint8(r.TTL >> 16), Flags: uint16(r.TTL),
		DO: r.TTL&(1<<15) != 0, options: r.Data(),
	}, true
}

// Option is an option of EDNS.
type Option struct {
	Code uint16
	Data []byte
}

// Codes of options.
const (
	OptionNSID         = 3  // RFC 5001
	OptionClientSubnet = 8  // RFC 7871
	OptionCookie       = 10 // RFC 7873
	OptionKeepalive    = 11 // RFC 7828
	OptionPadding      = 12 // RFC 7830
	OptionError        = 15 // RFC 8914
)

// Options gives the options, up to the first that does not fit into the record.
func (e EDNS) Options() iter.Seq[Option] {
	return func(yield func(Option) bool) { e.each(yield) }
}

func (e EDNS) each(yield func(Option) bool) {
	for b := e.options; len(b) >= 4; {
		n := int(binary.BigEndian.Uint16(b[2:]))
		if n > len(b)-4 || !yield(Option{Code: binary.BigEndian.Uint16(b), Data: b[4 : 4+n : 4+n]}) {
			return
		}
		b = b[4+n:]
	}
}

// ClientSubnet is the network of the client on whose behalf a resolver asks, and how many bits of
// it the answer is good for (RFC 7871 section 6).
func (e EDNS) ClientSubnet() (network netip.Prefix, scope int, ok bool) {
	for o := range e.Options() {
		if o.Code != OptionClientSubnet || len(o.Data) < 4 {
			continue
		}
		var a [16]byte
		family, bits, address := binary.BigEndian.Uint16(o.Data), int(o.Data[2]), o.Data[4:]
		var addr netip.Addr
		switch {
		case family == 1 && len(address) <= 4:
			copy(a[:], address)
			addr = netip.AddrFrom4([4]byte(a[:4]))
		case family == 2 && len(address) <= 16:
			copy(a[:], address)
			addr = netip.AddrFrom16(a)
		default:
			return netip.Prefix{}, 0, false
		}
		network, err := addr.Prefix(bits)
		return network, int(o.Data[3]), err == nil
	}
	return netip.Prefix{}, 0, false
}
