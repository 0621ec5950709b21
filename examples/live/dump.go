package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/flowscope-go/flowscope"
)

// dumpOptions are the flags about packets that are written.
type dumpOptions struct {
	name  string
	size  int64         // -C, in millions of bytes; 0: no limit
	every time.Duration // -G; 0: for ever
	keep  int           // -W; 0: no limit
}

const million = 1_000_000 // -C counts as tcpdump's does

func (o *dumpOptions) check() error {
	switch {
	case o.name == "" && (o.size != 0 || o.every != 0 || o.keep != 0):
		return errors.New("-C, -G and -W go with -w")
	case o.size < 0 || o.size > 1<<40:
		return errors.New("-C is a number of millions of bytes")
	case o.keep < 0 || o.keep != 0 && (o.size == 0 || o.every != 0):
		return errors.New("-W is a number of files, and goes with -C and without -G")
	}
	if o.every > 0 {
		_, err := timedName(o.name, time.Time{})
		return err
	}
	return nil
}

// letters are those of strftime that names of files are made of.
var letters = map[byte]string{
	'Y': "2006", 'm': "01", 'd': "02", 'H': "15", 'M': "04", 'S': "05", 'y': "06", 'j': "002", 'F': "2006-01-02", 'T': "15:04:05",
	'b': "Jan", 'a': "Mon", 'z': "-0700", 'Z': "MST",
}

// timedName fills the letters in a name.
func timedName(name string, t time.Time) (string, error) {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '%' {
			b.WriteByte(name[i])
			continue
		}
		i++
		switch {
		case i < len(name) && letters[name[i]] != "":
			b.WriteString(t.Format(letters[name[i]]))
		case i < len(name) && name[i] == 's':
			b.WriteString(strconv.FormatInt(t.Unix(), 10))
		case i < len(name) && name[i] == '%':
			b.WriteByte('%')
		default:
			return "", fmt.Errorf("-w %s: unknown %% letter; known are Y m d H M S y j F T b a z Z s", name)
		}
	}
	return b.String(), nil
}

// dump writes packets to files, one after the other. The workers share it. With several of them, packets of
// different flows may be out of order by the time that they wait in a ring.
type dump struct {
	dumpOptions
	link flowscope.LinkType

	mu      sync.Mutex
	file    *os.File
	buffer  *bufio.Writer
	packets *flowscope.CaptureWriter
	written int64     // to the file
	number  int       // of files before this one, since -G last began a new name
	began   time.Time // when it did
	files   int       // all
	failed  error     // nothing more is written
}

// newDump begins the first file, so that one that cannot be written is an error at once. It is nil without a name.
func newDump(o dumpOptions, link flowscope.LinkType, now time.Time) (*dump, error) {
	if o.name == "" {
		return nil, nil
	}
	d := &dump{dumpOptions: o, link: link, began: now}
	return d, d.open()
}

func (d *dump) path() (string, error) {
	name := d.name
	if d.every > 0 {
		var err error
		if name, err = timedName(name, d.began); err != nil {
			return "", err
		}
	}
	switch {
	case d.keep > 0:
		return fmt.Sprintf("%s%0*d", name, len(strconv.Itoa(d.keep-1)), d.number%d.keep), nil
	case d.number > 0:
		return name + strconv.Itoa(d.number), nil
	}
	return name, nil
}

func (d *dump) open() error {
	path, err := d.path()
	if err != nil {
		return err
	}
	if d.file, err = os.Create(path); err != nil {
		return err
	}
	d.files++
	d.buffer = bufio.NewWriterSize(d.file, 1<<20)
	d.written = fileHeader
	d.packets, err = flowscope.NewCaptureWriter(d.buffer, d.link)
	return err
}

// The headers of a pcap file and of a packet in it.
const (
	fileHeader   = 24
	packetHeader = 16
)

// write writes a packet. Before it, a file that is full or old is closed: by the time of the packets, as a network
// without packets needs no files.
func (d *dump) write(v flowscope.PacketView) error {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed == nil {
		d.failed = d.append(v)
	}
	return d.failed
}

func (d *dump) append(v flowscope.PacketView) error {
	at := v.Timestamp.Time().Local()
	next := d.size > 0 && d.written > d.size*million
	if d.every > 0 && at.Sub(d.began) >= d.every {
		// The beginnings are those that there would be with packets all the time.
		d.began = d.began.Add(at.Sub(d.began) / d.every * d.every)
		d.number, next = -1, true
	}
	if next {
		if err := d.close(); err != nil {
			return err
		}
		d.number++
		if err := d.open(); err != nil {
			return err
		}
	}
	d.written += packetHeader + int64(len(v.Frame))
	return d.packets.Write(v)
}

// flush lets other programs read what was written.
func (d *dump) flush() error {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.file == nil {
		return nil
	}
	return d.buffer.Flush()
}

// finish closes the last file.
func (d *dump) finish() error {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.close()
}

func (d *dump) close() error {
	if d.file == nil {
		return nil
	}
	err := errors.Join(d.buffer.Flush(), d.file.Close())
	d.file = nil
	return err
}
