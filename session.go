package flowscope

import (
	"slices"

	"github.com/flowscope-go/flowscope/internal/session"
)

// The session layer: parsers of application protocols on top of the byte streams and datagrams of a
// FlowDriver. This file is the contract between a driver and its parsers: what parsers are given, how
// they are chosen, and a player to test them with. messages.go is what a parser gives back.

// SessionParser reads both directions of one TCP connection and emits messages. For lines, and for
// messages with their length in front, package protocol/units has one that is ready.
//
// The driver makes a parser once a factory has recognised the protocol, calls it in the order in
// which bytes are delivered, and uses it again for another connection after a Reset. A parser
// belongs to one driver, so it needs no lock, and must not call the driver.
//
// What a parser must be prepared for:
//
//   - Bytes come in any cut: one at a time, or a whole stream at once. The messages must be the same.
//   - It may begin in the middle: within a message if the connection is midstream, and at an Offset
//     above 0 if a gap or another protocol came first. A side that was not captured sends nothing.
//   - The bytes of a Chunk are lent until the next call on the driver. Messages may refer to them;
//     a parser may not keep them: it copies those that it needs later, see Carry.
//   - Its memory must be bounded, and it asks for memory with Messages.Hold before it grows. A parser
//     that is refused emits a message of its own about that and is Done.
//   - It may be evicted when others need room: it is Reset without Ended, and the factories are asked
//     anew about what follows, with Probe.Handover set.
//   - Damaged or missing bytes are a message, never a panic.
type SessionParser interface {
	// Data takes the next bytes of one side, at least one.
	Data(c Chunk, out *Messages)
	// Gap says that the next n bytes of a side will not come, n at least 1. offset is the place of the
	// first of them in the side's stream.
	Gap(side FlowSide, offset, n int64, now Timestamp, out *Messages)
	// Closed says that a side is complete. The reason is 0 if it sent its FIN; otherwise the flow
	// ended before that, and Ended follows. It is not called for a side that never sent anything.
	Closed(side FlowSide, reason EndReason, now Timestamp, out *Messages)
	// Ended says that the flow is over. Nothing follows but Reset.
	Ended(reason EndReason, now Timestamp, out *Messages)
	// Reset makes the parser as new, for another connection. It drops large buffers: a driver pools
	// up to 256 parsers of a factory, which count in no budget.
	Reset()
}

// DatagramParser reads both directions of one UDP flow. The rules of SessionParser hold for it too,
// except that datagrams come whole and in the order of capture.
type DatagramParser interface {
	// Datagram takes the payload of the next datagram, which may be empty. Its Offset is 0.
	Datagram(c Chunk, out *Messages)
	// Ended says that the flow is over. Nothing follows but Reset.
	Ended(reason EndReason, now Timestamp, out *Messages)
	// Reset makes the parser as new; see SessionParser.Reset.
	Reset()
}

// SessionTimer may be implemented by a SessionParser or DatagramParser that has timeouts of its
// own. OnTimer is called after every other call, and at the time that it returned last; it returns
// the next one, 0 for none. Time is packet time, as of FlowDriver.Sweep.
type SessionTimer interface {
	OnTimer(now Timestamp, out *Messages) (next Timestamp)
}

// SessionResumer may be implemented by a parser that uses Messages.Park. Resume is called before
// anything else on the parser that takes the place of the one that was parked, with the state given
// to Park.
type SessionResumer interface {
	Resume(state uint16)
}

// Chunk is a piece of the data of one side: the next bytes of its stream, or one datagram.
type Chunk struct {
	Side FlowSide
	// Ports are those of the initiator and of the responder, by FlowSide, as in Probe. 0 if the key
	// has none.
	Ports [2]uint16
	// Bytes are lent until the next call on the driver.
	Bytes []byte
	// Offset is the place of the first byte in the side's stream; 0 is the byte after the SYN, or
	// the first byte seen. It is 0 for a datagram.
	Offset int64
	// Missing is how many bytes of a datagram follow Bytes on the wire that the capture does not
	// hold. It is 0 for a stream, where they are a gap.
	Missing int
	// Time and Packet are those of the packet that brought the bytes, which may have waited for
	// bytes before them.
	Time   Timestamp
	Packet uint64
}

