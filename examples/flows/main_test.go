package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
)

// The output of tshark on sample.pcapng; the flows of ICMP are by address and
// identifier, those of ICMPv6 without an identifier by address.
//
//	tshark -r sample.pcapng -q -z conv,tcp -z conv,udp -z io,phs
//	tshark -r sample.pcapng -Y 'icmp || icmpv6' -T fields -e ip.src -e ip.dst -e ipv6.src -e ipv6.dst -e icmp.ident -e icmpv6.echo.identifier -e frame.len
//	tshark -r sample.pcapng -Y tcp -T fields -e tcp.stream -e ip.src -e ipv6.src -e tcp.len    (payload, summed)
const (
	sampleFrames = 124
	sampleARP    = 2
	sampleErrors = 1 // ICMP errors about a flow
)

const sampleRest = "flows: built-in capture: of 124 packets, 3 are in no flow: 2 not_ip, 1 icmp_error\n"

type flowOf struct {
	proto, initiator, responder string
}

type countsOf struct {
	packets, wire, payload [2]uint64
	reason, history        string
}

var sampleEchoes = map[flowOf]uint16{
	{"icmp", "192.0.2.10", "198.51.100.20"}:        24335,
	{"icmpv6", "2001:db8:1::10", "2001:db8:2::20"}: 0x5f83,
}

// The reasons and histories were derived by hand from the packets that tshark lists: which side
// sends SYN, FIN and RST, and in which order.
var sampleFlows = map[flowOf]countsOf{
	{"icmp", "192.0.2.10", "198.51.100.20"}: {
		packets: [2]uint64{3, 3}, wire: [2]uint64{198, 198}, payload: [2]uint64{72, 72}, reason: "finished"},
	{"tcp", "192.0.2.10:51838", "198.51.100.99:80"}: { // no answer
		packets: [2]uint64{4, 0}, wire: [2]uint64{296, 0}, reason: "finished", history: "S"},
	{"icmpv6", "2001:db8:1::10", "ff02::1:ff00:1"}: { // neighbor solicitation
		packets: [2]uint64{1, 0}, wire: [2]uint64{86, 0}, payload: [2]uint64{24, 0}, reason: "finished"},
	{"icmpv6", "2001:db8:1::1", "2001:db8:1::10"}: { // neighbor advertisement
		packets: [2]uint64{1, 0}, wire: [2]uint64{86, 0}, payload: [2]uint64{24, 0}, reason: "finished"},
	{"icmpv6", "2001:db8:1::10", "2001:db8:2::20"}: {
		packets: [2]uint64{3, 3}, wire: [2]uint64{258, 258}, payload: [2]uint64{72, 72}, reason: "finished"},
	{"tcp", "192.0.2.10:54330", "198.51.100.20:7003"}: { // midstream
		packets: [2]uint64{8, 4}, wire: [2]uint64{542, 299}, payload: [2]uint64{14, 35}, reason: "fin", history: "DdAFf"},
	{"udp", "192.0.2.10:40764", "198.51.100.20:53"}: {
		packets: [2]uint64{1, 1}, wire: [2]uint64{75, 91}, payload: [2]uint64{33, 49}, reason: "finished"},
	{"udp", "[2001:db8:1::10]:48891", "[2001:db8:2::20]:53"}: {
		packets: [2]uint64{1, 1}, wire: [2]uint64{95, 123}, payload: [2]uint64{33, 61}, reason: "finished"},
	{"tcp", "192.0.2.10:33678", "198.51.100.20:80"}: {
		packets: [2]uint64{7, 5}, wire: [2]uint64{620, 1550}, payload: [2]uint64{150, 1212}, reason: "fin", history: "ShADadFf"},
	{"tcp", "[2001:db8:1::10]:38284", "[2001:db8:2::20]:8080"}: {
		packets: [2]uint64{10, 8}, wire: [2]uint64{957, 6340}, payload: [2]uint64{89, 5644}, reason: "fin", history: "ShADadFf"},
	{"tcp", "192.0.2.10:35662", "198.51.100.20:81"}: { // refused
		packets: [2]uint64{1, 1}, wire: [2]uint64{74, 54}, reason: "rst", history: "Sr"},
	{"udp", "192.0.2.10:58233", "198.51.100.20:33434"}: { // refused by the ICMP error
		packets: [2]uint64{1, 0}, wire: [2]uint64{55, 0}, payload: [2]uint64{13, 0}, reason: "finished"},
	{"tcp", "192.0.2.10:49504", "198.51.100.20:2222"}: {
		packets: [2]uint64{13, 8}, wire: [2]uint64{908, 639}, payload: [2]uint64{42, 103}, reason: "fin", history: "ShADadFf"},
	{"tcp", "192.0.2.10:41462", "198.51.100.20:7001"}: { // reset
		packets: [2]uint64{5, 4}, wire: [2]uint64{358, 296}, payload: [2]uint64{20, 24}, reason: "rst", history: "ShADaFdr"},
	{"tcp", "[2001:db8:1::10]:54414", "[2001:db8:2::20]:7002"}: { // half closed
		packets: [2]uint64{9, 8}, wire: [2]uint64{2306, 2220}, payload: [2]uint64{1524, 1524}, reason: "fin", history: "ShADaFdf"},
	{"tcp", "192.0.2.10:34178", "198.51.100.20:7003"}: { // still open at the end
		packets: [2]uint64{4, 3}, wire: [2]uint64{288, 229}, payload: [2]uint64{16, 23}, reason: "finished", history: "ShADad"},
}

