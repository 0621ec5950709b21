package flowscope

import (
	"github.com/flowscope-go/flowscope/internal/clock"
	"github.com/flowscope-go/flowscope/internal/flowtable"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// engine is what of a tracker does not depend on its type parameters. A generic
// type is compiled where it is used, and there the compiler inlines nothing of
// the rooms behind this package: a look at the clock is a call. So whatever every
// packet needs is done here, in few calls; what of it cannot do without them stands
// at the end.
type engine struct {
	clock   clock.Clock
	idle    [8]int64  // of each idleClass
	usually [8]uint64 // the same, or 0 if the extractor has time-outs of its own

	// doubted is where a packet was counted whose stamp nothing supports yet:
	// it leapt ahead, or was the first of all.
	inDoubt bool
	doubted struct {
		stamp int64
		slot  flowtable.ID
		flow  FlowID
		side  FlowSide
		begun uint64 // datagrams before it
	}

	frames uint64      // that brought the packet at hand: 1, unless it is a datagram out of fragments
	g      tcp.Segment // the packet at hand as the TCP room sees it,
	o      tcp.Outcome // and what that said of it
}

// follow is clock.Follow: a method here makes its body known where generic code
// is compiled, so that it is inlined after all.
func (e *engine) follow(stamp int64) bool { return e.clock.Follow(stamp) }

// usual reports whether the packet at hand belongs to the flow that was found
// and there is nothing to think about: the flow is alive, was not silent for too
// long, and no new connection is in sight. It is current's answer for nearly
// every packet, at the price of a few comparisons.
func (e *engine) usual(f *record, flags TCPFlags) bool {
	silent := uint64(e.clock.Now()) - uint64(max(f.last[0], f.last[1]))
	return f.bits&lingering == 0 && silent < e.usually[f.class()&7] && flags&FlagSYN == 0 && !f.conn.Waiting()
}

// counted is what is left to do for a packet after count.
type counted uint8

const (
	answered counted = 1 << iota // it is the flow's first answer
	inOrder                      // it is TCP and went the short way
	toStep                       // it is TCP and did not
)

// count counts the packet at hand, of n payload bytes, into its flow. Of TCP it
// does all there is to do for a segment with which the connection just goes on;
// pos is its place then.
func (e *engine) count(f *record, side FlowSide, wire, n int, info *TCPInfo, hasTCP bool) (pos int64, how counted) {
	side &= 1
	now := e.clock.Now()
	if f.packLo[side] == 0 && f.packHi[side] == 0 {
		f.first[side] = now
		if f.packets(side^1) != 0 {
			how = answered
		}
	}
	f.last[side] = now
	frames := uint32(e.frames)
	if f.packLo[side] += frames; f.packLo[side] < frames {
		f.packHi[side]++
	}
	f.bytes[side] = addCount(f.bytes[side], wire)
	f.payload[side] = addCount(f.payload[side], n)
	if !hasTCP || f.bits&isTCP == 0 {
		return 0, how
	}
	pos, ok := f.conn.Follow(tcp.Side(side), info.Seq, info.Ack, uint32(n), info.Window, uint8(info.Flags))
	if !ok {
		return 0, how | toStep
	}
	set := uint8(letterA)
	if n > 0 {
		set = letterD
	}
	if set&^f.letters[side] != 0 {
		f.spell(set, side)
	}
	return pos, how | inOrder
}

// extract asks the extractor, and reports what it said, and whether the packet goes
// to its flow and has nothing to pass before. A FiveTuple, also one that looks into
// tunnels, is asked without an interface between, for one call less and none of
// the clearing.
func (t *FlowTracker[K, S]) extract(v *PacketView) (ok, straight bool) {
	x := t.x
	if t.five != nil {
		if t.bare && t.how.plain(v, t.via, t.five) {
			return true, true
		}
		ok = t.how.extract(v, t.via, t.five)
	} else {
		x.clear()
		ok = t.ex.Extract(*v, x)
	}
	return ok, ok && x.notes == 0 && t.checksums.mode == ChecksumIgnore
}

// hashAtHand is the hash of the key at hand.
func (t *FlowTracker[K, S]) hashAtHand() uint64 {
	if t.five == nil {
		return t.hash(&t.x.Key)
	}
	return t.five.Key.hash(t.seed)
}

// isLatest reports whether the packet at hand belongs to the flow of the last one:
// packets come in trains, and the next of a train needs neither hash nor look-up.
func (t *FlowTracker[K, S]) isLatest() bool {
	return t.five != nil && t.latest != nil && any(&t.latest.Key).(*FiveTupleKey).equal(&t.five.Key)
}

// lookUp finds the slot of the key at hand, or nil.
//
// Tried without gain: IPv4 keys hashed as 24 bytes instead of 40 (2 ns of UDP,
// none of TCP). The hash written out here, without the package's call and its
// bytes, would save 4 ns, and be another hash than the one everybody can check. To
// touch the other lines of the slot before its key is compared: the processor looks
// ahead that far by itself.
func (t *FlowTracker[K, S]) lookUp(hash uint64) (s *slot[K, S]) {
	if t.victim.queue != 0 {
		t.foresee()
	}
	if t.five == nil {
		return t.table.Find(hash, &t.x.Key)
	}
	key := &t.five.Key
	for s = t.table.Seek(hash); s != nil; s = t.table.Next(hash, s) {
		if any(&s.Key).(*FiveTupleKey).equal(key) {
			break
		}
	}
	return s
}
