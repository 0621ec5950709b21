package flowtest

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// maxPayload is the most that a script puts into one packet.
const maxPayload = 65000

// packetOf makes the packet of words such as "A>N PA 100/200 +5", or "raw 0200".
func packetOf(words []string) (v flowscope.PacketView, err error) {
	if len(words) < 2 {
		return v, fmt.Errorf("%q is no packet", words)
	}
	if words[0] == "raw" {
		v.Frame, err = hex.DecodeString(words[1])
		return v, err
	}
	from, to, ok := strings.Cut(words[0], ">")
	if !ok {
		return v, fmt.Errorf("%q is neither FROM>TO nor another step", words[0])
	}
	p := scriptPacket{window: 8192}
	if p.src, err = parseEnd(from); err != nil {
		return v, err
	}
	if p.dst, err = parseEnd(to); err != nil {
		return v, err
	}
	if p.src.Addr().Is4() != p.dst.Addr().Is4() {
		return v, fmt.Errorf("%s: two families of addresses", words[0])
	}
	for _, w := range words[2:] {
		if err := p.modify(w); err != nil {
			return v, err
		}
	}
	if v.Frame, err = p.frame(words[1]); err == nil && p.cut > 0 {
		v.WireLen = len(v.Frame)
		v.Frame = frames.Cut(v.Frame, p.cut)
	}
	return v, err
}

// scriptPacket is what a script says of a packet.
type scriptPacket struct {
	src, dst netip.AddrPort
	payload  []byte
	cut      int
	window   uint16
	scale    *uint8
	tcp      string   // a word that only makes sense for TCP
	rest     []string // numbers, in their order
}

// modify takes a word that may stand behind a packet, and keeps it if it is none.
func (p *scriptPacket) modify(w string) (err error) {
	var n uint64
	number := func(prefix string, bits int) {
		if n, err = strconv.ParseUint(strings.TrimPrefix(w, prefix), 10, bits); err != nil {
			err = fmt.Errorf("%q: %w", w, err)
		}
	}
	switch {
	case w[0] == '"':
		text, _ := strconv.Unquote(w)
		p.payload = []byte(text)
	case w[0] == '+':
		number("+", 16)
		p.payload = make([]byte, n)
	case strings.HasPrefix(w, "cut="):
		number("cut=", 16)
		if p.cut = int(n); n == 0 && err == nil {
			err = fmt.Errorf("%q: nothing is left", w)
		}
	case strings.HasPrefix(w, "ws"):
		number("ws", 8)
		scale := uint8(n)
		p.scale, p.tcp = &scale, w
	case w[0] == 'w':
		number("w", 16)
		p.window, p.tcp = uint16(n), w
	default:
		p.rest = append(p.rest, w)
	}
	if err == nil && len(p.payload) > maxPayload {
		err = fmt.Errorf("%d bytes of payload are more than %d", len(p.payload), maxPayload)
	}
	return err
}

// number takes the first of the words that are left as a number of so many bits; 0 if none is left and it
// may be.
func (p *scriptPacket) number(bits int, optional bool) (n uint64, err error) {
	if len(p.rest) == 0 {
		if !optional {
			err = fmt.Errorf("a number is missing")
		}
		return 0, err
	}
	n, err = strconv.ParseUint(p.rest[0], 10, bits)
	p.rest = p.rest[1:]
	return n, err
}

// frame makes the frame. kind is the word behind the ends.
func (p *scriptPacket) frame(kind string) (frame []byte, err error) {
	src, dst := p.src.String(), p.dst.String()
	from, to := p.src.Addr().String(), p.dst.Addr().String()
	isTCP := false
	switch kind {
	case "udp":
		frame = frames.UDP{Src: src, Dst: dst, Payload: p.payload}.Ethernet()
	case "icmp":
		var id uint64
		if id, err = p.number(16, false); err != nil {
			return nil, err
		}
		reply := len(p.rest) == 1 && p.rest[0] == "reply"
		if reply {
			p.rest = nil
		}
		frame = frames.ICMPEcho{Src: from, Dst: to, ID: uint16(id), Reply: reply, Payload: p.payload}.Ethernet()
	case "ip":
		var proto uint64
		if proto, err = p.number(8, false); err != nil {
			return nil, err
		}
		frame = frames.IP{Src: from, Dst: to, Proto: uint8(proto), Payload: p.payload}.Ethernet()
	default:
		isTCP = true
		if frame, err = p.segment(kind); err != nil {
			return nil, err
		}
	}
	switch {
	case p.tcp != "" && !isTCP:
		return nil, fmt.Errorf("%q is of TCP", p.tcp)
	case len(p.rest) > 0:
		return nil, fmt.Errorf("%q says nothing of a packet of this kind", p.rest)
	}
	return frame, nil
}

func (p *scriptPacket) segment(flags string) ([]byte, error) {
	if flags == "." || flags == "tcp" {
		flags = ""
	}
	if strings.Trim(flags, "FSRPAUEC") != "" {
		return nil, fmt.Errorf("%q is neither flags of TCP nor another kind of packet", flags)
	}
	if len(p.rest) > 0 {
		if seq, ack, ok := strings.Cut(p.rest[0], "/"); ok {
			p.rest = append([]string{seq, ack}, p.rest[1:]...)
		} else {
			p.rest = append([]string{seq, "0"}, p.rest[1:]...)
		}
	}
	seq, err := p.number(32, true)
	if err != nil {
		return nil, err
	}
	ack, err := p.number(32, true)
	if err != nil {
		return nil, err
	}
	tcp := frames.TCP{
		Src: p.src.String(), Dst: p.dst.String(), Flags: flags, Seq: uint32(seq), Ack: uint32(ack), Window: p.window,
		Payload: p.payload,
	}
	if p.scale != nil {
		tcp.Options = append(tcp.Options, frames.WindowScale(*p.scale))
	}
	return tcp.Ethernet(), nil
}

// usualPort is the port of a letter behind which there is none.
func usualPort(letter byte) uint16 {
	if letter >= 'N' {
		return 80
	}
	return 1000
}

// parseEnd reads an end: a letter, with or without a port, or an address with one.
func parseEnd(text string) (end netip.AddrPort, err error) {
	if text == "" || text[0] < 'A' || text[0] > 'Z' {
		if end, err = netip.ParseAddrPort(text); err != nil {
			err = fmt.Errorf("%q is neither a letter nor ADDRESS:PORT: %w", text, err)
		}
		return end, err
	}
	letter, port := text[0], uint64(usualPort(text[0]))
	if rest, ok := strings.CutPrefix(text[1:], ":"); ok {
		port, err = strconv.ParseUint(rest, 10, 16)
	} else if rest != "" {
		err = fmt.Errorf("%q is no letter with or without :PORT", text)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, letter - 'A' + 1}), uint16(port)), err
}

// endText is the inverse of parseEnd. A port of 0 is left out, since protocols without ports have it.
func endText(end netip.AddrPort) string {
	a := end.Addr()
	last, isLetter := byte(0), false
	if a.Is4() {
		b := a.As4()
		last, isLetter = b[3]-1+'A', [3]byte(b[:3]) == [3]byte{10, 0, 0} && 1 <= b[3] && b[3] <= 26
	}
	switch {
	case isLetter && (end.Port() == 0 || end.Port() == usualPort(last)):
		return string(last)
	case isLetter:
		return fmt.Sprintf("%c:%d", last, end.Port())
	case end.Port() == 0:
		return a.String()
	}
	return end.String()
}
