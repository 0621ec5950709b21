package difftest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/export"
	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// tsharkNames are tshark's names of the elements. Reverse elements have the same.
var tsharkNames = map[string]string{
	"8": "srcaddr", "12": "dstaddr", "27": "srcaddrv6", "28": "dstaddrv6", "7": "srcport", "11": "dstport", "4": "protocol",
	"148": "flow_id", "2": "packets", "1": "octets", "352": "layer2_octet_delta_count", "231": "initiator_octets",
	"232": "responder_octets", "6": "tcpflags", "32": "icmp_type_code_ipv4", "58": "vlanid",
	"56": "srcmac", "80": "dstmac", "136": "flow_end_reason", "239": "biflow_direction", "156": "abstimestart", "157": "abstimeend",
}

// TestTsharkReadsOurIPFIX: tshark, of datagrams in a capture, finds no message malformed, and every field as it is in
// the record.
func TestTsharkReadsOurIPFIX(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("there is no tshark")
	}
	records := manyRecords(t, 300)
	for i := range records {
		for _, at := range []*flowscope.Timestamp{&records[i].Start, &records[i].End} {
			if year := at.Time().Year(); year < 1970 || year > 2035 {
				*at &= 1<<60 - 1 // in the era of NTP that tshark shows
			}
		}
	}
	for _, o := range []export.IPFIXOptions{{}, {Nanoseconds: true, MaxMessage: 9000}} {
		messages := ipfixMessages(t, records, o)
		name := filepath.Join(t.TempDir(), "ipfix.pcap")
		writeDatagrams(t, name, messages)
		said, next, options := ipfixSums{}, 0, 0
		for i, packet := range tsharkJSON(t, tshark, name) {
			require.NotContains(t, string(packet), "_ws.", "message %d", i)
			for _, set := range tsharkSets(t, packet) {
				for _, fields := range set {
					if fields["cflow.od_id"] != nil {
						options++
						continue
					}
					r := &records[next]
					require.Equal(t, tsharkWanted(t, withTimes(said.wanted(r), o, r)), tsharkGot(t, fields), "record %d", next)
					next++
				}
			}
		}
		require.Len(t, records, next)
		require.Equal(t, len(records)/100*2, options)
		t.Logf("%d records in %d messages", next, len(messages))
	}
}

// writeDatagrams writes a capture with the messages as UDP datagrams.
func writeDatagrams(t *testing.T, name string, messages [][]byte) {
	t.Helper()
	file, err := os.Create(name)
	require.NoError(t, err)
	defer file.Close()
	w, err := flowscope.NewCaptureWriter(file, flowscope.LinkTypeEthernet)
	require.NoError(t, err)
	for i, m := range messages {
		frame := frames.UDP{
			Src: "192.0.2.1:50000", Dst: "192.0.2.2:4739", Payload: m,
		}.Ethernet()
		require.NoError(t, w.Write(flowscope.PacketView{Frame: frame, WireLen: len(frame), Timestamp: flowscope.NewTimestamp(int64(i), 0)}))
	}
}

// tsharkJSON is the IPFIX layer of each packet.
func tsharkJSON(t *testing.T, tshark, name string) (packets []json.RawMessage) {
	t.Helper()
	var out, stderr bytes.Buffer
	cmd := exec.Command(tshark, "-r", name, "-T", "json", "--no-duplicate-keys", "-n")
	cmd.Env = append(os.Environ(), "TZ=UTC")
	cmd.Stdout, cmd.Stderr = &out, &stderr
	require.NoError(t, cmd.Run(), "%s", &stderr)
	var all []struct {
		Source struct {
			Layers map[string]json.RawMessage `json:"layers"`
		} `json:"_source"`
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &all))
	for _, p := range all {
		require.Contains(t, p.Source.Layers, "cflow")
		for name := range p.Source.Layers {
			require.False(t, strings.HasPrefix(name, "_ws."), "packet %d: %s", len(packets), name)
		}
		packets = append(packets, p.Source.Layers["cflow"])
	}
	return packets
}

// tsharkSets are the flows of each data set, in order: JSON objects have their order in the text alone.
func tsharkSets(t *testing.T, packet json.RawMessage) (sets [][]map[string]any) {
	t.Helper()
	each(t, packet, func(name string, set json.RawMessage) {
		if !strings.HasPrefix(name, "Set ") || !strings.HasSuffix(name, "flows)") {
			return
		}
		var flows []map[string]any
		each(t, set, func(name string, flow json.RawMessage) {
			if strings.HasPrefix(name, "Flow ") {
				fields := map[string]any{}
				require.NoError(t, json.Unmarshal(flow, &fields))
				flows = append(flows, fields)
			}
		})
		sets = append(sets, flows)
	})
	return sets
}

// each calls f for every member of an object.
func each(t *testing.T, object json.RawMessage, f func(name string, value json.RawMessage)) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(object))
	_, err := dec.Token()
	require.NoError(t, err)
	for dec.More() {
		name, err := dec.Token()
		require.NoError(t, err)
		var value json.RawMessage
		require.NoError(t, dec.Decode(&value))
		f(name.(string), value)
	}
}

// tsharkWanted are the fields by tshark's names, those of both directions in one.
func tsharkWanted(t *testing.T, f ipfixFields) map[string][]string {
	t.Helper()
	m := map[string][]string{}
	for number, name := range map[string]string{"152": "abstimestart", "153": "abstimeend"} {
		if v, ok := f[number]; ok {
			n, err := strconv.ParseInt(v, 10, 64)
			require.NoError(t, err)
			m[name] = []string{seconds(n * 1e6)}
		}
	}
	for number, name := range tsharkNames {
		if v, ok := f[number]; ok {
			if m[name] = []string{v}; f["r"+number] != "" {
				m[name] = append(m[name], f["r"+number])
			}
			if number == "6" {
				slices.Reverse(m[name]) // the reverse element stands first
			}
		}
	}
	if v, err := strconv.Atoi(f["139"]); err == nil { // cut in two
		m["icmp_ipv6_type"], m["icmp_ipv6_code"] = []string{fmt.Sprint(v >> 8)}, []string{fmt.Sprint(v & 255)}
	}
	return m
}

// tsharkGot are the fields of a flow, without those that tshark computes.
func tsharkGot(t *testing.T, fields map[string]any) map[string][]string {
	t.Helper()
	m := map[string][]string{}
	var add func(fields map[string]any)
	add = func(fields map[string]any) {
		for name, v := range fields {
			name = strings.TrimPrefix(name, "cflow.")
			switch {
			case name == "timedelta_tree":
				add(v.(map[string]any))
				continue
			case name == "timedelta" || strings.HasSuffix(name, "_tree"):
				continue
			}
			values, ok := v.([]any)
			if !ok {
				values = []any{v}
			}
			for _, v := range values {
				m[name] = append(m[name], tsharkValue(t, name, fmt.Sprint(v)))
			}
		}
	}
	add(fields)
	return m
}

// tsharkValue is a value as ipfixFields have it.
func tsharkValue(t *testing.T, name, v string) string {
	t.Helper()
	switch name {
	case "abstimestart", "abstimeend":
		at, err := time.Parse("Jan _2, 2006 15:04:05.000000000 MST", v)
		require.NoError(t, err)
		return seconds(at.UnixNano())
	case "tcpflags", "icmp_type_code_ipv4":
		n, err := strconv.ParseUint(v, 0, 16)
		require.NoError(t, err)
		return fmt.Sprint(n)
	}
	return v
}
