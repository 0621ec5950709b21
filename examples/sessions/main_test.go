package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope/examples/internal/sessionlog"
)

const sampleLosses = "sessions: built-in capture: not all could be read: 1 HTTP gap\n"

// golden is the output without arguments. It was read through beside what tshark prints of the capture.
const golden = "testdata/table.txt"

// call runs the command and returns its output.
func call(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	status = run(args, &out, &err)
	return status, out.String(), err.String()
}

// parse reads the lines of one kind.
func parse[T any](t *testing.T, stdout, kind string) (all []T) {
	t.Helper()
	for text := range strings.Lines(stdout) {
		var h sessionlog.Head
		require.NoError(t, json.Unmarshal([]byte(text), &h), text)
		if h.Kind != kind {
			continue
		}
		dec := json.NewDecoder(strings.NewReader(text))
		dec.DisallowUnknownFields()
		var one T
		require.NoError(t, dec.Decode(&one), text)
		require.False(t, dec.More(), text)
		all = append(all, one)
	}
	return all
}

func captures(name string) string { return filepath.Join("..", "..", "testdata", "captures", name) }

func TestTheTableOfTheSample(t *testing.T) {
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	status, stdout, stderr := call(t)
	require.Zero(t, status)
	require.Equal(t, string(want), stdout)
	require.Equal(t, sampleLosses, stderr)
}

// tshark -r sessions.pcap -Y http -T fields -e tcp.srcport -e http.request.method -e http.request.uri
// -e http.response.code -e http.content_length. It cannot read the bodies behind the missing frames:
// the size of the third is that of the second's Content-Length. Missing is tcp.len of the frame left out.
func TestHTTPOfTheSampleAgreesWithTshark(t *testing.T) {
	type row struct {
		client, method, uri   string
		status                uint16
		sent, received, holes int64
		flag                  string
	}
	const v4, v6 = "192.0.2.10:58666", "[2001:db8::10]:55836"
	want := []row{
		{client: v4, method: "GET", uri: "/", status: 200, received: 7},
		{client: v4, method: "HEAD", uri: "/report.txt", status: 200},
		{client: v4, method: "GET", uri: "/report.txt", status: 200, received: 6580, holes: 1448},
		{client: v4, method: "POST", uri: "/notes", status: 201, sent: 50, received: 6},
		{client: v4, method: "GET", uri: "/parts.txt", status: 200, received: 55}, // chunked, without the lines of the chunks
		{client: v4, method: "GET", uri: "/one.txt", status: 304},
		{client: v6, method: "GET", uri: "/one.txt", status: 200, received: 16},
		{client: v6, method: "GET", uri: "/two.txt", flag: "no_response"}, // the capture lacks it
		{client: v6, method: "GET", uri: "/three.txt", status: 200, received: 16},
		{client: v6, method: "GET", uri: "/four.txt", status: 404, received: 146},
	}
	status, stdout, _ := call(t, "-json")
	require.Zero(t, status)
	var got []row
	for _, x := range parse[sessionlog.Exchange](t, stdout, "http") {
		require.Equal(t, "www.example.net", x.Host)
		require.Equal(t, "HTTP/1.1", x.Version)
		require.Zero(t, x.RequestMissing)
		got = append(got, row{x.Client, x.Method, x.URI, x.Status, x.RequestBody, x.ResponseBody, x.ResponseMissing, strings.Join(x.Flags, ",")})
	}
	require.Equal(t, want, got)
}

