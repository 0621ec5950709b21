package sessions_test

import (
	"os"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/export/sessions"
	"github.com/flowscope-go/flowscope/protocol/http1"
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