// Verdict is the answer of a factory to a Probe.
//
// The constants and their texts; go doc flowscope.VerdictNo says more of them:
//
//	VerdictNo    no
//	VerdictMaybe maybe
//	VerdictYes   yes
type Verdict uint8

const (
	// VerdictNo: these bytes are not of this protocol, whatever follows.
	VerdictNo Verdict = iota
	// VerdictMaybe: more bytes are needed to tell.
	VerdictMaybe
	// VerdictYes: these bytes are of this protocol, whatever follows.
	VerdictYes
)

var verdictNames = &names{of: "Verdict", text: []string{VerdictNo: "no", VerdictMaybe: "maybe", VerdictYes: "yes"}}

// String is "no", "maybe" or "yes".
func (v Verdict) String() string { return verdictNames.string(uint16(v)) }

// AppendText appends what String gives.
func (v Verdict) AppendText(b []byte) ([]byte, error) { return verdictNames.append(b, uint16(v)), nil }

// MarshalText is what String gives.
func (v Verdict) MarshalText() ([]byte, error) { return v.AppendText(nil) }

// UnmarshalText takes what String gives.
func (v *Verdict) UnmarshalText(text []byte) error { return unmarshal(verdictNames, v, text) }

// Probe shows a factory the first bytes of one side of a flow.
type Probe struct {
	// The fields are in the order that makes 32 bytes of them: of a size that is no multiple of 16 each
	// copy waits for the one before, and a call makes three.

	// First are the bytes of that side so far, at most MaxProbe of a stream, or the first datagram.
	// There is at least one byte. They are lent for the call.
	First []byte
	// Ports are those of the initiator and of the responder, by FlowSide, as a hint; 0 if the key
	// has none. Where the capture begins within a connection, the server may be the initiator: look at
	// both, as OnPort does.
	Ports [2]uint16
	// L4 is L4TCP or L4UDP.
	L4 L4Proto
	// Side has sent the bytes.
	Side FlowSide
	// Handover is set if a parser has read the flow before: it has handed over, or was evicted.
	Handover bool
}

// OnPort is VerdictYes if the port of either side is one of these, and otherwise VerdictNo: for a protocol
// that nothing but its port tells. It is VerdictNo too if Handover is set, since the bytes may then begin
// within a message.
func (p Probe) OnPort(ports ...uint16) Verdict {
	if !p.Handover && (slices.Contains(ports, p.Ports[Initiator]) || slices.Contains(ports, p.Ports[Responder])) {
		return VerdictYes
	}
	return VerdictNo
}

// MaxProbe bounds the bytes of a stream that a factory is shown. Of so many, VerdictMaybe counts as
// VerdictNo.
const MaxProbe = 4096

// ParserFactory recognises a protocol and makes parsers for it. It is a SessionParserFactory, a
// DatagramParserFactory or both; NewFlowSessionDriver refuses one that is neither.
//
// A factory is a plain value that does not change, so that the drivers of several goroutines can
// share it.
type ParserFactory interface {
	// Probe says whether the first bytes of a side are of this protocol.
	//
	// After VerdictMaybe it is asked again with more bytes. The answer must not depend on how the bytes
	// were cut: for longer First a Yes stays a Yes, and a No a No. The first factory that says Yes is
	// chosen, in the order in which the driver was given them, but not while an earlier one says
	// Maybe. Of a datagram, and of a side that is complete, Maybe counts as No.
	Probe(p Probe) Verdict
}

// FactoryPorts may be implemented by a ParserFactory whose Probe looks at few ports, or at none. Of a
// stream with none of these ports the answer must be the same as with Ports 0. A driver then asks with
// the first two bytes alone, and does not ask the factory about other streams that begin with them if it
// said No. It is for the many connections that no parser wants.
//
// A type that embeds a factory and has a Probe of its own has the ProbePorts of the embedded one, unless
// it has its own.
type FactoryPorts interface {
	ProbePorts() []uint16
}

// SessionParserFactory makes parsers of TCP connections.
type SessionParserFactory interface {
	ParserFactory
	NewSessionParser() SessionParser
}

// DatagramParserFactory makes parsers of UDP flows.
type DatagramParserFactory interface {
	ParserFactory
	NewDatagramParser() DatagramParser
}

