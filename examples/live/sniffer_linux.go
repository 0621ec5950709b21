package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/google/gopacket/pcapgo"

	"github.com/flowscope-go/flowscope"
)

// sniffer tracks the packets of one interface.
type sniffer struct {
	handle         *pcapgo.EthernetHandle
	driver         *flowscope.FlowDriver[flowscope.FiveTupleKey, struct{}]
	queue          *queue
	batch          *batch // tracked last
	stdout, stderr io.Writer

	packets, bytes uint64 // bytes on the wire
	cut            uint64 // frames longer than the capture length
	dropped        uint64 // by the kernel
}

func listen(ctx context.Context, name string, snap int, stdout, stderr io.Writer) error {
	handle, err := pcapgo.NewEthernetHandle(name)
	if err != nil {
		return err
	}
	// The handle's own buffer is as long as the MTU. It is one buffer, used again for each
	// packet, so a large one costs no more than its memory.
	if err := handle.SetCaptureLength(snap); err != nil {
		handle.Close()
		return err
	}
	// A program that wants the bytes of the streams adds EventData and EventGap.
	driver, err := flowscope.NewFlowDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), nil, flowscope.Config{
		Events: flowscope.Events(flowscope.EventStarted, flowscope.EventICMPError, flowscope.EventEnded),
	})
	if err != nil {
		handle.Close()
		return err
	}
	s := &sniffer{handle: handle, driver: driver, queue: newQueue(), batch: new(batch), stdout: stdout, stderr: stderr}
	failed, over := make(chan error, 1), make(chan struct{})
	go func() {
		failed <- s.read(ctx)
		<-over // the counters of the socket are read until then
		handle.Close()
	}()
	defer close(over)
	return s.run(ctx, failed)
}

// run tracks until reading fails or the context is done, which is no error.
func (s *sniffer) run(ctx context.Context, failed <-chan error) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	// How far the ticker stays behind the clock, for packets that are still in the socket.
	const delay = 100 * time.Millisecond
	for {
		select {
		case <-s.queue.ready:
			s.track()
		case now := <-tick.C:
			// Packets move time by themselves. A sweep ahead of queued ones would give up
			// bytes that they carry.
			if s.track() == 0 {
				s.show(s.driver.Sweep(flowscope.TimestampOf(now.Add(-delay))))
			}
			if n := s.drops(); n > 0 {
				fmt.Fprintf(s.stderr, "live: dropped by the kernel: %d packets, %d in total\n", n, s.dropped)
			}
		case err := <-failed:
			s.finish()
			if ctx.Err() != nil {
				return nil // the source passes it on
			}
			return err
		case <-ctx.Done():
			s.queue.stop()
			s.finish()
			return nil // the reader ends with its next packet, or with the program
		}
	}
}

// read queues packets until there is an error.
func (s *sniffer) read(ctx context.Context) error {
	for v, err := range flowscope.FromZeroCopySource(ctx, s.handle, flowscope.LinkTypeEthernet) {
		if err != nil {
			return err
		}
		if !s.queue.add(v) {
			break
		}
	}
	return nil
}

// track tracks the packets in the queue, and says how many there were.
func (s *sniffer) track() int {
	s.batch = s.queue.take(s.batch)
	for i := range s.batch.views {
		v := &s.batch.views[i]
		s.packets++
		s.bytes += uint64(v.WireLen)
		if v.WireLen > len(v.Frame) {
			s.cut++
		}
	}
	for _, events := range s.driver.TrackBatch(s.batch.views) {
		s.show(events)
	}
	return len(s.batch.views)
}

func (s *sniffer) finish() {
	for s.track() > 0 {
	}
	for events := range s.driver.FinishParts() {
		s.show(events)
	}
	s.drops()
	fmt.Fprintf(s.stderr, "live: seen %d packets (%d bytes), dropped by the kernel %d, longer than the capture length %d\n",
		s.packets, s.bytes, s.dropped, s.cut)
}

// drops adds the packets that the kernel has dropped since it was called last. Reading the
// counter sets it to zero in the kernel.
func (s *sniffer) drops() uint64 {
	stats, err := s.handle.Stats()
	if err != nil {
		return 0
	}
	s.dropped += uint64(stats.Drops)
	return uint64(stats.Drops)
}

func (s *sniffer) show(events []flowscope.FlowEvent[flowscope.FiveTupleKey]) {
	for i := range events {
		switch ev := &events[i]; ev.Kind {
		case flowscope.EventStarted:
			fmt.Fprintf(s.stdout, "%v  began  %v\n", ev.Timestamp, ev.Key)
		case flowscope.EventICMPError:
			fmt.Fprintf(s.stdout, "%v  icmp   %v: type %d code %d\n", ev.Timestamp, ev.Key, ev.ICMPType, ev.ICMPCode)
		case flowscope.EventEnded:
			fmt.Fprintf(s.stdout, "%v  ended  %v: %v, %d and %d packets, %d and %d bytes%s\n", ev.Timestamp, ev.Key, ev.Reason,
				ev.Stats.Packets[0], ev.Stats.Packets[1], ev.Stats.Bytes[0], ev.Stats.Bytes[1], streams(ev))
		}
	}
}

// streams says how many bytes of the two directions of a TCP flow were delivered, and how
// many are missing.
func streams(ev *flowscope.FlowEvent[flowscope.FiveTupleKey]) string {
	if ev.L4 != flowscope.L4TCP {
		return ""
	}
	a, b := &ev.Stats.Streams[0], &ev.Stats.Streams[1]
	return fmt.Sprintf("; delivered %d and %d bytes, missing %d and %d bytes in %d and %d gaps",
		a.Delivered, b.Delivered, a.GapBytes, b.GapBytes, a.Gaps, b.Gaps)
}
