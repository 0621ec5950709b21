// Package sample holds small captures of real traffic, which the examples read when no file is
// named. testdata/README.md describes how they were made.
package sample

import (
	"bytes"
	_ "embed"
	"iter"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/testdata/captures"
)

//go:embed sample.pcapng
var capture []byte

// Name is the name of either capture in messages.
const Name = "built-in capture"

// Packets are the packets of a capture with many kinds of flows.
func Packets() iter.Seq2[flowscope.PacketView, error] {
	return flowscope.ReadCapture(bytes.NewReader(capture))
}

// Sessions are the packets of a capture with HTTP/1, TLS and DNS.
func Sessions() iter.Seq2[flowscope.PacketView, error] {
	return flowscope.ReadCapture(bytes.NewReader(captures.Sessions))
}
