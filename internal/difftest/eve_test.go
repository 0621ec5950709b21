package difftest

import (
	"bytes"
	"encoding/json"
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

// eveLine is a line of EVE, and what it was made of.
type eveLine struct {
	text   []byte
	uid    flowscope.UID
	event  *flowscope.Event
	record flowscope.Record // of a line of the type "flow"
}

// eachEVE calls f for every line of EVE that a capture gives. The event is lent.
func eachEVE(t *testing.T, capture string, ex flowscope.FlowExtractor[flowscope.FiveTupleKey], f func(eveLine)) {
	t.Helper()
	driver, err := flowscope.NewFlowSessionDriver(ex, flowscope.Config{
		Details: flowscope.AllDetails,
		Events:  flowscope.Events(flowscope.EventMessage, flowscope.EventReleased, flowscope.EventAnomaly),
	}, http1.Factory{Want: http1.WantFields}, tls.Factory{}, tls.StartTLS{}, dns.Factory{})
	require.NoError(t, err)
	for ev, err := range driver.Events(flowscope.OpenCapture(capture)) {
		if err != nil {
			t.Logf("%s: %v", filepath.Base(capture), err) // a damaged file: what came before counts
			break
		}
		line := eveLine{uid: driver.UID(ev), event: ev}
		switch ev.Kind {
		case flowscope.EventReleased:
			line.record = flowscope.RecordOf(ev)
			line.uid = line.record.UID
			line.text = export.AppendEVEFlow(nil, &line.record)
		case flowscope.EventAnomaly:
			line.text = export.AppendEVEAnomaly(nil, line.uid, ev)
		default:
			if line.text = sessions.AppendEVE(nil, line.uid, ev); len(line.text) == 0 {
				continue
			}
		}
		f(line)
	}
}

// decoded is what encoding/json reads, with numbers as they are written.
func decoded(t *testing.T, line []byte) (v map[string]any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	require.NoError(t, dec.Decode(&v), "%s", line)
	return v
}

func glob(t *testing.T, patterns ...string) (all []string) {
	t.Helper()
	for _, p := range patterns {
		names, err := filepath.Glob(p)
		require.NoError(t, err)
		all = append(all, names...)
	}
	return all
}

// TestEVERecordsFitSuricatasSchema: EVE records of flows, anomalies and sessions are valid by the JSON schema that
// Suricata ships as etc/schema.json. Its licence keeps it out of the repository, so this test is for those who have
// it: FLOWSCOPE_EVE_SCHEMA names the file. That of Suricata 8 knows tls.ja4 and dns.tc, older ones do not.
func TestEVERecordsFitSuricatasSchema(t *testing.T) {
	name := os.Getenv("FLOWSCOPE_EVE_SCHEMA")
	if name == "" {
		t.Skip("FLOWSCOPE_EVE_SCHEMA names no schema")
	}
	schema, err := jsonschema.NewCompiler().Compile(name)
	require.NoError(t, err)
	captures := glob(t, "../../testdata/captures/*.pcap")
	require.NotEmpty(t, captures)
	kinds := map[string]int{}
	for _, capture := range captures {
		eachEVE(t, capture, flowscope.AutoDetectEncap(flowscope.FiveTuple{}), func(l eveLine) {
			record, err := jsonschema.UnmarshalJSON(bytes.NewReader(l.text))
			require.NoError(t, err, "%s", l.text)
			require.NoError(t, schema.Validate(record), "%s", l.text)
			kinds[record.(map[string]any)["event_type"].(string)]++
		})
	}
	for _, kind := range []string{"flow", "anomaly", "http", "tls", "dns"} {
		require.NotZero(t, kinds[kind], kind)
	}
	t.Log(kinds)
}
