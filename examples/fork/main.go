// Command fork reads a capture with the maintained fork of gopacket, github.com/gopacket/gopacket, in
// both ways that its users have: its reader as a source, and the channel of packets of its
// gopacket.PacketSource, each with a few lines of code. It is a module of its own, so that the library does
// not depend on the fork.
//
//	fork [FILE]
//
// Without a file it reads a small built-in capture, in the old pcap format.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"log"
	"os"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/testdata/captures"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("fork: ")
	file := captures.Sessions
	if len(os.Args) > 1 {
		var err error
		if file, err = os.ReadFile(os.Args[1]); err != nil {
			log.Fatal(err)
		}
	}
	if err := run(file, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run prints the TCP connections of a capture, read in both ways.
func run(file []byte, out io.Writer) error {
	reader, err := pcapgo.NewReader(bytes.NewReader(file))
	if err != nil {
		return err
	}
	link := flowscope.LinkTypeOf(uint16(reader.LinkType()))

	// A reader, or a live handle, is a source as it is.
	fmt.Fprintln(out, "from the reader")
	if err := show(flowscope.FromSource(context.Background(), reader, link), out); err != nil {
		return err
	}

	// A channel of packets becomes a sequence of views in three lines.
	if reader, err = pcapgo.NewReader(bytes.NewReader(file)); err != nil {
		return err
	}
	packets := gopacket.NewPacketSource(reader, reader.LinkType()).Packets()
	views := func(yield func(flowscope.PacketView, error) bool) {
		for p := range packets {
			at := p.Metadata()
			view := flowscope.PacketView{Frame: p.Data(), Timestamp: flowscope.TimestampOf(at.Timestamp), WireLen: at.Length, LinkType: link}
			if !yield(view, nil) {
				return
			}
		}
	}
	fmt.Fprintln(out, "from the channel of packets")
	return show(views, out)
}

func show(views iter.Seq2[flowscope.PacketView, error], out io.Writer) error {
	for c, err := range flowscope.Conversations(views) {
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%2d  %v -> %v  %v, %d and %d bytes\n", c.Number, c.Initiator, c.Responder, c.Reason,
			len(c.Sides[flowscope.Initiator].Bytes), len(c.Sides[flowscope.Responder].Bytes))
	}
	return nil
}
