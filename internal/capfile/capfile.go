// Package capfile turns a capture file into packet records, one at a time.
//
// It reads classic pcap (microseconds, nanoseconds, and the variant with a
// longer record header) and pcapng, in either byte order, plain or compressed
// with gzip. Which of these it has before it, it learns from the first bytes:
//
//	1f 8b ............ gzip; what is inside is judged again by its first bytes
//	a1 b2 c3 d4 ...... pcap, microseconds    \
//	a1 b2 3c 4d ...... pcap, nanoseconds      > or the four bytes reversed
//	a1 b2 cd 34 ...... pcap, long records    /
//	0a 0d 0d 0a ...... pcapng
//
// A file is believed to hold what arrives, never what it claims. A length field
// makes the reader wait for bytes, not set memory aside for them: the buffer
// doubles only when it is full of bytes of the record at hand, and stops at
// [MaxRecord]. Whatever is damaged, the packets before the damage come out
// whole, and then one [*Error] says what is wrong and where:
//
//	| file header | record | record | reco
//	                                ^
//	      two packets, then ErrTruncated with this Offset, for ever after
//
// The package does not write files, does not look inside packets, and does not
// wait for a file to grow: the first end of input is the end.
package capfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// MaxRecord is the most bytes that one packet may take in the file, with its
// header, padding and options: 16 MiB. It bounds the buffer of a [Reader]. The
// largest IP packets, of hosts that offload segmentation, stay below 1 MiB.
// Blocks that hold no packet are skipped as they stream by; only out of gzip is there a bound, of 256 MiB
// between two packets.
const MaxRecord = 16 << 20

// What can be wrong with a file. An [*Error] wraps one of them, or the error of
// the underlying reader.
var (
	// ErrFormat says that the input is no capture file: its first bytes are
	// unknown, it is shorter than a magic number (also: empty), or its version
	// is one whose layout is unknown.
	ErrFormat = errors.New("not a known capture file format")

	// ErrTruncated says that the file, or the gzip stream around it, ends
	// inside a header, record or block.
	ErrTruncated = errors.New("file ends early")

	// ErrCorrupt says that lengths or fields contradict each other, that a
	// record is longer than [MaxRecord], that the gzip stream is damaged, or
	// that it unpacks to 256 MiB without a packet among them. If it is damaged
	// the error of the decompressor is wrapped beside it.
	ErrCorrupt = errors.New("file is damaged")
)

// Error tells why no further packet comes, and where the reader stopped.
type Error struct {
	// Offset is the place in the file, after decompression, where the damaged
	// record, block or header begins, in bytes. Nothing before it is missing.
	Offset int64

	// Err is [ErrFormat], [ErrTruncated] or [ErrCorrupt], possibly wrapped
	// together with its cause, or the error of the underlying reader.
	Err error

	// Detail is a short explanation for people; it may be empty.
	Detail string
}

