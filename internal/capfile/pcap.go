package capfile

import (
	"encoding/binary"
	"fmt"
	"io"
)

// A classic pcap file (draft-ietf-opsawg-pcap), all fields in one byte order:
//
//	file header, 24 bytes               record header, 16 bytes
//	 0 magic                             0 seconds
//	 4 major, 6 minor version            4 micro- or nanoseconds
//	 8 time zone, always 0               8 captured length
//	12 precision, always 0              12 length on the wire
//	16 snap length                      (16 interface, protocol and type:
//	20 link type word                       8 bytes in long records only)
//
// The snap length is not looked at: writers exist that leave it 0, or that
// write longer records than it allows.
const (
	pcapHeader     = 24
	pcapRecord     = 16
	pcapLongRecord = 24

	magicMicro = 0xa1b2c3d4
	magicNano  = 0xa1b23c4d
	magicLong  = 0xa1b2cd34 // the record header of Alexey Kuznetzov's libpcap

	// The link type word. The bits between the two parts are reserved.
	linkFCSValid = 1 << 26 // bits 28 to 31 hold the FCS length in 16-bit words
	linkFCSShift = 28
)

// pcapKind is what the magic number of a pcap file tells.
type pcapKind struct {
	order  order
	header int    // bytes of a record header
	unit   uint64 // nanoseconds in one unit of the sub-second field
}

// pcapMagic reads a magic number of four bytes; ok is false for a foreign one.
func pcapMagic(b []byte) (k pcapKind, ok bool) {
	magic := binary.LittleEndian.Uint32(b)
	if b[0] == magicMicro>>24 {
		k.order = bigEndian
		magic = binary.BigEndian.Uint32(b)
	}
	switch magic {
	case magicMicro:
		k.header, k.unit = pcapRecord, 1000
	case magicNano:
		k.header, k.unit = pcapRecord, 1
	case magicLong:
		k.header, k.unit = pcapLongRecord, 1000
	default:
		return k, false
	}
	return k, true
}

// pcapFile is a classic pcap file behind its header.
type pcapFile struct {
	pcapKind
	link uint16
	fcs  uint8
}

// open reads the file header.
func (f *pcapFile) open(s *source, kind pcapKind) error {
	h := s.peek(pcapHeader)
	if len(h) < pcapHeader {
		return s.ended(0, "pcap file header")
	}
	f.pcapKind = kind
	if major := f.order.u16(h[4:]); major != 2 {
		return &Error{Err: ErrFormat, Detail: fmt.Sprintf("pcap version %d.%d", major, f.order.u16(h[6:]))}
	}
	word := f.order.u32(h[20:])
	f.link = uint16(word)
	if n := word >> linkFCSShift * 2; word&linkFCSValid != 0 && n <= fcsLimit {
		f.fcs = uint8(n)
	}
	s.take(pcapHeader)
	return nil
}

// next reads one record. The sums below cannot overflow: 2^32 seconds and as
// many microseconds are less than 2^62 nanoseconds, and a sub-second part of
// more than a second simply carries.
func (f *pcapFile) next(s *source, p *Packet) error {
	h := s.peek(f.header)
	if len(h) < f.header {
		if s.atEnd() {
			return io.EOF
		}
		return s.ended(s.offset, "record header")
	}
	sec, sub := f.order.u32(h), f.order.u32(h[4:])
	captured, wire := f.order.u32(h[8:]), f.order.u32(h[12:])
	if claim := int64(f.header) + int64(captured); claim > MaxRecord {
		return s.tooLong(s.offset, "record", claim)
	}
	size := f.header + int(captured)
	rec := s.peek(size)
	if len(rec) < size {
		return s.ended(s.offset, "record")
	}
	s.take(size)
	p.frame(rec[f.header:], wire, f.fcs)
	p.Time = int64(uint64(sec)*1e9 + uint64(sub)*f.unit)
	p.Link = f.link
	p.Interface = 0
	return nil
}
