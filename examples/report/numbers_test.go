package main

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/examples/internal/odd"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// all are the captures of the project, and the odd ones.
func all(t *testing.T) []odd.Capture {
	captures := slices.Clone(odd.All())
	names, err := filepath.Glob("../../testdata/captures/*.pcap")
	require.NoError(t, err)
	names = append(names, "../internal/sample/sample.pcapng")
	require.Greater(t, len(names), 5)
	for _, name := range names {
		file, err := os.ReadFile(name)
		require.NoError(t, err)
		captures = append(captures, odd.Capture{Name: filepath.Base(name), File: file})
	}
	return captures
}

var encap = flowscope.AutoDetectEncap(flowscope.FiveTuple{})

// known are facts that were gathered by a test before.
var known = map[string]*facts{}

// factsOf are the facts of a capture, which the caller does not change.
func factsOf(t *testing.T, c odd.Capture) *facts {
	t.Helper()
	if known[c.Name] == nil {
		known[c.Name] = gathered(t, c)
	}
	return known[c.Name]
}

func gathered(t *testing.T, c odd.Capture) *facts {
	t.Helper()
	f, err := gather(c.Name, c.Views(), encap, flowscope.Config{})
	require.NoError(t, err)
	return f
}

func pageOf(t *testing.T, f *facts) string {
	var b bytes.Buffer
	require.NoError(t, f.write(&b))
	return b.String()
}

// requireText is require.Contains without showing the page.
func requireText(t *testing.T, page, text string) {
	t.Helper()
	require.True(t, strings.Contains(page, text), "not on the page: %s", text)
}

func requireNoText(t *testing.T, page, text string) {
	t.Helper()
	require.False(t, strings.Contains(page, text), "on the page: %s", text)
}

// second are numbers of a capture, computed without the code of this program.
type second struct {
	packets, bytes, tcpBytes, flows, tcp, gaps, gapBytes, again, resets, refused uint64
	endings                                                                      map[string]uint64
	statuses, versions, answers                                                  map[string]uint64
}

// compute reads the capture with plain loops: over its packets, over the flows of a tracker, over conversations, and
// over messages.
func compute(t *testing.T, c odd.Capture) second {
	s := second{endings: map[string]uint64{}, statuses: map[string]uint64{}, versions: map[string]uint64{}, answers: map[string]uint64{}}
	for v, err := range c.Views() {
		if err == nil {
			s.packets++
			s.bytes += uint64(max(v.WireLen, len(v.Frame)))
		}
	}
	tracker, err := flowscope.NewFlowTracker(encap, flowscope.Config{Events: flowscope.Events(flowscope.EventEnded, flowscope.EventPacket, flowscope.EventLate), Details: flowscope.DetailTCP})
	require.NoError(t, err)
	for ev, err := range tracker.Events(c.Views()) {
		if err != nil {
			continue
		}
		if ev.Kind != flowscope.EventEnded {
			if ev.L4 == flowscope.L4TCP {
				s.tcpBytes += uint64(ev.Len)
			}
			continue
		}
		s.flows++
		if ev.L4 == flowscope.L4TCP {
			s.tcp++
		}
		s.again += ev.Stats.Retransmitted[0] + ev.Stats.Retransmitted[1]
		if ev.Reason == flowscope.EndRST {
			if ev.Stats.Flags[1]&flowscope.FlagSYN == 0 && ev.Stats.Flags[0]&flowscope.FlagSYN != 0 && ev.Stats.Flags[1]&flowscope.FlagRST != 0 {
				s.refused++
			} else {
				s.resets++
			}
		}
		s.endings[ev.Reason.String()]++
	}
	for c, err := range flowscope.ConversationsWith(c.Views(), flowscope.ConversationOptions{}) {
		if err != nil {
			continue
		}
		for _, side := range c.Sides {
			for _, g := range side.Gaps {
				s.gaps++
				s.gapBytes += uint64(g.Len)
			}
		}
	}
	s.messages(t, c)
	return s
}

