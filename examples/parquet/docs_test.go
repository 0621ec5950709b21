package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/export/sessions"
	"github.com/flowscope-go/flowscope/protocol/dns"
)

// TestDuckDBAnswersTheQuestionsOfTheDocument runs the SQL of docs/archives.md.
func TestDuckDBAnswersTheQuestionsOfTheDocument(t *testing.T) {
	query := duckDB(t)
	const capture = "../../testdata/captures/sessions.pcap"
	text, err := os.ReadFile("../../docs/archives.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if status := run([]string{"-o", filepath.Join(dir, "flows-0.parquet"), capture, "../internal/sample/sample.pcapng"}, new(bytes.Buffer), os.Stderr); status != 0 {
		t.Fatal(status)
	}
	driver, err := flowscope.NewFlowSessionDriver(flowscope.FiveTuple{}, flowscope.Config{
		Events: flowscope.Events(flowscope.EventMessage),
	}, dns.Factory{})
	if err != nil {
		t.Fatal(err)
	}
	var lines []byte
	for ev, err := range driver.Events(flowscope.OpenCapture(capture)) {
		if err != nil {
			t.Fatal(err)
		}
		lines = sessions.AppendZeekJSON(lines, driver.UID(ev), ev)
	}
	if err := os.WriteFile(filepath.Join(dir, "messages-0.ndjson"), lines, 0o600); err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 4 {
		t.Fatalf("%d questions", len(blocks))
	}
	for _, b := range blocks {
		sql := strings.NewReplacer("'flows-", "'"+dir+"/flows-", "'messages-", "'"+dir+"/messages-").Replace(b[1])
		// The answers are kept, so that one without a row is an error.
		query("CREATE TABLE answer AS " + strings.TrimSuffix(strings.TrimSpace(sql), ";") + "; SELECT CASE WHEN count(*) = 0 THEN error('no rows') END FROM answer;")
	}
}