// call runs the command and returns its output.
func call(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	status = run(args, &out, &err)
	return status, out.String(), err.String()
}

// parsed is a line of JSON.
type parsed struct {
	File string `json:"file"`
	flowscope.Record
}

func parse(t *testing.T, stdout string) []parsed {
	t.Helper()
	var flows []parsed
	for text := range strings.Lines(stdout) {
		dec := json.NewDecoder(strings.NewReader(text))
		dec.DisallowUnknownFields()
		var l parsed
		require.NoError(t, dec.Decode(&l), text)
		require.False(t, dec.More(), text)
		flows = append(flows, l)
	}
	return flows
}

func TestJSONOfTheSampleAgreesWithTshark(t *testing.T) {
	status, stdout, stderr := call(t, "-json")
	require.Zero(t, status)
	require.Equal(t, sampleRest, stderr)
	flows := parse(t, stdout)
	require.Len(t, flows, len(sampleFlows))
	var packets uint64
	for _, f := range flows {
		name := flowOf{f.Proto.String(), f.Initiator.String(), f.Responder.String()}
		want, ok := sampleFlows[name]
		require.True(t, ok, "%v", name)
		require.Equal(t, want, countsOf{f.Packets, f.WireBytes, f.PayloadBytes, f.Reason.String(), f.History.String()}, "%v", name)
		require.Equal(t, strings.HasPrefix(f.History.String(), "D"), f.Midstream, "%v", name)
		require.False(t, f.End < f.Start, "%v", name)
		require.Equal(t, sampleEchoes[name], f.ICMPID, "%v", name)
		packets += f.Packets[0] + f.Packets[1] + f.Late[0] + f.Late[1]
	}
	require.EqualValues(t, sampleFrames-sampleARP-sampleErrors, packets, "every packet is in one flow")
}

func TestFlowsComeInTheOrderOfTheirBeginning(t *testing.T) {
	_, stdout, _ := call(t, "-json")
	flows := parse(t, stdout)
	// capinfos -a -e -S sample.pcapng; the first packets are ARP.
	first := flowscope.NewTimestamp(1795377991, 788119849)
	last := flowscope.NewTimestamp(1795377999, 328803814)
	before, end := first, first
	for _, f := range flows {
		require.GreaterOrEqual(t, f.Start, before)
		before = f.Start
		if f.End > end {
			end = f.End
		}
	}
	require.Equal(t, last, end)
}

