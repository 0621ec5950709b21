package export_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/export"
)

// everything is what records of all details and streams have.
var everything = export.CSV{Details: flowscope.AllDetails, Streams: true}

// cellsOf reads a header and rows as encoding/csv does.
func cellsOf(t *testing.T, text []byte) (rows []map[string]string) {
	t.Helper()
	read, err := csv.NewReader(bytes.NewReader(text)).ReadAll() // all rows are as long as the first
	require.NoError(t, err)
	for _, cells := range read[1:] {
		row := map[string]string{}
		for i, name := range read[0] {
			row[name] = cells[i]
		}
		require.Len(t, row, len(cells), "no name twice")
		rows = append(rows, row)
	}
	return rows
}

// jsonOf is the record as encoding/json has it, with numbers as they are written.
func jsonOf(t *testing.T, r *flowscope.Record) (m map[string]any) {
	t.Helper()
	b, err := json.Marshal(r)
	require.NoError(t, err)
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	require.NoError(t, dec.Decode(&m))
	return m
}

// wantCell makes of JSON what stands in a column, if everything was counted.
func wantCell(name string, m map[string]any, r *flowscope.Record) string {
	side, field := -1, name
	for i, prefix := range []string{"initiator_", "responder_"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok && rest != "fin" {
			side, field = i, rest
		}
	}
	tcp, icmp := m["proto"] == "tcp", m["proto"] == "icmp" || m["proto"] == "icmpv6"
	ends := [2]flowscope.Endpoint{r.Initiator, r.Responder}
	packets := r.Packets[0] != 0 || r.Packets[1] != 0
	switch field {
	case "final":
		return map[bool]string{false: "0", true: "1"}[m["final"].(bool)]
	case "midstream":
		return map[bool]string{false: "0", true: "1"}[m["midstream"].(bool)][:one(tcp)]
	case "proto_number":
		return strconv.Itoa(int(r.Proto))
	case "addr":
		return strings.TrimPrefix(ends[side].Addr.String(), "invalid IP")
	case "port":
		if (tcp || m["proto"] == "udp" || m["proto"] == "sctp") && (ends[0].Port != 0 || ends[1].Port != 0) {
			return strconv.Itoa(int(ends[side].Port))
		}
		return ""
	case "icmp_type", "icmp_code":
		if icmp && m[field] == nil {
			return "0"
		}
		return fmt.Sprint(m[field], "")[:len(fmt.Sprint(m[field]))*one(icmp)]
	case "icmp_id":
		if m[field] == nil || !icmp {
			return ""
		}
	case "duration_ns":
		return new(big.Int).Sub(big.NewInt(int64(r.End)), big.NewInt(int64(r.Start))).String()
	case "packets_per_second", "wire_bytes_per_second":
		n := map[string][2]uint64{"packets_per_second": r.Packets, "wire_bytes_per_second": r.WireBytes}[field][side]
		if r.End <= r.Start {
			return ""
		}
		return strconv.FormatFloat(float64(n)/(float64((r.End-r.Start)/1e9)+float64((r.End-r.Start)%1e9)/1e9), 'f', -1, 64)
	case "flag_fin", "flag_syn", "flag_rst", "flag_psh", "flag_ack", "flag_urg", "flag_ece", "flag_cwr":
		if !tcp {
			return ""
		}
		letters := r.Flags[side].String()
		return strconv.Itoa(one(strings.Contains(letters, strings.ToUpper(field[5:6]))))
	case "mac":
		if m["mac"] == nil {
			return ""
		}
		return m["mac"].([]any)[side].(string)
	case "interface":
		if m[field] == nil {
			return "0"
		}
	case "state":
		if m[field] == nil {
			return "active"
		}
	case "community_id":
		return export.CommunityID(r)
	case "ip_bytes":
		if m[field] == nil && packets {
			return ""
		}
	case "retransmitted", "retransmitted_bytes", "delivered", "gaps", "gap_bytes", "dropped_segments", "dropped_bytes", "conflicts":
		if !tcp {
			return ""
		}
	}
	switch v := m[field].(type) {
	case nil:
		return map[bool]string{true: "0"}[side >= 0]
	case []any:
		return fmt.Sprint(v[side])
	default:
		return fmt.Sprint(v)
	}
}

