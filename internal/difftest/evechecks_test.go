package difftest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/flowscope-go/flowscope"
)

// The checks with which Suricata's own project tests the EVE records of its program (OISF/suricata-verify, test.yaml)
// are applied to the EVE records that package export makes of the same captures. A check counts the records in
// which fields have values. Names, types and values of fields are thus those that Suricata's authors expect.

// suricataTest is a test.yaml, as far as it is about records.
type suricataTest struct {
	Requires suricataVersions
	Checks   []struct{ Filter *suricataFilter }
}

type suricataVersions struct {
	Min string `yaml:"min-version"`
	Lt  string `yaml:"lt-version"`
}

type suricataFilter struct {
	Requires suricataVersions
	Count    int
	Match    map[string]any
}

// version is the one of which the records of DNS have the format: 8 has another one.
var version = []int{7, 0, 15}

// fit reports whether a check is one for the version.
func (v suricataVersions) fit(t *testing.T) bool {
	number := func(s string) (n []int) {
		for _, part := range strings.Split(s, ".") {
			i, err := strconv.Atoi(part)
			require.NoError(t, err)
			n = append(n, i)
		}
		return n
	}
	return (v.Min == "" || slices.Compare(version, number(v.Min)) >= 0) && (v.Lt == "" || slices.Compare(version, number(v.Lt)) < 0)
}

// notWritten are fields that package export leaves out.
var notWritten = []string{"app_proto", "tx_id"}

// known are the checks, by capture and place in the file, that are answered otherwise on purpose.
var known = map[string]struct {
	ours int
	why  string
}{
	"suri_tcp-fastopen-10-syn-data-ignore.pcap 0": {1, "the server answers one SYN at two numbers: two flows there, one connection here"},
	"suri_tcp-fastopen-10-syn-data-ignore.pcap 4": {0, "of the other one of these flows"},
	"suri_tcp-stream-after-swap.pcap 0":           {0, "an event of Suricata's HTTP parser"},
	"suri_tcp-stream-after-swap.pcap 1":           {0, "Suricata exchanges the sides once it knows the protocol: here the server sent first"},
	"suri_vxlan-decoder-03.pcap 6":                {4, "a transaction is one record, in Suricata two"},
}

func TestEVERecordsMeetSuricatasOwnChecks(t *testing.T) {
	files := glob(t, "../../../shared/captures/expected/suri_*.test.yaml")
	if len(files) == 0 {
		t.Skip("../shared/captures is not here: real captures are not part of the repository")
	}
	kinds, seen := map[string]int{}, map[string]bool{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		var test suricataTest
		require.NoError(t, yaml.Unmarshal(raw, &test), file)
		if !test.Requires.fit(t) {
			continue
		}
		name := strings.TrimSuffix(filepath.Base(file), ".test.yaml") + ".pcap"
		records := withOuterFlows(t, "../../../shared/captures/open/"+name)
		for i, check := range test.Checks {
			f := check.Filter
			if f == nil || !f.Requires.fit(t) {
				continue
			}
			kind, _ := f.Match["event_type"].(string)
			if !slices.Contains([]string{"flow", "anomaly", "http", "tls", "dns"}, kind) {
				continue
			}
			n := 0
			for _, record := range records {
				if matches(record, f.Match) {
					n++
				}
			}
			at := fmt.Sprint(name, " ", i)
			if k, ok := known[at]; ok {
				seen[at] = true
				require.Equal(t, k.ours, n, "%s: %v", at, f.Match)
				require.NotEqual(t, f.Count, n, "%s is no difference any more", at)
				continue
			}
			require.Equal(t, f.Count, n, "%s: %v", at, f.Match)
			kinds[kind]++
		}
	}
	require.Len(t, seen, len(known))
	t.Log(kinds)
	for _, kind := range []string{"flow", "http", "tls"} {
		require.NotZero(t, kinds[kind], kind)
	}
}

// withOuterFlows decodes the records of a capture. Suricata has flows of tunnels beside those in them.
func withOuterFlows(t *testing.T, capture string) (all []map[string]any) {
	seen := map[any]bool{}
	eachEVE(t, capture, flowscope.AutoDetectEncap(flowscope.FiveTuple{}), func(l eveLine) {
		record := decoded(t, l.text)
		seen[record["flow_id"]] = true
		all = append(all, record)
	})
	eachEVE(t, capture, flowscope.FiveTuple{}, func(l eveLine) {
		if record := decoded(t, l.text); !seen[record["flow_id"]] {
			all = append(all, record)
		}
	})
	return all
}

// matches reports whether the fields of a record have values of the same type and text.
func matches(record map[string]any, want map[string]any) bool {
	for path, v := range want {
		if slices.Contains(notWritten, path) {
			continue
		}
		got := field(record, path)
		_, number := v.(int)
		if _, ok := got.(json.Number); ok != number || fmt.Sprint(got) != fmt.Sprint(v) {
			return false
		}
	}
	return true
}

// field is the field with a path as "dns.answers[0].rrname", nil if there is none.
func field(v any, path string) any {
	for _, part := range strings.Split(path, ".") {
		name, index, indexed := strings.Cut(part, "[")
		object, _ := v.(map[string]any)
		v = object[name]
		if indexed {
			i, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
			list, _ := v.([]any)
			if err != nil || i >= len(list) {
				return nil
			}
			v = list[i]
		}
	}
	return v
}
