package capfile

import (
	"bytes"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSectionsHaveByteOrdersAndInterfacesOfTheirOwn(t *testing.T) {
	const at = 1_700_000_000
	file := join(
		ngSection(le, -1, ngOption(le, 1, []byte("comment"))),
		ngInterface(le, 1, 0),
		ngInterface(le, 276, 0, ngOption(le, 9, []byte{9})),
		ngEnhanced(le, 0, at*1e6+1, 3, payload(3)),
		ngEnhanced(le, 1, at*1e9+1, 4, payload(4)),
		ngSection(be, 60), // a length that is not even right
		ngInterface(be, 101, 0, ngOption(be, 9, []byte{3}), ngOption(be, 14, be.AppendUint64(nil, at))),
		ngEnhanced(be, 0, 2500, 5, payload(5)),
		ngSection(le, 0),
		ngInterface(le, 12, 0, ngOption(le, 9, []byte{0x80})),
		ngOld(le, 0, 9, at, 6, payload(6)),
	)
	got, err := readAll(bytes.NewReader(file))
	require.NoError(t, err)
	requireSame(t, []Packet{
		{Data: payload(3), Time: at*1e9 + 1000, WireLen: 3, Link: 1},
		{Data: payload(4), Time: at*1e9 + 1, WireLen: 4, Link: 276, Interface: 1},
		{Data: payload(5), Time: at*1e9 + 2.5e9, WireLen: 5, Link: 101},
		{Data: payload(6), Time: at * 1e9, WireLen: 6, Link: 12},
	}, got)
}

func TestInterfacesAreForgottenAtTheNextSection(t *testing.T) {
	head := join(ngSection(le, -1), ngInterface(le, 1, 0), ngEnhanced(le, 0, 0, 0, nil), ngSection(le, -1))
	got, err := readAll(bytes.NewReader(join(head, ngEnhanced(le, 0, 0, 0, nil))))
	require.Len(t, got, 1)
	require.Equal(t, verdict{ErrCorrupt, int64(len(head))}, verdictOf(err))
}

func TestSimplePacketsAreCutAtTheSnapLengthOfInterfaceZero(t *testing.T) {
	for _, c := range []struct {
		name string
		snap uint32
		wire uint32
		data int
		want int
	}{
		{"no snap length", 0, 10, 10, 10},
		{"snap length above", 99, 10, 10, 10},
		{"snap length below", 6, 10, 6, 6},
		{"padding is no data", 5, 10, 8, 5},
		{"empty", 0, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readAll(bytes.NewReader(join(ngSection(be, -1), ngInterface(be, 276, c.snap), ngInterface(be, 1, 1), ngSimple(be, c.wire, payload(c.data)))))
			require.NoError(t, err)
			requireSame(t, []Packet{{Data: payload(c.data)[:c.want], WireLen: int(c.wire), Link: 276}}, got)
		})
	}
}

func TestAPacketWithoutATimeHasThatOfTheOneBefore(t *testing.T) {
	times := func(blocks ...[]byte) (list []int64) {
		t.Helper()
		got, err := readAll(bytes.NewReader(join(blocks...)))
		require.NoError(t, err)
		for _, p := range got {
			list = append(list, p.Time)
		}
		return list
	}
	head, bare := join(ngSection(le, -1), ngInterface(le, 1, 0), ngInterface(le, 1, 0)), ngSimple(le, 4, payload(4))
	at := func(ifc uint32, ts uint64) []byte { return ngEnhanced(le, ifc, ts, 4, payload(4)) }
	require.Equal(t, []int64{0, 7000, 7000, 7000, 5000, 5000},
		times(head, bare, at(0, 7), bare, bare, at(1, 5), bare), "in the order of the file")
	require.Equal(t, []int64{7000, 7000, 0, 9000, 9000},
		times(head, at(0, 7), bare, head, bare, at(0, 9), bare), "a section knows nothing of the one before")
	require.Equal(t, []int64{3000, 3000}, times(head, ngOld(le, 0, 0, 3, 4, payload(4)), bare))
}

