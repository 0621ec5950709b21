package acceptance

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// streamRules say what comes of a script: the streams of both sides ("<n>" is a gap), what is said besides in order
// (if given), and which anomalies there are. The names in brackets are those of the vector collections that the
// rules come from. Where such a collection would refuse the farthest bytes when a limit is reached, these streams
// give up their first hole: what lies behind it was received, and the newest bytes are worth no less.
var streamRules = []struct {
	name, script string
	ini, res     string
	said         string // "" is not compared
	anomalies    string
	cfg          flowscope.Config
	flows        int // 0 means 1
}{
	// Where a stream begins.
	{name: "the SYN is the anchor", script: "hs >0:abc <0:xyz finish", ini: "abc", res: "xyz",
		said: ">0:abc <0:xyz >closed@3:finished <closed@3:finished ended:finished"},
	{name: "bytes missing at the start are a gap [G3]", script: "hs >3:def finish", ini: "<3>def", anomalies: "gap ooo_segment",
		said: ">gap[0,3)ended >3:def >closed@6:finished <closed@0:finished ended:finished"},
	{name: "under way, the first byte seen is the first [M1]", script: ">700:abc/a900 <900:xyz/a703 >703:def/a903 finish", ini: "abcdef", res: "xyz"},
	{name: "data before the last ACK of the handshake [H16]", script: ">S <SA >3:def >A0 >0:abc", ini: "abcdef", anomalies: "ooo_segment"},
	{name: "the last ACK of the handshake was lost [H14]", script: ">S <SA >0:abc", ini: "abc"},
	{name: "two SYN+ACKs, the first one counts [H7]", script: ">S <SA <SA/n100 >A0 <0:abc", res: "abc", anomalies: "implausible_syn"},
	{name: "a responder speaks before its SYN+ACK [H4]", script: ">S <0:early/a0 <SA >A0 <0:hello", res: "hello", anomalies: "data_before_handshake"},
	{name: "a segment of the opener before its own SYN", script: ">0:abc >S <SA >A0 >3:def", ini: "abcdef"},

	{name: "the other side is seen after all, so its holes are not waited for as if it were not",
		script: ">700:ab/a900 >705:x/a900 +1s <900:/a701 +2s >706:y/a900", ini: "ab<3>xy", anomalies: "gap ooo_segment",
		said: ">0:ab >gap[2,5)expired >5:x >6:y", cfg: flowscope.Config{HoleTimeout: 2 * time.Second, HoleOneSidedTimeout: time.Hour, ClockJump: flowscope.Never}},

	// Payload of a SYN.
	{name: "Fast Open, taken [H2]", script: ">S/dabc <SA3 >A0 >3:def", ini: "abcdef", said: ">0:abc >3:def"},
	{name: "Fast Open, not taken [H1]", script: ">S/dXYZ <SA0 >A0 >0:abc", ini: "abc", said: ">0:abc", anomalies: "syn_data_ignored"},
	{name: "Fast Open, waits for the answer", script: ">S/dabc +70s sweep", ini: ""},
	{name: "Fast Open without an answer is no data", script: ">S/dabc finish", ini: "", said: ">closed@0:finished ended:finished", anomalies: "unconfirmed"},
	{name: "Fast Open, part of it taken", script: ">S/dabcd <SA2 >A0 >2:cdef", ini: "abcdef"},
	{name: "Fast Open, alone, taken", script: ">S/dabc >3:def >6:g", ini: "abcdefg"},
	{name: "Fast Open, alone, not taken", script: ">S/dXYZ >0:abc >3:d", ini: "abcd"},
	{name: "Fast Open, the capture cut it", script: ">S/dabcd/c2 <SA4 >A0 >4:ef", ini: "ab<2>ef", anomalies: "gap"},
	{name: "Fast Open, sent again by itself", script: ">S/dabc >S/dabc <SA3 >A0 >3:def", ini: "abcdef"},
	{name: "SYN+ACK with payload, taken", script: ">S <SA/dabc >A3 <3:def", res: "abcdef"},
	{name: "SYN+ACK with payload, not taken [H3]", script: ">S <SA/dXYZ >A0 <0:hello", res: "hello", anomalies: "syn_data_ignored"},
	{name: "Fast Open and a FIN in the answer", script: ">S/dabc <SA3 >A0 <F@0 >A1 >F@3 <A4", ini: "abc",
		said: ">0:abc <closed@0 >closed@3 ended:fin"},

	// Resets.
	{name: "payload of a RST is no data [R7]", script: "hs >0:abc <A3 >R@3/dXYZ", ini: "abc", anomalies: "data_on_rst",
		said: ">0:abc >closed@3:rst <closed@0:rst ended:rst"},
	{name: "a RST gives what is held, with its gap [R8]", script: "hs >3:def >R@0", ini: "<3>def", anomalies: "gap ooo_segment",
		said: ">gap[0,3)ended >3:def >closed@6:rst <closed@0:rst ended:rst"},
	{name: "a RST beside the number changes nothing [R2]", script: "hs >R@1 >0:abc", ini: "abc", anomalies: "implausible_rst"},

	// One byte that is none, and a closed window.
	{name: "a keep-alive brings nothing, whatever it holds [S6]", script: "hs >0:abc <A3 >2:Z >3:def", ini: "abcdef"},
	{name: "a keep-alive without a byte", script: "hs >0:abc <A3 >2: >3:def", ini: "abcdef"},
	{name: "a probe of a closed window that was refused [Z1]", script: ">S <SA/w3 >A0 >0:abc <A3/w0 >3:X <A3/w0 <A3 >3:def", ini: "abcdef"},
	{name: "a probe of a closed window that was taken [Z2]", script: ">S <SA/w3 >A0 >0:abc <A3/w0 >3:d <A4 <A4 >4:ef", ini: "abcdef"},
	{name: "a probe refused, with delivered bytes remembered", script: ">S <SA/w3 >A0 >0:abc <A3/w0 >3:X <A3/w0 <A3 >3:def", ini: "abcdef",
		cfg: flowscope.Config{KeepDelivered: 64}},
	{name: "a probe of a place that has been given up", script: ">S <SA/w3 >A0 >0:abc <A3/w0 >3:X <A3 >6:ghi <A9 <A9 +1s sweep >9:jkl", ini: "abcX<2>ghijkl",
		anomalies: "gap ooo_segment"},
	{name: "a probe whose ACK came after the next bytes", script: ">S <SA/w3 >A0 >0:abc <A3/w0 >3:d >4:ef <A6 finish", ini: "abcdef", anomalies: "out_of_window"},

	{name: "a probe whose ACK completes its side", script: ">S <SA/w3 >A0 >0:abc <A3/w0 >3:d >F@4 <A5 <A5 <0:xyz", ini: "abcd", res: "xyz", anomalies: "implausible_ack out_of_window",
		said: ">0:abc >3:d >closed@4 <0:xyz"},
	{name: "a probe that is taken by what comes behind a hole", script: "hs >0:abc <A3/w0 <5:xy/a3/w0 >3:d <7:z/a4 >4:e finish",
		ini: "abcde", res: "<5>xyz", anomalies: "gap ooo_segment"},

	// Urgent data stays in its place.
	{name: "urgent pointer 3 [U1]", script: "hs >0:abXcd/u3 >5:ef", ini: "abXcdef", said: ">urgent@3 >0:abXcd >5:ef"},
	{name: "urgent pointer 5 [U2]", script: "hs >0:abXcd/u5 >5:ef", ini: "abXcdef", said: ">urgent@5 >0:abXcd >5:ef"},
	{name: "urgent pointer 6, in the next segment [U3]", script: "hs >0:abXcd/u6 >5:ef", ini: "abXcdef", said: ">urgent@6 >0:abXcd >5:ef"},
	{name: "urgent pointer 0 [U4]", script: "hs >0:abXcd/u0 >5:ef", ini: "abXcdef", said: ">urgent@0 >0:abXcd >5:ef"},
	{name: "urgent pointer 1 [U4]", script: "hs >0:abXcd/u1 >5:ef", ini: "abXcdef", said: ">urgent@1 >0:abXcd >5:ef"},
	{name: "urgent pointer 100, never reached [U5]", script: "hs >0:abXcd/u100 >5:ef", ini: "abXcdef", said: ">urgent@100 >0:abXcd >5:ef"},
	{name: "urgent segment sent twice [U6]", script: "hs >0:abXcd/u3 >0:abXcd/u3 >5:ef", ini: "abXcdef"},
	{name: "urgent pointer without the flag [U7]", script: "hs >0:abXcd/u3/fPA >5:ef", ini: "abXcdef", said: ">0:abXcd >5:ef"},
	{name: "two urgent segments [U8]", script: "hs >0:aX/u2 >2:bY/u2 >4:c", ini: "aXbYc", said: ">urgent@2 >0:aX >urgent@4 >2:bY >4:c"},

	// FINs.
	{name: "a FIN before its data [F1]", script: "hs >0:ab >F@4 >2:cd <A5", ini: "abcd", said: ">0:ab >2:cd >closed@4"},
	{name: "data beyond a FIN [F2]", script: "hs >0:ab >F@2 <A3 >2:XX", ini: "ab", said: ">0:ab >closed@2", anomalies: "data_after_close"},
	{name: "data further beyond a FIN [F2]", script: "hs >0:ab >F@2 <A3 >3:XX", ini: "ab", said: ">0:ab >closed@2", anomalies: "data_after_close"},
	{name: "a FIN on early data ends the stream there [F3]", script: "hs >2:cd/F >4:ef >0:ab <A5 <A5", ini: "abcd", said: ">0:ab >2:cd >closed@4",
		anomalies: "ooo_segment"},
	// As in Linux: a FIN that is early has no place of its own until what lies before it is there.
	{name: "data where an early FIN was [F4]", script: "hs >F@2 >2:cd >0:ab <A4", ini: "abcd", said: ">0:ab >2:cd", anomalies: "ooo_segment"},
	{name: "a FIN far beyond the window is none [F5]", script: "hs >0:abc >F@1500000000 >3:def", ini: "abcdef", anomalies: "out_of_window"},
	{name: "a FIN three times closes once [F6]", script: "hs >0:ab >F@2 >F@2 >F@2 <A3 <A3", ini: "ab", said: ">0:ab >closed@2"},
	{name: "half a close [F7]", script: "hs >0:ab >F@2 <A3 +100s <0:xy +100s <2:z +100s <3:!", ini: "ab", res: "xyz!",
		said: ">0:ab >closed@2 <0:xy <2:z <3:!"},
	{name: "FINs that cross [F8]", script: "hs >0:ab <0:xy >F@2 <F@2 >A3 <A3", ini: "ab", res: "xy", said: ">0:ab <0:xy <closed@2 >closed@2 ended:fin"},
	{name: "missing bytes before a FIN, at the end [G4]", script: "hs >0:ab >F@4 finish", ini: "ab<2>", anomalies: "gap",
		said: ">0:ab >gap[2,4)ended >closed@4:finished <closed@0:finished ended:finished"},
	{name: "missing bytes before a FIN that was acknowledged", script: "hs >0:ab >F@4 <A5 <A5 +11ms sweep", ini: "ab<2>", anomalies: "gap",
		said: ">0:ab >gap[2,4)acknowledged >closed@4"},
	{name: "missing bytes before a FIN do not come", script: "hs >0:ab >F@4 +299s sweep +1s sweep", ini: "ab<2>", anomalies: "gap",
		said: ">0:ab >gap[2,4)ended >closed@4:idle <closed@0:idle ended:idle"},
	{name: "two FINs at two places", script: "hs >0:ab >F@2 >F@5 <A3", ini: "ab", said: ">0:ab >closed@2", anomalies: "fin_conflict"},

	// Holes, and what gives them up.
	{name: "a hole that was acknowledged [G1]", script: "hs >0:ab >4:ef <A6 <A6 +10ms sweep", ini: "ab<2>ef", anomalies: "gap ooo_segment",
		said: ">0:ab >gap[2,4)acknowledged >4:ef"},
	{name: "a hole that was acknowledged waits 10 ms", script: "hs >0:ab >4:ef <A6 <A6 +9999us sweep >2:cd", ini: "abcdef", anomalies: "ooo_segment"},
	{name: "a hole that was acknowledged, by the next packet", script: "hs >0:ab >4:ef <A6 <A6 +10ms <A6", ini: "ab<2>ef", anomalies: "gap ooo_segment"},
	{name: "the ACK came before the bytes behind the hole", script: "hs >0:ab <A6 +1s >4:ef +9ms >2:cd", ini: "abcdef", anomalies: "implausible_ack ooo_segment"},
	{name: "a hole waits 30 s where both sides are seen [G2]", script: "hs >0:ab >4:ef +30s sweep", ini: "ab<2>ef", anomalies: "gap ooo_segment",
		said: ">0:ab >gap[2,4)expired >4:ef"},
	{name: "a hole waits no less than 30 s", script: "hs >0:ab >4:ef +29999999us sweep >2:cd", ini: "abcdef", anomalies: "ooo_segment"},
	{name: "a hole waits 4 s where one side is seen [M2]", script: ">0:ab >4:ef +4s sweep", ini: "ab<2>ef", anomalies: "gap ooo_segment",
		said: ">0:ab >gap[2,4)expired >4:ef"},
	{name: "a hole waits no less than 4 s", script: ">0:ab >4:ef +3999999us sweep >2:cd finish", ini: "abcdef", anomalies: "ooo_segment unconfirmed"},
	{name: "bytes of a hole that come late are not delivered [G5]", script: "hs >0:ab >4:ef <A6 <A6 +11ms sweep >2:cd >6:gh", ini: "ab<2>efgh",
		anomalies: "gap late_data ooo_segment"},
	{name: "at its own time a hole is given up before the packet", script: "hs >0:ab >4:ef +30s >2:cd", ini: "ab<2>ef", cfg: flowscope.Config{ClockJump: flowscope.Never},
		anomalies: "gap late_data ooo_segment"},
	{name: "an ACK far beyond what was sent opens no gap [G9]", script: "hs >0:ab >4:ef <A1000000000 +11ms sweep >6:gh finish",
		ini: "ab<2>efgh", anomalies: "gap implausible_ack ooo_segment"},
	{name: "an ACK far beyond what was sent makes no gap at the end [G9]", script: "hs >0:ab <A1000000000 <A2 >2:cd finish", ini: "abcd", anomalies: "implausible_ack"},
	{name: "a lie about ACKs is forgotten with the next true one", script: "hs >0:ab <A1000000000 <A2 >4:ef +11ms sweep >2:cd", ini: "abcdef",
		anomalies: "implausible_ack ooo_segment"},
	{name: "holes are given up one by one", script: "hs >0:a >2:c +20s >4:e +10s sweep +20s sweep", ini: "a<1>c<1>e", anomalies: "gap ooo_segment",
		said: ">0:a >gap[1,2)expired >2:c >gap[3,4)expired >4:e"},
	{name: "a big hole costs one event [G10]", script: "hs >50000:x <A50001 <A50001 +10ms sweep", ini: "<50000>x", anomalies: "gap ooo_segment"},

	{name: "acknowledged and never seen, at the end", script: "hs >0:ab <A6 finish", ini: "ab<4>", anomalies: "gap implausible_ack",
		said: ">0:ab >gap[2,6)ended >closed@6:finished <closed@0:finished ended:finished"},

	// What the capture cut off.
	{name: "bytes cut off are a gap at once", script: "hs >0:abcdef/c2 >6:gh", ini: "ab<4>gh", anomalies: "gap", said: ">0:ab >gap[2,6)cut >6:gh"},
	{name: "headers only", script: "hs >0:abcdef/c0 >6:gh/c0 <0:xyz/c0", ini: "<8>", res: "<3>", anomalies: "gap"},
	{name: "cut off behind a hole", script: "hs >3:def/c1 >0:abc >6:gh", ini: "abcd<2>gh", anomalies: "gap ooo_segment"},
	{name: "an IP length of 0 is that of the capture", script: "hs >0:abcdef/00 >6:gh", ini: "abcdefgh"},
	{name: "cut off, with the FIN", script: "hs >0:abcd/F/c2 <A5", ini: "ab<2>", anomalies: "gap", said: ">0:ab >gap[2,4)cut >closed@4"},

	// Numbers.
	{name: "sent again, with other bytes [S4]", script: "hs >0:abcdef >2:XY", ini: "abcdef"},
	{name: "sent again with more behind [S5]", script: "hs >0:abcdef >4:XXgh", ini: "abcdefgh"},
	{name: "sent again, other bytes, and it is remembered", script: "hs >0:abcdef >2:XY", ini: "abcdef", cfg: flowscope.Config{KeepDelivered: 16},
		anomalies: "conflicting_overlap"},
	{name: "sent again, same bytes, and it is remembered", script: "hs >0:abcdef >2:cd >4:efgh", ini: "abcdefgh", cfg: flowscope.Config{KeepDelivered: 16}},
	{name: "far beyond the window [S7]", script: "hs >0:a >5000000:X >1:b", ini: "ab", anomalies: "out_of_window"},
	{name: "half the numbers away [S8]", script: "hs >0:a >2147483649:X >1:b", ini: "ab", anomalies: "out_of_window"},
	{name: "empty segments anywhere [S9]", script: "hs >0: >5: >1000: >0:ab", ini: "ab"},

	// Flags and ACK numbers.
	{name: "PSH without ACK [E1]", script: "hs >0:XYZ/fP >0:abc", ini: "abc", anomalies: "data_without_ack"},
	{name: "no flags [E2]", script: "hs >0:XYZ/f >0:abc", ini: "abc", anomalies: "data_without_ack"},
	{name: "URG only [E3]", script: "hs >0:XYZ/fU >0:abc", ini: "abc", anomalies: "data_without_ack"},
	{name: "FIN without ACK [E4]", script: "hs >0:XYZ/fF >0:abc", ini: "abc", anomalies: "data_without_ack"},
	{name: "ACK of a gigabyte more than was sent [E8]", script: "hs >0:XYZ/a1500000000 >0:abc", ini: "abc", anomalies: "implausible_ack"},
	{name: "ACK of long ago [E9]", script: "hs <0:hello >A5 >0:XYZ/a-200000 >0:abc", ini: "abc", res: "hello", anomalies: "implausible_ack"},
	{name: "ACK half the numbers away [E10]", script: "hs >0:XYZ/a2147483648 >0:abc", ini: "abc", anomalies: "implausible_ack"},
	{name: "SYN+ACK with payload, established [E5]", script: "hs >S/fSA/n500/dXYZ >0:abc", ini: "abc", anomalies: "implausible_syn"},

	// A new connection on the same ports.
	{name: "reuse: the old bytes and the end come first", script: "hs >3:def >F@6 <A7 <A7 <F@0 >S/n100000", flows: 2, ini: "<3>def",
		anomalies: "gap ooo_segment", said: ">gap[0,3)ended >3:def >closed@6 <closed@0 ended:fin"},

	// Limits.
	{name: "too many pieces give up the first hole [G7]", script: "hs >0:a >2:c >4:e >6:g >8:i >10:k finish", ini: "a<1>c<1>e<1>g<1>i<1>k",
		cfg: flowscope.Config{SidePieces: 4}, anomalies: "gap memory_cap ooo_segment",
		said: ">0:a >gap[1,2)budget >2:c >gap[3,4)ended >4:e >gap[5,6)ended >6:g >gap[7,8)ended >8:i >gap[9,10)ended >10:k " +
			">closed@11:finished <closed@0:finished ended:finished"},
	{name: "too many bytes give up the first hole [G6]", script: "hs >0:a >200:b*200 >500:c*200 finish", ini: "a<199>" + strings.Repeat("b", 200) +
		"<100>" + strings.Repeat("c", 200), cfg: flowscope.Config{SideBytes: 512}, anomalies: "gap memory_cap ooo_segment"},
	{name: "the flow ends instead, once, and leaves no ghost", script: "hs >0:a >2:c >4:e >6:g >8:h +1s >1:b >R@1 +1s <F@0", ini: "a<1>c<1>e<1>g",
		cfg: flowscope.Config{SidePieces: 2, Overflow: flowscope.OverflowDropFlow}, anomalies: "gap memory_cap ooo_segment",
		said: ">0:a >gap[1,2)budget >2:c >gap[3,4)ended >4:e >gap[5,6)ended >6:g >closed@7:buffer_overflow <closed@0:buffer_overflow ended:buffer_overflow"},
	{name: "all sides together", script: "hs >100:b*3000 <100:c*3000 finish", ini: "<100>" + strings.Repeat("b", 3000), res: "<100>" + strings.Repeat("c", 3000),
		cfg: flowscope.Config{TotalBytes: 7000}, anomalies: "gap memory_cap ooo_segment"},
	{name: "no room for the payload of a SYN", script: ">S/dabc <SA0 >A0 >0:abcdef finish", ini: "abcdef", cfg: flowscope.Config{SideBytes: 1},
		anomalies: "memory_cap syn_data_ignored"},

	// Two openings.
	{name: "the answer is to the first of two SYNs [H5]", script: ">S/dabc >S/n5000/dXYZ <SA0 >A0 >0:abc <A3", flows: 2, ini: "", anomalies: "unconfirmed"},
}