func (s *second) messages(t *testing.T, c odd.Capture) {
	drv, err := flowscope.NewFlowSessionDriver(encap, flowscope.Config{}, http1.Factory{}, tls.Factory{}, tls.StartTLS{}, dns.Factory{})
	require.NoError(t, err)
	for ev, err := range drv.Events(c.Views()) {
		if err != nil {
			continue
		}
		switch m := ev.Message.(type) {
		case *http1.Exchange:
			s.statuses[strings.Replace(fmt.Sprint(m.Status), "0", "no response", boolInt(m.Status == 0))]++
		case *tls.Handshake:
			if m.ServerHello == nil {
				s.versions["no ServerHello"]++
			} else {
				s.versions[m.ServerHello.Version().String()]++
			}
		case *dns.Transaction:
			switch {
			case m.Response.IsZero():
				s.answers["no response"]++
			case m.Query.IsZero():
				s.answers[m.Response.Rcode().String()+", without a query"]++
			default:
				s.answers[m.Response.Rcode().String()]++
			}
		}
	}
}

func boolInt(is bool) int {
	if is {
		return 1
	}
	return 0
}

// shown are the numbers of the page, read from its HTML.
type shown struct {
	cards []card
	lists map[string]map[string]string // by the title of the list and the name
}

var (
	cardRE = regexp.MustCompile(`<div class="card ([a-z]*)"><b>(.*?)</b><span>(.*?)</span></div>`)
	headRE = regexp.MustCompile(`<h[23]>(.*?)(?: <small>.*?</small>)?</h[23]>`)
	itemRE = regexp.MustCompile(`<span class="name">(.*?)</span><span class="value">(.*?)</span>`)
)

func parse(page string) shown {
	s := shown{lists: map[string]map[string]string{}}
	for _, m := range cardRE.FindAllStringSubmatch(page, -1) {
		s.cards = append(s.cards, card{Number: html.UnescapeString(m[2]), Text: html.UnescapeString(m[3]), Class: m[1]})
	}
	heads := headRE.FindAllStringSubmatchIndex(page, -1)
	for i, h := range heads {
		end := len(page)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		title := page[h[2]:h[3]]
		for _, m := range itemRE.FindAllStringSubmatch(page[h[1]:end], -1) {
			if s.lists[title] == nil {
				s.lists[title] = map[string]string{}
			}
			s.lists[title][html.UnescapeString(m[1])] = html.UnescapeString(m[2])
		}
	}
	return s
}

func TestNumbersOnThePageAreThoseOfASecondComputation(t *testing.T) {
	for _, c := range all(t) {
		t.Run(c.Name, func(t *testing.T) {
			f := factsOf(t, c)
			page := pageOf(t, f)
			got, want := parse(page), compute(t, c)
			if want.packets == 0 {
				require.Empty(t, got.cards)
				requireText(t, page, "There are no packets in this capture.")
				return
			}
			require.Len(t, got.cards, 6)
			require.Equal(t, count(want.packets), got.cards[0].Number)
			require.Equal(t, size(want.bytes), got.cards[1].Number)
			require.Equal(t, count(want.flows), got.cards[2].Number)
			require.Contains(t, got.cards[2].Text, "flows, "+count(want.tcp)+" of TCP")
			require.Equal(t, c.Name == "twice.pcap", f.isTwice())
			if !f.isTwice() {
				require.Equal(t, count(want.again), got.cards[3].Number)
			}
			require.Equal(t, size(want.gapBytes), got.cards[4].Number)
			require.Equal(t, want.gaps > 0, strings.Contains(got.cards[4].Text, "in "+some(want.gaps, "hole")))
			require.Equal(t, count(want.resets), got.cards[5].Number)
			require.Equal(t, want.refused > 0, strings.Contains(got.cards[5].Text, ", "+count(want.refused)+" refused"))

			require.Equal(t, numbers(want.statuses), got.lists["Responses by status"], "HTTP")
			require.Equal(t, numbers(want.versions), got.lists["Versions"], "TLS")
			require.Equal(t, numbers(want.answers), got.lists["Answers"], "DNS")
			closed := got.lists["How flows ended"]["tcp closed"]
			require.Equal(t, count(want.endings["fin"]), cmp.Or(closed, "0"))
		})
	}
}

