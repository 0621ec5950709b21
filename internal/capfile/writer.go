package capfile

import (
	"encoding/binary"
	"io"
	"math"
)

// Writer writes a classic pcap file in nanoseconds, little-endian. Each record is one Write, so that a file
// holds whole records whenever writing stops.
type Writer struct {
	w   io.Writer
	buf []byte
}

// snapLength is the limit that readers know from tcpdump. Longer records are written all the same.
const snapLength = 262144

// NewWriter writes the file header.
func NewWriter(w io.Writer, link uint16) (*Writer, error) {
	h := make([]byte, 0, pcapHeader)
	h = binary.LittleEndian.AppendUint32(h, magicNano)
	h = binary.LittleEndian.AppendUint16(h, 2)
	h = binary.LittleEndian.AppendUint16(h, 4)
	h = append(h, make([]byte, 8)...)
	h = binary.LittleEndian.AppendUint32(h, snapLength)
	h = binary.LittleEndian.AppendUint32(h, uint32(link))
	_, err := w.Write(h)
	return &Writer{w: w}, err
}

// Write writes a record. A time before 1970 is written as 1970, and one after 2106 as 2106: the seconds
// have 32 bits. wireLen counts if it is longer than the data.
func (w *Writer) Write(time int64, data []byte, wireLen int) error {
	seconds, nanos := time/1e9, time%1e9
	switch {
	case time < 0:
		seconds, nanos = 0, 0
	case seconds > math.MaxUint32:
		seconds, nanos = math.MaxUint32, 1e9-1
	}
	b := binary.LittleEndian.AppendUint32(w.buf[:0], uint32(seconds))
	b = binary.LittleEndian.AppendUint32(b, uint32(nanos))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	b = binary.LittleEndian.AppendUint32(b, uint32(min(max(wireLen, len(data)), math.MaxInt32)))
	w.buf = append(b, data...)
	_, err := w.w.Write(w.buf)
	return err
}
