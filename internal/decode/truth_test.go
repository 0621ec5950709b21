package decode

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const truths = "../../../shared/captures/truth"

// tuple is a conversation, its ends in order.
type tuple struct{ proto, a, b string }

func newTuple(proto string, a, b string) tuple {
	if a > b {
		a, b = b, a
	}
	return tuple{proto, a, b}
}

// stream is a conversation as another analyser found it, with the layers of its first packet by
// name. Those of outer packets are in its list, too.
type stream struct {
	A, B   []any
	Layers string
}

func (s stream) tuple(proto string) tuple {
	return newTuple(proto, fmt.Sprint(s.A...), fmt.Sprint(s.B...))
}

// understood are conversations that the other analyser has and Decode does not, and why.
var understood = map[string]string{
	"zeek_fragmented-syn.pcap": "the TCP header itself is in two fragments",
}

// Another analyser lists, for each capture, the conversations of every layer. Those of the
// innermost layer must be found; the outer ones must have given their place to what they carry.
func TestTheConversationsOfCapturesAreThoseThatAnotherAnalyserFinds(t *testing.T) {
	names, _ := filepath.Glob(filepath.Join(truths, "*.json"))
	if len(names) == 0 {
		t.Skip("no truth in " + truths)
	}
	w := NewPeeler(Options{Peel: PeelAll})
	found, missed := 0, 0
	for _, name := range names {
		capture := strings.TrimSuffix(filepath.Base(name), ".json")
		var truth struct {
			TShark struct {
				TCP []stream `json:"tcp_streams"`
				UDP []stream `json:"udp_streams"`
			}
		}
		b, err := os.ReadFile(name)
		if err == nil {
			err = json.Unmarshal(b, &truth)
		}
		if err != nil {
			t.Fatal(err)
		}
		have, outer := map[tuple]int{}, map[tuple]int{}
		eachFrame(filepath.Join(captures, capture), func(frame []byte, link Link, wireLen int) {
			var p Packet
			if Decode(&p, frame, link, wireLen) == OK || p.SrcPort|p.DstPort != 0 {
				outer[tupleOf(&p)]++
			}
			if DecodeWith(&p, frame, link, wireLen, w) == OK {
				have[tupleOf(&p)]++
			}
		})
		for proto, streams := range map[string][]stream{"tcp": truth.TShark.TCP, "udp": truth.TShark.UDP} {
			for _, s := range streams {
				want := s.tuple(proto)
				switch {
				case have[want] > 0:
					found++
				case outer[want] > 0: // it carries others
				default:
					missed++
					if understood[capture] == "" {
						t.Errorf("%s: %v, %s", capture, want, s.Layers)
					} else {
						t.Logf("%s: %v, %s: %s", capture, want, s.Layers, understood[capture])
					}
				}
			}
		}
		for tu, n := range outer {
			if have[tu] == 0 {
				t.Logf("%s: all %d packets of %v carry others", capture, n, tu)
			}
		}
	}
	t.Logf("%d conversations found, %d missed", found, missed)
}

func tupleOf(p *Packet) tuple {
	proto := map[uint8]string{6: "tcp", 17: "udp"}[p.Proto]
	end := func(hi, lo uint64, port uint16) string {
		return fmt.Sprint(addr(p.Family, hi, lo).String(), float64(port))
	}
	return newTuple(proto, end(p.SrcHi, p.SrcLo, p.SrcPort), end(p.DstHi, p.DstLo, p.DstPort))
}
