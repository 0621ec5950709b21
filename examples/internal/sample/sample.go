// Package sample holds a small capture of real traffic, which the examples read when no file is
// named. testdata/README.md describes how it was made.
package sample

import (
	"bytes"
	_ "embed"
	"iter"

	"github.com/flowscope-go/flowscope"
)

//go:embed sample.pcapng
var capture []byte

// Name is the name of the capture in messages.
const Name = "built-in capture"

// Packets are the packets of the capture.
func Packets() iter.Seq2[flowscope.PacketView, error] {
	return flowscope.ReadCapture(bytes.NewReader(capture))
}
