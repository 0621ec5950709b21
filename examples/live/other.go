//go:build !linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
)

func list(stdout, _ io.Writer) int {
	fmt.Fprintln(stdout, "live: packet sockets without cgo are for Linux only; examples/live/pcap is for other systems")
	return 0
}

func capture(context.Context, settings, io.Writer, io.Writer) error {
	return errors.New("packet sockets without cgo are for Linux only; examples/live/pcap is for other systems")
}
