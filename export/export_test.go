package export_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/export"
)

// records are those of the flows of the project's captures.
func records(t testing.TB, captures ...string) (all []flowscope.Record) {
	t.Helper()
	names, err := filepath.Glob("../testdata/captures/*.pcap")
	if len(captures) > 0 {
		names = captures
	}
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		driver, err := flowscope.NewFlowDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), nil, flowscope.Config{
			Details: flowscope.AllDetails, Events: flowscope.Events(flowscope.EventReleased),
		})
		require.NoError(t, err)
		for ev, err := range driver.Events(flowscope.OpenCapture(name)) {
			require.NoError(t, err)
			all = append(all, flowscope.RecordOf(ev))
		}
	}
	return all
}

// randomRecord has fields with any values, and each field zero half of the time.
func randomRecord(r *rand.Rand, some []flowscope.Record) (f flowscope.Record) {
	v := reflect.ValueOf(&f).Elem()
	for i := range v.NumField() {
		from := reflect.ValueOf(some[r.IntN(len(some))]).Field(i)
		if r.IntN(2) == 0 {
			v.Field(i).Set(from)
		}
		switch field := v.Field(i); {
		case r.IntN(3) != 0:
		case field.CanUint():
			field.SetUint(r.Uint64() >> r.IntN(64) & (1<<field.Type().Bits() - 1))
		case field.CanInt():
			field.SetInt(int64(r.Uint64()) >> r.IntN(64))
		case field.Kind() == reflect.Array && field.Index(0).CanUint(): // of both sides
			for k := range field.Len() {
				field.Index(k).SetUint(r.Uint64() >> r.IntN(64) & (1<<field.Index(k).Type().Bits() - 1))
			}
		}
	}
	f.Start, f.End = f.Start&(1<<60-1), f.End&(1<<60-1) // the years that JSON has
	f.InitiatorFIN, f.ResponderFIN = f.InitiatorFIN&(1<<60-1), f.ResponderFIN&(1<<60-1)
	if r.IntN(4) == 0 {
		f.Key = string([]rune{rune(r.IntN(0x300)), '<', '"', '\\', rune(r.IntN(0x2100)), '&'})
	}
	return f
}

// encoding/json is the oracle, and reads the line back.
func TestALineIsWhatJSONMakesOfTheRecord(t *testing.T) {
	all := records(t)
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		all = append(all, randomRecord(r, all[:20]))
	}
	var b []byte
	for i := range all {
		want, err := json.Marshal(all[i])
		require.NoError(t, err)
		b = export.AppendNDJSON(b[:0], &all[i])
		require.Equal(t, string(want)+"\n", string(b))
		var back flowscope.Record
		require.NoError(t, json.Unmarshal(b, &back), "%s", b)
		require.Equal(t, all[i], back)
	}
}

// Every format writes one line, and what is JSON is valid, whatever the record says.
func TestEveryRecordIsOneLine(t *testing.T) {
	all := records(t)
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		all = append(all, randomRecord(r, all[:20]))
	}
	_, header, _ := strings.Cut(string(export.AppendZeekConnHeader(nil)), "#types\t")
	columns := strings.Count(header, "\t") + 1
	for i := range all {
		for name, f := range formats {
			line := string(f([]byte("before"), &all[i]))
			require.True(t, strings.HasPrefix(line, "before"))
			line = strings.TrimPrefix(line, "before")
			require.Equal(t, 1, strings.Count(line, "\n"), "%s: %q", name, line)
			switch name {
			case "csv": // csv_test.go reads it
				continue
			case "zeek":
				require.Equal(t, columns-1, strings.Count(line, "\t"), "%q", line)
				continue
			}
			require.True(t, json.Valid([]byte(line)), "%s: %s", name, line)
		}
	}
}

var formats = map[string]func([]byte, *flowscope.Record) []byte{
	"json": export.AppendNDJSON, "zeek": export.AppendZeekConn, "zeek-json": export.AppendZeekConnJSON, "eve": export.AppendEVEFlow,
	"csv": everything.AppendRecord,
}

func TestNothingIsAllocated(t *testing.T) {
	all := records(t)
	b := make([]byte, 0, 1<<12)
	for name, f := range formats {
		n := testing.AllocsPerRun(10, func() {
			for i := range all {
				b = f(b[:0], &all[i])
			}
		})
		assert.Zero(t, n, name)
	}
}

// The table and JSON of conn.log say the same.
func TestZeeksTableAndJSONAgree(t *testing.T) {
	var names []string
	for line := range strings.Lines(string(export.AppendZeekConnHeader(nil))) {
		if rest, ok := strings.CutPrefix(line, "#fields\t"); ok {
			names = strings.Split(strings.TrimSpace(rest), "\t")
		}
	}
	all := records(t)
	for i := range all {
		cells := strings.Split(strings.TrimSuffix(string(export.AppendZeekConn(nil, &all[i])), "\n"), "\t")
		require.Len(t, cells, len(names))
		want := map[string]string{}
		for k, name := range names {
			if cells[k] != "-" {
				want[name] = cells[k]
			}
		}
		dec := json.NewDecoder(bytes.NewReader(export.AppendZeekConnJSON(nil, &all[i])))
		dec.UseNumber()
		var got map[string]any
		require.NoError(t, dec.Decode(&got))
		text := map[string]string{}
		for name, v := range got {
			text[name] = fmt.Sprint(v)
		}
		require.Equal(t, want, text)
	}
}

