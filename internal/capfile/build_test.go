package capfile

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
)

// byteOrder is what the builders below need of a byte order.
type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

var (
	le byteOrder = binary.LittleEndian
	be byteOrder = binary.BigEndian
)

// pcapHead is a pcap file header with the given magic number and link type word.
func pcapHead(o byteOrder, magic, link uint32) []byte {
	b := o.AppendUint32(nil, magic)
	b = o.AppendUint16(b, 2)
	b = o.AppendUint16(b, 4)
	b = o.AppendUint64(b, 0)
	b = o.AppendUint32(b, 65535)
	return o.AppendUint32(b, link)
}

// pcapRec is a pcap record with the data, and the lengths, as given.
func pcapRec(o byteOrder, sec, sub, captured, wire uint32, data []byte) []byte {
	b := o.AppendUint32(nil, sec)
	b = o.AppendUint32(b, sub)
	b = o.AppendUint32(b, captured)
	b = o.AppendUint32(b, wire)
	return append(b, data...)
}

// ngBlock is a pcapng block; the body is padded to four bytes.
func ngBlock(o byteOrder, kind uint32, body ...[]byte) []byte {
	all := pad(bytes.Join(body, nil))
	b := o.AppendUint32(nil, kind)
	b = o.AppendUint32(b, uint32(len(all)+12))
	b = append(b, all...)
	return o.AppendUint32(b, uint32(len(all)+12))
}

func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func ngSection(o byteOrder, length int64, opts ...[]byte) []byte {
	b := o.AppendUint32(nil, 0x1a2b3c4d)
	b = o.AppendUint16(b, 1)
	b = o.AppendUint16(b, 0)
	b = o.AppendUint64(b, uint64(length))
	return ngBlock(o, 0x0a0d0d0a, append([][]byte{b}, opts...)...)
}

func ngInterface(o byteOrder, link uint16, snap uint32, opts ...[]byte) []byte {
	b := o.AppendUint16(nil, link)
	b = o.AppendUint16(b, 0)
	b = o.AppendUint32(b, snap)
	return ngBlock(o, 1, append([][]byte{b}, opts...)...)
}

func ngOption(o byteOrder, code uint16, value []byte) []byte {
	b := o.AppendUint16(nil, code)
	b = o.AppendUint16(b, uint16(len(value)))
	return pad(append(b, value...))
}

func ngEnhanced(o byteOrder, ifc uint32, ts uint64, wire uint32, data []byte, opts ...[]byte) []byte {
	b := o.AppendUint32(nil, ifc)
	b = o.AppendUint32(b, uint32(ts>>32))
	b = o.AppendUint32(b, uint32(ts))
	b = o.AppendUint32(b, uint32(len(data)))
	b = o.AppendUint32(b, wire)
	b = pad(append(b, data...))
	return ngBlock(o, 6, append([][]byte{b}, opts...)...)
}

func ngOld(o byteOrder, ifc, drops uint16, ts uint64, wire uint32, data []byte) []byte {
	b := o.AppendUint16(nil, ifc)
	b = o.AppendUint16(b, drops)
	b = o.AppendUint32(b, uint32(ts>>32))
	b = o.AppendUint32(b, uint32(ts))
	b = o.AppendUint32(b, uint32(len(data)))
	b = o.AppendUint32(b, wire)
	return ngBlock(o, 2, append(b, data...))
}

func ngSimple(o byteOrder, wire uint32, data []byte) []byte {
	return ngBlock(o, 3, append(o.AppendUint32(nil, wire), data...))
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// zip is a gzip stream with one member for each part.
func zip(parts ...[]byte) []byte {
	var b bytes.Buffer
	for _, p := range parts {
		z := gzip.NewWriter(&b)
		if _, err := z.Write(p); err != nil {
			panic(err)
		}
		if err := z.Close(); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

// payload is n bytes that differ from their neighbours, and from zero padding.
func payload(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + n + 1)
	}
	return b
}

// readAll reads to the end and copies every packet. The error is nil at a clean
// end.
func readAll(r io.Reader) ([]Packet, error) {
	var got []Packet
	rd := NewReader(r)
	for {
		p := Packet{Data: []byte("stale"), Time: -1, WireLen: -1, Link: 0xdead, Interface: -1}
		err := rd.Next(&p)
		if err == io.EOF {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		q := p
		q.Data = bytes.Clone(p.Data)
		got = append(got, q)
	}
}

// verdict is the kind of an error and the place it names.
type verdict struct {
	kind   error // nil, ErrFormat, ErrTruncated, ErrCorrupt, or what else it was
	offset int64
}

func verdictOf(err error) verdict {
	if err == nil {
		return verdict{}
	}
	var e *Error
	if !errors.As(err, &e) {
		return verdict{kind: err, offset: -1}
	}
	for _, kind := range []error{ErrFormat, ErrTruncated, ErrCorrupt} {
		if errors.Is(err, kind) {
			return verdict{kind, e.Offset}
		}
	}
	return verdict{e.Err, e.Offset}
}

// sample is a capture file with the offsets at which it may end cleanly.
type sample struct {
	name  string
	data  []byte
	clean []int // ends of the file header, records and blocks
	ends  []int // ends of packets alone
}

// samples are small files of every format, order and block kind.
func samples() []sample {
	var all []sample
	for _, v := range []struct {
		name  string
		o     byteOrder
		magic uint32
		extra int
	}{
		{"pcap micro little", le, magicMicro, 0},
		{"pcap micro big", be, magicMicro, 0},
		{"pcap nano little", le, magicNano, 0},
		{"pcap nano big", be, magicNano, 0},
		{"pcap long little", le, magicLong, 8},
		{"pcap long big", be, magicLong, 8},
	} {
		s := sample{name: v.name, data: pcapHead(v.o, v.magic, 276)}
		s.clean = []int{len(s.data)}
		for i, n := range []int{60, 0, 1, 130} {
			data := append(make([]byte, v.extra), payload(n)...)
			s.data = append(s.data, pcapRec(v.o, 1700000000, uint32(i), uint32(n), uint32(n+i), data)...)
			s.clean = append(s.clean, len(s.data))
			s.ends = append(s.ends, len(s.data))
		}
		all = append(all, s)
	}
	for _, v := range []struct {
		name string
		o    [2]byteOrder
	}{
		{"pcapng little", [2]byteOrder{le, le}},
		{"pcapng big", [2]byteOrder{be, be}},
		{"pcapng little, then big", [2]byteOrder{le, be}},
	} {
		s := sample{name: v.name}
		block := func(b []byte, packet bool) {
			s.data = append(s.data, b...)
			s.clean = append(s.clean, len(s.data))
			if packet {
				s.ends = append(s.ends, len(s.data))
			}
		}
		for _, o := range v.o {
			block(ngSection(o, -1, ngOption(o, 4, []byte("made by hand"))), false)
			block(ngInterface(o, 276, 40, ngOption(o, 9, []byte{0x94}), ngOption(o, 0, nil)), false)
			block(ngInterface(o, 1, 0, ngOption(o, 14, o.AppendUint64(nil, 1e9))), false)
			block(ngEnhanced(o, 0, 1<<52, 60, payload(33), ngOption(o, 1, []byte("note"))), true)
			block(ngBlock(o, 0xbad, payload(50)), false)
			block(ngSimple(o, 99, payload(40)), true)
			block(ngOld(o, 1, 3, 1e15, 12, payload(12)), true)
			block(ngEnhanced(o, 1, 0, 0, nil), true)
			block(ngBlock(o, 5, payload(20)), false)
		}
		all = append(all, s)
	}
	return all
}
