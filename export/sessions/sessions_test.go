package sessions_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/export/sessions"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// each calls f for each message of the project's capture of sessions, and gives the UIDs of all its flows.
func each(t testing.TB, f func(flowscope.UID, *flowscope.Event)) (flows map[string]bool) {
	t.Helper()
	driver, err := flowscope.NewFlowSessionDriver(flowscope.FiveTuple{}, flowscope.Config{
		Events: flowscope.Events(flowscope.EventMessage, flowscope.EventEnded),
	}, http1.Factory{Want: http1.WantFields}, tls.Factory{}, tls.StartTLS{}, dns.Factory{})
	require.NoError(t, err)
	flows = map[string]bool{}
	for ev, err := range driver.Events(flowscope.OpenCapture("../../testdata/captures/sessions.pcap")) {
		require.NoError(t, err)
		if ev.Kind == flowscope.EventEnded {
			flows[flowscope.RecordOf(ev).UID.String()] = true
			continue
		}
		f(driver.UID(ev), ev)
	}
	return flows
}

// A table's rows have its header's columns, and say what the lines of JSON do.
func TestTableAndJSONAgree(t *testing.T) {
	names := map[sessions.ZeekLog][]string{}
	for log := sessions.ZeekHTTP; log <= sessions.ZeekDNS; log++ {
		header := string(sessions.AppendZeekHeader(nil, log))
		require.Contains(t, header, "#path\t"+log.String()+"\n")
		_, fields, _ := strings.Cut(header, "#fields\t")
		fields, types, _ := strings.Cut(fields, "\n#types\t")
		names[log] = strings.Split(fields, "\t")
		require.Len(t, strings.Split(strings.TrimSpace(types), "\t"), len(names[log]))
	}
	require.Empty(t, sessions.AppendZeekHeader(nil, sessions.NoZeekLog))
	seen := map[sessions.ZeekLog]int{}
	var uids []string
	flows := each(t, func(uid flowscope.UID, ev *flowscope.Event) {
		log := sessions.ZeekLogOf(ev)
		row, line := string(sessions.AppendZeek([]byte("before"), uid, ev)), sessions.AppendZeekJSON(nil, uid, ev)
		row, ok := strings.CutPrefix(row, "before")
		require.True(t, ok)
		if log == sessions.NoZeekLog {
			require.Empty(t, row)
			require.Empty(t, line)
			return
		}
		seen[log]++
		cells := strings.Split(strings.TrimSuffix(row, "\n"), "\t")
		require.Len(t, cells, len(names[log]), "%q", row)
		want := map[string]string{"_path": log.String()}
		for i, name := range names[log] {
			if cells[i] != "-" {
				want[name] = cells[i]
			}
		}
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.UseNumber()
		var got map[string]any
		require.NoError(t, dec.Decode(&got), "%s", line)
		text := map[string]string{}
		for name, v := range got {
			switch v := v.(type) {
			case bool:
				text[name] = map[bool]string{true: "T", false: "F"}[v]
			case []any:
				var all []string
				for _, e := range v {
					all = append(all, fmt.Sprint(e))
				}
				if text[name] = strings.Join(all, ","); len(v) == 0 {
					text[name] = "(empty)"
				}
			default:
				text[name] = fmt.Sprint(v)
			}
		}
		require.Equal(t, want, text)
		uids = append(uids, text["uid"])
	})
	for log := range names {
		assert.NotZero(t, seen[log], "%v", log)
	}
	for _, uid := range uids {
		assert.True(t, flows[uid], "a message names the flow of a record")
	}
}

// EVE records are JSON, one a line, of the client to the server.
func TestEVERecords(t *testing.T) {
	kinds := map[string]int{}
	each(t, func(uid flowscope.UID, ev *flowscope.Event) {
		line := sessions.AppendEVE(nil, uid, ev)
		if sessions.ZeekLogOf(ev) == sessions.NoZeekLog {
			require.Empty(t, line)
			return
		}
		require.Equal(t, 1, bytes.Count(line, []byte("\n")))
		var got map[string]any
		require.NoError(t, json.Unmarshal(line, &got), "%s", line)
		kind := got["event_type"].(string)
		kinds[kind]++
		require.NotEmpty(t, got[kind], "%s", line)
		require.Contains(t, []any{80.0, 443.0, 53.0, 25.0, 110.0, 143.0, 5432.0, 3306.0, 389.0, 5222.0, 21.0, 587.0, 8080.0, 3128.0, 1080.0, 8443.0}, got["dest_port"], "%s", line)
	})
	for _, kind := range []string{"http", "tls", "dns"} {
		assert.NotZero(t, kinds[kind], kind)
	}
}

// Fields in a table cannot be broken by what they hold.
func TestNoMessageBreaksItsLine(t *testing.T) {
	evil := []byte("a\tb\nc\\x\xff\x00é,-")
	_, header, _ := strings.Cut(string(sessions.AppendZeekHeader(nil, sessions.ZeekHTTP)), "#types\t")
	columns := strings.Count(header, "\t") + 1
	ev := flowscope.Event{Kind: flowscope.EventMessage, L4: flowscope.L4TCP}
	for _, text := range [][]byte{evil, []byte("-"), []byte("(empty)"), {}} {
		ev.Message = &http1.Exchange{Method: text, Host: text, Target: text, Request: http1.Part{Fields: []http1.Field{{Name: []byte("REFERER"), Value: text}}}}
		row := string(sessions.AppendZeek(nil, flowscope.UID{}, &ev))
		assert.Equal(t, 1, strings.Count(row, "\n"))
		assert.Equal(t, columns-1, strings.Count(row, "\t"), "%q", row)
		for _, line := range [][]byte{sessions.AppendZeekJSON(nil, flowscope.UID{}, &ev), sessions.AppendEVE(nil, flowscope.UID{}, &ev)} {
			assert.True(t, json.Valid(line), "%s", line)
		}
	}
	row := strings.Split(string(sessions.AppendZeek(nil, flowscope.UID{}, &ev)), "\t")
	assert.Equal(t, "(empty)", row[7])
}

func TestNothingIsAllocatedButForCertificates(t *testing.T) {
	b := make([]byte, 0, 1<<14)
	for name, f := range map[string]func([]byte, flowscope.UID, *flowscope.Event) []byte{
		"zeek": sessions.AppendZeek, "json": sessions.AppendZeekJSON, "eve": sessions.AppendEVE,
	} {
		each(t, func(uid flowscope.UID, ev *flowscope.Event) {
			if _, ok := ev.Message.(*tls.Handshake); ok {
				return
			}
			n := testing.AllocsPerRun(10, func() { b = f(b[:0], uid, ev) })
			assert.Zero(t, n, "%s: %s", name, b)
		})
	}
}

func TestLinesAreThoseOfTestdata(t *testing.T) {
	var got bytes.Buffer
	for log := sessions.ZeekHTTP; log <= sessions.ZeekDNS; log++ {
		got.Write(sessions.AppendZeekHeader(nil, log))
	}
	i := 0
	each(t, func(uid flowscope.UID, ev *flowscope.Event) {
		if i++; i%4 == 0 {
			got.Write(sessions.AppendZeek(nil, uid, ev))
			got.Write(sessions.AppendEVE(nil, uid, ev))
		}
	})
	const file = "testdata/lines.txt"
	want, err := os.ReadFile(file)
	if os.Getenv("UPDATE_LINES") != "" {
		require.NoError(t, os.WriteFile(file, got.Bytes(), 0o644))
		return
	}
	require.NoError(t, err)
	assert.Equal(t, string(want), got.String())
}