// conn_state by flags, state by state; the histories are those that lead there. A log of Zeek's own was compared
// with these rules in other captures.
func TestConnStates(t *testing.T) {
	for _, c := range []struct {
		history string
		bytes   uint64
		want    string
	}{
		{"S", 0, "S0"}, {"ShA", 0, "S1"}, {"ShADadFf", 10, "SF"}, {"ShADadF", 10, "S2"}, {"ShADadf", 10, "S3"}, {"SF", 0, "SH"},
		{"^hf", 0, "SHR"}, {"Sr", 0, "REJ"}, {"ShRr", 0, "REJ"}, {"ShADadr", 10, "RSTR"}, {"ShADadR", 10, "RSTO"}, {"SR", 0, "RSTOS0"},
		{"^hr", 0, "RSTRH"}, {"DadA", 10, "OTH"}, {"^hA", 0, "S1"}, {"^hSA", 0, "OTH"}, {"SrhADa", 10, "REJ"}, {"SrhADaR", 10, "RSTR"},
	} {
		r := flowscope.Record{Proto: flowscope.L4TCP, Delivered: [2]uint64{c.bytes, 0}}
		require.NoError(t, r.History.UnmarshalText([]byte(c.history)))
		for _, letter := range c.history {
			side := 0
			if letter >= 'a' {
				side, letter = 1, letter-'a'+'A'
			}
			if letter != '^' {
				r.Packets[side]++
			}
			r.Flags[side] |= map[rune]flowscope.TCPFlags{
				'S': flowscope.FlagSYN, 'H': flowscope.FlagSYN | flowscope.FlagACK, 'A': flowscope.FlagACK, 'D': flowscope.FlagACK,
				'F': flowscope.FlagFIN | flowscope.FlagACK, 'R': flowscope.FlagRST,
			}[letter]
		}
		row := strings.Split(string(export.AppendZeekConn(nil, &r)), "\t")
		assert.Equal(t, c.want, row[11], c.history)
	}
}

func TestAnomaliesAsEVERecords(t *testing.T) {
	driver, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, flowscope.Config{
		Details: flowscope.AllDetails, Events: flowscope.Events(flowscope.EventReleased, flowscope.EventAnomaly),
	})
	require.NoError(t, err)
	flows, anomalies := map[float64]bool{}, map[float64]bool{}
	for ev, err := range driver.Events(flowscope.OpenCapture("../testdata/captures/lossy.pcap")) {
		require.NoError(t, err)
		var line []byte
		r := flowscope.RecordOf(ev)
		if ev.Kind == flowscope.EventAnomaly {
			line = export.AppendEVEAnomaly(nil, driver.UID(ev), ev)
		} else {
			line = export.AppendEVEFlow(nil, &r)
			assert.Empty(t, export.AppendEVEAnomaly(nil, r.UID, ev), "no anomaly")
		}
		var got struct {
			ID      float64 `json:"flow_id"`
			Type    string  `json:"event_type"`
			Anomaly struct{ Type, Event string }
		}
		require.NoError(t, json.Unmarshal(line, &got), "%s", line)
		if got.Type == "flow" {
			flows[got.ID] = true
		} else {
			require.Equal(t, "anomaly", got.Type)
			assert.NotEmpty(t, got.Anomaly.Event)
			anomalies[got.ID] = true
		}
	}
	require.NotEmpty(t, anomalies)
	for id := range anomalies {
		assert.True(t, flows[id], "the flow of an anomaly has the same number in its record")
	}
}

// The formats of two captures in which nothing is in doubt, to be read and changed knowingly.
func TestLinesAreThoseOfTestdata(t *testing.T) {
	var got bytes.Buffer
	got.Write(export.AppendZeekConnHeader(nil))
	for _, name := range []string{"zeek", "zeek-json", "eve", "json", "csv"} {
		if name == "csv" {
			got.Write(everything.AppendHeader(nil))
		}
		for i, r := range records(t, "../testdata/captures/http.pcap", "../testdata/captures/tunnels.pcap") {
			if i%3 == 0 {
				got.Write(formats[name](nil, &r))
			}
		}
	}
	const file = "testdata/lines.txt"
	want, err := os.ReadFile(file)
	if os.Getenv("UPDATE_LINES") != "" {
		require.NoError(t, os.WriteFile(file, got.Bytes(), 0o644))
		return
	}
	require.NoError(t, err)
	assert.Equal(t, string(want), got.String())
}
