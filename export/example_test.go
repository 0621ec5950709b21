package export_test

import (
	"bytes"
	"fmt"
	"log"
	"net"
	"os"
	"strings"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/export"
)

// Zeek's conn.log of a capture as a table: its header once, and a line for each flow.
func ExampleAppendZeekConnHeader() {
	driver, err := flowscope.NewFlowDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), nil, flowscope.Config{
		Details: flowscope.AllDetails,
		Events:  flowscope.Events(flowscope.EventReleased), // counts late packets too
	})
	if err != nil {
		panic(err)
	}
	log := export.AppendZeekConnHeader(nil)
	for ev, err := range driver.Events(flowscope.OpenCapture("../testdata/captures/http.pcap")) {
		if err != nil {
			panic(err)
		}
		r := flowscope.RecordOf(ev)
		log = export.AppendZeekConn(log, &r)
	}
	for line := range bytes.Lines(log) {
		fmt.Printf("%.60q\n", line)
	}
	// Output:
	// "#separator \\x09\n"
	// "#set_separator\t,\n"
	// "#empty_field\t(empty)\n"
	// "#unset_field\t-\n"
	// "#path\tconn\n"
	// "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto"
	// "#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\t"
	// "1795377993.277793\tC1O91eQ03uwwjy9eqt\t192.0.2.10\t40764\t198.51"
	// "1795377993.335029\tC1LIGukyFz6ia92frs\t192.0.2.10\t33678\t198.51"
}

// The Community ID of each flow.
func ExampleCommunityID() {
	tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{Events: flowscope.Events(flowscope.EventReleased)})
	if err != nil {
		panic(err)
	}
	for ev, err := range tracker.Events(flowscope.OpenCapture("../testdata/captures/http.pcap")) {
		if err != nil {
			panic(err)
		}
		r := flowscope.RecordOf(ev)
		fmt.Println(r.Initiator, export.CommunityID(&r))
	}
	// Output:
	// 192.0.2.10:40764 1:YfB3ZD0s8kTNQSbNuTI7PfBdAA4=
	// 192.0.2.10:33678 1:HDrZlz3gYlvxlz+H6Mhjtma+6vk=
}

// Zeek's conn.log of a capture, in JSON. The streams of a driver know what is missing.
func ExampleAppendZeekConnJSON() {
	driver, err := flowscope.NewFlowDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), nil, flowscope.Config{
		Details: flowscope.AllDetails,
		Events:  flowscope.Events(flowscope.EventReleased), // counts late packets too
	})
	if err != nil {
		panic(err)
	}
	var line []byte
	for ev, err := range driver.Events(flowscope.OpenCapture("../testdata/captures/http.pcap")) {
		if err != nil {
			panic(err)
		}
		r := flowscope.RecordOf(ev)
		line = export.AppendZeekConnJSON(line[:0], &r)
		os.Stdout.Write(line)
	}
	// Output:
	// {"ts":1795377993.277793,"uid":"C1O91eQ03uwwjy9eqt","id.orig_h":"192.0.2.10","id.orig_p":40764,"id.resp_h":"198.51.100.20","id.resp_p":53,"proto":"udp","duration":0.004621,"orig_bytes":33,"resp_bytes":49,"conn_state":"SF","missed_bytes":0,"history":"Dd","orig_pkts":1,"orig_ip_bytes":61,"resp_pkts":1,"resp_ip_bytes":77,"community_id":"1:YfB3ZD0s8kTNQSbNuTI7PfBdAA4="}
	// {"ts":1795377993.335029,"uid":"C1LIGukyFz6ia92frs","id.orig_h":"192.0.2.10","id.orig_p":33678,"id.resp_h":"198.51.100.20","id.resp_p":80,"proto":"tcp","duration":0.005334,"orig_bytes":150,"resp_bytes":1212,"conn_state":"SF","missed_bytes":0,"history":"ShADadFf","orig_pkts":7,"orig_ip_bytes":522,"resp_pkts":5,"resp_ip_bytes":1480,"community_id":"1:HDrZlz3gYlvxlz+H6Mhjtma+6vk="}
}

