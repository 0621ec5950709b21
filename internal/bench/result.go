package main

import (
	"regexp"
	"strconv"
	"strings"
)

// result is one line of a benchmark: its name without "Benchmark" and the number of processors, and its metrics.
type result struct {
	name    string
	metrics map[string]float64
}

// parse reads the output of go test: its results, and the lines about the machine.
func parse(out string) (results []result, cpu string) {
	for line := range strings.Lines(out) {
		if c, ok := strings.CutPrefix(line, "cpu: "); ok {
			cpu = strings.TrimSpace(c)
		}
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		r := result{name: processors.ReplaceAllString(strings.TrimPrefix(fields[0], "Benchmark"), ""), metrics: map[string]float64{}}
		for i := 2; i+1 < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				r.metrics[fields[i+1]] = v
			}
		}
		results = append(results, r)
	}
	return results, cpu
}

var processors = regexp.MustCompile(`-\d+$`)

// parameter gives the value of name=value in the name of a benchmark.
func (r *result) parameter(name string) string {
	for part := range strings.SplitSeq(r.name, "/") {
		if value, ok := strings.CutPrefix(part, name+"="); ok {
			return value
		}
	}
	return ""
}

// idle reads what TestWhatAMillionFlowsTake logs: the bytes, then the name of the case.
func idle(out string) (rows [][2]string) {
	var bytes []string
	for line := range strings.Lines(out) {
		if m := bytesAFlow.FindStringSubmatch(line); m != nil {
			bytes = append(bytes, m[1])
		}
		if m := passedCase.FindStringSubmatch(line); m != nil && len(rows) < len(bytes) {
			rows = append(rows, [2]string{strings.ReplaceAll(m[1], "_", " "), bytes[len(rows)]})
		}
	}
	return rows
}

var (
	bytesAFlow = regexp.MustCompile(`: ([\d.]+) bytes a flow`)
	passedCase = regexp.MustCompile(`^ +--- PASS: TestWhatAMillionFlowsTake/(.+) \(`)
)