// tshark -r sessions.pcap -Y 'tls.handshake.type==1||tls.handshake.type==2' -T fields -e tcp.srcport
// -e tls.handshake.extensions_server_name -e tls.handshake.extensions.supported_version
// -e tls.handshake.ciphersuite -e tls.handshake.ja3 -e tls.handshake.ja3s -e tls.handshake.extensions_alpn_str;
// tls.handshake.certificate through sha1sum.
func TestTLSOfTheSampleAgreesWithTshark(t *testing.T) {
	type row struct {
		client, server, sni, version string
		cipher                       uint16
		ja3, ja3s, offered, chosen   string
		retried, resumed             bool
		certificate                  string
	}
	const (
		ja3S12, ja3S13 = "f33734dfbbff29f68bcde052e523c287", "15af977ce25de452b96affa2addb1036"
		host, cert     = "www.example.net", "e1a5c8e93adeaab85d3ba52a8e387b5bdedc5af7"
	)
	want := []row{
		{"192.0.2.10:56332", "192.0.2.20:443", host, "TLSv1.2", 0xc02c, "87b9bfc7da97115ed2276737b09f8d74", "fe0146829eef1917ba6c2dd4f5c08905", "http/1.1", "http/1.1", false, false, cert},
		{"192.0.2.10:56340", "192.0.2.20:443", host, "TLSv1.3", 0x1302, "89dfc51e72bdcb94e4ba4622588002b1", ja3S13, "h2,http/1.1", "", false, false, ""},
		{"192.0.2.10:56342", "192.0.2.20:443", host, "TLSv1.2", 0xc02c, "871a754af286dfb70c1b53c6887c62e0", ja3S12, "", "", false, false, cert},
		{"192.0.2.10:56358", "192.0.2.20:443", host, "TLSv1.2", 0xc02c, "871a754af286dfb70c1b53c6887c62e0", "f14f2862ee2df5d0f63a88b60c8eee56", "", "", false, true, ""},
		{"192.0.2.10:56362", "192.0.2.20:443", host, "TLSv1.3", 0x1302, "8ab99ed871132eae972fd763f97e5952", ja3S13, "", "", true, false, ""},
		{"192.0.2.10:56372", "192.0.2.20:443", host, "", 0, "d1f47f694f10b1faf653048918492609", "", "", "", false, false, ""},
		{"192.0.2.10:53230", "192.0.2.20:25", "mail.example.net", "TLSv1.3", 0x1302, "a3afc2c46ba4a7d7fbe1cfb7a3031c2f", ja3S13, "", "", false, false, ""}, // after STARTTLS
	}
	_, stdout, _ := call(t, "-json")
	var got []row
	for _, h := range parse[sessionlog.Handshake](t, stdout, "tls") {
		one := row{h.Client, h.Server, h.SNI, h.Version, 0, h.JA3, h.JA3S, strings.Join(h.ClientALPN, ","), h.ServerALPN, h.HRR, h.Resumed, ""}
		if h.Cipher != nil {
			one.cipher = *h.Cipher
		}
		for _, c := range h.Certificates {
			require.Equal(t, "server", c.Side)
			require.Equal(t, "CN=www.example.net", c.Subject)
			one.certificate += c.SHA1
		}
		got = append(got, one)
		if h.Version == "" {
			require.Equal(t, []sessionlog.Alert{{Side: "server", Level: 2, Description: 40}}, h.Alerts)
		} else {
			require.Empty(t, h.Alerts)
		}
		require.Len(t, h.JA4, 36)
	}
	require.Equal(t, want, got)
}