// Message is something that a parser has read: a pointer to a struct of the protocol's package, such
// as *http1.Exchange, made by Emit.
//
// A message, and the memory that it refers to, is lent until the next call on the driver, which may
// clear it. CloneMessage, and FlowEvent.Clone, copy it.
type Message interface {
	// CloneMessage is a copy of the same type that shares no memory with the message.
	CloneMessage() Message
}

// NewFlowSessionDriver makes a driver with built-in streams and parsers of application protocols: a
// FlowDriver with UseParsers. The error wraps ErrConfig.
func NewFlowSessionDriver[K comparable](ex FlowExtractor[K], cfg Config, parsers ...ParserFactory) (*FlowDriver[K, struct{}], error) {
	d, err := NewFlowDriver(ex, nil, cfg)
	if err != nil {
		return nil, err
	}
	if err := d.UseParsers(parsers...); err != nil {
		return nil, err
	}
	return d, nil
}

// SessionStats counts what the parsers of a driver do.
type SessionStats struct {
	Parsers   uint64 // that read a flow now
	Undecided uint64 // flows whose first bytes are held now, until a factory recognises them

	Started   uint64 // parsers that began to read a flow, or went on after Park
	Messages  uint64 // emitted
	Handovers uint64 // calls of Messages.Handover
	Parked    uint64 // calls of Messages.Park
	Unwanted  uint64 // flows that no factory recognised, on either side

	Refused      uint64 // flows that are not read, since SessionBytes was used up
	Evicted      uint64 // parsers, and first bytes, that were let go to make room for others
	HoldsRefused uint64 // calls of Messages.Hold that were refused

	// HeldBytes is the part of Config.SessionBytes that is in use: parsers, the memory that they hold,
	// and first bytes. FirstBytes is that of the last.
	HeldBytes, FirstBytes int64
}

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

// NewSessionPlayer makes a player for parsers of these factories, which are asked in this order. Of
// cfg it uses SessionBytes. The error wraps ErrConfig.
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

// Sweep moves the time to now and calls the timers of parsers that are due by then.
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
	sent    [2]bool
	closed  [2]bool
	stopped uint8 // sides, by bit, of which parsers want no more
	ended   bool
}

// Data plays the next bytes of a side, or a datagram.
func (f *PlayedFlow) Data(side FlowSide, b []byte, at Timestamp) []Emitted {
	return f.Chunk(Chunk{Side: side, Bytes: b, Time: at, Packet: f.p.packet + 1}, at)
}

// Chunk is Data with its own Time and Packet, as for bytes that waited behind a hole, or with Missing
// bytes of a datagram. Offset and Ports are set by the player.
func (f *PlayedFlow) Chunk(c Chunk, now Timestamp) []Emitted {
	if c.Side &= 1; f.next(now) && (len(c.Bytes) > 0 || f.l4 == L4UDP) && !f.closed[c.Side] {
		f.sent[c.Side] = true
		c.Offset = f.offsets[c.Side]
		f.p.ps.data(c, answer{})
		if f.l4 == L4TCP {
			f.offsets[c.Side] += int64(len(c.Bytes))
		}
	}
	return f.p.ps.out.All()
}

// Gap plays n bytes of a side of a connection that do not come.
func (f *PlayedFlow) Gap(side FlowSide, n int64, at Timestamp) []Emitted {
	if side &= 1; f.next(at) && n > 0 && f.l4 == L4TCP && !f.closed[side] {
		f.sent[side] = true
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

// End plays the end of the flow: sides that have sent something and are not closed are closed first.
// Nothing can be played after it.
func (f *PlayedFlow) End(reason EndReason, at Timestamp) []Emitted {
	if f.next(at) {
		for side, sent := range f.sent {
			if sent {
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

// use makes it the current flow, and calls the timer of its parser if that is due.
func (f *PlayedFlow) use(now Timestamp, packet uint64) {
	f.p.ps.flow = sessionFlow{ref: &f.ref, stopped: &f.stopped, id: f.id, l4: f.l4, ports: f.ports, elapsed: int64(now), now: now, at: now, packet: packet}
	f.p.ps.onTimer()
}
