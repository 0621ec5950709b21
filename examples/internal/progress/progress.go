// Package progress shows on a terminal how much of a big file has been read.
package progress

import (
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/flowscope-go/flowscope"
)

// Bar is a line on a terminal. The methods of a nil Bar show nothing.
type Bar struct {
	w           io.Writer
	name        string
	size        int64
	bytes, next int64
	packets     int
}

// bigFile is the size from which on progress is shown.
const bigFile = 64 << 20

// New returns nil unless the file is big and w is a terminal.
func New(w io.Writer, name string) *Bar {
	info, err := os.Stat(name)
	if err != nil || info.Size() < bigFile {
		return nil
	}
	file, ok := w.(*os.File)
	if !ok {
		return nil
	}
	if mode, err := file.Stat(); err != nil || mode.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return &Bar{w: w, name: name, size: info.Size()}
}

// Of gives the same packets, and shows progress.
func (b *Bar) Of(views iter.Seq2[flowscope.PacketView, error]) iter.Seq2[flowscope.PacketView, error] {
	if b == nil {
		return views
	}
	return func(yield func(flowscope.PacketView, error) bool) {
		for view, err := range views {
			b.Packet(len(view.Frame))
			if !yield(view, err) {
				return
			}
		}
	}
}

// Packet counts a packet with n bytes.
func (b *Bar) Packet(n int) {
	if b == nil {
		return
	}
	b.packets++
	if b.bytes += int64(n); b.bytes >= b.next {
		b.next = b.bytes + b.size/200
		fmt.Fprintf(b.w, "\r%s: %d packets, %d MB of %d MB", b.name, b.packets, b.bytes>>20, b.size>>20)
	}
}

// Clear removes the line.
func (b *Bar) Clear() {
	if b != nil {
		fmt.Fprintf(b.w, "\r%*s\r", len(b.name)+60, "")
	}
}
