package flowscope

import (
	"slices"

	"github.com/flowscope-go/flowscope/internal/session"
)

// SessionPlayer plays streams and datagrams to parsers without packets, the same way as a driver
// does: through the factories' probes, handovers and the budget. It is for tests of parsers.
//
//	player, err := flowscope.NewSessionPlayer(flowscope.Config{}, http1.Factory{})
//	flow := player.TCP(40000, 80)
//	flow.Data(flowscope.Initiator, request, 1)
//	for _, e := range flow.Data(flowscope.Responder, response, 2) {
//		exchange := e.Message.(*http1.Exchange)
//	}
//
// Each method returns the messages of that call, which are lent until the next call on the player.
// A player belongs to one goroutine.
type SessionPlayer struct {
	ps     *parsers
	flows  []*PlayedFlow // that have not ended
	calls  uint64
	id     FlowID // of the latest flow
	packet uint64
}

// NewSessionPlayer makes a player for parsers of these factories, the first asked first. Of cfg it takes SessionBytes.
// The error wraps ErrConfig.
func NewSessionPlayer(cfg Config, factories ...ParserFactory) (*SessionPlayer, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	ps, err := newParsers(cfg.SessionBytes, factories)
	if err != nil {
		return nil, err
	}
	return &SessionPlayer{ps: ps}, nil
}

// TCP begins a connection between these ports.
func (p *SessionPlayer) TCP(initiator, responder uint16) *PlayedFlow {
	return p.begin(L4TCP, initiator, responder)
}

// UDP begins a UDP flow between these ports.
func (p *SessionPlayer) UDP(initiator, responder uint16) *PlayedFlow {
	return p.begin(L4UDP, initiator, responder)
}

func (p *SessionPlayer) begin(l4 L4Proto, initiator, responder uint16) *PlayedFlow {
	p.id++
	f := &PlayedFlow{p: p, id: p.id, l4: l4, ports: [2]uint16{initiator, responder}}
	p.flows = append(p.flows, f)
	return f
}

// Sweep says that it is now that time: the timers of parsers that are due by then are called.
func (p *SessionPlayer) Sweep(now Timestamp) []Emitted {
	p.call()
	for _, f := range p.flows {
		f.use(now, 0)
	}
	return p.ps.out.All()
}

// Stats are the counters of the parsers.
func (p *SessionPlayer) Stats() SessionStats { return p.ps.counters() }

func (p *SessionPlayer) call() {
	p.calls++
	p.ps.begin(p.calls)
}

// PlayedFlow is a flow of a SessionPlayer. Its packets are numbered from 1 over all flows of the
// player.
type PlayedFlow struct {
	p       *SessionPlayer
	ref     session.Ref
	id      FlowID
	l4      L4Proto
	ports   [2]uint16
	offsets [2]int64
	said    [2]bool
	closed  [2]bool
	ended   bool
}

// Data plays the next bytes of a side, or a datagram.
func (f *PlayedFlow) Data(side FlowSide, b []byte, at Timestamp) []Emitted {
	if side &= 1; f.next(at) && (len(b) > 0 || f.l4 == L4UDP) && !f.closed[side] {
		f.said[side] = true
		f.p.ps.data(Chunk{Side: side, Bytes: b, Offset: f.offsets[side], Time: at, Packet: f.p.packet})
		if f.l4 == L4TCP {
			f.offsets[side] += int64(len(b))
		}
	}
	return f.p.ps.out.All()
}

// Gap plays n bytes of a side of a connection that do not come.
func (f *PlayedFlow) Gap(side FlowSide, n int64, at Timestamp) []Emitted {
	if side &= 1; f.next(at) && n > 0 && f.l4 == L4TCP && !f.closed[side] {
		f.said[side] = true
		f.p.ps.gap(side, f.offsets[side], n)
		f.offsets[side] += n
	}
	return f.p.ps.out.All()
}

// Close plays the FIN of a side.
func (f *PlayedFlow) Close(side FlowSide, at Timestamp) []Emitted {
	if f.next(at) {
		f.close(side&1, 0)
	}
	return f.p.ps.out.All()
}

// End plays the end of the flow: sides that have said something and are not closed are closed
// first. Nothing can be played after it.
func (f *PlayedFlow) End(reason EndReason, at Timestamp) []Emitted {
	if f.next(at) {
		for side, said := range f.said {
			if said {
				f.close(FlowSide(side), reason)
			}
		}
		f.p.ps.ended(reason)
		f.ended = true
		f.p.flows = slices.DeleteFunc(f.p.flows, func(g *PlayedFlow) bool { return g == f })
	}
	return f.p.ps.out.All()
}

func (f *PlayedFlow) close(side FlowSide, reason EndReason) {
	if f.l4 == L4TCP && !f.closed[side] {
		f.closed[side] = true
		f.p.ps.closed(side, reason)
	}
}

// next begins a call with a packet of the flow, unless the flow has ended.
func (f *PlayedFlow) next(at Timestamp) bool {
	f.p.call()
	if f.ended {
		return false
	}
	f.p.packet++
	f.use(at, f.p.packet)
	return true
}

// use makes it the flow at hand, and calls its parser if that is due.
func (f *PlayedFlow) use(now Timestamp, packet uint64) {
	f.p.ps.flow = sessionFlow{ref: &f.ref, id: f.id, l4: f.l4, ports: f.ports, now: now, packet: packet}
	f.p.ps.onTimer()
}
