package main

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/gopacket/gopacket/afpacket"
	"golang.org/x/net/bpf"

	"github.com/flowscope-go/flowscope"
)

// worker reads one ring and tracks its packets. This is the loop to copy for a sniffer.
type worker struct {
	ring   *afpacket.TPacket
	driver *driver
	link   flowscope.LinkType
	shared *shared

	next flowscope.Timestamp // when tick is due while packets come

	packets, bytes, cut atomic.Uint64
}

// shared is what the workers have in common.
type shared struct {
	out  *output
	dump *dump

	stopping atomic.Bool
	stop     func()
	limit    uint64 // of packets, 0 for none
	taken    atomic.Uint64
}

// run tracks packets until the capture is stopped or fails, and then those that are in the ring.
func (w *worker) run(none []bpf.RawInstruction) error {
	for !w.shared.stopping.Load() {
		switch view, err := w.read(); {
		case errors.Is(err, afpacket.ErrTimeout):
			if err := w.idle(time.Now()); err != nil {
				return err
			}
		case err != nil:
			return err
		default:
			if err := w.take(view); err != nil {
				return err
			}
		}
	}
	// All that came before now is to be told, and nothing else.
	if err := w.ring.SetBPF(none); err != nil {
		return err
	}
	return w.untilQuiet(w.take)
}

// untilQuiet takes the packets that are in a ring which gets no more: those of its last block too, which the kernel
// hands over within two of its timers.
func (w *worker) untilQuiet(take func(flowscope.PacketView) error) error {
	for quiet := 0; quiet < 2; {
		switch view, err := w.read(); {
		case errors.Is(err, afpacket.ErrTimeout):
			quiet++
		case err != nil:
			return err
		default:
			if err := take(view); err != nil {
				return err
			}
		}
	}
	return nil
}

// read reads a packet. Its frame lies in the ring and is valid until the next call.
func (w *worker) read() (flowscope.PacketView, error) {
	frame, info, err := w.ring.ZeroCopyReadPacketData()
	if err != nil {
		return flowscope.PacketView{}, err
	}
	return flowscope.PacketView{Frame: frame, Timestamp: flowscope.TimestampOf(info.Timestamp), WireLen: info.Length,
		LinkType: w.link, Interface: uint32(info.InterfaceIndex)}, nil
}

func (w *worker) take(v flowscope.PacketView) error {
	if w.shared.limit > 0 {
		switch n := w.shared.taken.Add(1); {
		case n > w.shared.limit:
			return nil
		case n == w.shared.limit:
			w.shared.stop()
		}
	}
	w.packets.Add(1)
	w.bytes.Add(uint64(v.WireLen))
	if v.WireLen > len(v.Frame) {
		w.cut.Add(1)
	}
	if err := w.shared.dump.write(v); err != nil {
		return err
	}
	w.shared.out.show(w.driver, w.driver.Track(v))
	if v.Timestamp >= w.next {
		w.next = v.Timestamp.Add(time.Second)
		return w.tick()
	}
	return nil
}

// idle advances packet time while no packets come, so that flows end on a silent network too.
func (w *worker) idle(now time.Time) error {
	at := flowscope.TimestampOf(now.Add(-sweepDelay))
	for w.shared.out.show(w.driver, w.driver.Sweep(at)); w.driver.More(); {
		w.shared.out.show(w.driver, w.driver.Sweep(at))
	}
	return w.tick()
}

// tick lets people and programs see what was printed.
func (w *worker) tick() error { return errors.Join(w.shared.out.flush(), w.shared.dump.flush()) }

// finish ends all flows.
func (w *worker) finish() {
	for events := range w.driver.FinishParts() {
		w.shared.out.show(w.driver, events)
	}
}
