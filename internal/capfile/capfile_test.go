package capfile

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestNothingIsReadBeforeTheFirstPacketIsAskedFor(t *testing.T) {
	NewReader(iotest.ErrReader(errors.New("read too early")))
}

func TestEverySampleReadsAsTheSlowReaderDoes(t *testing.T) {
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			want, v := slowRead(s.data)
			require.Equal(t, verdict{}, v)
			require.Len(t, want, len(s.ends))
			got, err := readAll(bytes.NewReader(s.data))
			require.NoError(t, err)
			requireSame(t, want, got)

			got, err = readAll(bytes.NewReader(zip(s.data)))
			require.NoError(t, err)
			requireSame(t, want, got)
		})
	}
}

func TestInputThatIsNoCaptureFileIsErrFormat(t *testing.T) {
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"empty", nil},
		{"one byte of a gzip magic", []byte{0x1f}},
		{"three bytes of a pcap magic", []byte{0xd4, 0xc3, 0xb2}},
		{"text", []byte("not a capture at all, but long enough for one")},
		{"ten zeros", make([]byte, 10)},
		{"gzip of nothing", zip(nil)},
		{"gzip of three bytes", zip([]byte{0xd4, 0xc3, 0xb2})},
		{"gzip of gzip", zip(zip(pcapHead(le, magicMicro, 1)))},
		{"pcap of an unknown version", append([]byte{0xd4, 0xc3, 0xb2, 0xa1, 7}, make([]byte, 30)...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readAll(bytes.NewReader(c.data))
			require.Empty(t, got)
			require.Equal(t, verdict{ErrFormat, 0}, verdictOf(err))
		})
	}
}

func TestSectionOfAnUnknownVersionIsErrFormatAfterThePacketsBefore(t *testing.T) {
	head := join(ngSection(le, -1), ngInterface(le, 1, 0), ngEnhanced(le, 0, 1, 4, payload(4)))
	next := ngSection(le, -1)
	next[12] = 9
	got, err := readAll(bytes.NewReader(join(head, next)))
	require.Len(t, got, 1)
	require.Equal(t, verdict{ErrFormat, int64(len(head))}, verdictOf(err))
}

func TestFileWithoutPacketsIsACleanEnd(t *testing.T) {
	for _, data := range [][]byte{
		pcapHead(le, magicMicro, 1),
		ngSection(be, -1),
		join(ngSection(le, 0), ngInterface(le, 1, 0)),
		zip(pcapHead(be, magicNano, 1)),
	} {
		got, err := readAll(bytes.NewReader(data))
		require.NoError(t, err)
		require.Empty(t, got)
	}
}

func TestEveryErrorIsStickyAndLeavesAZeroPacket(t *testing.T) {
	whole := samples()[0].data
	for _, data := range [][]byte{nil, whole, whole[:len(whole)-1], whole[:30], []byte("not a capture")} {
		r := NewReader(bytes.NewReader(data))
		var p Packet
		var first error
		for first == nil {
			first = r.Next(&p)
		}
		require.Equal(t, Packet{}, p)
		for range 3 {
			p.Link = 7
			require.True(t, r.Next(&p) == first)
			require.Equal(t, Packet{}, p)
		}
	}
}

// A reader may itself know that its input ended early, and say so as it likes.
func TestUnexpectedEndThatTheReaderReportsIsItsOwnError(t *testing.T) {
	data := samples()[0].data
	for _, data := range [][]byte{data, zip(data)} {
		r := io.MultiReader(bytes.NewReader(data[:len(data)-9]), iotest.ErrReader(io.ErrUnexpectedEOF))
		_, err := readAll(r)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.NotErrorIs(t, err, ErrTruncated)
	}
}

func TestReaderErrorIsPassedOnBehindTheWholePackets(t *testing.T) {
	boom := errors.New("boom")
	for _, s := range samples() {
		for _, data := range [][]byte{s.data, zip(s.data)} {
			for _, cut := range []int{0, 1, 3, 10, 23, 24, 50, len(data) / 2, len(data) - 1} {
				got, err := readAll(io.MultiReader(bytes.NewReader(data[:cut]), iotest.ErrReader(boom)))
				require.ErrorIs(t, err, boom, "%s at %d", s.name, cut)
				var e *Error
				require.ErrorAs(t, err, &e)
				require.LessOrEqual(t, len(got), len(s.ends))
				if bytes.Equal(data, s.data) {
					require.Len(t, got, countUpTo(s.ends, cut))
				}
			}
		}
	}
}