func TestStreamsFollowTheRules(t *testing.T) {
	for _, r := range streamRules {
		t.Run(r.name, func(t *testing.T) {
			testkit.Within(t, func() {
				p := testkit.NewPlay(t, nil, r.cfg).Play(r.script)
				p.Want("initiator", r.ini, p.Text(0))
				p.Want("responder", r.res, p.Text(1))
				if r.said != "" {
					p.Want("said", r.said, p.Said())
				}
				p.Want("anomalies", r.anomalies, p.Anomalies())
				if p.Starts != max(r.flows, 1) {
					t.Errorf("%d flows", p.Starts)
				}
				p.Play("finish")
			})
		})
	}
}

func TestTheAnswerToTheFirstOfTwoSYNsChoosesItsPayload(t *testing.T) {
	p := testkit.NewPlay(t, nil, flowscope.Config{})
	p.Play(">S >S/n5000/dXYZ <SA0 >A0 >0:abc <A3")
	p.Want("stream", "abc", p.Flow(2).Sides[0].Said())
}

// The published pair, triplet and longer vectors, in the order of arrival.
func TestPublishedVectorsThroughTheWholeDriver(t *testing.T) {
	isns := []uint32{0, 1, 1<<31 - 3, 1 << 31, 1<<32 - 1, 1<<32 - 2, 1<<32 - 3, 1<<32 - 11}
	for _, v := range []struct{ name, segments, first, last, linux string }{
		{"P1", "2:aaaa 1:bbb 0:0", "0baaaa", "0bbbaa", "0bbbaa"},
		{"P2", "3:aa 1:bbbb 0:0", "0bbaa", "0bbbb", "0bbbb"},
		{"P3", "2:aa 1:bbbbb 0:0", "0baabb", "0bbbbb", "0bbbbb"},
		{"P4", "1:aaaa 1:bb 0:0", "0aaaa", "0bbaa", "0aaaa"},
		{"P5", "1:aaa 1:bbb 0:0", "0aaa", "0bbb", "0aaa"},
		{"P6", "1:aa 1:bbbb 0:0", "0aabb", "0bbbb", "0bbbb"},
		{"P7", "1:aaaa 2:b 0:0", "0aaaa", "0abaa", "0aaaa"},
		{"P8", "1:aaaa 3:bb 0:0", "0aaaa", "0aabb", "0aaaa"},
		{"P9", "1:aaaa 3:bbb 0:0", "0aaaab", "0aabbb", "0aaaab"},
		{"T1", "1:aaa 2:b 3:c 0:0", "0aaa", "0abc", "0aaa"},
		{"T2", "1:aa 2:bb 2:cc 0:0", "0aab", "0acc", "0aab"},
		{"T3", "1:a 1:bb 1:ccc 0:0", "0abc", "0ccc", "0ccc"},
		{"T4", "1:aa 5:bb 2:cccc 0:0", "0aaccbb", "0accccb", "0aacccb"},
		{"T5", "2:a 4:b 6:c 1:ddddddd 0:0", "0dadbdcd", "0ddddddd", "0ddddddd"},
		{"T6", "1:aaaaaaa 2:b 4:c 6:d 0:0", "0aaaaaaa", "0abacada", "0aaaaaaa"},
		{"T7", "1:aaa 2:bbb 3:ccc 4:ddd 0:0", "0aaabcd", "0abcddd", "0aaabcd"},
		{"T8", "4:aaa 3:bbb 2:ccc 1:ddd 0:0", "0dcbaaa", "0dddcba", "0dddcba"},
		{"T9", "3:a 2:bbb 1:ccccc 0:0", "0cbabc", "0ccccc", "0ccccc"},
		{"T10", "1:aaaaa 2:bbb 3:c 0:0", "0aaaaa", "0abcba", "0aaaaa"},
		{"T11", "1:aa 1:bb 1:cc 0:0", "0aa", "0cc", "0aa"},
		{"T12", "2:aa 1:bbb 2:cc 0:0", "0baa", "0bcc", "0bbb"},
		{"S1", "2:c 1:b 4:e 3:d 0:a", "abcde", "abcde", "abcde"},
		{"S2", "1:b 2:c 0:a", "abc", "abc", "abc"},
		{"Novak and Sturges",
			"1:AAA 5:BB 7:CCC 11:D 14:EE 16:FFF 19:GG 21:HH 23:I 2:JJJJ 7:KKK 10:LLL 13:MMM 17:N 20:O 21:P 23:QQ 0:0",
			"0AAAJBBCCCLDLMEEFFFGGHHIQ", "0AJJJJBKKKLLLMMMFNFGOPHQQ", "0AAAJJBCCCLLLMMMFFFGGHHQQ"},
		{"Shankar and Paxson", "1:111 5:22 7:333 2:4444 7:555 10:666 0:0", "0111422333666", "0144442555666", "0111442333666"},
	} {
		for policy, want := range []string{v.first, v.last, v.linux} {
			t.Run(fmt.Sprintf("%s/%v", v.name, flowscope.OverlapPolicy(policy)), func(t *testing.T) {
				script := "hs >" + strings.Join(strings.Fields(v.segments), " >") + " finish"
				for _, isn := range isns {
					p := testkit.NewPlay(t, nil, flowscope.Config{Overlap: flowscope.OverlapPolicy(policy)})
					p.ISN[0] = isn
					p.Play(script)
					p.Want(fmt.Sprintf("ISN %d", isn), want, p.Text(0))
					if conflict := p.Seen[flowscope.AnomalyConflictingOverlap] > 0; conflict != (v.name[0] != 'S' || v.name[1] == 'h') {
						t.Errorf("ISN %d: conflict %v", isn, conflict)
					}
				}
			})
		}
	}
}