// tshark -r sessions.pcap -Y dns -T fields -e udp.srcport -e tcp.srcport -e dns.id -e dns.qry.name
// -e dns.qry.type -e dns.flags.rcode -e dns.a -e dns.aaaa -e dns.cname -e dns.mx.mail_exchange -e dns.txt
// -e dns.time
func TestDNSOfTheSampleAgreesWithTshark(t *testing.T) {
	type row struct {
		proto, client string
		id            uint16
		name          string
		kind          uint16
		answers       [][2]string
		latency       int64
	}
	want := []row{
		{"udp", "192.0.2.10:46916", 0x1995, "www.example.net", 1, [][2]string{{"A", "192.0.2.20"}}, 284},
		{"udp", "192.0.2.10:50610", 0xf944, "www.example.net", 28, [][2]string{{"AAAA", "2001:db8::20"}}, 68},
		{"udp", "[2001:db8::10]:55168", 0xbef6, "web.example.net", 1, [][2]string{{"CNAME", "www.example.net"}, {"A", "192.0.2.20"}}, 147},
		{"udp", "192.0.2.10:52915", 0x16bc, "example.net", 15, [][2]string{{"MX", "10 mail.example.net"}}, 57},
		{"udp", "192.0.2.10:39597", 0x0d98, "nobody.example.net", 1, nil, 66},
		{"tcp", "192.0.2.10:44845", 0x0761, "www.example.net", 1, [][2]string{{"A", "192.0.2.20"}}, 528},
		{"tcp", "192.0.2.10:44845", 0x668b, "example.net", 16, [][2]string{{"TXT", "a text of the zone"}}, 28},
		{"udp", "192.0.2.10:58299", 0x018d, "www.example.net", 1, nil, -1},
		{"udp", "192.0.2.10:59994", 0x018d, "www.example.net", 1, nil, -1},
	}
	_, stdout, _ := call(t, "-json")
	var got []row
	for _, x := range parse[sessionlog.Transaction](t, stdout, "dns") {
		one := row{x.Proto, x.Client, x.ID, *x.Name, uint16(x.Type), x.Answers, -1}
		require.True(t, x.Asked)
		require.Equal(t, x.Answered, x.Latency != nil)
		require.Equal(t, x.Answered, x.Rcode != nil)
		if x.Answered {
			one.latency = *x.Latency
			require.Equal(t, *x.Name == "nobody.example.net", *x.Rcode == 3)
		} else {
			require.Equal(t, "192.0.2.53:53", x.Server)
		}
		got = append(got, one)
	}
	require.Equal(t, want, got)
}

// With -idle 1s the first query to the server that is down has ended before the second is sent, more
// than a second later; without, both wait until the end of the capture.
func TestIdleEndsFlowsThatAreSilentForThatLong(t *testing.T) {
	_, stdout, _ := call(t, "-json", "-idle", "1s")
	all := strings.Split(strings.TrimSpace(stdout), "\n")
	require.Contains(t, all[5], `"client":"192.0.2.10:58299"`)
	require.NotContains(t, all[len(all)-2], "192.0.2.53:53")
	_, stdout, _ = call(t, "-json")
	all = strings.Split(strings.TrimSpace(stdout), "\n")
	require.Contains(t, all[len(all)-2], "192.0.2.53:53")
}

func TestSeveralFilesArePrintedOneAfterTheOther(t *testing.T) {
	status, both, _ := call(t, "-json", captures("http.pcap"), captures("sessions.pcap"))
	require.Zero(t, status)
	_, first, _ := call(t, "-json", captures("http.pcap"))
	_, second, _ := call(t, "-json", captures("sessions.pcap"))
	require.Equal(t, first+second, both)
	require.Len(t, parse[sessionlog.Exchange](t, first, "http"), 2)
	require.Len(t, parse[sessionlog.Transaction](t, first, "dns"), 1)

	_, both, stderr := call(t, captures("http.pcap"), captures("sessions.pcap"))
	require.Equal(t, 1, strings.Count(both, "PROTO"), "one table")
	require.Equal(t, strings.Replace(sampleLosses, "built-in capture", captures("sessions.pcap"), 1), stderr)
}

func TestDashIsStandardInput(t *testing.T) {
	file, err := os.Open(captures("sessions.pcap"))
	require.NoError(t, err)
	defer file.Close()
	defer func(stdin *os.File) { os.Stdin = stdin }(os.Stdin)
	os.Stdin = file
	status, piped, stderr := call(t, "-json", "-")
	require.Zero(t, status)
	require.Equal(t, strings.Replace(sampleLosses, "built-in capture", "-", 1), stderr)
	_, builtIn, _ := call(t, "-json")
	require.Equal(t, builtIn, piped)
}

// The first 2,000 bytes of the file are 17 packets: DNS over UDP, and the first query over TCP.
func TestACutFileGivesTheMessagesSoFarAndAnError(t *testing.T) {
	whole, err := os.ReadFile(captures("sessions.pcap"))
	require.NoError(t, err)
	cut := filepath.Join(t.TempDir(), "cut.pcap")
	require.NoError(t, os.WriteFile(cut, whole[:2000], 0o600))

	status, stdout, stderr := call(t, "-json", cut, captures("http.pcap"))
	require.Equal(t, 1, status)
	require.True(t, strings.HasPrefix(stderr, "sessions: "+cut+": "), stderr)
	require.Contains(t, stderr, "offset")
	require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
	_, next, _ := call(t, "-json", captures("http.pcap"))
	before, found := strings.CutSuffix(stdout, next)
	require.True(t, found, "the next file is read all the same")
	require.Len(t, parse[sessionlog.Transaction](t, before, "dns"), 8)
	require.Equal(t, 8, strings.Count(before, "\n"))
}

