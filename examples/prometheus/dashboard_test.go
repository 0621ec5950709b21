package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/examples/internal/sample"
	"github.com/flowscope-go/flowscope/testdata/captures"
)

// notShown are metric families that are served and on no panel, and why.
var notShown = map[string]string{
	"flowscope_nested_calls_total": "it counts a fault of a program, and this one has none",
}

// families are all metrics that a live monitor serves, by name, after a capture with refused packets was replayed.
func families(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	m, registry, err := newMonitor(source{packets: sample.Packets(), dropped: func() uint64 { return 7 }})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	all, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*dto.MetricFamily{}
	for _, f := range all {
		out[f.GetName()] = f
	}
	return out
}

// labels are those of a family, and those that Prometheus adds.
func labels(f *dto.MetricFamily) []string {
	names := []string{"job", "instance"}
	for _, l := range f.GetMetric()[0].GetLabel() {
		names = append(names, l.GetName())
	}
	if f.GetType() == dto.MetricType_HISTOGRAM {
		names = append(names, "le")
	}
	return names
}

// board is what is read of the dashboard.
type board struct {
	Title         string
	SchemaVersion int
	Templating    struct {
		List []struct{ Name, Type, Definition string }
	}
	Panels []panel
}

type panel struct {
	ID         int
	Type       string
	Title      string
	Datasource map[string]string
	GridPos    struct{ H, W, X, Y int }
	Targets    []struct{ RefID, Expr, LegendFormat string }
}

func readBoard(t *testing.T) board {
	t.Helper()
	var b board
	if err := json.Unmarshal(dashboard, &b); err != nil {
		t.Fatal(err)
	}
	if b.Title == "" || b.SchemaVersion < 42 || len(b.Panels) < 20 {
		t.Fatalf("%q, schema %d, %d panels", b.Title, b.SchemaVersion, len(b.Panels))
	}
	return b
}

// parse parses an expression as Grafana sends it, with its own variables replaced.
func parse(t *testing.T, text string) parser.Expr {
	t.Helper()
	text = strings.NewReplacer("$__rate_interval", "1m", "$__range", "1h").Replace(text)
	e, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return e
}

// check looks at one expression: all names and labels are served, counters are in rate or increase, and gauges are not.
func check(t *testing.T, served map[string]*dto.MetricFamily, text string) (used []string, result []string) {
	t.Helper()
	var known []string // labels of all metrics in it
	var grouped [][]string
	parser.Inspect(parse(t, text), func(n parser.Node, path []parser.Node) error {
		switch n := n.(type) {
		case *parser.VectorSelector:
			family := served[n.Name]
			name := n.Name
			if base, ok := strings.CutSuffix(n.Name, "_bucket"); ok && served[base] != nil {
				family, name = served[base], base
			}
			if family == nil {
				t.Errorf("%s: %s is not served", text, n.Name)
				return nil
			}
			used = append(used, name)
			for _, m := range n.LabelMatchers {
				if m.Name != "__name__" && !slices.Contains(labels(family), m.Name) {
					t.Errorf("%s: %s has no label %s", text, name, m.Name)
				}
			}
			known = append(known, labels(family)...)
			if counted := family.GetType() != dto.MetricType_GAUGE; counted != inRate(path) {
				t.Errorf("%s: %s is a %v", text, name, family.GetType())
			}
			for _, must := range []string{`job=~"$job"`, `instance=~"$instance"`} {
				if !strings.Contains(n.String(), must) {
					t.Errorf("%s: %s does not select by %s", text, name, must)
				}
			}
		case *parser.AggregateExpr:
			grouped = append(grouped, n.Grouping)
		}
		return nil
	})
	for _, g := range grouped {
		for _, l := range g {
			if !slices.Contains(known, l) {
				t.Errorf("%s: nothing has the label %s", text, l)
			}
		}
	}
	if len(grouped) > 0 {
		result = grouped[0] // the outermost comes first
	}
	return used, result
}

func inRate(path []parser.Node) bool {
	for _, n := range path {
		if call, ok := n.(*parser.Call); ok && (call.Func.Name == "rate" || call.Func.Name == "increase") {
			return true
		}
	}
	return false
}

