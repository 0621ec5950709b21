package flowscope_test

import (
	"fmt"
	"log"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// The program of README.md; the other examples of this file are among its recipes.
func Example() {
	driver, err := flowscope.NewFlowSessionDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{},
		http1.Factory{}, tls.Factory{}, tls.StartTLS{}, dns.Factory{})
	if err != nil {
		log.Fatal(err) // a wrong Config; packets never cause an error
	}
	for ev, err := range driver.Events(flowscope.OpenCapture("testdata/captures/sessions.pcap")) {
		if err != nil {
			log.Fatal(err) // a damaged file; the error names the offset
		}
		switch m := ev.Message.(type) {
		case *http1.Exchange:
			fmt.Printf("%s %s%s: %d\n", m.Method, m.Host, m.Target, m.Status)
		case *tls.Handshake:
			fmt.Println(m.SNI, m.Version, m.JA4())
		case *dns.Transaction:
			fmt.Println(m.Type, m.Name, m.Outcome, m.Rcode) // without an answer Rcode is 0
		}
	}
	// Output:
	// A www.example.net answered NOERROR
	// AAAA www.example.net answered NOERROR
	// A web.example.net answered NOERROR
	// MX example.net answered NOERROR
	// A nobody.example.net answered NXDOMAIN
	// A www.example.net answered NOERROR
	// TXT example.net answered NOERROR
	// GET www.example.net/: 200
	// HEAD www.example.net/report.txt: 200
	// GET www.example.net/report.txt: 200
	// POST www.example.net/notes: 201
	// GET www.example.net/parts.txt: 200
	// GET www.example.net/one.txt: 304
	// GET www.example.net/one.txt: 200
	// GET www.example.net/two.txt: 0
	// GET www.example.net/three.txt: 200
	// GET www.example.net/four.txt: 404
	// www.example.net TLSv1.2 t12d2807h1_d943125447b4_a44c6288192a
	// www.example.net TLSv1.3 t13d0412h2_16476d049b0b_85302d7e289e
	// www.example.net TLSv1.2 t12d280700_d943125447b4_e7e480e5a997
	// www.example.net TLSv1.2 t12d280700_d943125447b4_e7e480e5a997
	// www.example.net TLSv1.3 t13d041000_16476d049b0b_78f1d400d464
	// www.example.net  t12d020700_b06afd972a5c_e7e480e5a997
	// mail.example.net TLSv1.3 t13d311000_e8f1e7e78f70_1f22a2ca17c4
	// A www.example.net ended NOERROR
	// A www.example.net ended NOERROR
}

func Example_bytes() {
	driver, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, flowscope.Config{})
	if err != nil {
		log.Fatal(err) // a wrong Config; packets never cause an error
	}
	show := func(events []flowscope.FlowEvent[flowscope.FiveTupleKey]) {
		for _, ev := range events {
			switch ev.Kind {
			case flowscope.EventData:
				fmt.Printf("%v sent %d bytes at %d: %.20q\n", ev.Side, ev.Len, ev.Offset, ev.Bytes)
			case flowscope.EventGap:
				fmt.Printf("%v: %d bytes at %d were not captured\n", ev.Side, ev.Len, ev.Offset)
			case flowscope.EventEnded:
				fmt.Printf("%v ended: %v, %v packets, history %q\n", ev.Key, ev.Reason, ev.Stats.Packets, ev.History)
			}
		}
	}
	for view, err := range flowscope.OpenCapture("testdata/captures/http.pcap") {
		if err != nil {
			log.Fatal(err) // a damaged file; the error names the offset
		}
		show(driver.Track(view))
	}
	for events := range driver.FinishParts() {
		show(events)
	}
	// Output:
	// initiator sent 73 bytes at 0: "GET / HTTP/1.1\r\nHost"
	// responder sent 918 bytes at 0: "HTTP/1.1 200 OK\r\nSer"
	// initiator sent 77 bytes at 73: "GET /none HTTP/1.1\r\n"
	// responder sent 294 bytes at 918: "HTTP/1.1 404 Not Fou"
	// tcp 192.0.2.10:33678 <-> 198.51.100.20:80 ended: fin, [7 5] packets, history "ShADadFf"
	// udp 192.0.2.10:40764 <-> 198.51.100.20:53 ended: finished, [1 1] packets, history ""
}

// ports keeps one flow for each UDP port that is spoken to.
type ports struct{ inner flowscope.FiveTuple }

