package capfile

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// readerFunc is a reader that does as it likes.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestReaderThatNeverProgressesIsGivenUp(t *testing.T) {
	_, err := readAll(readerFunc(func([]byte) (int, error) { return 0, nil }))
	require.ErrorIs(t, err, io.ErrNoProgress)
}

func TestReaderThatLiesAboutItsCountIsGivenUp(t *testing.T) {
	for _, lie := range []int{-1, 1 << 20} {
		_, err := readAll(readerFunc(func([]byte) (int, error) { return lie, nil }))
		require.ErrorIs(t, err, errBadCount)
	}
}

func TestReaderIsNotCalledAgainAfterItsError(t *testing.T) {
	calls := 0
	boom := errors.New("boom")
	r := NewReader(readerFunc(func([]byte) (int, error) { calls++; return 0, boom }))
	for range 5 {
		require.ErrorIs(t, r.Next(new(Packet)), boom)
	}
	require.Equal(t, 1, calls)
}

// A capture that is still running comes through a pipe: a packet that has
// arrived must come out before the next one is waited for.
func TestPacketComesOutBeforeMoreIsAskedFor(t *testing.T) {
	for _, s := range samples() {
		arrived := 0
		pieces := s.clean
		start := 0
		r := NewReader(readerFunc(func(p []byte) (int, error) {
			if len(pieces) == 0 {
				return 0, io.EOF
			}
			n := copy(p, s.data[start:pieces[0]])
			start, pieces = pieces[0], pieces[1:]
			arrived = start
			return n, nil
		}))
		var p Packet
		for _, end := range s.ends {
			require.NoError(t, r.Next(&p))
			require.Equal(t, end, arrived, s.name)
		}
		require.Equal(t, io.EOF, r.Next(&p))
	}
}

func TestWindowShowsTheStreamWhateverIsAskedOfIt(t *testing.T) {
	data := payload(300_000)
	s := source{rd: bytes.NewReader(data)}
	at := 0
	for i := 0; at < len(data); i++ {
		n := i * 37 % 90_001
		require.Equal(t, int64(at), s.offset)
		b := s.peek(n)
		require.True(t, bytes.Equal(data[at:min(at+n, len(data))], b))
		if i%3 == 0 {
			require.Equal(t, at+n <= len(data), s.skip(int64(n)))
			at = min(at+n, len(data))
			continue
		}
		s.take(len(b))
		at += len(b)
	}
	require.True(t, s.atEnd())
}

func TestSkippingNeedsNoMoreThanOneBuffer(t *testing.T) {
	s := source{rd: bytes.NewReader(make([]byte, 1<<20))}
	require.True(t, s.skip(1<<20))
	require.False(t, s.skip(1))
	require.Len(t, s.buf, bufferSize)
}
