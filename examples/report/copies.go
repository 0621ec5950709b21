package main

import (
	"encoding/binary"
	"hash/maphash"
	"time"

	"github.com/flowscope-go/flowscope"
)

// copyWithin is how soon after a packet the same packet again is taken for a copy. Senders wait for longer, most of
// them, before they send something again, and then an option, an ACK number or a window has changed.
const copyWithin = 5 * time.Millisecond

// copies finds packets that were captured twice, as where both ports of a bridge are captured. It compares what
// routers and bridges do not change. Of the packets that came within the last moments it knows the latest for each of
// some thousand fingerprints.
type copies struct {
	seed maphash.Seed
	seen [8192]struct {
		print uint64
		at    flowscope.Timestamp
	}
	head []byte
}

func newCopies() *copies { return &copies{seed: maphash.MakeSeed()} }

// is reports whether the packet is a copy of one before.
func (c *copies) is(at flowscope.Timestamp, x *extracted) bool {
	b := binary.BigEndian.AppendUint64(c.head[:0], x.Key.Hash(0))
	b = append(b, byte(x.Orientation), byte(x.TCP.Flags))
	for _, n := range []uint32{x.TCP.Seq, x.TCP.Ack, uint32(x.TCP.Window), x.TCP.Timestamp, x.TCP.TimestampEcho, uint32(len(x.Payload)), uint32(x.Missing)} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	c.head = b
	print := maphash.Bytes(c.seed, b) ^ maphash.Bytes(c.seed, x.Payload)*3
	slot := &c.seen[print%uint64(len(c.seen))]
	old := *slot
	slot.print, slot.at = print, at
	return old.print == print && at >= old.at && at.Sub(old.at) <= copyWithin
}
