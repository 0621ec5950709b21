package flowscope

import (
	"iter"
)

// Batches: the headers of several packets are read ahead, and the memory of their flows is read,
// before the first packet goes to its flow.

// batchLen is how many packets are read ahead. Their memory has to fit into the innermost cache
// beside that of the flows: 8 gained less, 32 no more.
const batchLen = 16

// batch is what was extracted from the packets of a batch.
type batch[K comparable, S any] struct {
	x      [batchLen]Extracted[K]
	hash   [batchLen]uint64
	ok     [batchLen]bool // of extract
	direct [batchLen]bool // of extract
	slots  [batchLen]*slot[K, S]
	sum    uint64 // of the memory read ahead, so that the compiler keeps the reads
}

// TrackBatch is Track for several packets, for tables of flows that are larger than the caches. It
// reads the headers of the next 16 packets and the memory of their flows before it takes them one by
// one, so that the waits for memory overlap:
//
//	packet 1   index .... slot ....                  one by one, each
//	packet 2                        index .... ...   wait comes in turn
//
//	packet 1   index .... slot ....
//	packet 2   index .... slot ....                  in a batch
//
// The loop runs once for each packet that has events, in order, with the packet's place in views;
// packets without events are passed over. The events are those of Track, and good until the loop
// goes on. All frames must stay as they are until the loop has ended: those of OpenCapture and of
// gopacket's sources are used again, and have to be copied. A loop that ends early leaves the rest
// of views untracked. The extractor is asked ahead, and must not depend on what the loop does. A call of
// Track, TrackBatch, Sweep or Finish in the loop does nothing, and is counted in NestedCalls.
//
// It pays from some 100,000 flows on; with flows that the caches hold it costs a little.
func (t *FlowTracker[K, S]) TrackBatch(views []PacketView) iter.Seq2[int, []FlowEvent[K]] {
	return t.trackBatch(views, func() {})
}

// trackBatch is TrackBatch. begin is called before each packet.
func (t *FlowTracker[K, S]) trackBatch(views []PacketView, begin func()) iter.Seq2[int, []FlowEvent[K]] {
	return func(yield func(int, []FlowEvent[K]) bool) {
		if t.busy {
			t.nested()
			return
		}
		defer func() { t.busy = false }()
		if !t.fastPaths {
			for i := range views {
				begin()
				events := t.track(&views[i])
				if len(events) == 0 {
					continue
				}
				if t.busy = true; !yield(i, events) {
					return
				}
				t.busy = false
			}
			return
		}
		if t.batch == nil {
			t.batch = new(batch[K, S])
		}
		b := t.batch
		defer func() {
			t.setExtracted(t.single)
			clear(b.slots[:]) // do not keep memory that the table lets go
		}()
		for first := 0; first < len(views); first += batchLen {
			group := views[first:min(first+batchLen, len(views))]
			t.readAhead(group)
			for i := range group {
				begin()
				v := &group[i]
				t.beginPacket(v)
				t.setExtracted(&b.x[i])
				wire := max(v.WireLen, len(v.Frame))
				var events []FlowEvent[K]
				if b.direct[i] {
					if s := t.lookUp(b.hash[i]); s != nil && t.goStraight(b.hash[i], s, wire) {
						events = t.straightEnd(s)
					} else {
						events = t.updateOrCreateFlow(b.hash[i], s, wire)
					}
				} else {
					events = t.trackSlow(*v, b.ok[i], wire)
				}
				if len(events) == 0 {
					continue
				}
				if t.busy = true; !yield(first+i, events) {
					return
				}
				t.busy = false
			}
		}
	}
}

// setExtracted makes x the place into which packets are extracted.
func (t *FlowTracker[K, S]) setExtracted(x *Extracted[K]) {
	t.x = x
	if t.fast.x != nil {
		t.fast.x = any(x).(*Extracted[FiveTupleKey])
	}
}

// readAhead reads the headers of the packets, and then the memory that they will need: first all
// words of the index, then all slots.
func (t *FlowTracker[K, S]) readAhead(group []PacketView) {
	b := t.batch
	for i := range group {
		t.setExtracted(&b.x[i])
		if b.ok[i], b.direct[i] = t.extract(&group[i]); b.direct[i] {
			b.hash[i] = t.packetHash()
		}
	}
	for i := range group {
		b.slots[i] = nil
		if b.direct[i] {
			b.slots[i] = t.table.Seek(b.hash[i])
		}
	}
	for _, s := range b.slots[:len(group)] {
		if s != nil {
			b.sum += t.prefetch(s)
		}
	}
}
