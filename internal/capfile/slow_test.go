package capfile

import (
	"encoding/binary"
	"math"
	"math/big"
)

// slowRead reads a whole uncompressed file in memory, written for clarity only:
// no buffer, no reuse, times in rational numbers. It is the oracle of the Reader.
func slowRead(file []byte) ([]Packet, verdict) {
	if len(file) < 4 {
		return nil, verdict{ErrFormat, 0}
	}
	for _, o := range []byteOrder{le, be} {
		switch o.Uint32(file) {
		case 0xa1b2c3d4:
			return slowPcap(file, o, 16, 1000)
		case 0xa1b23c4d:
			return slowPcap(file, o, 16, 1)
		case 0xa1b2cd34:
			return slowPcap(file, o, 24, 1000)
		case 0x0a0d0d0a:
			return slowPcapng(file)
		}
	}
	return nil, verdict{ErrFormat, 0}
}

func slowPcap(file []byte, o byteOrder, header int, unit int64) (got []Packet, v verdict) {
	if len(file) < 24 {
		return nil, verdict{ErrTruncated, 0}
	}
	if o.Uint16(file[4:]) != 2 {
		return nil, verdict{ErrFormat, 0}
	}
	word := o.Uint32(file[20:])
	fcs := 0
	if word>>26&1 == 1 {
		fcs = int(word>>28) * 2
	}
	if fcs > 4 {
		fcs = 0
	}
	at := 24
	for at < len(file) {
		rec := file[at:]
		if len(rec) < header {
			return got, verdict{ErrTruncated, int64(at)}
		}
		size := int64(header) + int64(o.Uint32(rec[8:]))
		if size > MaxRecord && len(rec) >= MaxRecord {
			return got, verdict{ErrCorrupt, int64(at)}
		}
		if size > int64(len(rec)) {
			return got, verdict{ErrTruncated, int64(at)}
		}
		p := slowFrame(rec[header:size], int64(o.Uint32(rec[12:])), fcs)
		p.Link = uint16(word & 0xffff)
		p.Time = int64(o.Uint32(rec))*1e9 + int64(o.Uint32(rec[4:]))*unit
		got = append(got, p)
		at += int(size)
	}
	return got, v
}

func slowFrame(data []byte, wire int64, fcs int) Packet {
	if wire < int64(len(data)) {
		wire = int64(len(data))
	}
	for ; fcs > 0 && wire > 0; fcs-- {
		wire--
	}
	for int64(len(data)) > wire {
		data = data[:len(data)-1]
	}
	if wire > math.MaxInt32 {
		wire = math.MaxInt32
	}
	return Packet{Data: data, WireLen: int(wire)}
}

// slowInterface is an interface as the file describes it.
type slowInterface struct {
	link   uint16
	snap   int64
	resol  byte
	offset int64
	fcs    int
}

func (i slowInterface) time(ts uint64) int64 {
	base := big.NewInt(10)
	if i.resol&0x80 != 0 {
		base = big.NewInt(2)
	}
	units := new(big.Int).Exp(base, big.NewInt(int64(i.resol&0x7f)), nil)
	ns := new(big.Int).Mul(new(big.Int).SetUint64(ts), big.NewInt(1e9))
	ns.Div(ns, units)
	ns.Add(ns, new(big.Int).Mul(big.NewInt(i.offset), big.NewInt(1e9)))
	switch {
	case ns.Cmp(big.NewInt(math.MaxInt64)) > 0:
		return math.MaxInt64
	case ns.Cmp(big.NewInt(math.MinInt64)) < 0:
		return math.MinInt64
	}
	return ns.Int64()
}

type slowOption struct {
	code  uint16
	value []byte
}

func slowOptions(o byteOrder, b []byte) (list []slowOption, whole bool) {
	for len(b) >= 4 && o.Uint16(b) != 0 {
		n := int(o.Uint16(b[2:]))
		if 4+n > len(b) {
			return list, false
		}
		list = append(list, slowOption{o.Uint16(b), b[4 : 4+n]})
		for n%4 != 0 {
			n++
		}
		if 4+n > len(b) {
			return list, true
		}
		b = b[4+n:]
	}
	return list, true
}

