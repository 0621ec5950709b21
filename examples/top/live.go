package main

import (
	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/examples/internal/sniff"
)

// live is the source of an interface.
type live struct {
	*sniff.Socket
	device string
}

func listen(device string) (source, func(), error) {
	socket, err := sniff.Open(device)
	if err != nil {
		return nil, nil, err
	}
	return live{socket, clean(device, maxText)}, socket.Close, nil
}

func (l live) now() (flowscope.Timestamp, bool) { return l.Silent() }

func (l live) dropped() (uint64, bool) { return l.Dropped(), true }

func (l live) name() string { return l.device }

func (l live) pace() string { return "live" }
