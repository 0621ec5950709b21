package capfile

import (
	"encoding/binary"
	"fmt"
	"io"
)

// A pcapng file (draft-ietf-opsawg-pcapng) is a row of blocks, all built alike:
//
//	| type 4 | length 4 | body ... | length 4 |     length counts all of it
//
// A section header block sets the byte order and begins numbering interfaces
// anew; interface blocks follow and say what the times and link types of their
// packets mean. The length of a section is not looked at: the next section
// header ends it, and the length is often left open (-1).
const (
	blockSection   = 0x0a0d0d0a // reads the same in both byte orders
	blockInterface = 1
	blockOldPacket = 2
	blockSimple    = 3
	blockEnhanced  = 6

	byteOrderMagic = 0x1a2b3c4d

	blockOverhead  = 12 // type and both lengths
	sectionMinimum = blockOverhead + 16

	// maxInterfaces bounds the list of interfaces in one section. Packet
	// blocks of the old kind cannot name more.
	maxInterfaces = 1 << 16
)

// isPcapng says whether a stream that begins with these four bytes is pcapng.
func isPcapng(b []byte) bool { return binary.LittleEndian.Uint32(b) == blockSection }

// pcapngInterface is what an interface block says about its packets.
type pcapngInterface struct {
	clock clock
	snap  uint32 // 0 is no limit
	link  uint16
	fcs   uint8
}

// pcapngFile is a pcapng file inside a section; the zero value stands before
// the first one.
type pcapngFile struct {
	order      order
	interfaces []pcapngInterface
	last       int64 // the time of the last packet of the section that has one
}

// next walks the blocks up to and including the next packet.
func (f *pcapngFile) next(s *source, p *Packet) error {
	for {
		at := s.offset
		h := s.peek(8)
		if len(h) < 8 {
			if s.atEnd() {
				return io.EOF
			}
			return s.ended(at, "block header")
		}
		var found bool
		var err error
		kind, size := f.order.u32(h), f.order.u32(h[4:])
		switch {
		case kind == blockSection: // its size waits for its byte order
			err = f.section(s, at)
		case size < blockOverhead:
			err = corrupt(at, "block of type %d claims %d bytes", kind, size)
		case kind == blockInterface, kind == blockOldPacket, kind == blockSimple, kind == blockEnhanced:
			found, err = f.block(s, at, kind, size, p)
		default:
			err = f.pass(s, at, size)
		}
		if found || err != nil {
			return err
		}
	}
}

// section reads a section header block and forgets the section before it.
func (f *pcapngFile) section(s *source, at int64) error {
	h := s.peek(sectionMinimum)
	if len(h) < sectionMinimum {
		return s.ended(at, "section header block")
	}
	switch {
	case littleEndian.u32(h[8:]) == byteOrderMagic:
		f.order = littleEndian
	case bigEndian.u32(h[8:]) == byteOrderMagic:
		f.order = bigEndian
	default:
		return corrupt(at, "byte order mark % x", h[8:12])
	}
	size := f.order.u32(h[4:])
	if size < sectionMinimum {
		return corrupt(at, "section header block claims %d bytes", size)
	}
	if major := f.order.u16(h[12:]); major != 1 {
		return &Error{Offset: at, Err: ErrFormat, Detail: fmt.Sprintf("pcapng version %d.%d", major, f.order.u16(h[14:]))}
	}
	f.interfaces, f.last = f.interfaces[:0], 0
	return f.pass(s, at, size)
}

// pass skips a block of which no more is wanted, however long.
func (f *pcapngFile) pass(s *source, at int64, size uint32) error {
	if !s.skip(int64(size) - 4) {
		return s.ended(at, "block")
	}
	tail := s.peek(4)
	if len(tail) < 4 {
		return s.ended(at, "block")
	}
	if again := f.order.u32(tail); again != size {
		return corrupt(at, "block length is %d before and %d behind", size, again)
	}
	s.take(4)
	return nil
}

// block reads a block that must be looked into as a whole, and says whether it
// held a packet.
func (f *pcapngFile) block(s *source, at int64, kind, size uint32, p *Packet) (found bool, err error) {
	if size > MaxRecord {
		return false, s.tooLong(at, "block", int64(size))
	}
	n := int(size)
	b := s.peek(n)
	if len(b) < n {
		return false, s.ended(at, "block")
	}
	if again := f.order.u32(b[n-4:]); again != size {
		return false, corrupt(at, "block length is %d before and %d behind", size, again)
	}
	s.take(n)
	body := b[8 : n-4]
	switch kind {
	case blockInterface:
		return false, f.addInterface(at, body)
	case blockSimple:
		return true, f.simple(at, body, p)
	}
	return true, f.packet(at, body, kind, p)
}

