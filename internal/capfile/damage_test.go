package capfile

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// (pcapgo reports the end of a cut pcapng file as a clean one.)
func TestEveryPrefixGivesItsWholePacketsAndThenTruncated(t *testing.T) {
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			whole, err := readAll(bytes.NewReader(s.data))
			require.NoError(t, err)
			for cut := range len(s.data) {
				got, err := readAll(bytes.NewReader(s.data[:cut]))
				requireSame(t, whole[:countUpTo(s.ends, cut)], got)

				// The damaged item begins at the last clean place.
				want := verdict{ErrTruncated, 0}
				if n := countUpTo(s.clean, cut); n > 0 {
					want.offset = int64(s.clean[n-1])
				}
				switch {
				case cut < 4:
					want = verdict{ErrFormat, 0}
				case want.offset == int64(cut):
					want = verdict{}
				}
				require.Equal(t, want, verdictOf(err), "cut at %d", cut)
			}
		})
	}
}

func TestEveryPrefixOfAGzipStreamIsTruncated(t *testing.T) {
	for _, s := range samples() {
		const split = 90
		require.NotContains(t, s.clean, split)
		whole, err := readAll(bytes.NewReader(s.data))
		require.NoError(t, err)
		data := zip(s.data[:split], s.data[split:])
		between := len(zip(s.data[:split])) // here the cut stream is whole, the file in it is not
		most := 0
		for cut := 2; cut < len(data); cut++ {
			got, err := readAll(bytes.NewReader(data[:cut]))
			require.Equal(t, ErrTruncated, verdictOf(err).kind, "%s cut at %d", s.name, cut)
			requireSame(t, whole[:len(got)], got)
			if cut == between {
				require.Len(t, got, countUpTo(s.ends, split))
			}
			most = max(most, len(got))
		}
		require.Equal(t, len(whole), most, "a cut in the trailer costs no packet")
	}
}

func TestDamagedGzipGivesThePacketsBeforeAndBothErrors(t *testing.T) {
	file := pcapHead(le, magicMicro, 1)
	for i := range 5000 {
		file = append(file, pcapRec(le, uint32(i), 0, 64, 64, binary.LittleEndian.AppendUint64(payload(56), rand.New(rand.NewPCG(1, uint64(i))).Uint64()))...)
	}
	whole, err := readAll(bytes.NewReader(file))
	require.NoError(t, err)
	sound := zip(file)

	// The checksum is wrong: everything came out, and was not trustworthy.
	data := bytes.Clone(sound)
	data[len(data)-8] ^= 1
	got, err := readAll(bytes.NewReader(data))
	requireSame(t, whole, got)
	require.Equal(t, verdict{ErrCorrupt, int64(len(file))}, verdictOf(err))
	require.ErrorIs(t, err, gzip.ErrChecksum)

	// Something behind the stream that is no stream.
	got, err = readAll(bytes.NewReader(append(bytes.Clone(sound), "no gzip member"...)))
	requireSame(t, whole, got)
	require.Equal(t, verdict{ErrCorrupt, int64(len(file))}, verdictOf(err))

	// A block of the reserved type in the middle.
	data = join(zip(file[:24+80*2500]), zip(file[24+80*2500:])[:10], []byte{0x07, 0xff, 0xff, 0xff, 0xff})
	got, err = readAll(bytes.NewReader(data))
	requireSame(t, whole[:2500], got)
	require.Equal(t, verdict{ErrCorrupt, 24 + 80*2500}, verdictOf(err))
	require.ErrorAs(t, err, new(flate.CorruptInputError))

	// Noise: whatever comes out of it, the packets long before are right.
	data = bytes.Clone(sound)
	for i := len(data) / 2; i < len(data)/2+40; i++ {
		data[i] ^= 0x5a
	}
	got, err = readAll(bytes.NewReader(data))
	require.Error(t, err)
	require.Greater(t, len(got), 2000)
	requireSame(t, whole[:2000], got[:2000])

	data = bytes.Clone(sound)
	data[2] = 9 // unknown compression method
	_, err = readAll(bytes.NewReader(data))
	require.Equal(t, verdict{ErrCorrupt, 0}, verdictOf(err))
}

// hugeClaims are short files with one packet, then an item that claims 1 GiB.
func hugeClaims() map[string][]byte {
	const claim = 1 << 30
	ng := join(ngSection(le, -1), ngInterface(le, 1, 0), ngEnhanced(le, 0, 1, 4, payload(4)))
	block := func(kind, captured uint32) []byte {
		b := ngEnhanced(le, 0, 1, captured, payload(260))
		le.PutUint32(b, kind)
		le.PutUint32(b[4:], claim)
		le.PutUint32(b[20:], captured)
		return join(ng, b)
	}
	return map[string][]byte{
		"pcap":                 join(pcapHead(le, magicMicro, 1), pcapRec(le, 0, 0, 4, 4, payload(4)), pcapRec(le, 0, 0, claim, claim, payload(300))),
		"enhanced":             block(6, claim-32),
		"enhanced, few bytes":  block(6, 260),
		"old":                  block(2, claim-32),
		"simple":               block(3, 0),
		"interface":            block(1, 0),
		"unknown":              block(77, 0),
		"section":              join(ng, func() []byte { b := ngSection(le, -1, make([]byte, 200)); le.PutUint32(b[4:], claim); return b }()),
		"just under the bound": join(pcapHead(le, magicMicro, 1), pcapRec(le, 0, 0, 4, 4, payload(4)), pcapRec(le, 0, 0, MaxRecord-16, 0, payload(300))),
	}
}

