package tls_test

import (
	"encoding/hex"
	"fmt"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// The hellos of a connection of TLS 1.3, as they lie in its records.
var (
	exampleClient, _ = hex.DecodeString("160301005e0100005a0303000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0000041301" +
		"13020100002d00000010000e00000b6578616d706c652e636f6d0010000e000c02683208687474702f312e31002b0003" +
		"020304")
	exampleServer, _ = hex.DecodeString("16030300320200002e0303000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0013010000" +
		"06002b00020304")
	exampleData = []byte("\x17\x03\x03\x00\x04data")
)

// A SessionPlayer stands for a driver that reads packets.
func ExampleFactory() {
	player, err := flowscope.NewSessionPlayer(flowscope.Config{}, tls.Factory{}, tls.StartTLS{})
	if err != nil {
		fmt.Println(err)
		return
	}
	flow := player.TCP(40000, 443)
	flow.Data(flowscope.Initiator, exampleClient, 1)
	flow.Data(flowscope.Responder, exampleServer, 2)
	flow.Data(flowscope.Responder, exampleData, 2)
	for _, e := range flow.Data(flowscope.Initiator, exampleData, 3) {
		if m, ok := e.Message.(*tls.Handshake); ok {
			fmt.Println(m.SNI, m.ALPN, m.Version, m.Cipher)
			fmt.Println(m.JA3(), m.JA3S(), m.JA4())
		}
	}
	// Output:
	// example.com [h2 http/1.1] TLSv1.3 TLS_AES_128_GCM_SHA256
	// 1dae9c1bb9ff5e63c969a12a81eed58d cce84e7a8b742462e40afb585a3e3ccc t13d0203h2_62ed6f6ca7ad_b9a491fefe05
}

// TLS after STARTTLS is read as any other.
func ExampleStartTLS() {
	player, err := flowscope.NewSessionPlayer(flowscope.Config{}, tls.Factory{}, tls.StartTLS{})
	if err != nil {
		fmt.Println(err)
		return
	}
	flow := player.TCP(40000, 587)
	flow.Data(flowscope.Responder, []byte("220 mail.example.com\r\n"), 1)
	flow.Data(flowscope.Initiator, []byte("EHLO me\r\n"), 2)
	flow.Data(flowscope.Responder, []byte("250 STARTTLS\r\n"), 3)
	flow.Data(flowscope.Initiator, []byte("STARTTLS\r\n"), 4)
	flow.Data(flowscope.Responder, []byte("220 go ahead\r\n"), 5)
	flow.Data(flowscope.Initiator, exampleClient, 6)
	for _, e := range flow.End(flowscope.EndFIN, 7) {
		if m, ok := e.Message.(*tls.Handshake); ok {
			fmt.Println(m.SNI, m.Offered, m.ServerHello == nil)
		}
	}
	// Output:
	// example.com TLSv1.3 true
}

// A hello can be looked into in full.
func ExampleClientHello() {
	hello := tls.ClientHello(exampleClient[9:]) // behind the headers of record and message
	for c := range hello.CipherSuites() {
		fmt.Println(c)
	}
	for typ, data := range hello.Extensions() {
		fmt.Println(typ, len(data))
	}
	// Output:
	// TLS_AES_128_GCM_SHA256
	// TLS_AES_256_GCM_SHA384
	// 0 16
	// 16 14
	// 43 3
}
