package acceptance

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

var sharedCaptures = testkit.Path("../shared/captures") + "/"

// spokenStream is what a driver heard one side say, gaps left out.
type spokenStream struct {
	length int64
	gaps   int64
	sum    hash.Hash
	reason flowscope.EndReason
}

// replay gives what is said in a capture, by speaker and listener, in the order in which it begins.
func replay(tb testing.TB, name string) map[[2]netip.AddrPort][]*spokenStream {
	tb.Helper()
	const day = 24 * time.Hour // the truth does not end idle flows
	d := testkit.NewDriver(tb, nil, flowscope.Config{
		OpeningTimeout: day, EstablishedTimeout: day, ClosingTimeout: day, UDPTimeout: day, ICMPTimeout: day, OtherTimeout: day, LingerTimeout: day,
	})
	book := testkit.NewBook(tb, d)
	sides := map[[2]netip.AddrPort][]*spokenStream{}
	flows := map[flowscope.FlowID]*[2]*spokenStream{}
	take := func(events []testkit.Event) {
		book.Take(events)
		for i := range events {
			ev := &events[i]
			f := flows[ev.Flow]
			if f == nil {
				f = new([2]*spokenStream)
				flows[ev.Flow] = f
			}
			switch ev.Kind {
			case flowscope.EventData, flowscope.EventGap:
				s := f[ev.Side]
				if s == nil {
					s = &spokenStream{sum: sha256.New()}
					f[ev.Side] = s
					from, to := ev.Key.Ends(ev.Orientation)
					sides[[2]netip.AddrPort{from, to}] = append(sides[[2]netip.AddrPort{from, to}], s)
				}
				s.sum.Write(ev.Bytes)
				if ev.Kind == flowscope.EventGap {
					s.gaps += ev.Len
				} else {
					s.length += ev.Len
				}
			case flowscope.EventEnded:
				for _, s := range f {
					if s != nil {
						s.reason = ev.Reason
					}
				}
			}
		}
	}
	for v, err := range flowscope.OpenCapture(name) {
		if err != nil {
			break // what is sound of a damaged file was read
		}
		take(d.Track(v))
	}
	take(d.Finish())
	book.Finish()
	return sides
}

func openCaptures(t *testing.T) []string {
	names, _ := filepath.Glob(sharedCaptures + "open/*.pcap*")
	if len(names) == 0 {
		t.Skip("../shared/captures is not here: real captures are not part of the repository")
	}
	return names
}

func readJSON(t *testing.T, name string, to any) bool {
	b, err := os.ReadFile(name)
	if err != nil {
		return false
	}
	if err := json.Unmarshal(b, to); err != nil {
		t.Fatal(err)
	}
	return true
}

// anomalyNames are directions in which the truth, which looks at numbers only, differs with reason.
var anomalyNames = map[string]string{
	"zeek_rst-inject-rae.pcap": "data in flight after an exact RST is no part of what a receiver reads",
}

// TestStreamsOfOpenCapturesAreTheTruth compares directions without holes and without differing copies with the bytes
// that another tool put together.
func TestStreamsOfOpenCapturesAreTheTruth(t *testing.T) {
	compared, missing := 0, 0
	for _, name := range openCaptures(t) {
		type bytemap struct {
			Unique      int64
			Conflicting int64 `json:"conflicting_bytes"`
			Gaps        [][]int64
			First       string `json:"sha256_first_wins"`
		}
		var truth struct {
			Tshark struct {
				TCP []struct {
					A, B    [2]any
					Bytemap map[string]bytemap
				} `json:"tcp_streams"`
			}
		}
		base := filepath.Base(name)
		if !readJSON(t, sharedCaptures+"truth/"+base+".json", &truth) {
			continue
		}
		heard := replay(t, name)
		said := map[[2]netip.AddrPort][]bytemap{}
		end := func(e [2]any) netip.AddrPort {
			return netip.AddrPortFrom(netip.MustParseAddr(e[0].(string)), uint16(e[1].(float64)))
		}
		for _, s := range truth.Tshark.TCP {
			a, b := end(s.A), end(s.B)
			for _, dir := range []struct {
				name     string
				from, to netip.AddrPort
			}{{"ab", a, b}, {"ba", b, a}} {
				if m := s.Bytemap[dir.name]; m.Unique > 0 {
					k := [2]netip.AddrPort{dir.from, dir.to}
					said[k] = append(said[k], m)
				}
			}
		}
		for ends, maps := range said {
			for i, m := range maps {
				if m.Conflicting > 0 || len(m.Gaps) > 0 {
					continue
				}
				if i >= len(heard[ends]) {
					missing++ // inside a tunnel, behind fragments, or on a link that is not read
					continue
				}
				compared++
				s := heard[ends][i]
				if got := hex.EncodeToString(s.sum.Sum(nil)); got != m.First && anomalyNames[base] == "" {
					t.Errorf("%s %v: %d bytes, gaps of %d; the truth has %d bytes", base, ends, s.length, s.gaps, m.Unique)
				}
			}
		}
	}
	if t.Logf("%d directions compared, %d not seen", compared, missing); compared < 100 || missing > compared/4 {
		t.Errorf("only %d directions were compared, %d were not seen", compared, missing)
	}
}

// TestStreamsAreWhatTheApplicationsSent compares with the hashes of what real programs sent.
func TestStreamsAreWhatTheApplicationsSent(t *testing.T) {
	names, _ := filepath.Glob(sharedCaptures + "expected/made_*.json")
	if len(names) == 0 {
		t.Skip("../shared/captures is not here: real captures are not part of the repository")
	}
	for _, name := range names {
		type said struct {
			Len    int64
			SHA256 string
		}
		var expected struct {
			Connections []struct {
				Case string
				Port uint16 `json:"server_port"`
				Up   said   `json:"client_to_server"`
				Down said   `json:"server_to_client"`
				Ends string
			}
		}
		readJSON(t, name, &expected)
		capture := strings.TrimSuffix(filepath.Base(name), ".json") + ".pcap"
		// A port of a server serves several connections, so streams are known by what they say.
		heard := map[string]*spokenStream{}
		for ends, list := range replay(t, sharedCaptures+"open/"+capture) {
			for _, s := range list {
				for _, e := range ends {
					heard[fmt.Sprintf("%d %x", e.Port(), s.sum.Sum(nil))] = s
				}
			}
		}
		for _, c := range expected.Connections {
			t.Run(capture+"/"+c.Case, func(t *testing.T) {
				for way, want := range map[string]said{"up": c.Up, "down": c.Down} {
					if want.Len == 0 {
						continue
					}
					s := heard[fmt.Sprintf("%d %s", c.Port, want.SHA256)]
					if s == nil || s.length != want.Len || s.gaps != 0 {
						t.Errorf("%s: %d bytes were sent, and not heard so: %+v", way, want.Len, s)
						continue
					}
					if end, after, _ := strings.Cut(c.Ends, " "); !strings.Contains(after, "then") && s.reason.String() != end {
						t.Errorf("%s: ended by %v, in fact by %s", way, s.reason, c.Ends)
					}
				}
			})
		}
	}
}