// The same in the form of Suricata, with the Community ID by which both find each other.
func ExampleAppendEVEFlow() {
	tracker, err := flowscope.NewFlowTracker(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{
		Events: flowscope.Events(flowscope.EventReleased),
	})
	if err != nil {
		panic(err)
	}
	var line []byte
	for ev, err := range tracker.Events(flowscope.OpenCapture("../testdata/captures/http.pcap")) {
		if err != nil {
			panic(err)
		}
		r := flowscope.RecordOf(ev)
		line = export.AppendEVEFlow(line[:0], &r)
		os.Stdout.Write(line)
	}
	// Output:
	// {"timestamp":"2026-11-22T20:06:33.282414+0000","flow_id":520514048619975,"event_type":"flow","src_ip":"192.0.2.10","src_port":40764,"dest_ip":"198.51.100.20","dest_port":53,"proto":"UDP","flow":{"pkts_toserver":1,"pkts_toclient":1,"bytes_toserver":75,"bytes_toclient":91,"start":"2026-11-22T20:06:33.277793+0000","end":"2026-11-22T20:06:33.282414+0000","age":0,"state":"established","reason":"shutdown","alerted":false},"community_id":"1:YfB3ZD0s8kTNQSbNuTI7PfBdAA4="}
	// {"timestamp":"2026-11-22T20:06:33.340371+0000","flow_id":1530687364990384,"event_type":"flow","src_ip":"192.0.2.10","src_port":33678,"dest_ip":"198.51.100.20","dest_port":80,"proto":"TCP","flow":{"pkts_toserver":7,"pkts_toclient":5,"bytes_toserver":620,"bytes_toclient":1550,"start":"2026-11-22T20:06:33.335029+0000","end":"2026-11-22T20:06:33.340371+0000","age":0,"state":"closed","reason":"timeout","alerted":false},"tcp":{"tcp_flags":"1b","tcp_flags_ts":"1b","tcp_flags_tc":"1b","syn":true,"fin":true,"psh":true,"ack":true,"state":"closed"},"community_id":"1:HDrZlz3gYlvxlz+H6Mhjtma+6vk="}
}

// A table for databases and models: its header once, and a row for each flow.
func ExampleCSV() {
	cfg := flowscope.Config{Details: flowscope.AllDetails, Events: flowscope.Events(flowscope.EventReleased)}
	driver, err := flowscope.NewFlowDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), nil, cfg)
	if err != nil {
		panic(err)
	}
	rows := export.CSV{Details: cfg.Details, Streams: true}
	table := rows.AppendHeader(nil)
	for ev, err := range driver.Events(flowscope.OpenCapture("../testdata/captures/http.pcap")) {
		if err != nil {
			panic(err)
		}
		r := flowscope.RecordOf(ev)
		table = rows.AppendRecord(table, &r)
	}
	for line := range bytes.Lines(table) {
		fmt.Println(strings.Join(strings.Split(string(line), ",")[:8], ","))
	}
	// Output:
	// uid,final,proto,proto_number,initiator_addr,initiator_port,responder_addr,responder_port
	// C1O91eQ03uwwjy9eqt,1,udp,17,192.0.2.10,40764,198.51.100.20,53
	// C1LIGukyFz6ia92frs,1,tcp,6,192.0.2.10,33678,198.51.100.20,80
}

// Flows for a collector: each message is a datagram. Flows that live for long are reported every minute.
func ExampleIPFIXWriter() {
	collector, err := net.Dial("udp", "127.0.0.1:4739") // with an *os.File instead it is an IPFIX file
	if err != nil {
		log.Fatal(err)
	}
	defer collector.Close()
	messages, err := export.NewIPFIXWriter(collector, export.IPFIXOptions{Domain: 1})
	if err != nil {
		log.Fatal(err)
	}
	tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{
		Details:     flowscope.DetailIPBytes | flowscope.DetailLateBytes,
		Events:      flowscope.Events(flowscope.EventReleased, flowscope.EventReport),
		ReportEvery: time.Minute,
	})
	if err != nil {
		log.Fatal(err)
	}
	for ev, err := range tracker.Events(flowscope.OpenCapture("traffic.pcap")) {
		if err != nil {
			log.Fatal(err)
		}
		r := flowscope.RecordOf(ev)
		if err := messages.Write(&r); err != nil {
			log.Print(err) // a message is lost; the collector sees it by the sequence numbers
		}
	}
	stats := tracker.Stats()
	if err := messages.WriteStats(tracker.Now(), &stats); err != nil {
		log.Print(err)
	}
	if err := messages.Flush(); err != nil {
		log.Print(err)
	}
}
