//go:build !linux

// Package sniff reads the packets of an interface; this one is for Linux.
package sniff

import (
	"context"
	"errors"
	"iter"

	"github.com/flowscope-go/flowscope"
)

// Socket is what Open gives on Linux.
type Socket struct{}

// Open fails: packet sockets without cgo are for Linux only.
func Open(string) (*Socket, error) {
	return nil, errors.New("packet sockets without cgo are for Linux only; a capture file can be read")
}

// Close does nothing.
func (*Socket) Close() {}

// Packets gives none.
func (*Socket) Packets(context.Context) iter.Seq2[flowscope.PacketView, error] {
	return func(func(flowscope.PacketView, error) bool) {}
}

// Silent is never known.
func (*Socket) Silent() (flowscope.Timestamp, bool) { return 0, false }

// Dropped is 0.
func (*Socket) Dropped() uint64 { return 0 }