func TestBytesCarryTheTimeAndNumberOfTheirPacket(t *testing.T) {
	p := testkit.NewPlay(t, nil, flowscope.Config{})
	p.Play("hs >2:c +1s >1:b +1s")
	base := p.At().Add(-2 * time.Second)
	var got []string
	events := p.Driver.Track(p.View(">0:a"))
	for i := range events {
		if ev := &events[i]; ev.Kind == flowscope.EventData {
			got = append(got, fmt.Sprintf("%s #%d %v", ev.Bytes, ev.Packet, ev.Timestamp.Sub(base)))
		}
	}
	p.Want("data", "a #6 2s b #5 1s c #4 0s", strings.Join(got, " "))
}

func TestAnEvictedFlowGivesItsBytesFirst(t *testing.T) {
	p := testkit.NewPlay(t, nil, flowscope.Config{MaxFlows: 1})
	p.Play("hs >3:def >S/t1")
	p.Want("said", ">gap[0,3)ended >3:def >closed@6:evicted <closed@0:evicted ended:evicted", p.Said())
	if p.Starts != 2 {
		t.Errorf("%d flows", p.Starts)
	}
}

func TestAForcedCloseGivesTheBytesFirst(t *testing.T) {
	p := testkit.NewPlay(t, nil, flowscope.Config{})
	p.Play("hs >3:def")
	if !p.Driver.ForceClose(testkit.TupleKey(0)) {
		t.Fatal("no such flow")
	}
	p.Want("said at once", "", p.Said())
	p.Play("sweep")
	p.Want("said", ">gap[0,3)ended >3:def >closed@6:force_closed <closed@0:force_closed ended:force_closed", p.Said())
}

