package capfile

import (
	"errors"
	"fmt"
	"io"
)

const (
	// bufferSize is what a source begins with: enough to make a read of the
	// file worth its system call, and for every packet of common links.
	bufferSize = 64 << 10

	// maxEmptyReads is how often in a row a reader may return neither bytes
	// nor an error before it counts as stuck.
	maxEmptyReads = 100
)

var errBadCount = errors.New("reader returned an impossible count")

// maxBarren is how many bytes may come out of gzip without a packet among them. A small file may unpack to
// gigabytes of blocks that hold none, and a caller has no say until there is one. No program writes
// as much between two packets.
const maxBarren = 256 << 20

var errNoPacket = fmt.Errorf("%w: %d MiB unpacked without a packet", ErrCorrupt, maxBarren>>20)

// source is a window on a stream:
//
//	stream   ...consumed...|======arrived======|...still to come...
//	buf             |......|===================|........|
//	                0      lo                  hi       len(buf)
//
// Slices of the window that peek returns stay as they are until the next peek
// or skip, also after take.
type source struct {
	rd     io.Reader
	buf    []byte
	lo, hi int
	offset int64 // of buf[lo] in the stream
	limit  int64 // offset beyond which nothing is read before a packet; 0 if there is no such limit
	err    error // why rd is read no more; set once, io.EOF at the end
}

// peek returns the next n bytes and consumes none. It returns fewer only when
// the stream has ended, and s.err then says how. n is at most MaxRecord.
func (s *source) peek(n int) []byte {
	if s.hi-s.lo >= n {
		return s.buf[s.lo : s.lo+n]
	}
	return s.wait(n)
}

// wait is peek for bytes that have not arrived. The bytes moved to the front
// are fewer than n, so moving costs no more than the caller asked for.
func (s *source) wait(n int) []byte {
	s.hi = copy(s.buf, s.buf[s.lo:s.hi])
	s.lo = 0
	for s.hi < n && s.err == nil {
		if s.limit != 0 && s.offset >= s.limit {
			s.err = errNoPacket
			break
		}
		if s.hi == len(s.buf) {
			s.grow()
		}
		s.fill()
	}
	return s.buf[:min(n, s.hi)]
}

// grow doubles a buffer that is full of bytes still needed. A claimed length
// has no say in it: a file must hold half of what its reader ever allocates.
func (s *source) grow() {
	buf := make([]byte, max(2*len(s.buf), bufferSize))
	copy(buf, s.buf[:s.hi])
	s.buf = buf
}

// fill reads once into the free space, which must not be empty.
func (s *source) fill() {
	free := s.buf[s.hi:]
	for range maxEmptyReads {
		n, err := s.rd.Read(free)
		if n < 0 || n > len(free) {
			s.err = errBadCount
			return
		}
		s.hi += n
		s.err = err
		if n > 0 || err != nil {
			return
		}
	}
	s.err = io.ErrNoProgress
}

// take consumes n bytes that peek has shown.
func (s *source) take(n int) {
	s.lo += n
	s.offset += int64(n)
}

// skip consumes n bytes, whether they have arrived or not, and says whether the
// stream held as many. It needs no more memory than one buffer.
func (s *source) skip(n int64) bool {
	for {
		have := s.hi - s.lo
		if int64(have) >= n {
			s.take(int(n))
			return true
		}
		s.take(have)
		n -= int64(have)
		if len(s.wait(1)) == 0 {
			return false
		}
	}
}

// found says that a packet was.
func (s *source) found() {
	if s.limit != 0 {
		s.limit = s.offset + maxBarren
	}
}

// atEnd says whether everything has been read and nothing went wrong.
func (s *source) atEnd() bool { return s.lo == s.hi && s.err == io.EOF }

// ended is the error for a stream that stopped inside the item of that name
// that begins at offset at.
func (s *source) ended(at int64, item string) error {
	err := s.err
	if err == io.EOF {
		err = ErrTruncated
	}
	return &Error{Offset: at, Err: err, Detail: "while reading a " + item}
}

// tooLong is the error for an item that claims more bytes than one may have.
// The claim may be all that is wrong, or a cut file may end long before: that
// is found out by walking on, as far as a lawful item could reach.
func (s *source) tooLong(at int64, item string, claim int64) error {
	if !s.skip(MaxRecord) {
		return s.ended(at, item)
	}
	return corrupt(at, "%s claims %d bytes, more than %d", item, claim, MaxRecord)
}

// corrupt is the error for an item at offset at that contradicts itself.
func corrupt(at int64, format string, args ...any) error {
	return &Error{Offset: at, Err: ErrCorrupt, Detail: fmt.Sprintf(format, args...)}
}

// Read hands the window on, for a decompressor behind the source.
func (s *source) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b := s.peek(1)
	if len(b) == 0 {
		return 0, s.err
	}
	n := copy(p, s.buf[s.lo:s.hi])
	s.take(n)
	return n, nil
}

// ReadByte is Read for one byte. With it a decompressor needs no buffer of its
// own in front of ours.
func (s *source) ReadByte() (byte, error) {
	b := s.peek(1)
	if len(b) == 0 {
		return 0, s.err
	}
	c := b[0]
	s.take(1)
	return c, nil
}
