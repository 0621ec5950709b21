package main

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/net/bpf"

	"github.com/flowscope-go/flowscope"
)

// condition is a tree of comparisons, of which a program is made.
type condition interface {
	// emit appends the code of the condition, which goes on at one of two labels. One of them is next, and is placed
	// behind it.
	emit(c *compiler, yes, no, next label)
}

type (
	and struct{ left, right condition }
	or  struct{ left, right condition }
	not struct{ of condition }
	// test is one comparison of what load leaves in the accumulator.
	test struct {
		load []bpf.Instruction
		cond bpf.JumpTest
		with uint32
	}
	vlan struct{ id int } // -1: any
)

const (
	typeIPv4 = 0x0800
	typeARP  = 0x0806
	typeRARP = 0x8035
	typeIPv6 = 0x86dd
	typeVLAN = 0x8100
	typeQinQ = 0x88a8
)

// The scratch memory of a program.
const (
	atType   = 0 // the type of the network layer
	atHeader = 1 // where its header begins
	atVLAN   = 2 // the tag in the frame: 1<<16 and its TCI
)

type label int

// compiler has the code so far. Jumps to labels are resolved at the end. Conditional jumps of BPF reach 255
// instructions, others any: so each comparison is followed by one of those.
type compiler struct {
	code   []bpf.Instruction
	jumps  map[int]label
	places []int // of the labels
}

func (c *compiler) label() label {
	c.places = append(c.places, 0)
	return label(len(c.places) - 1)
}

func (c *compiler) place(l label) { c.places[l] = len(c.code) }

func (c *compiler) jump(l label) {
	c.jumps[len(c.code)] = l
	c.code = append(c.code, bpf.Jump{})
}

// compile makes a program for frames of this link type, Ethernet or IP.
func compile(root condition, link flowscope.LinkType) []bpf.Instruction {
	c := &compiler{jumps: map[int]label{}}
	if link == flowscope.LinkTypeEthernet {
		c.code = append(c.code, ethernet...)
	} else {
		c.code = append(c.code, rawIP...)
	}
	yes, no := c.label(), c.label()
	root.emit(c, yes, no, yes)
	c.place(yes)
	c.code = append(c.code, passAll...)
	c.place(no)
	c.code = append(c.code, passNone...)
	for at, l := range c.jumps {
		c.code[at] = bpf.Jump{Skip: uint32(c.places[l] - at - 1)}
	}
	return c.code
}

// ethernet finds the network layer behind an Ethernet header and at most two VLAN tags. The kernel gives the outer tag
// beside the frame, but not always: with the offload switched off, tags of outgoing packets are in it.
var ethernet = []bpf.Instruction{
	bpf.LoadConstant{Dst: bpf.RegA, Val: 0},
	bpf.StoreScratch{Src: bpf.RegA, N: atVLAN}, // the kernel refuses programs that load what may not have been stored
	bpf.LoadConstant{Dst: bpf.RegX, Val: 14},
	bpf.LoadAbsolute{Off: 12, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeVLAN, SkipTrue: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: typeQinQ, SkipTrue: 8},
	bpf.LoadAbsolute{Off: 14, Size: 2},
	bpf.ALUOpConstant{Op: bpf.ALUOpOr, Val: 1 << 16},
	bpf.StoreScratch{Src: bpf.RegA, N: atVLAN},
	bpf.LoadConstant{Dst: bpf.RegX, Val: 18},
	bpf.LoadAbsolute{Off: 16, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: typeVLAN, SkipTrue: 2},
	bpf.LoadConstant{Dst: bpf.RegX, Val: 22},
	bpf.LoadAbsolute{Off: 20, Size: 2},
	bpf.StoreScratch{Src: bpf.RegA, N: atType},
	bpf.StoreScratch{Src: bpf.RegX, N: atHeader},
}

// rawIP finds the version of IP. Of any other the type is one that no condition asks for.
var rawIP = []bpf.Instruction{
	bpf.LoadConstant{Dst: bpf.RegA, Val: 0},
	bpf.StoreScratch{Src: bpf.RegA, N: atVLAN},
	bpf.StoreScratch{Src: bpf.RegA, N: atHeader},
	bpf.LoadAbsolute{Off: 0, Size: 1},
	bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 6, SkipTrue: 2},
	bpf.LoadConstant{Dst: bpf.RegA, Val: typeIPv6},
	bpf.Jump{Skip: 2},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 4, SkipTrue: 1},
	bpf.LoadConstant{Dst: bpf.RegA, Val: typeIPv4},
	bpf.StoreScratch{Src: bpf.RegA, N: atType},
}

func (n and) emit(c *compiler, yes, no, next label) {
	right := c.label()
	n.left.emit(c, right, no, right)
	c.place(right)
	n.right.emit(c, yes, no, next)
}

