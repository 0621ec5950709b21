package difftest

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/export"
	"github.com/flowscope-go/flowscope/export/sessions"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// TestEVERecordsFitSuricatasSchema: EVE records of flows, anomalies and sessions are valid by the JSON schema that
// Suricata ships as etc/schema.json, which is not part of the repository: FLOWSCOPE_EVE_SCHEMA names it. That of
// Suricata 8 knows tls.ja4 and dns.tc, older ones do not.
func TestEVERecordsFitSuricatasSchema(t *testing.T) {
	name := os.Getenv("FLOWSCOPE_EVE_SCHEMA")
	if name == "" {
		t.Skip("FLOWSCOPE_EVE_SCHEMA names no schema")
	}
	schema, err := jsonschema.NewCompiler().Compile(name)
	require.NoError(t, err)
	captures, err := filepath.Glob("../../testdata/captures/*.pcap")
	require.NoError(t, err)
	require.NotEmpty(t, captures)
	kinds := map[string]int{}
	for _, capture := range captures {
		driver, err := flowscope.NewFlowSessionDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{
			Details: flowscope.AllDetails,
			Events:  flowscope.Events(flowscope.EventMessage, flowscope.EventReleased, flowscope.EventAnomaly),
		}, http1.Factory{Want: http1.WantFields}, tls.Factory{}, tls.StartTLS{}, dns.Factory{})
		require.NoError(t, err)
		for ev, err := range driver.Events(flowscope.OpenCapture(capture)) {
			require.NoError(t, err)
			var line []byte
			switch ev.Kind {
			case flowscope.EventReleased:
				r := flowscope.RecordOf(ev)
				line = export.AppendEVEFlow(nil, &r)
			case flowscope.EventAnomaly:
				line = export.AppendEVEAnomaly(nil, driver.UID(ev), ev)
			default:
				if line = sessions.AppendEVE(nil, driver.UID(ev), ev); len(line) == 0 {
					continue
				}
			}
			record, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
			require.NoError(t, err, "%s", line)
			require.NoError(t, schema.Validate(record), "%s", line)
			kinds[record.(map[string]any)["event_type"].(string)]++
		}
	}
	for _, kind := range []string{"flow", "anomaly", "http", "tls", "dns"} {
		require.NotZero(t, kinds[kind], kind)
	}
	t.Log(kinds)
}