func TestErrorReadsWell(t *testing.T) {
	data := samples()[0].data
	_, err := readAll(bytes.NewReader(data[:len(data)-1]))
	require.EqualError(t, err, "capture file, offset 133: file ends early: while reading a record")
	require.EqualError(t, &Error{Offset: 3, Err: ErrCorrupt}, "capture file, offset 3: file is damaged")
	_, err = readAll(strings.NewReader("hello"))
	require.EqualError(t, err, "capture file, offset 0: not a known capture file format: it begins with 68 65 6c 6c")
}

func TestWireLengthIsHeldBetweenDataAndInt32(t *testing.T) {
	for _, c := range []struct {
		name     string
		captured int
		wire     uint32
		want     int
	}{
		{"longer than captured", 4, 1500, 1500},
		{"shorter than captured", 40, 20, 40},
		{"beyond int32", 4, 0x80000000, math.MaxInt32},
		{"all ones", 4, 0xffffffff, math.MaxInt32},
		{"both zero", 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := payload(c.captured)
			for _, file := range [][]byte{
				join(pcapHead(le, magicMicro, 1), pcapRec(le, 0, 0, uint32(c.captured), c.wire, data)),
				join(ngSection(le, -1), ngInterface(le, 1, 0), ngEnhanced(le, 0, 0, c.wire, data)),
			} {
				got, err := readAll(bytes.NewReader(file))
				require.NoError(t, err)
				require.Len(t, got, 1)
				require.Equal(t, c.want, got[0].WireLen)
				require.Equal(t, string(data), string(got[0].Data))
			}
		})
	}
}

// The reader may change Data and append to it without touching what follows.
func TestAppendingToDataDoesNotReachTheNextRecord(t *testing.T) {
	data := samples()[0].data
	want, err := readAll(bytes.NewReader(data))
	require.NoError(t, err)
	r := NewReader(bytes.NewReader(data))
	var p Packet
	for i := range want {
		require.NoError(t, r.Next(&p))
		require.Equal(t, string(want[i].Data), string(p.Data))
		clear(p.Data)
		_ = append(p.Data, "trample over the record behind"...)
	}
	require.Equal(t, io.EOF, r.Next(&p))
}

func TestEveryWayOfChoppingTheInputGivesTheSame(t *testing.T) {
	for _, s := range samples() {
		for _, data := range [][]byte{s.data, zip(s.data), s.data[:len(s.data)-3], zip(s.data[:40], s.data[40:])} {
			want, wantErr := readAll(bytes.NewReader(data))
			for name, r := range choppers(data) {
				got, err := readAll(r)
				require.Equal(t, wantErr, err, name)
				requireSame(t, want, got)
			}
		}
	}
}

func choppers(data []byte) map[string]io.Reader {
	return map[string]io.Reader{
		"one byte":       iotest.OneByteReader(bytes.NewReader(data)),
		"half":           iotest.HalfReader(bytes.NewReader(data)),
		"data with EOF":  iotest.DataErrReader(bytes.NewReader(data)),
		"empty in front": &hesitant{r: bytes.NewReader(data)},
	}
}

// hesitant returns nothing every other time.
type hesitant struct {
	r     io.Reader
	spoke bool
}

func (h *hesitant) Read(p []byte) (int, error) {
	h.spoke = !h.spoke
	if h.spoke {
		return 0, nil
	}
	return h.r.Read(p)
}

func requireSame(t testing.TB, want, got []Packet) {
	t.Helper()
	require.Equal(t, len(want), len(got), "number of packets")
	for i := range want {
		if !samePacket(want[i], got[i]) {
			require.Equal(t, want[i], got[i], "packet %d", i)
		}
	}
}

func samePacket(a, b Packet) bool {
	return bytes.Equal(a.Data, b.Data) && a.Time == b.Time && a.WireLen == b.WireLen &&
		a.Link == b.Link && a.Interface == b.Interface
}

func countUpTo(ends []int, cut int) int {
	n := 0
	for _, e := range ends {
		if e <= cut {
			n++
		}
	}
	return n
}
