package main

import (
	"fmt"
	"io"
	"os"
)

// progress is a line on a terminal that shows how much of a big file has been read.
type progress struct {
	w           io.Writer
	name        string
	size        int64
	bytes, next int64
	packets     int
}

// bigFile is the size from which on progress is shown.
const bigFile = 64 << 20

// newProgress returns nil, whose methods do nothing, unless the file is big and w is a terminal.
func newProgress(w io.Writer, name string) *progress {
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
	return &progress{w: w, name: name, size: info.Size()}
}

func (p *progress) packet(n int) {
	if p == nil {
		return
	}
	p.packets++
	if p.bytes += int64(n); p.bytes >= p.next {
		p.next = p.bytes + p.size/200
		fmt.Fprintf(p.w, "\r%s: %d packets, %d MB of %d MB", p.name, p.packets, p.bytes>>20, p.size>>20)
	}
}

func (p *progress) clear() {
	if p != nil {
		fmt.Fprintf(p.w, "\r%*s\r", len(p.name)+60, "")
	}
}
