package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/examples/parquet/records"
	"github.com/flowscope-go/flowscope/export"
)

// duckDB finds a way to run SQL in DuckDB: its command, or its module for Python.
func duckDB(t *testing.T) (run func(sql string)) {
	t.Helper()
	command := []string{"duckdb", "-c"}
	if _, err := exec.LookPath("duckdb"); err != nil {
		command = []string{"python3", "-c", "import sys, duckdb; duckdb.execute(sys.argv[1])"}
		if exec.Command("python3", "-c", "import duckdb").Run() != nil {
			t.Skip("there is no DuckDB: neither the command duckdb nor Python's module of that name")
		}
	}
	return func(sql string) {
		t.Helper()
		if out, err := exec.Command(command[0], append(slices.Clone(command[1:]), sql)...).CombinedOutput(); err != nil {
			t.Fatalf("%s\n%v\n%s", sql, err, out)
		}
	}
}

// TestDuckDBReadsWhatNDJSONSays: the program's file, read by DuckDB, says of each flow what the lines of JSON
// of the same records do.
func TestDuckDBReadsWhatNDJSONSays(t *testing.T) {
	query := duckDB(t)
	captures, err := filepath.Glob("../../testdata/captures/*.pcap")
	if err != nil || len(captures) == 0 {
		t.Fatal(err)
	}
	dir := t.TempDir()
	name := filepath.Join(dir, "flows.parquet")
	if status := run(append([]string{"-o", name, "-group", "10"}, captures...), io.Discard, os.Stderr); status != 0 {
		t.Fatal(status)
	}
	out := filepath.Join(dir, "rows.json")
	query(fmt.Sprintf(`COPY (SELECT * REPLACE (epoch_ns("start") AS "start", epoch_ns("end") AS "end",
		epoch_ns(initiator_fin) AS initiator_fin, epoch_ns(responder_fin) AS responder_fin) FROM '%s') TO '%s' (FORMAT json)`, name, out))
	rows := jsonLines(t, out)
	i := 0
	for _, capture := range captures {
		for _, line := range ndjson(t, capture) {
			if i >= len(rows) {
				t.Fatalf("only %d rows", len(rows))
			}
			compare(t, rows[i], flatten(t, line))
			i++
		}
	}
	if i != len(rows) {
		t.Fatalf("%d rows of %d records", len(rows), i)
	}
	t.Log(i, "rows")
}

// TestDuckDBReadsCSVAndParquetAlike: a column has the same values in both, by DuckDB's own guess of CSV's types.
func TestDuckDBReadsCSVAndParquetAlike(t *testing.T) {
	query := duckDB(t)
	dir := t.TempDir()
	var b bytes.Buffer
	w := records.NewWriter(&b, records.Options{Details: flowscope.AllDetails, Streams: true})
	c := export.CSV{Details: flowscope.AllDetails, Streams: true}
	text := c.AppendHeader(nil)
	captures, _ := filepath.Glob("../../testdata/captures/*.pcap")
	for _, capture := range captures {
		for _, line := range ndjson(t, capture) {
			var r flowscope.Record
			if err := json.Unmarshal(line, &r); err != nil {
				t.Fatal(err)
			}
			if err := w.Write(&r); err != nil {
				t.Fatal(err)
			}
			text = c.AppendRecord(text, &r)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	parquet, csv, out := filepath.Join(dir, "a.parquet"), filepath.Join(dir, "a.csv"), filepath.Join(dir, "differ.json")
	if os.WriteFile(parquet, b.Bytes(), 0o600) != nil || os.WriteFile(csv, text, 0o600) != nil {
		t.Fatal("cannot write")
	}
	// Each type of CSV is guessed; what DuckDB makes of the texts when it is told the types has to be the same.
	query(fmt.Sprintf(`CREATE TABLE p AS SELECT * FROM '%s'; CREATE TABLE c AS SELECT * FROM p LIMIT 0;
		INSERT INTO c SELECT * FROM read_csv('%s', header = true, all_varchar = true);
		COPY (SELECT count(*) AS n, (SELECT count(*) FROM p) AS rows, (SELECT count(*) FROM read_csv('%s')) AS guessed,
			(SELECT count(*) FROM (SELECT * FROM p EXCEPT ALL SELECT * FROM c)) AS differ FROM c) TO '%s' (FORMAT json)`, parquet, csv, csv, out))
	got := jsonLines(t, out)[0]
	if got["differ"] != json.Number("0") || got["n"] != got["rows"] || got["guessed"] != got["rows"] || got["n"] == json.Number("0") {
		t.Fatal(got)
	}
}

// ndjson are the lines of package export of a capture.
func ndjson(t *testing.T, capture string) (lines [][]byte) {
	t.Helper()
	driver, err := flowscope.NewFlowDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), nil, flowscope.Config{
		Details: flowscope.AllDetails, Events: flowscope.Events(flowscope.EventReleased),
	})
	if err != nil {
		t.Fatal(err)
	}
	for ev, err := range driver.Events(flowscope.OpenCapture(capture)) {
		if err != nil {
			t.Fatal(err)
		}
		r := flowscope.RecordOf(ev)
		lines = append(lines, export.AppendNDJSON(nil, &r))
	}
	return lines
}