func one(v bool) int {
	if v {
		return 1
	}
	return 0
}

// JSON is the oracle of the cells, encoding/csv that of their quotes.
func TestCSVIsWhatJSONMakesOfTheRecord(t *testing.T) {
	some := records(t)
	r := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		some = append(some, randomRecord(r, some[:20]))
	}
	b := everything.AppendHeader(nil)
	for i := range some {
		b = everything.AppendRecord(b, &some[i])
	}
	rows := cellsOf(t, b)
	require.Len(t, rows, len(some))
	for i, row := range rows {
		m := jsonOf(t, &some[i])
		for name, cell := range row {
			require.Equal(t, wantCell(name, m, &some[i]), cell, "%s of %v", name, m)
		}
	}
}

// Cells of what was not asked for are empty, and not 0.
func TestCSVSaysNothingThatWasNotCounted(t *testing.T) {
	r := records(t, "../testdata/captures/http.pcap")[1]
	r.Late = [2]uint64{1, 0}
	require.Equal(t, flowscope.L4TCP, r.Proto)
	empty := func(c export.CSV) (names []string) {
		full := cellsOf(t, everything.AppendRecord(everything.AppendHeader(nil), &r))[0]
		for name, cell := range cellsOf(t, c.AppendRecord(c.AppendHeader(nil), &r))[0] {
			if cell == "" && full[name] != "" {
				names = append(names, strings.TrimPrefix(strings.TrimPrefix(name, "initiator_"), "responder_"))
			}
		}
		return names
	}
	both := func(names ...string) []string { return append(names, names...) }
	assert.ElementsMatch(t, both("delivered", "gaps", "gap_bytes", "dropped_segments", "dropped_bytes", "conflicts"),
		empty(export.CSV{Details: flowscope.AllDetails}))
	assert.ElementsMatch(t, both("retransmitted", "retransmitted_bytes"),
		empty(export.CSV{Details: flowscope.AllDetails &^ flowscope.DetailTCP, Streams: true}))
	assert.ElementsMatch(t, both("late_bytes", "late_ip_bytes"),
		empty(export.CSV{Details: flowscope.AllDetails &^ flowscope.DetailLateBytes, Streams: true}))
	assert.ElementsMatch(t, []string{"interface"},
		empty(export.CSV{Details: flowscope.AllDetails &^ flowscope.DetailOrigin, Streams: true}))
	r.IPBytes = [2]uint64{}
	row := cellsOf(t, everything.AppendRecord(everything.AppendHeader(nil), &r))[0]
	assert.Equal(t, "", row["initiator_ip_bytes"]+row["responder_ip_bytes"])
}

func TestCSVQuotesAsRFC4180Says(t *testing.T) {
	for key, want := range map[string]string{
		"a,b": `"a,b",`, `a"b`: `"a""b",`, "a\r\nb": "\"a\r\nb\",", "a\rb": "\"a\rb\",", "a\nb": "\"a\nb\",", " a": `" a",`, "a ": `"a ",`, "a b": "a b,", "ä": "ä,", "": ",",
	} {
		r := flowscope.Record{Key: key}
		line := string(everything.AppendRecord(nil, &r))
		line, ok := strings.CutPrefix(line, "C00000000000000000,0,none,0,,,,,")
		assert.True(t, ok && strings.HasPrefix(line, want), "%q: %s", key, line)
		read := cellsOf(t, everything.AppendRecord(everything.AppendHeader(nil), &r))[0]["key"]
		assert.Equal(t, strings.ReplaceAll(key, "\r\n", "\n"), read, "encoding/csv makes one of the two")
	}
}