func TestTheTableHasARowForEachFlowInAlignedColumns(t *testing.T) {
	status, stdout, stderr := call(t)
	require.Zero(t, status)
	require.Equal(t, sampleRest, stderr)
	rows := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	require.Len(t, rows, 1+len(sampleFlows)+1)
	ending := map[string]string{"fin": "closed", "rst": "reset", "finished": "open"}
	seen := map[flowOf]bool{}
	for _, row := range rows[1 : len(rows)-1] {
		f := strings.Fields(row)
		_, err := time.Parse(time.RFC3339, f[0])
		require.NoError(t, err)
		name := flowOf{f[1], f[2], f[3]}
		require.Contains(t, sampleFlows, name)
		require.Equal(t, ending[sampleFlows[name].reason], f[9])
		seen[name] = true
		for _, title := range []string{"PROTO", "INITIATOR", "RESPONDER", "END"} {
			at := strings.Index(rows[0], title)
			require.Equal(t, byte(' '), row[at-1], "%s: %q", title, row)
			require.NotEqual(t, byte(' '), row[at], "%s: %q", title, row)
		}
		for _, title := range []string{"PKTS>", "<PKTS", "BYTES>", "<BYTES", "SECONDS"} {
			at := strings.Index(rows[0], title) + len(title)
			require.NotEqual(t, byte(' '), row[at-1], "%s: %q", title, row)
			require.Equal(t, byte(' '), row[at], "%s: %q", title, row)
		}
		require.Equal(t, strings.TrimRight(row, " "), row)
	}
	require.Len(t, seen, len(sampleFlows))
	var sums [4]uint64
	for _, f := range sampleFlows {
		for i := range f.packets {
			sums[i] += f.packets[i]
			sums[2+i] += f.wire[i]
		}
	}
	require.Equal(t, []string{"total", "16", "flows", fmt.Sprint(sums[0]), fmt.Sprint(sums[1]), fmt.Sprint(sums[2]), fmt.Sprint(sums[3])},
		strings.Fields(rows[len(rows)-1]))
}

// The same from tshark: with -idle 1s, a TCP stream becomes several flows where a packet comes a
// second or more after the one before it,
//
//	tshark -r sample.pcapng -Y 'tcp && tcp.time_delta >= 1' -T fields -e tcp.stream
//
// which is 3 times in the unanswered one, and once in the longest: there the packet fits the connection, and no other
// packet has moved the clock by then, so it stays one flow.
func TestIdleEndsFlowsThatAreSilentForThatLong(t *testing.T) {
	status, stdout, stderr := call(t, "-json", "-idle", "1s")
	require.Zero(t, status)
	require.Contains(t, stderr, "2 not_ip")
	flows := map[flowOf]int{}
	idle := map[flowOf]int{}
	for _, f := range parse(t, stdout) {
		name := flowOf{f.Proto.String(), f.Initiator.String(), f.Responder.String()}
		flows[name]++
		if f.Reason == flowscope.EndIdleTimeout {
			idle[name]++
		}
	}
	for name := range sampleFlows {
		want := 1
		if name.responder == "198.51.100.99:80" {
			want += 3
		}
		require.Equal(t, want, flows[name], "%v", name)
		require.GreaterOrEqual(t, idle[name], want-1, "%v", name)
	}
}

