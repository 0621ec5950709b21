//go:build darwin || windows || pcap

// Command pcap prints the flows of an interface where there are no packet sockets: through libpcap on macOS, which needs
// cgo, and through Npcap on Windows, which does not. With -tags pcap, cgo and the headers of libpcap it also works on Linux
// and the BSDs.
//
//	pcap INTERFACE
//
// Without an interface it lists them. On macOS it needs the right to read /dev/bpf*, which root has; on Windows, Npcap.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/gopacket/gopacket/pcap"

	"github.com/flowscope-go/flowscope"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		list()
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := listen(ctx, os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func list() {
	all, err := pcap.FindAllDevs()
	if err != nil {
		log.Fatal(err)
	}
	for _, i := range all {
		fmt.Println(i.Name, i.Description)
	}
}

func listen(ctx context.Context, name string) error {
	handle, err := pcap.OpenLive(name, 262_144, true, 100*time.Millisecond)
	if err != nil {
		return err
	}
	defer handle.Close()
	driver, err := flowscope.NewFlowDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), nil, flowscope.Config{})
	if err != nil {
		return err
	}
	link := flowscope.LinkTypeOf(uint16(handle.LinkType()))
	for view, err := range flowscope.FromZeroCopySource(ctx, handle, link) {
		switch {
		case err == nil:
			show(driver.Track(view))
		case errors.Is(err, pcap.NextErrorTimeoutExpired): // no packets: time goes on all the same
			show(driver.Sweep(flowscope.TimestampOf(time.Now().Add(-time.Second))))
		case ctx.Err() == nil:
			return err
		}
	}
	show(driver.Finish())
	if s, err := handle.Stats(); err == nil {
		fmt.Fprintf(os.Stderr, "seen %d packets, dropped %d\n", s.PacketsReceived, s.PacketsDropped)
	}
	return nil
}

func show(events []flowscope.Event) {
	for i := range events {
		if ev := &events[i]; ev.Kind == flowscope.EventEnded {
			fmt.Println(ev.Key, ev.Reason, ev.Stats.Packets, ev.Stats.Bytes)
		}
	}
}
