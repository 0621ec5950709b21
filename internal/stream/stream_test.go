package stream

import (
	"math"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStreamIsSmallAndHasNoPointers(t *testing.T) {
	typ := reflect.TypeFor[Stream]()
	require.LessOrEqual(t, typ.Size(), uintptr(32))
	for i := range typ.NumField() {
		switch typ.Field(i).Type.Kind() {
		case reflect.Int64, reflect.Uint32:
		default:
			t.Errorf("%s may hold a pointer", typ.Field(i).Name)
		}
	}
}

func TestSizesAreThoseThatAreCounted(t *testing.T) {
	// 32-bit machines align 64-bit fields to 4 bytes and have smaller slices.
	require.Equal(t, uintptr(extentBytes), reflect.TypeFor[extent]().Size())
	for kind, size := range map[reflect.Type]uintptr{reflect.TypeFor[buffer](): bufferBytes, reflect.TypeFor[page](): pageBytes, reflect.TypeFor[block](): blockBytes} {
		require.LessOrEqual(t, kind.Size(), size)
		if math.MaxInt == math.MaxInt64 {
			require.Equal(t, size, kind.Size())
		}
	}
}

func TestFastPathIsInlined(t *testing.T) {
	said, err := exec.Command("go", "build", "-gcflags=-m", ".").CombinedOutput()
	if err != nil {
		t.Skip("the go command cannot build this package here:", err)
	}
	for _, f := range []string{"(*Stream).Next", "(*Stream).HasBuffer", "(*Stream).Advance", "(*block).extents", "saturate"} {
		require.Contains(t, string(said), "can inline "+f+"\n")
	}
}

func TestInsertDoesWhatTheFastPathDoes(t *testing.T) {
	a := NewArena(Limits{})
	var slow, fast Stream
	var out []Item
	for i := range 10 {
		frame := []byte(strings.Repeat("x", i+1))
		require.False(t, fast.HasBuffer())
		fast.Advance(int64(len(frame)))
		out = out[:0]
		a.Reclaim()
		a.Insert(&slow, Segment{Pos: slow.Next(), Bytes: frame, Time: 7, Now: 7, ID: 9}, &out)
		require.Equal(t, []Item{{Kind: Data, Pos: fast.Next() - int64(len(frame)), Len: int64(len(frame)), Bytes: frame, Time: 7, ID: 9}}, out)
		require.Same(t, &frame[0], &out[0].Bytes[0], "the frame's own bytes, not a copy")
	}
	require.Equal(t, fast, slow)
	require.Zero(t, a.TotalBytes()-a.tableBytes(), "data in order takes no memory")
}

func TestAdvanceIsTotal(t *testing.T) {
	var s Stream
	s.Advance(-1)
	s.Advance(0)
	require.Zero(t, s.Next())
	s.Advance(math.MaxInt64)
	s.Advance(1)
	require.Equal(t, int64(math.MaxInt64), s.Next())

	a := NewArena(Limits{})
	var busy Stream
	var out []Item
	a.Insert(&busy, letters(5, 1, 'a'), &out)
	busy.Advance(3)
	require.Zero(t, busy.Next(), "a stream that has a buffer does not advance")
}

func TestExtremePositionsHaveAnAnswer(t *testing.T) {
	const top = math.MaxInt64
	for _, row := range []struct {
		name string
		seg  Segment
		want []Kind
	}{
		{"ends beyond the last position", Segment{Pos: top - 1, Bytes: []byte("abc")}, []Kind{Refused}},
		{"ends at the last position", Segment{Pos: top - 3, Bytes: []byte("abc")}, nil},
		{"lies at the lowest position", Segment{Pos: math.MinInt64, Bytes: []byte("abc")}, []Kind{Duplicate}},
		{"begins below 0 and ends above", Segment{Pos: -1, Bytes: []byte("abc")}, []Kind{Duplicate, Data}},
		{"misses more than there are positions", Segment{Pos: top - 9, Bytes: []byte("abc"), Missing: math.MaxInt}, nil},
		{"misses a negative number", Segment{Pos: 3, Bytes: []byte("abc"), Missing: math.MinInt}, nil},
		{"is empty at the last position", Segment{Pos: top}, nil},
		{"is empty below 0", Segment{Pos: -7}, nil},
		{"is empty and misses something below 0", Segment{Pos: -7, Missing: 3}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, p := range []Policy{First, Last, Linux, 99} {
				a := NewArena(Limits{Policy: p, Keep: 8})
				var s Stream
				var out []Item
				a.Insert(&s, row.seg, &out)
				require.Equal(t, row.want, kinds(out))
				a.Insert(&s, row.seg, &out)
				a.Skip(&s, math.MinInt64, Expired, &out)
				a.Skip(&s, top, Expired, &out)
				require.Equal(t, int64(top), s.Next())
				a.Insert(&s, Segment{Pos: top, Bytes: []byte("z")}, &out)
				a.Finish(&s, math.MinInt64, Ended, &out)
				require.Equal(t, int64(top), s.Next())
				require.Zero(t, a.HeldBytes())
			}
		})
	}
}

func TestMissingBytesEndAtTheLastPosition(t *testing.T) {
	a := NewArena(Limits{})
	var s Stream
	var out []Item
	a.Skip(&s, math.MaxInt64-9, Expired, &out)
	a.Insert(&s, Segment{Pos: s.Next(), Bytes: []byte("abc"), Missing: math.MaxInt}, &out)
	a.Finish(&s, -1, Ended, &out)
	require.Equal(t, int64(math.MaxInt64), s.Next())
}

func TestForeignHandlesDoNotPanic(t *testing.T) {
	big, small := NewArena(Limits{}), NewArena(Limits{})
	var s Stream
	var out []Item
	big.Insert(&s, letters(5, 1, 'a'), &out)
	small.Insert(&s, letters(6, 1, 'a'), &out)
	small.Skip(&s, 9, Expired, &out)
	small.Finish(&s, 12, Ended, &out)
	small.Drop(&s)
	small.FirstHole(&s)
}

func TestNamesAreWords(t *testing.T) {
	for k := Data; k <= Refused; k++ {
		require.NotEqual(t, "unknown", k.String())
	}
	for c := Acknowledged; c <= Ended; c++ {
		require.NotEqual(t, "unknown", c.String())
	}
	for p := First; p <= Linux; p++ {
		require.NotEqual(t, "unknown", p.String())
	}
	require.Equal(t, "unknown", Kind(0).String())
	require.Equal(t, "unknown", GapCause(0).String())
	require.Equal(t, "unknown", Policy(9).String())
}

func TestClassesRoundUpByAQuarterAtMost(t *testing.T) {
	for n := 1; n < 1<<20; n += 1 + n/97 {
		up, down := sizeUp(n), sizeDown(n)
		require.GreaterOrEqual(t, up, n)
		require.LessOrEqual(t, up, max(4, n+n/4))
		require.LessOrEqual(t, down, n)
		require.Equal(t, up, sizeUp(up), "a size is its own class")
		require.Equal(t, up, classSize(classOf(n)))
		if n >= 4 {
			require.Equal(t, down, sizeUp(down))
			require.Greater(t, down+down/4+1, n)
		}
	}
	require.Less(t, classOf(1<<29), classes)
}
