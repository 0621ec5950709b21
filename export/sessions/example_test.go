package sessions_test

import (
	"os"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/export/sessions"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// Zeek's http.log of a capture, in JSON.
func ExampleAppendZeekJSON() {
	driver, err := flowscope.NewFlowSessionDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{
		Events: flowscope.Events(flowscope.EventMessage),
	}, http1.Factory{Want: http1.WantFields})
	if err != nil {
		panic(err)
	}
	var line []byte
	for ev, err := range driver.Events(flowscope.OpenCapture("../../testdata/captures/http.pcap")) {
		if err != nil {
			panic(err)
		}
		line = sessions.AppendZeekJSON(line[:0], driver.UID(ev), ev)
		os.Stdout.Write(line)
	}
	// Output:
	// {"_path":"http","ts":1795377993.335149,"uid":"C1LIGukyFz6ia92frs","id.orig_h":"192.0.2.10","id.orig_p":33678,"id.resp_h":"198.51.100.20","id.resp_p":80,"method":"GET","host":"198.51.100.20","uri":"/","version":"1.1","user_agent":"example","request_body_len":0,"response_body_len":687,"status_code":200,"tags":[]}
	// {"_path":"http","ts":1795377993.335588,"uid":"C1LIGukyFz6ia92frs","id.orig_h":"192.0.2.10","id.orig_p":33678,"id.resp_h":"198.51.100.20","id.resp_p":80,"method":"GET","host":"198.51.100.20","uri":"/none","version":"1.1","user_agent":"example","request_body_len":0,"response_body_len":146,"status_code":404,"tags":[]}
}

// HTTP, TLS and DNS of a capture as EVE records, with the user agents of HTTP.
func ExampleAppendEVE() {
	driver, err := flowscope.NewFlowSessionDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{
		Events: flowscope.Events(flowscope.EventMessage),
	}, http1.Factory{Want: http1.WantFields}, tls.Factory{}, dns.Factory{})
	if err != nil {
		panic(err)
	}
	var line []byte
	for ev, err := range driver.Events(flowscope.OpenCapture("../../testdata/captures/http.pcap")) {
		if err != nil {
			panic(err)
		}
		line = sessions.AppendEVE(line[:0], driver.UID(ev), ev)
		os.Stdout.Write(line)
	}
	// Output:
	// {"timestamp":"2026-11-22T20:06:33.277793+0000","flow_id":520514048619975,"event_type":"dns","src_ip":"192.0.2.10","src_port":40764,"dest_ip":"198.51.100.20","dest_port":53,"proto":"UDP","community_id":"1:YfB3ZD0s8kTNQSbNuTI7PfBdAA4=","dns":{"version":2,"type":"answer","id":4660,"flags":"8180","qr":true,"rd":true,"ra":true,"rrname":"www.example.net","rrtype":"A","rcode":"NOERROR","answers":[{"rrname":"www.example.net","rrtype":"A","ttl":300,"rdata":"198.51.100.20"}]}}
	// {"timestamp":"2026-11-22T20:06:33.335149+0000","flow_id":1530687364990384,"event_type":"http","src_ip":"192.0.2.10","src_port":33678,"dest_ip":"198.51.100.20","dest_port":80,"proto":"TCP","community_id":"1:HDrZlz3gYlvxlz+H6Mhjtma+6vk=","http":{"hostname":"198.51.100.20","url":"/","http_user_agent":"example","http_content_type":"text/html","http_method":"GET","protocol":"HTTP/1.1","status":200,"length":687}}
	// {"timestamp":"2026-11-22T20:06:33.335588+0000","flow_id":1530687364990384,"event_type":"http","src_ip":"192.0.2.10","src_port":33678,"dest_ip":"198.51.100.20","dest_port":80,"proto":"TCP","community_id":"1:HDrZlz3gYlvxlz+H6Mhjtma+6vk=","http":{"hostname":"198.51.100.20","url":"/none","http_user_agent":"example","http_content_type":"text/html","http_method":"GET","protocol":"HTTP/1.1","status":404,"length":146}}
}