func TestSeveralFilesArePrintedOneAfterTheOther(t *testing.T) {
	status, both, _ := call(t, "-json", captures("http.pcap"), captures("lossy.pcap"))
	require.Zero(t, status)
	_, first, _ := call(t, "-json", captures("http.pcap"))
	_, second, _ := call(t, "-json", captures("lossy.pcap"))
	nameless := strings.NewReplacer(`{"file":"`+captures("http.pcap")+`",`, "{", `{"file":"`+captures("lossy.pcap")+`",`, "{").Replace(both)
	require.Equal(t, first+second, nameless)
	require.NotEqual(t, nameless, both)
	flows := parse(t, both)
	require.Len(t, flows, 3)
	// tshark -r lossy.pcap -q -z conv,tcp
	require.Equal(t, [2]uint64{43, 41}, flows[2].Packets)
	require.Equal(t, [2]uint64{22646, 2863}, flows[2].WireBytes)
	require.Contains(t, flows[2].History.String(), "T")

	_, table, stderr := call(t, captures("http.pcap"), captures("lossy.pcap"))
	require.Equal(t, 1, strings.Count(table, "PROTO"), "one table")
	require.Equal(t, 1+3+2, strings.Count(table, "\n"), "titles, flows, and the sums of each file")
	require.Equal(t, 3, strings.Count(table, captures("http.pcap")))
	require.Equal(t, 2, strings.Count(table, captures("lossy.pcap")))
	require.Equal(t, "flows: "+captures("lossy.pcap")+": of 88 packets, 4 are in no flow: 4 not_ip\n", stderr)
}

// Frames and lengths by tshark, the outer fragments counted by hand: of the client of network 77, five datagrams
// came in two frames.
//
//	tshark -r tunnels.pcap -Y 'ip.flags.mf==1 || ip.frag_offset>0' -T fields -e frame.number -e ip.id -e frame.len
func TestFlowsInTunnelsAreSeenInside(t *testing.T) {
	status, stdout, stderr := call(t, "-json", captures("tunnels.pcap"))
	require.Zero(t, status)
	require.Contains(t, stderr, " 1 icmp_error")
	want := map[string]countsOf{
		"vxlan:77": {packets: [2]uint64{16, 9}, wire: [2]uint64{8854, 1117}},
		"vxlan:78": {packets: [2]uint64{11, 9}, wire: [2]uint64{8684, 1117}},
		"":         {packets: [2]uint64{9, 7}, wire: [2]uint64{5002, 535}},
	}
	seen := 0
	for _, f := range parse(t, stdout) {
		if f.Proto != flowscope.L4TCP {
			continue
		}
		seen++
		require.Equal(t, want[f.Tunnel.String()], countsOf{packets: f.Packets, wire: f.WireBytes}, "in %q", f.Tunnel)
		require.Equal(t, "fin", f.Reason.String())
	}
	require.Equal(t, len(want), seen)

	_, stdout, _ = call(t, "-json", "-no-encap", captures("tunnels.pcap"))
	for _, f := range parse(t, stdout) {
		require.Empty(t, f.Tunnel)
		require.NotContains(t, f.Initiator.String(), "198.51.100.")
	}
	_, _, stderr = call(t, "-json", "-no-defrag", captures("tunnels.pcap"))
	require.Contains(t, stderr, "fragment_later")
}

func captures(name string) string { return filepath.Join("..", "..", "testdata", "captures", name) }

func TestDashIsStandardInput(t *testing.T) {
	file, err := os.Open("../internal/sample/sample.pcapng")
	require.NoError(t, err)
	defer file.Close()
	defer func(stdin *os.File) { os.Stdin = stdin }(os.Stdin)
	os.Stdin = file
	status, piped, stderr := call(t, "-json", "-")
	require.Zero(t, status)
	require.Equal(t, strings.Replace(sampleRest, "built-in capture", "-", 1), stderr)
	_, builtIn, _ := call(t, "-json")
	require.Equal(t, builtIn, piped)
}