func TestBytesThatAreOnlyClaimedCostNoMemory(t *testing.T) {
	for name, data := range hugeClaims() {
		t.Run(name, func(t *testing.T) {
			require.Less(t, len(data), 428)
			var got int
			var err error
			cost := allocated(func() {
				var p Packet
				r := NewReader(bytes.NewReader(data))
				for err = r.Next(&p); err == nil; err = r.Next(&p) {
					got++
				}
			})
			require.Equal(t, 1, got)
			require.Equal(t, ErrTruncated, verdictOf(err).kind)
			require.Less(t, cost, uint64(bufferSize+8<<10))
		})
	}
}

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestRecordsUpToTheBoundAreReadAndLongerOnesAreCorrupt(t *testing.T) {
	const fits = MaxRecord - 32 // an enhanced packet block adds 32 bytes
	ng := join(ngSection(le, -1), ngInterface(le, 1, 0))
	pcap := pcapHead(le, magicMicro, 1)
	for _, c := range []struct {
		name string
		head []byte
		rec  []byte
		ok   bool
	}{
		{"enhanced block at the bound", ng, ngEnhanced(le, 0, 0, 0, make([]byte, fits)), true},
		{"enhanced block beyond", ng, ngEnhanced(le, 0, 0, 0, make([]byte, fits+1)), false},
		{"pcap record at the bound", pcap, pcapRec(le, 0, 0, MaxRecord-16, 0, make([]byte, MaxRecord-16)), true},
		{"pcap record beyond", pcap, pcapRec(le, 0, 0, MaxRecord-15, 0, make([]byte, MaxRecord-15)), false},
		{"unknown block beyond", ng, join(ngBlock(le, 99, make([]byte, MaxRecord)), ngEnhanced(le, 0, 0, 0, nil)), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := NewReader(io.MultiReader(bytes.NewReader(c.head), bytes.NewReader(c.rec)))
			var p Packet
			err := r.Next(&p)
			if c.ok {
				require.NoError(t, err)
				require.Equal(t, io.EOF, r.Next(&p))
			} else {
				require.Equal(t, verdict{ErrCorrupt, int64(len(c.head))}, verdictOf(err))
			}
			require.LessOrEqual(t, len(r.src.buf), MaxRecord)
		})
	}
}

func TestInterfacesOfASectionAreBounded(t *testing.T) {
	ifc := ngInterface(le, 1, 0)
	head := join(ngSection(le, -1), bytes.Repeat(ifc, maxInterfaces))
	sound := join(head, ngSection(le, -1), ifc, ngEnhanced(le, 0, 0, 0, nil))
	got, err := readAll(bytes.NewReader(sound))
	require.NoError(t, err)
	require.Len(t, got, 1)

	_, err = readAll(bytes.NewReader(join(head, ifc)))
	require.Equal(t, verdict{ErrCorrupt, int64(len(head))}, verdictOf(err))
}

func TestMutatedFilesReadAsTheSlowReaderReadsThem(t *testing.T) {
	rounds := 600
	if testing.Short() {
		rounds = 100
	}
	rnd := rand.New(rand.NewPCG(5, 6))
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			var kinds [4]int
			for range rounds {
				data := mutate(rnd, s.data)
				var got []Packet
				var err error
				cost := allocated(func() { got, err = readAll(bytes.NewReader(data)) })
				want, v := slowRead(data)
				require.Equal(t, v, verdictOf(err), "% x", data)
				requireSame(t, want, got)
				require.Less(t, cost, uint64(2*bufferSize))
				for i, kind := range []error{nil, ErrFormat, ErrTruncated, ErrCorrupt} {
					if errors.Is(err, kind) {
						kinds[i]++
					}
				}
			}
			t.Logf("clean, foreign, truncated, corrupt: %v", kinds)
		})
	}
}

func TestMutatedGzipNeverPanicsAndAllocatesLittle(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for _, s := range samples() {
		data := zip(s.data[:90], s.data[90:])
		for range 200 {
			bad := mutate(rnd, data)
			cost := allocated(func() { _, _ = readAll(bytes.NewReader(bad)) })
			require.Less(t, cost, uint64(512<<10))
		}
	}
}

// mutate changes a few bytes, words or stretches.
func mutate(rnd *rand.Rand, data []byte) []byte {
	b := bytes.Clone(data)
	for range 1 + rnd.IntN(4) {
		i := rnd.IntN(len(b))
		switch rnd.IntN(6) {
		case 0:
			b[i] = byte(rnd.Uint32())
		case 1:
			b[i] ^= 1 << rnd.IntN(8)
		case 2: // a length, of an absurd size
			copy(b[i&^3:], le.AppendUint32(nil, rnd.Uint32()>>rnd.IntN(32)))
		case 3:
			copy(b[i&^3:], be.AppendUint32(nil, rnd.Uint32()>>rnd.IntN(32)))
		case 4:
			b = append(b[:i:i], b[min(len(b), i+rnd.IntN(40)):]...)
		case 5:
			b = append(b[:i:i], b[rnd.IntN(i+1):]...)
		}
		if len(b) == 0 {
			return b
		}
	}
	return b
}
