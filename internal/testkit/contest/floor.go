package contest

import (
	"encoding/binary"

	"github.com/dgryski/go-wyhash"
)

// Floor does what no tracker can do without: it reads the header fields, hashes them, finds a slot and touches it.
// Nothing else, except that it forgets the oldest flow to make room for a new one. It reads IPv4 without options and
// IPv6 without extension headers over Ethernet; other frames cost it nothing.
type Floor = floor[[0]uint64]

// WideFloor is a Floor with slots of 256 bytes, as large as a flow's. Beside the line of the cache with the key it
// touches the next ones, as many as it is told: what the same costs that has as much to remember.
type WideFloor = floor[[24]uint64]

type floor[R [0]uint64 | [24]uint64] struct {
	index []uint64 // tag<<32 | slot+1
	slots []floorSlot[R]
	next  int // to be used for a new flow
	flows int
	lines int
}

type floorSlot[R [0]uint64 | [24]uint64] struct {
	key     [5]uint64
	packets uint64
	last    int64
	rest    R
	hash    uint64
}

// NewFloor makes a floor with room for that many flows.
func NewFloor(flows int) *Floor { return newFloor[[0]uint64](flows, 1) }

// NewWideFloor makes a wide one, which touches that many lines, 1 to 4, of a slot.
func NewWideFloor(flows, lines int) *WideFloor { return newFloor[[24]uint64](flows, lines) }

func newFloor[R [0]uint64 | [24]uint64](flows, lines int) *floor[R] {
	n := 8
	for n < 2*flows {
		n *= 2
	}
	return &floor[R]{index: make([]uint64, n), slots: make([]floorSlot[R], 0, flows), flows: flows, lines: lines}
}

// Take takes the next packet.
func (fl *floor[R]) Take(f []byte, stamp int64) {
	var key [5]uint64
	var ports uint32
	switch {
	case len(f) >= 42 && f[12] == 8 && f[13] == 0 && f[14] == 0x45:
		key[1] = 0xffff<<32 | uint64(binary.BigEndian.Uint32(f[26:]))
		key[3] = 0xffff<<32 | uint64(binary.BigEndian.Uint32(f[30:]))
		ports, key[4] = binary.BigEndian.Uint32(f[34:]), uint64(f[23])
	case len(f) >= 62 && f[12] == 0x86 && f[13] == 0xdd:
		key[0], key[1] = binary.BigEndian.Uint64(f[22:]), binary.BigEndian.Uint64(f[30:])
		key[2], key[3] = binary.BigEndian.Uint64(f[38:]), binary.BigEndian.Uint64(f[46:])
		ports, key[4] = binary.BigEndian.Uint32(f[54:]), uint64(f[20])
	default:
		return
	}
	if key[0] > key[2] || key[0] == key[2] && key[1] > key[3] {
		key[0], key[1], key[2], key[3] = key[2], key[3], key[0], key[1]
		ports = ports<<16 | ports>>16
	}
	key[4] |= uint64(ports) << 32
	var b [40]byte
	for i, w := range key {
		binary.LittleEndian.PutUint64(b[8*i:], w)
	}
	h := wyhash.Hash(b[:], 1)
	mask := uint64(len(fl.index) - 1)
	for i := h >> 32; ; i++ {
		w := fl.index[i&mask]
		if w == 0 {
			fl.insert(h, &key, stamp)
			return
		}
		if w>>32 == h>>32 {
			if s := &fl.slots[uint32(w)-1]; s.key == key {
				s.packets++
				s.last = stamp
				for line := 1; line < fl.lines; line++ {
					s.rest[8*line-7]++
				}
				return
			}
		}
	}
}

func (fl *floor[R]) insert(h uint64, key *[5]uint64, stamp int64) {
	if fl.next == fl.flows {
		fl.next = 0
	}
	if fl.next == len(fl.slots) {
		fl.slots = append(fl.slots, floorSlot[R]{})
	} else {
		fl.forget(uint64(fl.next+1), fl.slots[fl.next].hash)
	}
	fl.slots[fl.next] = floorSlot[R]{key: *key, packets: 1, last: stamp, hash: h}
	fl.next++
	mask := uint64(len(fl.index) - 1)
	i := h >> 32
	for fl.index[i&mask] != 0 {
		i++
	}
	fl.index[i&mask] = h>>32<<32 | uint64(fl.next)
}

// forget takes a slot out of the index, and closes the gap: what stands behind it in one run and may stand in it
// moves there.
func (fl *floor[R]) forget(slot, h uint64) {
	mask := uint64(len(fl.index) - 1)
	gap := h >> 32 & mask
	for fl.index[gap]&0xffffffff != slot {
		gap = (gap + 1) & mask
	}
	for i := (gap + 1) & mask; fl.index[i] != 0; i = (i + 1) & mask {
		if home := fl.index[i] >> 32 & mask; (i-home)&mask >= (i-gap)&mask {
			fl.index[gap], gap = fl.index[i], i
		}
	}
	fl.index[gap] = 0
}
