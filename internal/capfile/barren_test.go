package capfile

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// A small file that unpacks to gigabytes without a packet: 16 MiB a member, in blocks of a kind that nobody knows.
func TestAGzipStreamWithoutPacketsIsReadSoFar(t *testing.T) {
	const size = 16 << 20
	block := make([]byte, size)
	binary.LittleEndian.PutUint32(block, 0x40000001)
	binary.LittleEndian.PutUint32(block[4:], size)
	binary.LittleEndian.PutUint32(block[size-4:], size)
	barren := zip(block)
	head, packet := join(ngSection(le, -1), ngInterface(le, 1, 0)), ngEnhanced(le, 0, 0, 60, payload(60))
	sound := join(head, packet)

	const most = maxBarren / size
	for _, c := range []struct {
		before, behind int
		packets        int
		corrupt        bool
	}{
		{most - 1, 1, 2, false},
		{0, most + 1, 1, true},
		{most - 2, 1000, 2, true},
	} {
		parts := [][]byte{zip(sound), bytes.Repeat(barren, c.before)}
		if c.before > 0 {
			parts = append(parts, zip(packet))
		}
		r := bytes.NewReader(join(append(parts, bytes.Repeat(barren, c.behind))...))
		all := r.Len()
		got, err := readAll(r)
		require.Len(t, got, c.packets)
		if !c.corrupt {
			require.NoError(t, err)
			continue
		}
		require.Equal(t, ErrCorrupt, verdictOf(err).kind)
		require.ErrorContains(t, err, "without a packet")
		require.Less(t, all-r.Len(), (c.before+most+8)*len(barren)+2<<16, "read of %d", all)
	}

	// A plain file is as long as it is, and its reader may end it.
	r := &long{head: sound, block: block, n: most + 2}
	_, err := readAll(r)
	require.NoError(t, err)
}

// long is a file with a long tail of one block.
type long struct {
	head, block []byte
	n           int
}

func (l *long) Read(p []byte) (int, error) {
	if len(l.head) == 0 {
		if l.n == 0 {
			return 0, io.EOF
		}
		l.n--
		l.head = l.block
	}
	n := copy(p, l.head)
	l.head = l.head[n:]
	return n, nil
}