func numbers(m map[string]uint64) map[string]string {
	if len(m) == 0 {
		return nil
	}
	texts := map[string]string{}
	for k, n := range m {
		texts[k] = count(n)
	}
	return texts
}

// TestPicturesAddUp: what is drawn by time is all that was read, and so are the endings.
func TestPicturesAddUp(t *testing.T) {
	for _, c := range all(t) {
		f := factsOf(t, c)
		want := compute(t, c)
		require.Equal(t, want.flows, f.flows.n, c.Name)
		var sum bin
		tl := newTimeline(f.bins)
		for i := range tl.all {
			sum.add(&tl.all[i].bin)
		}
		require.Equal(t, want.packets, sum.packets, c.Name)
		require.Equal(t, int64(want.tcpBytes), sum.bytes[0], c.Name)
		require.Equal(t, int64(want.bytes-want.tcpBytes), sum.bytes[1], c.Name)
		require.Equal(t, want.flows, sum.flows, c.Name)
		ended := uint64(0)
		for _, n := range f.flows.endings {
			ended += n
		}
		require.Equal(t, want.flows, ended, c.Name)
		outside := f.stats.PacketsUnmatched + f.stats.ICMPErrorsMatched + f.stats.Fragments.Unused
		require.Equal(t, want.packets, f.flows.packets+outside, c.Name)
		require.Empty(t, f.flows.noted, "%s: notes of flows that are gone", c.Name)
		height := 0.0
		for _, b := range tl.throughput().Bars {
			require.True(t, b.X >= 0 && b.X+b.W <= 100.001 && b.Y >= 0 && b.Y+b.H <= 171, "%s: %+v", c.Name, b)
			height += b.H
		}
		require.Equal(t, want.bytes > 0, height > 0, c.Name)
	}
}

// TestRoundTripsAreThoseOfGopacket reads the handshakes of a capture with another decoder.
func TestRoundTripsAreThoseOfGopacket(t *testing.T) {
	c := odd.Named("sessions")
	type half struct{ syn, synack flowscope.Timestamp }
	open := map[string]*half{}
	var server, client []int64
	for v, err := range c.Views() {
		require.NoError(t, err)
		p := gopacket.NewPacket(v.Frame, layers.LayerTypeEthernet, gopacket.Default)
		tcp, ok := p.TransportLayer().(*layers.TCP)
		if !ok {
			continue
		}
		flow := fmt.Sprint(p.NetworkLayer().NetworkFlow(), tcp.TransportFlow())
		back := fmt.Sprint(p.NetworkLayer().NetworkFlow().Reverse(), tcp.TransportFlow().Reverse())
		switch {
		case tcp.SYN && !tcp.ACK:
			open[flow] = &half{syn: v.Timestamp}
		case tcp.SYN:
			server = append(server, int64(v.Timestamp.Sub(open[back].syn)))
			open[back].synack = v.Timestamp
		case tcp.ACK && open[flow] != nil:
			client = append(client, int64(v.Timestamp.Sub(open[flow].synack)))
			delete(open, flow)
		}
	}
	f := factsOf(t, c)
	for _, half := range []struct {
		exact []int64
		*durations
	}{{server, &f.flows.toServer}, {client, &f.flows.toClient}} {
		slices.Sort(half.exact)
		require.EqualValues(t, len(half.exact), half.n)
		require.NotEmpty(t, half.exact)
		median := half.exact[(len(half.exact)-1)/2]
		require.InEpsilon(t, median, int64(half.quantile(0.5)), 0.011)
	}
}