// Two queries of the sample, the second three hours later than it was.
func TestTimeMayLeapBetweenPackets(t *testing.T) {
	whole, err := os.ReadFile(captures("sessions.pcap"))
	require.NoError(t, err)
	at, made := 24, whole[:24:24]
	for n := 1; n <= 12; n++ {
		end := at + 16 + int(binary.LittleEndian.Uint32(whole[at+8:]))
		if n == 12 {
			seconds := binary.LittleEndian.Uint32(whole[at:])
			binary.LittleEndian.PutUint32(whole[at:], seconds+3*3600)
		}
		if n >= 11 {
			made = append(made, whole[at:end]...)
		}
		at = end
	}
	name := filepath.Join(t.TempDir(), "made.pcap")
	require.NoError(t, os.WriteFile(name, made, 0o600))
	_, stdout, _ := call(t, "-json", name)
	queries := parse[sessionlog.Transaction](t, stdout, "dns")
	require.Len(t, queries, 2)
	require.Equal(t, 3*time.Hour+1007992*time.Microsecond, queries[1].Time.Sub(queries[0].Time))
}

func TestWhatCannotBeReadIsSaidOnce(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.pcap")
	status, stdout, stderr := call(t, missing)
	require.Equal(t, 1, status)
	require.Empty(t, stdout)
	require.Equal(t, 1, strings.Count(stderr, missing), stderr)
	require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
}

func TestACaptureWithoutMessagesIsSaidToHaveNone(t *testing.T) {
	status, stdout, stderr := call(t, captures("lossy.pcap"))
	require.Zero(t, status)
	require.Empty(t, stdout)
	require.Equal(t, "sessions: "+captures("lossy.pcap")+": no messages\n", stderr)
}

func TestAWrongCommandLineIsStatusTwo(t *testing.T) {
	for _, args := range [][]string{{"-nosuch"}, {"-idle", "soon"}, {"-idle", "-1s"}} {
		status, stdout, stderr := call(t, args...)
		require.Equal(t, 2, status, "%v", args)
		require.Empty(t, stdout)
		require.NotEmpty(t, stderr)
	}
	status, stdout, stderr := call(t, "-h")
	require.Zero(t, status)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "usage: sessions")
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestAFullDiskIsAnErrorSaidOnce(t *testing.T) {
	for _, format := range []string{"-json=true", "-json=false"} {
		var stderr bytes.Buffer
		require.Equal(t, 1, run([]string{format, captures("sessions.pcap"), captures("http.pcap")}, full{}, &stderr))
		require.Equal(t, 1, strings.Count(stderr.String(), "no space left"))
	}
}

// A query of the sample, sent to the port of mDNS: Suricata writes no record of it.
func TestAMessageWithoutARecordInTheFormatIsCounted(t *testing.T) {
	whole, err := os.ReadFile(captures("sessions.pcap"))
	require.NoError(t, err)
	at, made := 24, whole[:24:24]
	for n := 1; n <= 11; n++ {
		end := at + 16 + int(binary.LittleEndian.Uint32(whole[at+8:]))
		if n == 11 {
			frame := bytes.Clone(whole[at:end])
			copy(frame[16+34:], "\x14\xe9\x14\xe9") // both ports
			made = append(made, frame...)
		}
		at = end
	}
	name := filepath.Join(t.TempDir(), "made.pcap")
	require.NoError(t, os.WriteFile(name, made, 0o600))
	_, stdout, _ := call(t, name)
	require.Contains(t, stdout, "mdns")
	status, stdout, stderr := call(t, "-format", "eve", name)
	require.Zero(t, status)
	require.Empty(t, stdout)
	require.Equal(t, "sessions: "+name+": 1 messages have no record in this format\n", stderr)
}