func TestAStoppedSideSaysNoMoreAndTheOtherGoesOn(t *testing.T) {
	p := testkit.NewPlay(t, nil, flowscope.Config{})
	p.Play("hs >0:abc >5:fgh")
	if held := p.Driver.Stats().HeldBytes; held == 0 {
		t.Fatal("nothing is held")
	}
	events := p.Driver.Track(p.View("<0:x"))
	p.Hear(events)
	ev := events[0]
	if !p.Driver.Stop(&ev, flowscope.Initiator) {
		t.Fatal("the flow is not alive")
	}
	p.Flow(1).Sides[0].Stopped = true
	p.Said()
	p.Play(">3:de")
	if held := p.Driver.Stats().HeldBytes; held != 0 {
		t.Errorf("%d bytes are held for a stopped side", held)
	}
	p.Play(">8:i/u1 <1:yz +31s sweep >20:x >F@21 <F@3 >A4 <A22")
	p.Want("said", "<1:yz <closed@3", p.Said())
	p.Play("<A22") // the ACK before was a first word: it reaches into a hole
	p.Want("said", ">closed@21:fin ended:fin", p.Said())
	if st := p.Driver.Stats(); st.FlowsEnded != 1 || st.Packets != 15 {
		t.Errorf("%d packets, %d flows ended", st.Packets, st.FlowsEnded)
	}
}

