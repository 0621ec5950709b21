package capfile

import (
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// isGzip says whether a stream that begins with b is a gzip stream (RFC 1952,
// section 2.3.1).
func isGzip(b []byte) bool { return len(b) == 2 && b[0] == 0x1f && b[1] == 0x8b }

// inflater is the decompressed content of a gzip stream of any number of
// members. Bytes before a damage come out before its error does. What follows
// the last member must be another member: anything else is damage.
type inflater struct {
	raw source
	z   *gzip.Reader // nil until the first Read
}

func (f *inflater) Read(p []byte) (int, error) {
	if f.z == nil {
		z, err := gzip.NewReader(&f.raw)
		if err != nil {
			return 0, f.judge(err)
		}
		f.z = z
	}
	n, err := f.z.Read(p)
	return n, f.judge(err)
}

// judge tells apart what the decompressor reports as errors alike: a stream cut
// short, a damaged one, and an input that could not be read.
func (f *inflater) judge(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	var badInput flate.CorruptInputError // on the heap, so not before there is an error
	var badState flate.InternalError
	switch {
	case err == io.ErrUnexpectedEOF && f.raw.err == io.EOF:
		return ErrTruncated
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum),
		errors.As(err, &badInput), errors.As(err, &badState):
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return err
}