var placeholder = regexp.MustCompile(`{{(.*?)}}`)

func TestPanelsShowWhatIsServed(t *testing.T) {
	served := families(t)
	shown := map[string]bool{}
	for _, p := range readBoard(t).Panels {
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 || p.Datasource["uid"] != "${datasource}" {
			t.Errorf("%s: %d targets, data source %v", p.Title, len(p.Targets), p.Datasource)
		}
		legends := map[string]bool{}
		for _, target := range p.Targets {
			used, result := check(t, served, target.Expr)
			for _, name := range used {
				shown[name] = true
			}
			for _, m := range placeholder.FindAllStringSubmatch(target.LegendFormat, -1) {
				if !slices.Contains(result, m[1]) {
					t.Errorf("%s: %s has no label for the legend %s", p.Title, target.Expr, target.LegendFormat)
				}
			}
			if len(result) > 0 && result[0] != "le" && !placeholder.MatchString(target.LegendFormat) {
				t.Errorf("%s: the legend %q does not tell the series of %s apart", p.Title, target.LegendFormat, target.Expr)
			}
			if target.LegendFormat == "" || legends[target.LegendFormat] {
				t.Errorf("%s: the legend %q stands twice, or is empty", p.Title, target.LegendFormat)
			}
			legends[target.LegendFormat] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(served)) {
		if reason := notShown[name]; shown[name] == (reason != "") {
			t.Errorf("%s: on a panel %v, reason not to be on one %q", name, shown[name], reason)
		}
	}
	for name := range notShown {
		if served[name] == nil {
			t.Errorf("%s is not served at all", name)
		}
	}
}

func TestVariablesAskForServedMetrics(t *testing.T) {
	served := families(t)
	for _, v := range readBoard(t).Templating.List {
		if v.Type != "query" {
			continue
		}
		inner, ok := strings.CutPrefix(v.Definition, "label_values(")
		metric, label, ok2 := strings.Cut(strings.TrimSuffix(inner, ")"), ", ")
		name, _, _ := strings.Cut(metric, "{")
		if !ok || !ok2 || label != v.Name || served[name] == nil {
			t.Errorf("%s: %s", v.Name, v.Definition)
		}
		parse(t, metric)
	}
}

// Panels have numbers of their own, lie within the 24 columns, and cover no other.
func TestPanelsDoNotOverlap(t *testing.T) {
	taken, ids, titles := map[string]string{}, map[int]bool{}, map[string]bool{}
	for _, p := range readBoard(t).Panels {
		if ids[p.ID] || titles[p.Type+p.Title] || p.Title == "" {
			t.Errorf("%d %q stands twice", p.ID, p.Title)
		}
		ids[p.ID], titles[p.Type+p.Title] = true, true
		g := p.GridPos
		if g.X < 0 || g.W < 1 || g.X+g.W > 24 || g.H < 1 {
			t.Errorf("%s: %+v", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				at := fmt.Sprint(x, " ", y)
				if taken[at] != "" {
					t.Fatalf("%s covers %s", p.Title, taken[at])
				}
				taken[at] = p.Title
			}
		}
	}
}

func TestTheDashboardIsServed(t *testing.T) {
	_, registry, err := newMonitor(source{packets: sample.Packets()})
	if err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	handler(registry).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/dashboard.json", nil))
	if answer.Code != http.StatusOK || !bytes.Equal(answer.Body.Bytes(), dashboard) {
		t.Error(answer.Code)
	}
}

// sums are the values of a family by label, or "" without one; of a histogram its count.
func sums(f *dto.MetricFamily) map[string]float64 {
	out := map[string]float64{}
	for _, m := range f.GetMetric() {
		label := ""
		for _, l := range m.GetLabel() {
			label = l.GetValue()
		}
		v := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		if v != 0 {
			out[label] = v
		}
	}
	return out
}

// The numbers beside those of a loop over the same packets that does nothing else.
func TestTheNumbersAreRight(t *testing.T) {
	var packets, bytesSeen float64
	var last flowscope.Timestamp
	for v := range sample.Packets() {
		packets++
		bytesSeen += float64(max(v.WireLen, len(v.Frame)))
		last = v.Timestamp
	}
	served := families(t)
	for name, want := range map[string]map[string]float64{
		"flowscope_capture_packets_total":                 {"": packets},
		"flowscope_packets_total":                         {"": packets},
		"flowscope_capture_bytes_total":                   {"": bytesSeen},
		"flowscope_capture_dropped_packets_total":         {"": 7},
		"flowscope_capture_cut_packets_total":             {},
		"flowscope_capture_errors_total":                  {},
		"flowscope_capture_last_packet_timestamp_seconds": {"": float64(last) / 1e9},
		"flowscope_flow_packets":                          {"tcp": 9, "udp": 3, "icmp": 1, "icmpv6": 3},
		"flowscope_http_exchanges_total":                  {"2xx": 2, "4xx": 1},
		"flowscope_dns_transactions_total":                {"NOERROR": 2},
		"flowscope_dns_latency_seconds":                   {"": 2},
		"flowscope_http_latency_seconds":                  {"": 3},
		"flowscope_tls_handshakes_total":                  {},
		"flowscope_session_messages_total":                {"": 5},
	} {
		if got := sums(served[name]); !maps.Equal(got, want) {
			t.Errorf("%s: %v, not %v", name, got, want)
		}
	}
}

// A capture with TLS, in which an HTTP response is missing and another one has a hole; and half of it, which is damaged.
func TestSessionsAndErrorsAreCounted(t *testing.T) {
	gather := func(src source) (map[string]map[string]float64, error) {
		m, registry, err := newMonitor(src)
		if err != nil {
			t.Fatal(err)
		}
		failed := m.run(t.Context())
		all, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]map[string]float64{}
		for _, f := range all {
			out[f.GetName()] = sums(f)
		}
		return out, failed
	}
	got, err := gather(source{packets: sample.Sessions()})
	if err != nil {
		t.Fatal(err)
	}
	// As "sessions" prints them.
	for name, want := range map[string]map[string]float64{
		"flowscope_http_exchanges_total":     {"2xx": 7, "3xx": 1, "4xx": 1, "none": 1},
		"flowscope_http_missing_bytes_total": {"": 1448},
		"flowscope_tls_handshakes_total":     {"TLSv1.2": 3, "TLSv1.3": 3, "none": 1},
		"flowscope_tls_alerts_total":         {"": 1},
		"flowscope_dns_transactions_total":   {"NOERROR": 6, "NXDOMAIN": 1, "none": 2},
		"flowscope_session_losses_total":     {"http": 1},
		"flowscope_flows_active":             {},
		"flowscope_flows_limit":              {"": 100_000},
	} {
		if !maps.Equal(got[name], want) {
			t.Errorf("%s: %v, not %v", name, got[name], want)
		}
	}
	if _, served := got["flowscope_capture_dropped_packets_total"]; served {
		t.Error("a file has no drops")
	}
	half := captures.Sessions[:len(captures.Sessions)/2]
	got, err = gather(source{packets: flowscope.ReadCapture(bytes.NewReader(half))})
	if err == nil || got["flowscope_capture_errors_total"]["truncated"] != 1 || got["flowscope_http_exchanges_total"]["2xx"] == 0 {
		t.Error(err, got["flowscope_capture_errors_total"])
	}
}

// On a silent interface flows end when the counters are read, and a time that lies behind the packets changes nothing.
func TestTimePassesOnASilentNetwork(t *testing.T) {
	var silent flowscope.Timestamp
	m, _, err := newMonitor(source{packets: sample.Packets(), silent: func() (flowscope.Timestamp, bool) { return silent, silent != 0 }})
	if err != nil {
		t.Fatal(err)
	}
	for v := range m.source.packets {
		silent = v.Timestamp.Add(-time.Hour)
		m.driver.Track(v)
		m.driverStats()
	}
	if s := m.driverStats(); s.ClockBackward != 0 || s.FlowsActive == 0 {
		t.Error(s.ClockBackward, s.FlowsActive)
	}
	silent = silent.Add(3 * time.Hour)
	if s := m.driverStats(); s.FlowsActive != 0 {
		t.Error(s.FlowsActive)
	}
}