// head -c 11960 sample.pcapng | tshark -r -    (which reads 53 frames)
func TestACutFileGivesTheFlowsSoFarAndAnError(t *testing.T) {
	const kept = 53
	whole, err := os.ReadFile("../internal/sample/sample.pcapng")
	require.NoError(t, err)
	cut := filepath.Join(t.TempDir(), "cut.pcapng")
	require.NoError(t, os.WriteFile(cut, whole[:11960], 0o600))

	status, stdout, stderr := call(t, "-json", cut, captures("http.pcap"))
	require.Equal(t, 1, status)
	said := strings.Split(stderr, "\n")
	require.Len(t, said, 3, stderr)
	require.Contains(t, said[0], "not_ip")
	require.True(t, strings.HasPrefix(said[1], "flows: "+cut+": "), stderr)
	require.Contains(t, said[1], "offset")
	flows := parse(t, stdout)
	var packets uint64
	for _, f := range flows[:len(flows)-2] {
		packets += f.Packets[0] + f.Packets[1] + f.Late[0] + f.Late[1]
	}
	require.EqualValues(t, kept-sampleARP, packets)
	require.Equal(t, "192.0.2.10:33678", flows[len(flows)-1].Initiator.String(), "the next file is read all the same")
}

func TestWhatCannotBeReadIsSaidOnce(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.pcap")
	text := filepath.Join(t.TempDir(), "notes.txt")
	require.NoError(t, os.WriteFile(text, []byte("this is no capture\n"), 0o600))
	for _, name := range []string{missing, text} {
		status, stdout, stderr := call(t, name)
		require.Equal(t, 1, status)
		require.Empty(t, stdout)
		require.Equal(t, 1, strings.Count(stderr, name), stderr)
		require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
	}
}

func TestAWrongCommandLineIsStatusTwo(t *testing.T) {
	for _, args := range [][]string{{"-nosuch"}, {"-idle", "soon"}, {"-idle", "-1s"}, {"-format", "xml"}, {"-sort", "name"}, {"-report", "-1s"}, {"-top", "-1"}} {
		status, stdout, stderr := call(t, args...)
		require.Equal(t, 2, status, "%v", args)
		require.Empty(t, stdout)
		require.NotEmpty(t, stderr)
	}
	status, stdout, stderr := call(t, "-h")
	require.Zero(t, status)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "usage: flows")
}

func TestFlowsInAnotherOrder(t *testing.T) {
	_, stdout, _ := call(t, "-json")
	all := parse(t, stdout)
	size := func(f parsed) uint64 { return f.WireBytes[0] + f.WireBytes[1] }
	for _, c := range []struct {
		by     string
		before func(a, b parsed) bool
	}{
		{"bytes", func(a, b parsed) bool { return size(a) > size(b) }},
		{"packets", func(a, b parsed) bool { return a.Packets[0]+a.Packets[1] > b.Packets[0]+b.Packets[1] }},
		{"start", func(a, b parsed) bool { return a.Start < b.Start }},
		{"duration", func(a, b parsed) bool { return a.End-a.Start > b.End-b.Start }},
	} {
		_, stdout, _ := call(t, "-json", "-sort", c.by)
		sorted := parse(t, stdout)
		require.ElementsMatch(t, all, sorted)
		for i := range sorted[1:] {
			require.False(t, c.before(sorted[i+1], sorted[i]), "%s: %d", c.by, i)
		}
		_, stdout, _ = call(t, "-json", "-sort", c.by, "-top", "3")
		require.Equal(t, sorted[:3], parse(t, stdout))
		_, stdout, _ = call(t, "-sort", c.by, "-top", "3")
		require.Contains(t, stdout, "16 flows", "the sums are those of all")
	}
	_, stdout, _ = call(t, "-json", "-top", "2")
	require.Equal(t, all[:2], parse(t, stdout))
}

// -report prints what was counted so far; the last record of a flow has all.
func TestLongFlowsAreReported(t *testing.T) {
	_, stdout, _ := call(t, "-json", "-report", "1s")
	last, reports := map[flowscope.UID]parsed{}, 0
	for _, f := range parse(t, stdout) {
		before, ok := last[f.UID]
		require.False(t, before.Final, "nothing follows the last record")
		require.True(t, !ok || f.Packets[0] >= before.Packets[0] && f.Start == before.Start)
		if last[f.UID] = f; !f.Final {
			reports++
			require.Zero(t, f.Reason)
		}
	}
	require.Len(t, last, len(sampleFlows))
	require.Greater(t, reports, 5)
	for _, f := range last {
		require.True(t, f.Final)
	}
	_, table, _ := call(t, "-report", "1s")
	require.Equal(t, reports, strings.Count(table, "goes on"))
	require.Contains(t, table, " 16 flows ")
}

