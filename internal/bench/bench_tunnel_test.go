package main_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	. "github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit/contest"
)

// BenchmarkAutoDetect is what a look for tunnels costs traffic that is in none.
func BenchmarkAutoDetect(b *testing.B) {
	const flows = 1000
	for _, l4 := range []L4Proto{L4UDP, L4TCP} {
		b.Run(fmt.Sprintf("l4=%v", l4), func(b *testing.B) {
			cfg := Config{MaxFlows: flows, Events: Events(EventEnded)}
			auto := AutoDetectEncap(FiveTuple{})
			contenders := []contest.Contender[PacketView]{
				tracking(b, "plain", cfg), trackingWith(b, "auto", auto, cfg), trackingWith(b, "per-tunnel", PerTunnel(auto), cfg),
			}
			contest.Run(b, contenders, newTalks(flows, l4 == L4TCP).established(contenders))
		})
	}
}

// BenchmarkChecksums is what verifying costs, on datagrams of 50 bytes that are right.
func BenchmarkChecksums(b *testing.B) {
	const flows = 1000
	tr := newTalks(flows, false)
	for i := range tr.talks {
		for _, f := range tr.talks[i].frame {
			fillChecksums(f)
		}
	}
	mode := func(m ChecksumMode) Config {
		return Config{MaxFlows: flows, Events: Events(EventEnded), Checksums: m}
	}
	check := mustTracker(b, mode(ChecksumVerify))
	contenders := []contest.Contender[PacketView]{
		tracking(b, "ignore", mode(ChecksumIgnore)), shown("verify", check),
		tracking(b, "auto", mode(ChecksumAuto)),
	}
	contest.Run(b, contenders, tr.established(contenders))
	if st := check.Stats(); st.ChecksumsBad+st.ChecksumsUnknown+st.ChecksumsPartial != 0 {
		b.Fatal("not all are right")
	}
}

// trackingWith is tracking with any extractor.
func trackingWith[K comparable](b *testing.B, name string, ex FlowExtractor[K], cfg Config) contest.Contender[PacketView] {
	t, err := NewFlowTracker(ex, cfg)
	if err != nil {
		b.Fatal(err)
	}
	return shown(name, t)
}

// fillChecksums fills in those of an Ethernet frame with IPv4 and UDP.
func fillChecksums(f []byte) {
	sum := func(b []byte, more uint32) uint16 {
		for i := 0; i < len(b); i += 2 {
			more += uint32(binary.BigEndian.Uint16(b[i:]))
		}
		for more > 0xffff {
			more = more>>16 + more&0xffff
		}
		return ^uint16(more)
	}
	ip, udp := f[14:34], f[34:]
	udp = udp[:binary.BigEndian.Uint16(udp[4:])]
	binary.BigEndian.PutUint16(ip[10:], 0)
	binary.BigEndian.PutUint16(ip[10:], sum(ip, 0))
	binary.BigEndian.PutUint16(udp[6:], 0)
	n := uint32(len(udp))
	binary.BigEndian.PutUint16(udp[6:], sum(udp, uint32(^sum(ip[12:20], 17+n))))
}