func TestAHolesTimeDoesNotDependOnHowManyFlowsThereAre(t *testing.T) {
	for _, flows := range []int{1, 600} {
		p := testkit.NewPlay(t, nil, flowscope.Config{})
		for i := range flows {
			for _, step := range []string{">S", "<SA", ">A0", ">0:-", ">4:def"} {
				p.Play(fmt.Sprintf("%s/t%d", step, i))
			}
		}
		p.Play(fmt.Sprintf("+31s >S/t%d", flows)) // of another flow; the next packet confirms the time
		for _, i := range []int{flows - 1, 0} {
			p.Play(fmt.Sprintf(">1:abc/t%d", i))
			p.Want(fmt.Sprintf("flow %d of %d", i, flows), "-<3>def", p.Flow(flowscope.FlowID(i + 1)).Sides[0].Said())
		}
	}
}

func TestNothingFollowsTheCloseOfASide(t *testing.T) {
	// The payload of a late SYN+ACK is refused while bytes far ahead are held; then a FIN comes below those.
	p := testkit.NewPlay(t, nil, flowscope.Config{}).Play(">0:g/a0 <200000:ijklm <SA/dWXYZ >1:h/a0 <0:abc/F +31s sweep finish")
	if !strings.HasPrefix(p.Text(1), "abc") {
		t.Errorf("the responder said %q", p.Text(1))
	}
}

// A flow that gives up several holes for want of room in one call has one anomaly of each kind in it: the Book
// sees to that.
func TestSeveralHolesGivenUpInOneCall(t *testing.T) {
	p := testkit.NewPlay(t, nil, flowscope.Config{TotalBytes: 16 << 10})
	p.Play("hs")
	most := 0
	for i := range 40 {
		p.Step(fmt.Sprintf(">%d:x", 2+2*i))
	}
	for i := range 40 {
		before := p.Driver.Stats().BudgetGaps
		p.Step(fmt.Sprintf(">%d:y*1000", 1000+1001*i))
		most = max(most, int(p.Driver.Stats().BudgetGaps-before))
	}
	if most < 2 {
		t.Fatalf("no call gave up more than %d hole", most)
	}
	p.Play("finish")
}
