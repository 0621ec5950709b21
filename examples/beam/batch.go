package main

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/flowscope-go/flowscope"
)

// Batch is packets of one file as they travel between the steps: a packet alone would cost more than it carries.
type Batch struct {
	// Kind says which of three sequences of a shard the packets are of.
	Kind int64
	// File is the file's number in the archive, and First that of the first packet in the file.
	File, First int64
	// Packets are, for each packet, its number in the file and its timestamp, less those of the packet before, then
	// link type, interface, length on the wire, length of the frame, and the frame.
	Packets []byte
}

// The sequences of a shard. In each but that of fragments, First tells the order of the batches of a file.
const (
	whole     = iota // packets that are no fragments
	fragments        // packets that are: a batch has those between two addresses, and others lie between them
	stamps           // timestamps of all packets, also of other shards: see ticker
	kinds
)

// place is where a packet is in the archive.
type place struct{ file, number int64 }

func (p place) compare(o place) int {
	return cmp.Or(cmp.Compare(p.file, o.file), cmp.Compare(p.number, o.number))
}

// packer fills a batch.
type packer struct {
	batch  Batch
	number int64
	stamp  flowscope.Timestamp
}

// add adds a packet and returns the size of the batch.
func (p *packer) add(kind int64, at place, v flowscope.PacketView) int {
	if len(p.batch.Packets) == 0 {
		p.batch.Kind, p.batch.File, p.batch.First = kind, at.file, at.number
		p.number, p.stamp = at.number, 0
	}
	b := binary.AppendUvarint(p.batch.Packets, uint64(at.number-p.number))
	b = binary.AppendVarint(b, int64(v.Timestamp)-int64(p.stamp)) // a difference that overflows is mended by the sum, which does too
	b = binary.AppendUvarint(b, uint64(v.LinkType))
	b = binary.AppendUvarint(b, uint64(v.Interface))
	b = binary.AppendUvarint(b, uint64(v.WireLen))
	b = binary.AppendUvarint(b, uint64(len(v.Frame)))
	p.batch.Packets = append(b, v.Frame...)
	p.number, p.stamp = at.number, v.Timestamp
	return len(p.batch.Packets)
}

// take gives the batch away, and begins another one.
func (p *packer) take() Batch {
	b := p.batch
	p.batch = Batch{}
	return b
}

// cursor goes through the packets of batches, in order.
type cursor struct {
	batches []Batch
	rest    []byte // of the first batch
	at      place
	view    flowscope.PacketView
	ok      bool // at and view are a packet
}

// newCursor sorts the batches.
func newCursor(batches []Batch) (*cursor, error) {
	slices.SortFunc(batches, func(a, b Batch) int {
		return place{a.File, a.First}.compare(place{b.File, b.First})
	})
	c := &cursor{batches: batches}
	return c, c.next()
}

var errBatch = errors.New("a batch of packets is damaged")

// next goes to the next packet. Its frame is a part of the batch, and stays good.
func (c *cursor) next() error {
	for len(c.rest) == 0 {
		if c.ok = len(c.batches) > 0; !c.ok {
			return nil
		}
		b := &c.batches[0]
		c.rest, c.at, c.view.Timestamp = b.Packets, place{b.File, b.First}, 0
		c.batches[0], c.batches = Batch{}, c.batches[1:] // its memory is free once its packets were read
	}
	number, stamp := c.uvarint(), c.varint()
	link, port, wire, size := c.uvarint(), c.uvarint(), c.uvarint(), c.uvarint()
	if c.rest == nil || size > uint64(len(c.rest)) {
		c.ok, c.rest, c.batches = false, nil, nil
		return errBatch
	}
	c.at.number += int64(number)
	c.view = flowscope.PacketView{
		Frame: c.rest[:size:size], Timestamp: c.view.Timestamp + flowscope.Timestamp(stamp),
		LinkType: flowscope.LinkType(link), Interface: uint32(port), WireLen: int(wire),
		ID: uint64(c.at.number), // as of OpenCapture: HTTP tells by it whether bytes came with the same packet
	}
	c.rest = c.rest[size:]
	return nil
}

// uvarint takes a number off rest, which is nil from the first wrong one on.
func (c *cursor) uvarint() uint64 {
	x, n := binary.Uvarint(c.rest)
	if n <= 0 {
		c.rest = nil
		return 0
	}
	c.rest = c.rest[n:]
	return x
}

func (c *cursor) varint() int64 {
	x, n := binary.Varint(c.rest)
	if n <= 0 {
		c.rest = nil
		return 0
	}
	c.rest = c.rest[n:]
	return x
}

// untangle makes of batches whose packets lie between each other's batches that follow each other.
func untangle(batches []Batch) (ordered []Batch, err error) {
	type packet struct {
		at   place
		view flowscope.PacketView
	}
	var all []packet
	for i := range batches {
		c, err := newCursor(batches[i : i+1])
		for ; err == nil && c.ok; err = c.next() {
			all = append(all, packet{c.at, c.view})
		}
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b packet) int { return a.at.compare(b.at) })
	var p packer
	for i := range all {
		if i > 0 && all[i].at.file != p.batch.File && len(p.batch.Packets) > 0 {
			ordered = append(ordered, p.take())
		}
		if p.add(fragments, all[i].at, all[i].view) >= batchBytes {
			ordered = append(ordered, p.take())
		}
	}
	if len(p.batch.Packets) > 0 {
		ordered = append(ordered, p.take())
	}
	return ordered, nil
}
