package export_test

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/export"
)

// The vectors of the specification's baseline: packets of its captures, and of ICMP type and code in place of
// the ports.
var communityIDs = []struct {
	proto            flowscope.L4Proto
	src, dst         string
	srcPort, dstPort uint16
	want             string
}{
	{58, "fe80::200:86ff:fe05:80da", "fe80::260:97ff:fe07:69ea", 135, 136, "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="},
	{58, "fe80::260:97ff:fe07:69ea", "fe80::200:86ff:fe05:80da", 136, 135, "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="},
	{58, "fe80::260:97ff:fe07:69ea", "fe80::200:86ff:fe05:80da", 135, 136, "1:zavyT/cezQr1fmImYCwYnMXbgck="},
	{58, "fe80::200:86ff:fe05:80da", "fe80::260:97ff:fe07:69ea", 136, 135, "1:zavyT/cezQr1fmImYCwYnMXbgck="},
	{58, "3ffe:501:1800:2345::2", "3ffe:507:0:1:200:86ff:fe05:80da", 3, 0, "1:2ObVBgIn28oZvibYZhZMBgh7WdQ="},
	{58, "3ffe:501:410:0:2c0:dfff:fe47:33e", "3ffe:507:0:1:200:86ff:fe05:80da", 1, 4, "1:hLZd0XGWojozrvxqE0dWB1iM6R0="},
	{58, "3ffe:507:0:1:200:86ff:fe05:80da", "3ffe:501:0:1001::2", 128, 129, "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg="},
	{58, "3ffe:501:0:1001::2", "3ffe:507:0:1:200:86ff:fe05:80da", 129, 128, "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg="},
	{58, "fe80::200:86ff:fe05:80da", "ff02::2", 133, 134, "1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0="},
	{58, "fe80::260:97ff:fe07:69ea", "ff02::1", 134, 133, "1:pkvHqCL88/tg1k4cPigmZXUtL00="},
	{1, "192.168.0.89", "192.168.0.1", 8, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
	{1, "192.168.0.1", "192.168.0.89", 0, 8, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
	{1, "10.0.0.1", "10.0.0.2", 11, 0, "1:YHxtAirCG//0OzkcVAukqKQN9xM="},
	{6, "2001:470:e5bf:dead:4957:2174:e82c:4887", "2607:f8b0:400c:c03::1a", 63943, 25, "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="},
	{6, "2607:f8b0:400c:c03::1a", "2001:470:e5bf:dead:4957:2174:e82c:4887", 25, 63943, "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="},
	{132, "192.168.170.8", "192.168.170.56", 7, 7, "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="},
	{132, "192.168.170.56", "192.168.170.8", 7, 7, "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="},
	{6, "128.232.110.120", "66.35.250.204", 34855, 80, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
	{6, "66.35.250.204", "128.232.110.120", 80, 34855, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
	{17, "192.168.1.52", "8.8.8.8", 54585, 53, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
	{17, "8.8.8.8", "192.168.1.52", 53, 54585, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
	{46, "10.1.12.1", "10.1.12.2", 0, 0, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="},
	{46, "10.1.12.2", "10.1.12.1", 0, 0, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="},
}

func TestCommunityIDsOfTheSpecification(t *testing.T) {
	for _, c := range communityIDs {
		r := flowscope.Record{
			Proto:     c.proto,
			Initiator: flowscope.Endpoint{Addr: netip.MustParseAddr(c.src), Port: c.srcPort},
			Responder: flowscope.Endpoint{Addr: netip.MustParseAddr(c.dst), Port: c.dstPort},
		}
		if c.proto == flowscope.L4ICMP || c.proto == flowscope.L4ICMPv6 {
			r.ICMPType, r.ICMPCode = uint8(c.srcPort), uint8(c.dstPort)
			r.Initiator.Port, r.Responder.Port = 0, 0
		}
		assert.Equal(t, c.want, string(export.AppendCommunityID(nil, 0, &r)), "%+v", c)
		assert.NotEqual(t, c.want, string(export.AppendCommunityID(nil, 1, &r)), "another seed")
	}
	assert.Empty(t, export.AppendCommunityID(nil, 0, &flowscope.Record{}), "no addresses")
}

// The specification's own captures and the file of its vectors: flows of packets have these IDs, those of ICMP by the
// type and code in the packet, and the vectors above are those of the file.
func TestCommunityIDsOfTheSpecificationsCaptures(t *testing.T) {
	const shared = "../../shared/captures/"
	raw, err := os.ReadFile(shared + "expected/cid_baseline_deflt.json")
	if err != nil {
		t.Skip("../shared/captures is not here: real captures are not part of the repository")
	}
	type vector struct {
		Proto        flowscope.L4Proto
		Saddr, Daddr string
		Sport, Dport uint16
		CommunityID  string
	}
	type byNumber struct {
		vector
		Proto uint8
	}
	var numbered []byNumber
	require.NoError(t, json.Unmarshal(raw, &numbered))
	file := map[vector]bool{}
	for _, n := range numbered {
		n.vector.Proto = flowscope.L4Proto(n.Proto)
		file[n.vector] = true
	}
	ours := map[vector]bool{}
	for _, c := range communityIDs {
		ours[vector{c.proto, c.src, c.dst, c.srcPort, c.dstPort, c.want}] = true
	}
	assert.Equal(t, file, ours)

	captures, err := filepath.Glob(shared + "open/cid_*.pcap")
	require.NoError(t, err)
	require.NotEmpty(t, captures)
	protos := map[flowscope.L4Proto]bool{}
	for _, r := range records(t, captures...) {
		v := vector{
			r.Proto, r.Initiator.Addr.String(), r.Responder.Addr.String(), r.Initiator.Port, r.Responder.Port,
			string(export.AppendCommunityID(nil, 0, &r)),
		}
		if r.Proto == flowscope.L4ICMP || r.Proto == flowscope.L4ICMPv6 {
			v.Sport, v.Dport = uint16(r.ICMPType), uint16(r.ICMPCode)
		}
		assert.Contains(t, file, v)
		protos[r.Proto] = true
	}
	assert.Equal(t, map[flowscope.L4Proto]bool{flowscope.L4ICMP: true, flowscope.L4TCP: true, flowscope.L4UDP: true}, protos)
}