func (n or) emit(c *compiler, yes, no, next label) {
	right := c.label()
	n.left.emit(c, yes, right, right)
	c.place(right)
	n.right.emit(c, yes, no, next)
}

func (n not) emit(c *compiler, yes, no, next label) { n.of.emit(c, no, yes, next) }

func (n test) emit(c *compiler, yes, no, next label) {
	c.code = append(c.code, n.load...)
	if next == yes {
		c.code = append(c.code, bpf.JumpIf{Cond: n.cond, Val: n.with, SkipTrue: 1})
		c.jump(no)
	} else {
		c.code = append(c.code, bpf.JumpIf{Cond: n.cond, Val: n.with, SkipFalse: 1})
		c.jump(yes)
	}
}

func (n vlan) emit(c *compiler, yes, no, next label) {
	beside := condition(test{[]bpf.Instruction{bpf.LoadExtension{Num: bpf.ExtVLANTagPresent}}, bpf.JumpNotEqual, 0})
	inside := condition(test{[]bpf.Instruction{bpf.LoadScratch{Dst: bpf.RegA, N: atVLAN}}, bpf.JumpNotEqual, 0})
	if n.id >= 0 {
		id := bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xfff}
		beside = and{beside, test{[]bpf.Instruction{bpf.LoadExtension{Num: bpf.ExtVLANTag}, id}, bpf.JumpEqual, uint32(n.id)}}
		inside = and{inside, test{[]bpf.Instruction{bpf.LoadScratch{Dst: bpf.RegA, N: atVLAN}, id}, bpf.JumpEqual, uint32(n.id)}}
	}
	or{beside, inside}.emit(c, yes, no, next)
}

func etherType(t uint32) condition {
	return test{[]bpf.Instruction{bpf.LoadScratch{Dst: bpf.RegA, N: atType}}, bpf.JumpEqual, t}
}

// at loads a number from the network header.
func at(off uint32, size int, then ...bpf.Instruction) []bpf.Instruction {
	return append([]bpf.Instruction{bpf.LoadScratch{Dst: bpf.RegX, N: atHeader}, bpf.LoadIndirect{Off: off, Size: size}}, then...)
}

func protocol4(n uint32) condition { return test{at(9, 1), bpf.JumpEqual, n} }

// hopByHop is true of IPv6 with the header of 8 bytes that Linux puts before TCP in packets over 64 KiB (BIG TCP, RFC
// 2675). tcpdump does not look behind it.
func hopByHop() condition { return and{nextHeader(0), test{at(41, 1), bpf.JumpEqual, 0}} }

func nextHeader(n uint32) condition { return test{at(6, 1), bpf.JumpEqual, n} }

// protocol6 also looks behind a fragment header.
func protocol6(n uint32) condition {
	return or{nextHeader(n), and{nextHeader(44), test{at(40, 1), bpf.JumpEqual, n}}}
}

// transport6 also looks behind the header of hopByHop.
func transport6(n uint32) condition {
	return or{nextHeader(n), and{hopByHop(), test{at(40, 1), bpf.JumpEqual, n}}}
}

// firstFragment is true of the first fragment and of whole datagrams: the others have no ports.
func firstFragment() condition { return test{at(6, 2), bpf.JumpBitsNotSet, 0x1fff} }

// prefix compares the address at an offset of the network header.
func prefix(off uint32, net netip.Prefix) condition {
	addr, bits := net.Addr().AsSlice(), net.Bits()
	var all condition
	for i := 0; i < len(addr) && (bits > 0 || i == 0); i, bits = i+4, bits-32 {
		mask := uint32(0)
		if bits > 0 {
			mask = ^uint32(0) << max(32-bits, 0)
		}
		word := test{at(off+uint32(i), 4, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: mask}), bpf.JumpEqual, binary.BigEndian.Uint32(addr[i:])}
		if all == nil {
			all = word
		} else {
			all = and{all, word}
		}
	}
	return all
}

// port4 compares the port at an offset of the transport header, behind an IPv4 header with options.
func port4(off uint32, first, last int) condition {
	return between(at(0, 1,
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 15},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 2},
		bpf.ALUOpX{Op: bpf.ALUOpAdd},
		bpf.TAX{},
		bpf.LoadIndirect{Off: off, Size: 2}), first, last)
}

// port6 is port4 without extension headers but that of hopByHop.
func port6(off uint32, first, last int) condition {
	return or{
		and{hopByHop(), between(at(48+off, 2), first, last)},
		and{not{hopByHop()}, between(at(40+off, 2), first, last)},
	}
}

func between(load []bpf.Instruction, first, last int) condition {
	if first == last {
		return test{load, bpf.JumpEqual, uint32(first)}
	}
	return and{test{load, bpf.JumpGreaterOrEqual, uint32(first)}, test{load, bpf.JumpLessOrEqual, uint32(last)}}
}
