package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/net/bpf"
)

// The kernel runs a filter for each packet and copies only those that pass. A filter comes from an expression in
// tcpdump's words (expression.go), or as the numbers that tcpdump -ddd prints, for all that the former cannot say.

// maxInstructions is the kernel's limit of a program, BPF_MAXINSNS.
const maxInstructions = 4096

// readProgram reads the output of tcpdump -ddd: the number of instructions, then one a line.
func readProgram(r io.Reader) ([]bpf.Instruction, error) {
	var raw []bpf.RawInstruction
	want := -1
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		text := strings.TrimSpace(lines.Text())
		if text == "" {
			continue
		}
		if want < 0 {
			if n, err := fmt.Sscanf(text, "%d", &want); n != 1 || err != nil || want < 1 || want > maxInstructions {
				return nil, fmt.Errorf("the first line is %q and not a number of instructions; take the output of tcpdump -ddd", text)
			}
			continue
		}
		var one bpf.RawInstruction
		if n, err := fmt.Sscanf(text, "%d %d %d %d", &one.Op, &one.Jt, &one.Jf, &one.K); n != 4 || err != nil {
			return nil, fmt.Errorf("%q is no instruction; take the output of tcpdump -ddd", text)
		}
		raw = append(raw, one)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if want < 0 || len(raw) != want {
		return nil, fmt.Errorf("%d instructions where %d are announced", len(raw), max(want, 0))
	}
	program, _ := bpf.Disassemble(raw) // what it does not know stays as it is
	return program, nil
}

// withSnap lets a program pass n bytes of each packet that passes.
func withSnap(program []bpf.Instruction, n int) []bpf.Instruction {
	out := make([]bpf.Instruction, len(program))
	for i, in := range program {
		if ret, ok := in.(bpf.RetConstant); ok && ret.Val != 0 {
			in = bpf.RetConstant{Val: uint32(n)}
		}
		out[i] = in
	}
	return out
}

// passAll and passNone are the programs without a condition.
var (
	passAll  = []bpf.Instruction{bpf.RetConstant{Val: maxSnap}}
	passNone = []bpf.Instruction{bpf.RetConstant{Val: 0}}
)

// guard is run before a filter. It passes on the packets of these interfaces, of all if there are none, and of the
// loopback interface only those that come in: the kernel shows each of its packets twice, on its way out and on its way in.
func guard(interfaces []int, loopback int) (program []bpf.Instruction) {
	const outgoing = 4 // PACKET_OUTGOING of linux/if_packet.h
	program = append(program, bpf.LoadExtension{Num: bpf.ExtInterfaceIndex})
	for left := len(interfaces) - 1; left >= 0; left-- {
		// One that fits jumps over the other comparisons and the refusal.
		program = append(program, bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(interfaces[len(interfaces)-1-left]), SkipTrue: uint8(left + 1)})
	}
	if len(interfaces) > 0 {
		program = append(program, bpf.RetConstant{})
	}
	if loopback > 0 {
		program = append(program,
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(loopback), SkipFalse: 3},
			bpf.LoadExtension{Num: bpf.ExtType},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: outgoing, SkipFalse: 1},
			bpf.RetConstant{})
	}
	return program
}

func assemble(program []bpf.Instruction) ([]bpf.RawInstruction, error) {
	if len(program) > maxInstructions {
		return nil, errors.New("the filter is too long for the kernel")
	}
	return bpf.Assemble(program)
}