// The lines of other formats are those of package export; here is that they come.
func TestFormatsOfOtherPrograms(t *testing.T) {
	_, zeek, _ := call(t, "-format", "zeek")
	rows := strings.Split(strings.TrimSpace(zeek), "\n")
	require.Equal(t, 7, strings.Count(zeek, "\n#")+1, "a header")
	require.Len(t, rows, 7+len(sampleFlows))
	for _, row := range rows[7:] {
		require.Equal(t, strings.Count(rows[6], "\t"), strings.Count(row, "\t")+1, "%s", row)
	}
	for format, field := range map[string]string{"zeek-json": `{"ts":`, "eve": `"event_type":"flow"`} {
		_, stdout, _ := call(t, "-format", format)
		require.Equal(t, len(sampleFlows), strings.Count(stdout, field))
		for line := range strings.Lines(stdout) {
			require.True(t, json.Valid([]byte(line)), line)
		}
	}
	_, eve, _ := call(t, "-format", "eve", captures("lossy.pcap"))
	require.Contains(t, eve, `"event_type":"anomaly"`)
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestAFullDiskIsAnErrorSaidOnce(t *testing.T) {
	for _, format := range []string{"-json=true", "-json=false", "-format=zeek", "-format=csv", "-format=ipfix"} {
		var stderr bytes.Buffer
		require.Equal(t, 1, run([]string{format, captures("http.pcap"), captures("http.pcap")}, full{}, &stderr))
		require.Equal(t, "flows: no space left\n", stderr.String())
	}
}

// A capture of these seconds, with a packet of no protocol each.
func capture(t *testing.T, seconds ...uint32) string {
	b := []byte("\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00\x01\x00\x00\x00")
	for _, s := range seconds {
		b = binary.LittleEndian.AppendUint32(b, s)
		b = append(b, 0, 0, 0, 0, 14, 0, 0, 0, 14, 0, 0, 0)
		b = append(b, make([]byte, 14)...)
	}
	name := filepath.Join(t.TempDir(), "made.pcap")
	require.NoError(t, os.WriteFile(name, b, 0o600))
	return name
}

func TestACaptureWithoutPacketsIsSaidToBeEmpty(t *testing.T) {
	name := capture(t)
	status, stdout, stderr := call(t, name)
	require.Zero(t, status)
	require.Empty(t, stdout)
	require.Equal(t, "flows: "+name+": no packets\n", stderr)
}

func TestTimestampsFarAheadAreReported(t *testing.T) {
	_, _, stderr := call(t, capture(t, 1e6, 1e6+1, 2e6, 1e6+2, 3e6, 1e6+3))
	require.Contains(t, stderr, "made.pcap: 2 timestamps lie far ahead")
	_, _, stderr = call(t, capture(t, 1e6, 1e6+1, 2e6, 2e6+1))
	require.NotContains(t, stderr, "far ahead")
}

// What is missing of the streams is told on request.
func TestGapsAreToldOnRequest(t *testing.T) {
	_, without, _ := call(t, "-json", captures("sessions.pcap"))
	_, with, _ := call(t, "-json", "-gaps", captures("sessions.pcap"))
	gaps := [2]uint64{}
	for _, f := range parse(t, with) {
		gaps[0] += f.Gaps[0] + f.Gaps[1]
		gaps[1] += f.GapBytes[0] + f.GapBytes[1]
	}
	require.Equal(t, [2]uint64{2, 1448 + 281}, gaps)
	require.NotContains(t, without, "gap")
	require.NotContains(t, without, "delivered")
}