// addInterface reads the body of an interface block:
//
//	| link type 2 | reserved 2 | snap length 4 | options |
func (f *pcapngFile) addInterface(at int64, body []byte) error {
	if len(body) < 8 {
		return corrupt(at, "interface block has a body of %d bytes", len(body))
	}
	if len(f.interfaces) == maxInterfaces {
		return corrupt(at, "more than %d interfaces in a section", maxInterfaces)
	}
	ifc := pcapngInterface{link: f.order.u16(body), snap: f.order.u32(body[4:])}
	resol, offset := uint8(6), int64(0)
	opts := options{order: f.order, rest: body[8:]}
	for code, v, ok := opts.next(); ok; code, v, ok = opts.next() {
		switch {
		case code == optTimeResolution && len(v) == 1:
			resol = v[0]
		case code == optTimeOffset && len(v) == 8:
			offset = int64(f.order.u64(v))
		case code == optFCSLength && len(v) == 1:
			ifc.fcs = interfaceFCS(v[0])
		}
	}
	if opts.bad {
		// An option that cannot be found might have changed every time.
		return corrupt(at, "interface option reaches beyond its block")
	}
	ifc.clock = newClock(resol, offset)
	f.interfaces = append(f.interfaces, ifc)
	return nil
}

// interfaceFCS is an if_fcslen in octets. Its unit is octets, but older drafts
// said bits, and followers of both must be expected. No FCS has 8 octets or
// more, and none has 4 bits or less, so that the number tells which it is.
func interfaceFCS(n uint8) uint8 {
	switch {
	case n <= fcsLimit:
		return n
	case n <= fcsLimit*8 && n%8 == 0:
		return n / 8
	}
	return 0
}

// packet reads the body of an enhanced or an old packet block, which differ in
// the first word only:
//
//	| interface 4                  | time 8 | captured 4 | wire 4 | data, padded | options |
//	| interface 2 | dropped so far 2 | ... as above
func (f *pcapngFile) packet(at int64, body []byte, kind uint32, p *Packet) error {
	const fixed = 20
	if len(body) < fixed {
		return corrupt(at, "packet block has a body of %d bytes", len(body))
	}
	number := f.order.u32(body)
	if kind == blockOldPacket {
		number = uint32(f.order.u16(body))
	}
	if uint64(number) >= uint64(len(f.interfaces)) {
		return corrupt(at, "packet of interface %d, of which there are %d", number, len(f.interfaces))
	}
	ifc := &f.interfaces[number]
	captured, wire := f.order.u32(body[12:]), f.order.u32(body[16:])
	data := body[fixed:]
	if uint64(captured) > uint64(len(data)) {
		return corrupt(at, "packet of %d bytes in a block with room for %d", captured, len(data))
	}
	n := int(captured)
	fcs := ifc.fcs
	if padded(n) < len(data) {
		fcs = f.packetFCS(data[padded(n):], fcs)
	}
	p.frame(data[:n], wire, fcs)
	p.Time = ifc.clock.nanos(uint64(f.order.u32(body[4:]))<<32 | uint64(f.order.u32(body[8:])))
	f.last = p.Time
	p.Link = ifc.link
	p.Interface = int(number)
	return nil
}

// packetFCS looks for the FCS length in the options of a packet; without one,
// that of its interface holds. Damage in the list is no damage to the packet.
func (f *pcapngFile) packetFCS(list []byte, fcs uint8) uint8 {
	opts := options{order: f.order, rest: list}
	for code, v, ok := opts.next(); ok; code, v, ok = opts.next() {
		if code != optPacketFlags || len(v) != 4 {
			continue
		}
		if n := f.order.u32(v) >> 5 & 0xf; n != 0 && n <= fcsLimit {
			fcs = uint8(n)
		}
	}
	return fcs
}

// simple reads the body of a simple packet block, which always belongs to
// interface 0 and says only
//
//	| wire 4 | data, padded |
//
// so that the captured length must be worked out from the snap length. Its time
// is that of the packet before it.
func (f *pcapngFile) simple(at int64, body []byte, p *Packet) error {
	if len(body) < 4 {
		return corrupt(at, "packet block has a body of %d bytes", len(body))
	}
	if len(f.interfaces) == 0 {
		return corrupt(at, "packet of interface 0, of which there is none")
	}
	ifc := &f.interfaces[0]
	wire := f.order.u32(body)
	captured := wire
	if ifc.snap != 0 {
		captured = min(captured, ifc.snap)
	}
	data := body[4:]
	if uint64(captured) > uint64(len(data)) {
		return corrupt(at, "packet of %d bytes in a block with room for %d", captured, len(data))
	}
	p.frame(data[:captured], wire, ifc.fcs)
	p.Time = f.last
	p.Link = ifc.link
	p.Interface = 0
	return nil
}
