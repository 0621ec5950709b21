package capfile

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"testing"

	"github.com/flowscope-go/flowscope/internal/testkit/allocs"
	"github.com/flowscope-go/flowscope/internal/testkit/race"
	"github.com/google/gopacket/pcapgo"
	"github.com/stretchr/testify/require"
)

// traffic is a file of n packets, of the sizes that real links carry.
func traffic(format string, n int) []byte {
	sizes := []int{60, 1514, 66, 1514, 590, 1514, 74, 1514}
	file := pcapHead(le, magicMicro, 1)
	if format == "pcapng" {
		file = join(ngSection(le, -1), ngInterface(le, 1, 0))
	}
	for i := range n {
		data := binary.LittleEndian.AppendUint32(payload(sizes[i%len(sizes)]-4), uint32(i))
		if format == "pcapng" {
			file = append(file, ngEnhanced(le, 0, uint64(i), uint32(len(data)), data)...)
		} else {
			file = append(file, pcapRec(le, uint32(i), 0, uint32(len(data)), uint32(len(data)), data)...)
		}
	}
	return file
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	packets := 100 + race.Seeds(2*allocs.Packets)
	for _, format := range []string{"pcap", "pcapng"} {
		for _, packed := range []bool{false, true} {
			file, unpack := traffic(format, packets), 0.0
			if packed {
				file = zip(file)
				unpack = unpacking(t, file) / float64(packets)
			}
			r := NewReader(bytes.NewReader(file))
			var p Packet
			var err error
			next := func() {
				if err == nil {
					err = r.Next(&p)
				}
			}
			for range 50 {
				next()
			}
			if packed {
				each, _ := allocs.PerPacket(1, next)
				require.Less(t, each, unpack+2*allocs.Most, "%v of them are those of compress/gzip", unpack)
			} else {
				allocs.None(t, 1, next)
			}
			require.NoError(t, err)
		}
	}
}

// unpacking is how often compress/gzip allocates by itself: a deflate block that brings new Huffman codes may need
// tables.
func unpacking(t *testing.T, file []byte) float64 {
	return float64(allocs.Count(func() {
		r, err := gzip.NewReader(bytes.NewReader(file))
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, r)
		require.NoError(t, err)
	}))
}

func BenchmarkRead(b *testing.B) {
	for _, format := range []string{"pcap", "pcapng"} {
		file := traffic(format, 20_000)
		b.Run("format="+format+"/impl=capfile", func(b *testing.B) {
			b.SetBytes(int64(len(file) / 20_000))
			var p Packet
			r := NewReader(bytes.NewReader(file))
			for range b.N {
				if r.Next(&p) != nil {
					r = NewReader(bytes.NewReader(file))
				}
			}
		})
		b.Run("format="+format+"/impl=pcapgo", func(b *testing.B) {
			b.SetBytes(int64(len(file) / 20_000))
			next := peerZeroCopy(b, file)
			for range b.N {
				if next() != nil {
					next = peerZeroCopy(b, file)
				}
			}
		})
	}
}

func peerZeroCopy(b *testing.B, file []byte) func() error {
	if isPcapng(file) {
		r, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.NgReaderOptions{WantMixedLinkType: true})
		require.NoError(b, err)
		return func() error { _, _, err := r.ZeroCopyReadPacketData(); return err }
	}
	r, err := pcapgo.NewReader(bytes.NewReader(file))
	require.NoError(b, err)
	return func() error { _, _, err := r.ZeroCopyReadPacketData(); return err }
}
