package flowscope

import (
	"slices"
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
	s      *sessions
	flows  []*PlayedFlow
	call   uint64
	packet uint64
}

// NewSessionPlayer makes a player for the parsers of these factories. Of cfg it takes SessionBytes.
// The error wraps ErrConfig.
func NewSessionPlayer(cfg Config, parsers ...ParserFactory) (*SessionPlayer, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s, err := newSessions(cfg.SessionBytes, parsers)
	if err != nil {
		return nil, err
	}
	return &SessionPlayer{s: s}, nil
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
	f := &PlayedFlow{p: p, l4: l4, ports: [2]uint16{initiator, responder}}
	p.flows = append(p.flows, f)
	return f
}

// Sweep says that it is now that time: timeouts of parsers are up.
func (p *SessionPlayer) Sweep(now Timestamp) []Emitted {
	p.next()
	for _, f := range p.flows {
		p.s.timer(&f.ref, now, 0)
	}
	return p.s.out.All()
}

// Stats are the counters of the parsers.
func (p *SessionPlayer) Stats() SessionStats { return p.s.counters() }

// next begins a call.
func (p *SessionPlayer) next() {
	p.call++
	p.s.begin(p.call)
}

// PlayedFlow is a flow of a SessionPlayer.
type PlayedFlow struct {
	p       *SessionPlayer
	ref     sessionRef
	l4      L4Proto
	ports   [2]uint16
	offsets [2]int64
	said    [2]bool
	closed  [2]bool
}

// Data plays the next bytes of a side, or a datagram of it. Packets are numbered from 1.
func (f *PlayedFlow) Data(side FlowSide, b []byte, at Timestamp) []Emitted {
	f.next(at)
	c := Chunk{Side: side & 1, Bytes: b, Offset: f.offsets[side&1], Time: at, Packet: f.p.packet}
	f.said[side&1] = true
	if f.l4 == L4UDP {
		f.p.s.gram(&f.ref, f.ports, c, at)
	} else if len(b) > 0 {
		f.offsets[side&1] += int64(len(b))
		f.p.s.data(&f.ref, f.ports, c, at)
	}
	return f.p.s.out.All()
}

// Gap plays n bytes of a side that do not come.
func (f *PlayedFlow) Gap(side FlowSide, n int64, at Timestamp) []Emitted {
	f.next(at)
	if n > 0 && f.l4 == L4TCP {
		f.said[side&1] = true
		f.offsets[side&1] += n
		f.p.s.gap(&f.ref, side&1, n, at, f.p.packet)
	}
	return f.p.s.out.All()
}

// Close plays the FIN of a side.
func (f *PlayedFlow) Close(side FlowSide, at Timestamp) []Emitted {
	f.next(at)
	f.close(side&1, 0, at)
	return f.p.s.out.All()
}

// End plays the end of the flow, before which the sides are closed that are not yet.
func (f *PlayedFlow) End(reason EndReason, at Timestamp) []Emitted {
	f.next(at)
	for side := range f.said {
		if f.said[side] {
			f.close(FlowSide(side), reason, at)
		}
	}
	f.p.s.ended(&f.ref, reason, at, f.p.packet)
	f.p.flows = slices.DeleteFunc(f.p.flows, func(g *PlayedFlow) bool { return g == f })
	return f.p.s.out.All()
}

func (f *PlayedFlow) close(side FlowSide, reason EndReason, at Timestamp) {
	if f.l4 == L4TCP && !f.closed[side] {
		f.closed[side] = true
		f.p.s.closed(&f.ref, side, reason, at, f.p.packet)
	}
}

// next begins a call, with a packet of the flow. What is due by its time comes first.
func (f *PlayedFlow) next(at Timestamp) {
	f.p.next()
	f.p.packet++
	f.p.s.timer(&f.ref, at, f.p.packet)
}