// jsonLines reads objects, with numbers as they are written.
func jsonLines(t *testing.T, name string) (all []map[string]any) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		all = append(all, object(t, lines.Bytes()))
	}
	return all
}

func object(t *testing.T, line []byte) (m map[string]any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	if err := dec.Decode(&m); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	return m
}

// flatten makes columns of a line: a pair is two of them.
func flatten(t *testing.T, line []byte) map[string]any {
	t.Helper()
	flat := map[string]any{}
	for name, v := range object(t, line) {
		switch {
		case name == "initiator" || name == "responder":
			var e flowscope.Endpoint
			if err := e.UnmarshalText([]byte(v.(string))); err != nil {
				t.Fatal(err)
			}
			flat[name+"_addr"] = e.Addr.String()
			if e.Port != 0 {
				flat[name+"_port"] = json.Number(fmt.Sprint(e.Port))
			}
		case name == "start" || name == "end" || strings.HasSuffix(name, "_fin"):
			at, err := time.Parse(time.RFC3339Nano, v.(string))
			if err != nil {
				t.Fatal(err)
			}
			flat[name] = json.Number(fmt.Sprint(at.UnixNano()))
		case name == "flags":
			for i, side := range []string{"initiator_flag_", "responder_flag_"} {
				for _, flag := range []string{"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"} {
					flat[side+flag] = strings.Contains(v.([]any)[i].(string), strings.ToUpper(flag[:1]))
				}
			}
		default:
			if pair, ok := v.([]any); ok {
				flat["initiator_"+name], flat["responder_"+name] = pair[0], pair[1]
			} else {
				flat[name] = v
			}
		}
	}
	return flat
}

// derived columns are not in JSON.
var derived = []string{"proto_number", "duration_ns", "packets_per_second", "wire_bytes_per_second", "community_id"}

// compare holds a row of DuckDB against a flattened line. What JSON leaves out is 0, false or empty.
func compare(t *testing.T, row, line map[string]any) {
	t.Helper()
	for name, want := range line {
		if name == "midstream" && line["proto"] != "tcp" {
			want = nil
		}
		if got := row[name]; !reflect.DeepEqual(got, want) && !(got == nil && want == "") {
			t.Fatalf("%s is %#v, want %#v in\n%v", name, got, want, line)
		}
	}
	for name, got := range row {
		if _, ok := line[name]; ok || slices.ContainsFunc(derived, func(s string) bool { return strings.HasSuffix(name, s) }) {
			continue
		}
		if got != nil && got != json.Number("0") && got != false && !(name == "state" && got == "active") {
			t.Fatalf("%s is %#v, and not in\n%v", name, got, line)
		}
	}
}
