package main_test

import (
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// The peers, used as their documentation recommends for speed: a DecodingLayerParser whose layers are used again, an
// assembler with streams that discard, and every minute of packet time a flush of what was silent for two. They may
// hold of early data what a driver may by default, 1 MiB a side and 64 MiB in all; without a limit, segments that were
// not captured make them hold everything behind.
//
// Both assemblers register the same command-line flags, so no program can have both: -tags reassembly takes package
// reassembly instead of tcpassembly.
//
// internal/bench/fork has copies of these files for the maintained fork; a test holds them together.

// peer decodes packets and gives the TCP segments to an assembler.
type peer struct {
	eth    layers.Ethernet
	sll    layers.LinuxSLL
	dot1q  layers.Dot1Q
	ip4    layers.IPv4
	ip6    layers.IPv6
	ip6ext layers.IPv6ExtensionSkipper
	tcp    layers.TCP
	udp    layers.UDP
	rest   gopacket.Payload

	parser    *gopacket.DecodingLayerParser
	found     []gopacket.LayerType
	nextFlush time.Time

	assemble func(network gopacket.Flow, t *layers.TCP, at time.Time)
	flush    func(before time.Time)
	finish   func() // closes all connections
	bytes    *int   // that streams were given
}

const (
	peerPages    = (1 << 20) / 1900 // a page of either assembler has 1,900 bytes
	peerAllPages = (64 << 20) / 1900
)

func newPeer(first gopacket.LayerType) *peer {
	p := &peer{bytes: new(int)}
	p.parser = gopacket.NewDecodingLayerParser(first, &p.eth, &p.sll, &p.dot1q, &p.ip4, &p.ip6, &p.ip6ext, &p.tcp, &p.udp, &p.rest)
	p.parser.IgnoreUnsupported = true
	return p
}

// take takes the next packet.
func (p *peer) take(frame []byte, stamp int64) {
	at := time.Unix(0, stamp)
	if at.After(p.nextFlush) {
		if !p.nextFlush.IsZero() {
			p.flush(at.Add(-2 * time.Minute))
		}
		p.nextFlush = at.Add(time.Minute)
	}
	if p.parser.DecodeLayers(frame, &p.found) != nil {
		return
	}
	var network gopacket.Flow
	for _, layer := range p.found {
		switch layer {
		case layers.LayerTypeIPv4:
			network = p.ip4.NetworkFlow()
		case layers.LayerTypeIPv6:
			network = p.ip6.NetworkFlow()
		case layers.LayerTypeTCP:
			p.assemble(network, &p.tcp, at)
		}
	}
}

// end is the end of a capture.
func (p *peer) end() {
	p.finish()
	p.nextFlush = time.Time{}
}
