package main

import (
	"iter"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

type (
	event     = flowscope.Event
	extracted = flowscope.Extracted[flowscope.FiveTupleKey]
	extractor = flowscope.FlowExtractor[flowscope.FiveTupleKey]
	sequence  = iter.Seq2[flowscope.PacketView, error]
)

// facts are what is known of a capture. They are gathered while it is read, and take bounded memory.
type facts struct {
	name  string
	err   error // of a damaged file
	stats flowscope.DriverStats

	packets, bytes, cut, copies uint64 // cut: by the snap length
	from, to                    flowscope.Timestamp
	bins                        *bins

	flows    *flowFacts
	messages *messageFacts
	trouble  *series // of the connection with the most trouble; nil if there is none

	now    current
	copied *copies
	ex     extractor
}

// current is the packet that is being tracked.
type current struct {
	id   uint64
	at   flowscope.Timestamp
	x    extracted
	copy bool
	flow flowscope.FlowID // that it begins

	counted bool // among the bytes of TCP
}

func (f *facts) config(cfg flowscope.Config) flowscope.Config {
	cfg.Details = flowscope.DetailTCP
	cfg.Events = flowscope.Events(flowscope.EventStarted, flowscope.EventPacket, flowscope.EventGap, flowscope.EventAnomaly,
		flowscope.EventLate, flowscope.EventReleased, flowscope.EventICMPError, flowscope.EventMessage)
	return cfg
}

// gather reads a capture twice: all of it, and then what the connection with the most trouble sent. Of a damaged file it
// tells what came before the damage. An error is one of the configuration.
func gather(name string, views sequence, ex extractor, cfg flowscope.Config) (*facts, error) {
	f := &facts{
		name: name, bins: newBins(), flows: newFlowFacts(), messages: newMessageFacts(), copied: newCopies(), ex: ex,
	}
	cfg = f.config(cfg)
	drv, err := flowscope.NewFlowSessionDriver(ex, cfg, http1.Factory{}, tls.Factory{}, tls.StartTLS{}, dns.Factory{})
	if err != nil {
		return nil, err
	}
	for ev, err := range drv.Events(f.watch(views)) {
		if err != nil {
			f.err = err
			continue
		}
		f.event(ev)
	}
	f.stats = drv.Stats()
	if best, ok := f.flows.worst(); ok {
		f.trouble, err = follow(best, views, ex, cfg)
	}
	return f, err
}

// watch counts the packets that go through it.
func (f *facts) watch(views sequence) sequence {
	return func(yield func(flowscope.PacketView, error) bool) {
		for view, err := range views {
			if err == nil {
				f.packet(&view)
			}
			if !yield(view, err) {
				return
			}
		}
	}
}

func (f *facts) packet(v *flowscope.PacketView) {
	wire := uint64(max(v.WireLen, len(v.Frame)))
	at := inReach(v.Timestamp)
	if f.packets == 0 || at < f.from {
		f.from = at
	}
	if f.packets == 0 || at > f.to {
		f.to = at
	}
	f.packets++
	f.bytes += wire
	if v.WireLen > len(v.Frame) {
		f.cut++
	}

	// The tracker reads the headers too; it does not show them.
	now := &f.now
	*now = current{id: v.ID, at: at, x: extracted{Key: now.x.Key}}
	ok := f.ex.Extract(*v, &now.x)
	b := f.bins.of(int64(at))
	b.bytes[1] += int64(wire)
	b.packets++
	if now.copy = ok && f.copied.is(v.Timestamp, &now.x); now.copy {
		f.copies++
	}
}

// inReach keeps a time where the distance of any two can be told.
func inReach(t flowscope.Timestamp) flowscope.Timestamp {
	const limit = 1<<62 - 1
	return min(max(t, -limit), limit)
}

func (f *facts) event(ev *event) {
	switch ev.Kind {
	case flowscope.EventStarted:
		f.now.flow = ev.Flow
		f.bins.of(int64(inReach(ev.Timestamp))).flows++
	case flowscope.EventPacket, flowscope.EventLate:
		if ev.Packet != f.now.id {
			return
		}
		if ev.L4 == flowscope.L4TCP && !f.now.counted {
			// With the bytes of fragments that came before, maybe in another bin, which then has more than all of it.
			f.now.counted = true
			b := f.bins.of(int64(f.now.at))
			b.bytes[0] += ev.Len
			b.bytes[1] -= ev.Len
		}
		f.flows.packet(ev, &f.now)
	case flowscope.EventGap:
		f.flows.gap(ev)
	case flowscope.EventAnomaly:
		f.flows.anomaly(ev)
	case flowscope.EventReleased:
		f.flows.released(ev)
	case flowscope.EventICMPError:
		f.flows.icmpErrors++
	case flowscope.EventMessage:
		f.messages.add(ev)
	}
}