// Error says what is wrong, at which offset, and the detail.
func (e *Error) Error() string {
	s := fmt.Sprintf("capture file, offset %d: %v", e.Offset, e.Err)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Packet is one record of a capture file.
type Packet struct {
	// Data is what was captured. It is borrowed: it may be read and changed
	// until the next call of [Reader.Next], and not after. A frame check
	// sequence that the file declares (in the link type word of a pcap file, in
	// if_fcslen or in the flags of a packet block) is cut off, as far as it was
	// captured. An undeclared one stays: only the file could tell it from data.
	Data []byte

	// Time is in nanoseconds since the Unix epoch, rounded down, held at the
	// limits of int64. A packet without a time (a simple packet block) has that
	// of the one before it in its section, and 0 if that has none.
	Time int64

	// WireLen is the length on the wire as the file says, without a declared
	// frame check sequence; held at the limit of int32 and never below
	// len(Data). WireLen > len(Data) is a packet cut by the capture.
	WireLen int

	// Link is the link type in the numbers of the tcpdump registry (LINKTYPE_).
	Link uint16

	// Interface is the number of the capturing interface within its pcapng
	// section; 0 in pcap files.
	Interface int
}

// frame sets Data and WireLen. wire is the length that the file claims, and fcs
// the octets of it that are a frame check sequence:
//
//	captured  |------------------fc|       fcs = 4, two of them captured
//	wire      |------------------fcss|
//	Data      |------------------|
func (p *Packet) frame(data []byte, wire uint32, fcs uint8) {
	wire = max(wire, uint32(len(data)))
	if fcs != 0 {
		wire -= min(wire, uint32(fcs))
		if uint32(len(data)) > wire {
			data = data[:wire]
		}
	}
	p.Data = data[:len(data):len(data)]
	p.WireLen = int(min(wire, math.MaxInt32))
}

// fcsLimit is the longest frame check sequence that any link layer of today
// puts behind a packet, in octets. A file that declares more is not believed:
// check bytes left on a packet do little harm, packet bytes cut off do.
const fcsLimit = 4

// format is the kind of file before us.
type format uint8

const (
	formatUnknown format = iota // not looked yet
	formatPcap
	formatPcapng
)

// Reader reads packets from a capture file. Make one with [NewReader]; the zero
// value has nothing to read from and must not be used. A Reader serves one
// goroutine at a time.
type Reader struct {
	src    source
	format format
	pcap   pcapFile
	ng     pcapngFile
	err    error
}

// NewReader returns a Reader of the capture file in r. Nothing is read before
// the first [Reader.Next]. The Reader has a buffer of its own and may read
// further ahead in r than the packets it has given out, but it never waits for
// more than the packet at hand needs, so that r may be a pipe. It does not
// close r.
func NewReader(r io.Reader) *Reader {
	return &Reader{src: source{rd: r}}
}

// Next puts the next packet into p. It returns io.EOF at the clean end of the
// file, also for a file that has a header and no packets, and an [*Error] when
// the file is damaged or cannot be read; every whole packet before the damage
// has then been returned. Both are final: later calls return the same. With an
// error, *p is the zero Packet.
func (r *Reader) Next(p *Packet) error {
	if r.err == nil {
		if r.err = r.next(p); r.err == nil {
			r.src.found()
		}
	}
	if r.err != nil {
		*p = Packet{}
	}
	return r.err
}

func (r *Reader) next(p *Packet) error {
	switch r.format {
	case formatPcap:
		return r.pcap.next(&r.src, p)
	case formatPcapng:
		return r.ng.next(&r.src, p)
	}
	if err := r.detect(); err != nil {
		return err
	}
	return r.next(p)
}

// detect looks at the first bytes, undoes gzip, and sets r.format to a known
// one unless it fails. The pcapng section header is left to be read as a block,
// since more of them may follow.
func (r *Reader) detect() error {
	if isGzip(r.src.peek(2)) {
		r.src = source{rd: &inflater{raw: r.src}, limit: maxBarren}
	}
	m := r.src.peek(4)
	if len(m) < 4 {
		if r.src.err == io.EOF {
			return &Error{Err: ErrFormat, Detail: fmt.Sprintf("%d bytes are too few", len(m))}
		}
		return r.src.ended(0, "magic number")
	}
	if isPcapng(m) {
		r.format = formatPcapng
		return nil
	}
	kind, ok := pcapMagic(m)
	if !ok {
		return &Error{Err: ErrFormat, Detail: fmt.Sprintf("it begins with % x", m)}
	}
	r.format = formatPcap
	return r.pcap.open(&r.src, kind)
}

// order is a byte order: false is little-endian, true big-endian.
type order bool

const (
	littleEndian order = false
	bigEndian    order = true
)

func (o order) u16(b []byte) uint16 {
	if o == bigEndian {
		return binary.BigEndian.Uint16(b)
	}
	return binary.LittleEndian.Uint16(b)
}

func (o order) u32(b []byte) uint32 {
	if o == bigEndian {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

func (o order) u64(b []byte) uint64 {
	if o == bigEndian {
		return binary.BigEndian.Uint64(b)
	}
	return binary.LittleEndian.Uint64(b)
}
