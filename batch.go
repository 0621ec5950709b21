package flowscope

import "iter"

// Several packets at a time: all are read ahead, and what they will need is touched,
// before the first goes to its flow.

// batchLen is how many packets are looked at together. Their memory has to fit
// into the innermost cache beside that of the flows: 8 gained less, 32 no more.
const batchLen = 16

// batch is what was read of the packets at hand, some at a time.
type batch[K comparable, S any] struct {
	x        [batchLen]Extracted[K]
	five     [batchLen]*Extracted[FiveTupleKey] // the same, if the extractor is a FiveTuple
	hash     [batchLen]uint64
	ok       [batchLen]bool
	straight [batchLen]bool
	slots    [batchLen]*slot[K, S]
	sum      uint64 // of what was touched, so that the compiler does not leave it out
}

// TrackBatch is Track for several packets, for tables of flows that are larger
// than the caches. It reads the headers of the next 16 packets and touches the
// memory of their flows before it takes them one by one, so that the waits for
// memory overlap: all lines of
//
//	packet 1   index .... slot ....                  one by one, each
//	packet 2                        index .... ...   wait comes in turn
//
//	packet 1   index .... slot ....
//	packet 2   index .... slot ....                  in a batch
//
// The loop runs once for each packet that has events, in order, with the packet's
// place in views; packets without events are passed over. The events are those of
// Track, and good until the loop goes on. All frames must stay as they are until
// the loop has ended: those of OpenCapture and of gopacket's sources are used again,
// and have to be copied. A loop that ends early leaves the rest of views untracked.
// The extractor is asked ahead, and must not depend on what the loop does. The loop
// must not call Track, TrackBatch, Sweep or Finish.
func (t *FlowTracker[K, S]) TrackBatch(views []PacketView) iter.Seq2[int, []FlowEvent[K]] {
	return t.trackBatch(views, func() {})
}

func (t *FlowTracker[K, S]) trackBatch(views []PacketView, begin func()) iter.Seq2[int, []FlowEvent[K]] {
	return func(yield func(int, []FlowEvent[K]) bool) {
		if t.batch == nil {
			t.makeBatch()
		}
		b := t.batch
		five := t.five
		defer func() {
			t.x, t.five = t.single, five
			clear(b.slots[:]) // do not keep what the table lets go
		}()
		for first := 0; first < len(views); first += batchLen {
			group := views[first:min(first+batchLen, len(views))]
			t.readAhead(group)
			for i := range group {
				begin()
				v := &group[i]
				t.arrive(v)
				t.x, t.five = &b.x[i], b.five[i]
				wire := max(v.WireLen, len(v.Frame))
				var events []FlowEvent[K]
				if b.straight[i] {
					events = t.bring(b.hash[i], t.lookUp(b.hash[i]), wire)
				} else {
					events = t.admit(*v, b.ok[i], wire)
				}
				if len(events) != 0 && !yield(first+i, events) {
					return
				}
			}
		}
	}
}

func (t *FlowTracker[K, S]) makeBatch() {
	t.batch = new(batch[K, S])
	for i := range t.batch.five {
		if t.five != nil {
			t.batch.five[i] = any(&t.batch.x[i]).(*Extracted[FiveTupleKey])
		}
	}
}

// readAhead reads the headers of the packets, and then touches what they will
// need: first all words of the index, then all slots.
func (t *FlowTracker[K, S]) readAhead(group []PacketView) {
	b := t.batch
	for i := range group {
		t.x, t.five = &b.x[i], b.five[i]
		if b.ok[i], b.straight[i] = t.extract(&group[i]); b.straight[i] {
			b.hash[i] = t.hashAtHand()
		}
	}
	for i := range group {
		b.slots[i] = nil
		if b.straight[i] {
			b.slots[i] = t.table.Seek(b.hash[i])
		}
	}
	for _, s := range b.slots[:len(group)] {
		if s != nil {
			b.sum += t.touch(s)
		}
	}
}

// TrackBatch is Track for several packets; see FlowTracker.TrackBatch.
func (d *FlowDriver[K, S]) TrackBatch(views []PacketView) iter.Seq2[int, []FlowEvent[K]] {
	return d.t.trackBatch(views, d.begin)
}

// touch reads a byte of each line of what a driver keeps with a flow.
func (d *FlowDriver[K, S]) touch(s *slot[K, driven[S]]) uint64 {
	f := &s.Value.user
	return uint64(f.sides[0].bits) + uint64(f.sides[1].bits) + uint64(f.alarm)
}
