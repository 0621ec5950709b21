package capfile

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSubSecondPartBeyondASecondCarries(t *testing.T) {
	for _, c := range []struct {
		name     string
		magic    uint32
		sec, sub uint32
		want     int64
	}{
		{"microseconds", magicMicro, 10, 123456, 10_123456_000},
		{"a million microseconds", magicMicro, 10, 1_000_000, 11_000000_000},
		{"the most microseconds", magicMicro, 10, 0xffffffff, 10_000000_000 + 4294967295_000},
		{"nanoseconds", magicNano, 10, 123456789, 10_123456789},
		{"the most nanoseconds", magicNano, 10, 0xffffffff, 14_294967295},
		{"after 2038", magicNano, 0xffffffff, 1, 4294967295_000000001},
		{"the last of all", magicMicro, 0xffffffff, 0xffffffff, 4294967295_000000000 + 4294967295_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, o := range []byteOrder{le, be} {
				got, err := readAll(bytes.NewReader(join(pcapHead(o, c.magic, 1), pcapRec(o, c.sec, c.sub, 0, 0, nil))))
				require.NoError(t, err)
				require.Equal(t, c.want, got[0].Time)
			}
		})
	}
}

func TestLinkTypeWordIsTakenApart(t *testing.T) {
	for _, c := range []struct {
		name string
		word uint32
		link uint16
		fcs  int
	}{
		{"plain", 1, 1, 0},
		{"more than a byte", 276, 276, 0},
		{"all sixteen bits", 0xffff, 0xffff, 0},
		{"reserved bits", 0x0bff0001, 1, 0},
		{"two words of FCS", 0x24000001, 1, 4},
		{"one word of FCS", 0x14000114, 276, 2},
		{"FCS said to be absent", 0x04000001, 1, 0},
		{"FCS length not valid", 0x20000001, 1, 0},
		{"FCS longer than any", 0x34000001, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readAll(bytes.NewReader(join(pcapHead(be, magicNano, c.word), pcapRec(be, 0, 0, 60, 64, payload(60)))))
			require.NoError(t, err)
			require.Equal(t, c.link, got[0].Link)
			require.Equal(t, 64-c.fcs, got[0].WireLen)
			require.Equal(t, payload(60), got[0].Data, "its FCS was not captured")
		})
	}
}

func TestFrameCheckSequenceIsCutOffAsFarAsItWasCaptured(t *testing.T) {
	for _, c := range []struct {
		name           string
		captured, wire uint32
		data, length   int
	}{
		{"whole packet", 64, 64, 60, 60},
		{"half of the FCS", 62, 64, 60, 60},
		{"none of the FCS", 60, 64, 60, 60},
		{"cut before", 20, 64, 20, 60},
		{"wire length forgot the FCS", 64, 60, 60, 60},
		{"nothing but FCS", 4, 4, 0, 0},
		{"less than an FCS", 3, 3, 0, 0},
		{"nothing", 0, 0, 0, 0},
		{"less than an FCS captured", 1, 9, 1, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := payload(int(c.captured))
			flags := ngOption(le, 2, le.AppendUint32(nil, 4<<5))
			for format, file := range map[string][]byte{
				"pcap":                   join(pcapHead(le, magicMicro, 0x24000001), pcapRec(le, 0, 0, c.captured, c.wire, data)),
				"interface, in octets":   join(ngSection(le, -1), ngInterface(le, 1, 0, ngOption(le, 13, []byte{4})), ngEnhanced(le, 0, 0, c.wire, data)),
				"interface, in bits":     join(ngSection(le, -1), ngInterface(le, 1, 0, ngOption(le, 13, []byte{32})), ngEnhanced(le, 0, 0, c.wire, data)),
				"packet flags":           join(ngSection(le, -1), ngInterface(le, 1, 0), ngEnhanced(le, 0, 0, c.wire, data, flags)),
				"packet over interface":  join(ngSection(le, -1), ngInterface(le, 1, 0, ngOption(le, 13, []byte{2})), ngEnhanced(le, 0, 0, c.wire, data, flags)),
				"packet over nonsense":   join(ngSection(le, -1), ngInterface(le, 1, 0, ngOption(le, 13, []byte{7})), ngEnhanced(le, 0, 0, c.wire, data, flags)),
				"packet does not say":    join(ngSection(le, -1), ngInterface(le, 1, 0, ngOption(le, 13, []byte{4})), ngEnhanced(le, 0, 0, c.wire, data, ngOption(le, 2, make([]byte, 4)))),
				"packet says impossible": join(ngSection(le, -1), ngInterface(le, 1, 0, ngOption(le, 13, []byte{4})), ngEnhanced(le, 0, 0, c.wire, data, ngOption(le, 2, le.AppendUint32(nil, 15<<5)))),
			} {
				got, err := readAll(bytes.NewReader(file))
				require.NoError(t, err, format)
				require.Len(t, got, 1, format)
				require.Equal(t, string(data[:c.data]), string(got[0].Data), format)
				require.Equal(t, c.length, got[0].WireLen, format)
			}
		})
	}
}

func TestUnbelievableFrameCheckSequencesOfAnInterfaceAreLeftAlone(t *testing.T) {
	for _, n := range []byte{5, 7, 12, 40, 64, 255} {
		got, err := readAll(bytes.NewReader(join(ngSection(le, -1), ngInterface(le, 1, 0, ngOption(le, 13, []byte{n})), ngEnhanced(le, 0, 0, 64, payload(64)))))
		require.NoError(t, err)
		require.Equal(t, payload(64), got[0].Data)
		require.Equal(t, 64, got[0].WireLen)
	}
}

func TestLongRecordsOfTheModifiedFormatAreRead(t *testing.T) {
	extra := []byte{9, 0, 0, 0, 8, 0, 4, 0} // interface, protocol, packet type, padding
	for _, o := range []byteOrder{le, be} {
		file := join(pcapHead(o, magicLong, 1),
			pcapRec(o, 1, 2, 5, 9, join(extra, payload(5))),
			pcapRec(o, 3, 4, 7, 7, join(extra, payload(7))))
		got, err := readAll(bytes.NewReader(file))
		require.NoError(t, err)
		requireSame(t, []Packet{
			{Data: payload(5), Time: 1_000002000, WireLen: 9, Link: 1},
			{Data: payload(7), Time: 3_000004000, WireLen: 7, Link: 1},
		}, got)
	}
}

func TestSnapLengthOfAPcapFileDoesNotMatter(t *testing.T) {
	for _, snap := range []uint32{0, 1, 0xffffffff} {
		file := join(pcapHead(le, magicMicro, 1), pcapRec(le, 0, 0, 1400, 1400, payload(1400)), pcapRec(le, 0, 0, 1, 1, payload(1)))
		le.PutUint32(file[16:], snap)
		got, err := readAll(bytes.NewReader(file))
		require.NoError(t, err)
		require.Len(t, got, 2)
		require.Equal(t, payload(1400), got[0].Data)
	}
}