func slowPcapng(file []byte) (got []Packet, v verdict) {
	var o byteOrder = binary.LittleEndian
	var ifcs []slowInterface
	last := int64(0)
	for at := 0; at < len(file); {
		b := file[at:]
		truncated, corrupted := verdict{ErrTruncated, int64(at)}, verdict{ErrCorrupt, int64(at)}
		if len(b) < 8 {
			return got, truncated
		}
		kind := o.Uint32(b)
		least := int64(12)
		if kind == 0x0a0d0d0a {
			if len(b) < 28 {
				return got, truncated
			}
			switch {
			case le.Uint32(b[8:]) == 0x1a2b3c4d:
				o = le
			case be.Uint32(b[8:]) == 0x1a2b3c4d:
				o = be
			default:
				return got, corrupted
			}
			least = 28
		}
		size := int64(o.Uint32(b[4:]))
		if size < least {
			return got, corrupted
		}
		if kind == 0x0a0d0d0a && o.Uint16(b[12:]) != 1 {
			return got, verdict{ErrFormat, int64(at)}
		}
		known := kind == 1 || kind == 2 || kind == 3 || kind == 6
		if known && size > MaxRecord && len(b) >= MaxRecord {
			return got, corrupted
		}
		if size > int64(len(b)) {
			return got, truncated
		}
		b = b[:size]
		if int64(o.Uint32(b[size-4:])) != size {
			return got, corrupted
		}
		body := b[8 : size-4]
		switch kind {
		case 0x0a0d0d0a:
			ifcs, last = nil, 0
		case 1:
			ifc, ok := slowInterfaceBlock(o, body)
			if !ok || len(ifcs) == 65536 {
				return got, corrupted
			}
			ifcs = append(ifcs, ifc)
		case 2, 3, 6:
			p, ok := slowPacketBlock(o, kind, body, ifcs)
			if !ok {
				return got, corrupted
			}
			if kind == 3 {
				p.Time = last
			}
			last = p.Time
			got = append(got, p)
		}
		at += int(size)
	}
	return got, v
}

func slowInterfaceBlock(o byteOrder, body []byte) (ifc slowInterface, ok bool) {
	if len(body) < 8 {
		return ifc, false
	}
	ifc = slowInterface{link: o.Uint16(body), snap: int64(o.Uint32(body[4:])), resol: 6}
	if ifc.snap == 0 {
		ifc.snap = math.MaxUint32
	}
	list, whole := slowOptions(o, body[8:])
	for _, opt := range list {
		switch [2]int{int(opt.code), len(opt.value)} {
		case [2]int{9, 1}:
			ifc.resol = opt.value[0]
		case [2]int{14, 8}:
			ifc.offset = int64(o.Uint64(opt.value))
		case [2]int{13, 1}:
			octets := map[byte]int{1: 1, 2: 2, 3: 3, 4: 4, 8: 1, 16: 2, 24: 3, 32: 4}
			ifc.fcs = octets[opt.value[0]]
		}
	}
	return ifc, whole
}

func slowPacketBlock(o byteOrder, kind uint32, body []byte, ifcs []slowInterface) (p Packet, ok bool) {
	if kind == 3 {
		if len(body) < 4 || len(ifcs) == 0 {
			return p, false
		}
		wire := int64(o.Uint32(body))
		n := min(wire, ifcs[0].snap)
		if n > int64(len(body)-4) {
			return p, false
		}
		p = slowFrame(body[4:4+n], wire, ifcs[0].fcs)
		p.Link = ifcs[0].link
		return p, true
	}
	if len(body) < 20 {
		return p, false
	}
	number := int64(o.Uint32(body))
	if kind == 2 {
		number = int64(o.Uint16(body))
	}
	n := int64(o.Uint32(body[12:]))
	if number >= int64(len(ifcs)) || n > int64(len(body)-20) {
		return p, false
	}
	ifc := ifcs[number]
	fcs := ifc.fcs
	if rest := 20 + (n+3)/4*4; rest < int64(len(body)) {
		list, _ := slowOptions(o, body[rest:])
		for _, opt := range list {
			if opt.code == 2 && len(opt.value) == 4 {
				if f := int(o.Uint32(opt.value) >> 5 & 15); f >= 1 && f <= 4 {
					fcs = f
				}
			}
		}
	}
	p = slowFrame(body[20:20+n], int64(o.Uint32(body[16:])), fcs)
	p.Link = ifc.link
	p.Interface = int(number)
	p.Time = ifc.time(uint64(o.Uint32(body[4:]))<<32 | uint64(o.Uint32(body[8:])))
	return p, true
}