func (p ports) Extract(v flowscope.PacketView, x *flowscope.Extracted[uint16]) bool {
	var tuple flowscope.Extracted[flowscope.FiveTupleKey]
	if !p.inner.Extract(v, &tuple) || tuple.L4 != flowscope.L4UDP {
		x.Refused = tuple.Refused
		return false
	}
	_, to := tuple.Key.Ends(tuple.Orientation)
	x.Key, x.L4, x.Payload, x.Missing = to.Port(), tuple.L4, tuple.Payload, tuple.Missing
	return true
}

func Example_extractor() {
	tracker, err := flowscope.NewFlowTracker(ports{}, flowscope.Config{})
	if err != nil {
		log.Fatal(err)
	}
	for view, err := range flowscope.OpenCapture("testdata/captures/http.pcap") {
		if err != nil {
			log.Fatal(err)
		}
		tracker.Track(view)
	}
	for flow := range tracker.Flows() {
		fmt.Println("port", flow.Key, flow.Stats.Packets[flowscope.Initiator], "packets")
	}
	// Output:
	// port 53 1 packets
	// port 40764 1 packets
}

func Example_tunnels() {
	inside := flowscope.PerTunnel(flowscope.AutoDetectEncap(flowscope.FiveTuple{}))
	tracker, err := flowscope.NewFlowTracker(inside, flowscope.Config{})
	if err != nil {
		log.Fatal(err)
	}
	for view, err := range flowscope.OpenCapture("testdata/captures/tunnels.pcap") {
		if err != nil {
			log.Fatal(err)
		}
		for _, ev := range tracker.Track(view) {
			if ev.Kind == flowscope.EventEnded && ev.L4 == flowscope.L4TCP {
				fmt.Println(ev.Key, ev.Stats.Packets)
			}
		}
	}
	// Output:
	// tcp 198.51.100.1:40000 <-> 198.51.100.2:7000 tunneled in vxlan:77 [16 9]
	// tcp 198.51.100.1:40000 <-> 198.51.100.2:7000 tunneled in vxlan:78 [11 9]
	// tcp 192.0.2.1:40000 <-> 192.0.2.2:7000 [9 7]
}

// lineCounter is a Reassembler that counts lines, as far as the bytes come in order.
type lineCounter struct {
	next int64
	n    int
}

func (l *lineCounter) Segment(s flowscope.Segment, out *flowscope.Delivery) {
	if s.Pos != l.next {
		out.Dropped(flowscope.AnomalyOutOfOrderSegment, 1, 0)
		return
	}
	l.next += int64(len(s.Payload))
	l.n += strings.Count(string(s.Payload), "\n")
	out.Data(s.Payload)
}

func (l *lineCounter) Fin(*flowscope.Delivery) { fmt.Println(l.n, "lines") }
func (l *lineCounter) Rst(*flowscope.Delivery) {}

func Example_reassembler() {
	each := flowscope.ReassemblerFunc[flowscope.FiveTupleKey](
		func(flowscope.FiveTupleKey, flowscope.FlowSide) flowscope.Reassembler { return new(lineCounter) })
	driver, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, each, flowscope.Config{})
	if err != nil {
		log.Fatal(err)
	}
	for view, err := range flowscope.OpenCapture("testdata/captures/http.pcap") {
		if err != nil {
			log.Fatal(err)
		}
		driver.Track(view)
	}
	for range driver.FinishParts() {
	}
	// Output:
	// 10 lines
	// 53 lines
}

func Example_shards() {
	var done sync.WaitGroup
	var flows atomic.Uint64
	work := make([]chan flowscope.PacketView, 4)
	for i := range work {
		inside := flowscope.AutoDetectEncap(flowscope.FiveTuple{})
		tracker, err := flowscope.NewFlowTracker(inside, flowscope.Config{})
		if err != nil {
			log.Fatal(err)
		}
		work[i] = make(chan flowscope.PacketView, 1024)
		done.Add(1)
		go func() {
			defer done.Done()
			for view := range work[i] {
				tracker.Track(view)
			}
			for range tracker.FinishParts() {
			}
			flows.Add(tracker.Stats().FlowsCreated)
		}()
	}
	sharder := flowscope.NewSharder(len(work))
	for view, err := range flowscope.OpenCapture("testdata/captures/tunnels.pcap") {
		if err != nil {
			log.Fatal(err)
		}
		view.Frame = slices.Clone(view.Frame) // it is lent until the next packet
		work[sharder.Shard(view)] <- view
	}
	for _, w := range work {
		close(w)
	}
	done.Wait()
	fmt.Println(flows.Load(), "flows")
	// Output:
	// 19 flows
}