func TestBlocksThatContradictThemselvesAreCorrupt(t *testing.T) {
	put := func(b []byte, at int, v uint32) []byte {
		b = bytes.Clone(b)
		le.PutUint32(b[at:], v)
		return b
	}
	both := func(b []byte, v uint32) []byte { return put(put(b, 4, v), len(b)-4, v) }
	enhanced := ngEnhanced(le, 0, 0, 4, payload(4))
	head := join(ngSection(le, -1), ngInterface(le, 1, 0), enhanced)
	for _, c := range []struct {
		name  string
		block []byte
	}{
		{"length behind differs", put(enhanced, len(enhanced)-4, 40)},
		{"length behind differs in an unknown block", put(ngBlock(le, 99, payload(8)), 16, 0)},
		{"length behind differs in a section header", put(ngSection(le, -1), 24, 0)},
		{"length of 0", put(enhanced, 4, 0)},
		{"length of 11", put(enhanced, 4, 11)},
		{"unknown block of 8", put(ngBlock(le, 99), 4, 8)},
		{"packet block too short", ngBlock(le, 6, payload(16))},
		{"old packet block too short", ngBlock(le, 2, payload(16))},
		{"simple packet block too short", ngBlock(le, 3)},
		{"interface block too short", ngBlock(le, 1, payload(4))},
		{"section header too short", put(both(ngSection(le, -1), 24), 20, 24)},
		{"section header of 0", put(ngSection(le, -1), 4, 0)},
		{"section header without byte order", put(ngSection(le, -1), 8, 0x12345678)},
		{"more captured than the block holds", put(enhanced, 20, 5)},
		{"far more captured than the block holds", put(enhanced, 20, math.MaxUint32)},
		{"simple packet longer than the block", ngSimple(le, 13, payload(12))},
		{"unknown interface", put(enhanced, 8, 1)},
		{"the last interface number of all", put(enhanced, 8, math.MaxUint32)},
		{"interface option beyond the block", ngInterface(le, 1, 0, []byte{9, 0, 200, 0})},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readAll(bytes.NewReader(join(head, c.block, enhanced)))
			require.Len(t, got, 1)
			require.Equal(t, verdict{ErrCorrupt, int64(len(head))}, verdictOf(err))
		})
	}
}

func TestPacketBeforeAnyInterfaceIsCorrupt(t *testing.T) {
	head := ngSection(le, -1)
	for _, block := range [][]byte{ngSimple(le, 0, nil), ngEnhanced(le, 0, 0, 0, nil), ngOld(le, 0, 0, 0, 0, nil)} {
		_, err := readAll(bytes.NewReader(join(head, block)))
		require.Equal(t, verdict{ErrCorrupt, int64(len(head))}, verdictOf(err))
	}
}

func TestOddOptionsAreTolerated(t *testing.T) {
	for _, c := range []struct {
		name string
		opts []byte
		want int64
	}{
		{"none", nil, 1e6},
		{"end only", ngOption(le, 0, nil), 1e6},
		{"empty resolution", ngOption(le, 9, nil), 1e6},
		{"long resolution", ngOption(le, 9, []byte{9, 9}), 1e6},
		{"short offset", ngOption(le, 14, payload(7)), 1e6},
		{"empty filter", ngOption(le, 11, nil), 1e6},
		{"resolution behind an empty one", join(ngOption(le, 11, nil), ngOption(le, 9, []byte{9})), 1000},
		{"resolution behind the end", join(ngOption(le, 0, nil), ngOption(le, 9, []byte{9})), 1e6},
		{"resolution twice", join(ngOption(le, 9, []byte{3}), ngOption(le, 9, []byte{9})), 1000},
		{"resolution of a second", ngOption(le, 9, []byte{0}), 1000e9},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readAll(bytes.NewReader(join(ngSection(le, -1), ngInterface(le, 1, 0, c.opts), ngEnhanced(le, 0, 1000, 0, nil))))
			require.NoError(t, err)
			require.Equal(t, c.want, got[0].Time)
		})
	}
}

func TestDamagedPacketOptionsDoNotCostThePacket(t *testing.T) {
	got, err := readAll(bytes.NewReader(join(ngSection(le, -1), ngInterface(le, 1, 0),
		ngEnhanced(le, 0, 0, 5, payload(5), []byte{1, 0, 0xff, 0xff}),
		ngEnhanced(le, 0, 0, 6, payload(6)))))
	require.NoError(t, err)
	require.Len(t, got, 2)
}

// A length that is no multiple of four is against the format, but says clearly
// enough where the next block begins, if it stands at both ends.
func TestUnpaddedBlockIsRead(t *testing.T) {
	for size := byte(37); size < 40; size++ {
		b := ngEnhanced(le, 0, 0, 5, payload(5))
		b = append(b[:size-4], size, 0, 0, 0)
		b[4] = size
		got, err := readAll(bytes.NewReader(join(ngSection(le, -1), ngInterface(le, 1, 0), b, ngEnhanced(le, 0, 0, 1, payload(1)))))
		require.NoError(t, err)
		require.Len(t, got, 2)
		require.Equal(t, payload(5), got[0].Data)
	}
}

func TestClockAgreesWithRationalNumbers(t *testing.T) {
	values := []uint64{0, 1, 2, 999, 1e6, 1e9 - 1, 1e9, 1e15 + 7, 1 << 32, 1 << 52, 1<<62 - 1, math.MaxInt64, 1 << 63, 1<<63 + 12345, math.MaxUint64 - 1, math.MaxUint64}
	offsets := []int64{0, 1, -1, 1_700_000_000, -1_700_000_000, 9223372036, 9223372037, -9223372036, -9223372037, -18446744073, -18446744074, 1 << 40, math.MaxInt64, math.MinInt64, math.MinInt64 + 1}
	for resol := range 256 {
		for _, off := range offsets {
			c := newClock(uint8(resol), off)
			slow := slowInterface{resol: byte(resol), offset: off}
			for _, ts := range values {
				if want, got := slow.time(ts), c.nanos(ts); want != got {
					t.Fatalf("if_tsresol %#x, if_tsoffset %d, time %d: want %d, got %d", resol, off, ts, want, got)
				}
			}
		}
	}
}
