package dns_test

import (
	"fmt"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/dns"
)

// What a connection says becomes messages; here it is played, without packets.
func Example() {
	player, err := flowscope.NewSessionPlayer(flowscope.Config{}, dns.Factory{})
	if err != nil {
		panic(err)
	}
	flow := player.UDP(40000, 53)
	flow.Data(flowscope.Initiator, query(7, "example.com", dns.TypeA), at(1))
	for _, e := range flow.Data(flowscope.Responder, response(7, "example.com"), at(1)+25e6) {
		m := e.Message.(*dns.Transaction)
		latency, _ := m.Latency()
		fmt.Println(m.Name, m.Type, m.Outcome, m.Rcode, latency)
		for r := range m.Response.Answers() {
			fmt.Println(r.Name, r.TTL, r.Class, r.Type, r.Text())
		}
	}
	// Output:
	// example.com A answered NOERROR 25ms
	// example.com 60 IN A 192.0.2.1
}

// A query that nobody answers is told when its time is up.
func ExampleFactory() {
	player, err := flowscope.NewSessionPlayer(flowscope.Config{}, dns.Factory{Timeout: 5e9})
	if err != nil {
		panic(err)
	}
	flow := player.UDP(40000, 53)
	flow.Data(flowscope.Initiator, query(7, "example.com", dns.TypeA), at(1))
	flow.Data(flowscope.Initiator, query(7, "example.com", dns.TypeA), at(2))
	for _, e := range player.Sweep(at(7)) {
		m := e.Message.(*dns.Transaction)
		fmt.Println(m.Name, m.Outcome, "after", m.Queries, "queries")
	}
	// Output:
	// example.com timed_out after 2 queries
}

// A message that came by other means.
func ExampleParseMessage() {
	m, ok := dns.ParseMessage([]byte("\x00\x07\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" +
		"\x07example\x03com\x00\x00\x0f\x00\x01" +
		"\xc0\x0c\x00\x0f\x00\x01\x00\x00\x00\x3c\x00\x09\x00\x0a\x04mail\xc0\x0c"))
	fmt.Println(ok, m.ID(), m.Rcode())
	for r := range m.Answers() {
		if mx, ok := r.MX(); ok {
			fmt.Println(mx.Preference, mx.Exchange)
		}
	}
	// Output:
	// true 7 NOERROR
	// 10 mail.example.com
}