func Example_batch() {
	driver, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, flowscope.Config{})
	if err != nil {
		log.Fatal(err)
	}
	show := func(events []flowscope.FlowEvent[flowscope.FiveTupleKey]) {
		for i := range events {
			if ev := &events[i]; ev.Kind == flowscope.EventData {
				fmt.Println("packet", ev.Packet, "brings", ev.Len, "bytes of the", ev.Side)
			}
		}
	}
	var views []flowscope.PacketView
	for view, err := range flowscope.OpenCapture("testdata/captures/http.pcap") {
		if err != nil {
			log.Fatal(err)
		}
		view.Frame = slices.Clone(view.Frame) // all frames of a batch have to last
		views = append(views, view)
	}
	for _, events := range driver.TrackBatch(views) {
		show(events)
	}
	// Output:
	// packet 6 brings 73 bytes of the initiator
	// packet 8 brings 918 bytes of the responder
	// packet 10 brings 77 bytes of the initiator
	// packet 11 brings 294 bytes of the responder
}

// TestREADMEShowsTheExamples: every Go program in README.md is a part of an Example here, which is run, or of the one
// that needs another system, which is vetted.
func TestREADMEShowsTheExamples(t *testing.T) {
	source := readText(t, "readme_test.go") + readText(t, "examples/live/pcap/main.go")
	flat := func(s string) string {
		var all []string
		for line := range strings.Lines(s) {
			all = append(all, strings.TrimSpace(line))
		}
		return strings.Join(all, "\n")
	}
	blocks := strings.Split(readText(t, "README.md"), "```go\n")[1:]
	require.NotEmpty(t, blocks)
	for _, b := range blocks {
		code, _, _ := strings.Cut(b, "```")
		require.Contains(t, flat(source), strings.TrimSpace(flat(code)))
	}
	_, output, ok := strings.Cut(readText(t, "README.md"), "\nIt prints, among others,\n\n")
	require.True(t, ok)
	output, _, _ = strings.Cut(output, "\n\n")
	_, printed, ok := strings.Cut(source, "\n\t// Output:\n") // of the first Example
	require.True(t, ok)
	printed, _, _ = strings.Cut(printed, "\n}\n")
	for line := range strings.Lines(output) {
		require.Contains(t, printed, "\t// "+strings.TrimSpace(line)+"\n")
	}
}

// TestREADMELinksToExamplesThatExist: the recipes name Examples and the files that they are in.
func TestREADMELinksToExamplesThatExist(t *testing.T) {
	links := regexp.MustCompile("\\[`(Example\\w*)`\\]\\((\\S+)\\)").FindAllStringSubmatch(readText(t, "README.md"), -1)
	require.NotEmpty(t, links)
	for _, link := range links {
		require.True(t, strings.Contains(readText(t, link[2]), "\nfunc "+link[1]+"() {\n"), "%s is not in %s", link[1], link[2])
	}
}

// TestREADMEHasTheDefaults: the table of limits has the defaults that a tracker uses.
func TestREADMEHasTheDefaults(t *testing.T) {
	tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{})
	require.NoError(t, err)
	config := reflect.ValueOf(tracker.Config())
	_, limits, _ := strings.Cut(readText(t, "README.md"), "\n## Limits and defaults\n")
	limits, _, _ = strings.Cut(limits, "\n## ")
	compared := 0
	for line := range strings.Lines(limits) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || !strings.Contains(cells[1], "`") {
			continue
		}
		var want []string
		for _, m := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(cells[1], -1) {
			want = append(want, defaultInWords(m[1], config.FieldByName(m[1])))
		}
		require.Equal(t, strings.Join(want, ", "), strings.TrimSpace(cells[2]), cells[1])
		compared += len(want)
	}
	require.Greater(t, compared, 10)
}

func defaultInWords(field string, v reflect.Value) string {
	n := v.Int()
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		for _, unit := range []struct {
			of   time.Duration
			name string
		}{{time.Hour, "h"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
			if n >= int64(unit.of) {
				return fmt.Sprint(n/int64(unit.of), " ", unit.name)
			}
		}
	case strings.HasSuffix(field, "Bytes"):
		return fmt.Sprint(n>>20, " MiB")
	case n >= 1000:
		return fmt.Sprintf("%d,%03d", n/1000, n%1000)
	}
	return fmt.Sprint(n)
}

func readText(t *testing.T, name string) string {
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(text)
}
