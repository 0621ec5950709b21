package tls_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// A conversation of each version.
var (
	hello12  = clientHello(0x0303, nil, []uint16{0xc02f, 0x002f}, sni("example.com"), alpn("h2", "http/1.1"))
	answer12 = serverHello(0x0303, []byte("session"), 0xc02f, alpn("h2"))
	hello13  = clientHello(0x0303, []byte("legacy"), []uint16{0x1301}, sni("example.com"), offers(0x0a0a, 0x0304, 0x0303))
	answer13 = serverHello(0x0303, []byte("legacy"), 0x1301, ext(43, u16(0x0304)))

	flight12 = slices.Concat(message(2, answer12), certificates("leaf", "root"), message(12, []byte("keys")), message(14, nil))
)

const (
	said12 = "tls client initiator sni example.com alpn [h2 http/1.1] offered TLSv1.2 version TLSv1.2 cipher c02f server-alpn h2"
	said13 = "tls client initiator sni example.com offered TLSv1.3 version TLSv1.3 cipher 1301"
)

// without takes the fingerprints and certificates from lines, which other tests are about.
func without(lines []string) []string {
	for i, l := range lines {
		words := strings.Fields(l)
		var keep []string
		for j := 0; j < len(words); j++ {
			switch words[j] {
			case "ja3", "ja4", "ja3s":
				j++
			case "certificate:false", "certificate:true":
				keep = append(keep, words[j])
				j++
			default:
				keep = append(keep, words[j])
			}
		}
		lines[i] = strings.Join(keep, " ")
	}
	return lines
}

func TestRules(t *testing.T) {
	cut := func(b []byte, n int) [][]byte { return slices.Collect(slices.Chunk(b, n)) }
	records := func(b []byte, n int) (all []byte) {
		for _, c := range cut(b, n) {
			all = append(all, record(22, c)...)
		}
		return all
	}
	retry := func(b []byte) []byte {
		b = bytes.Clone(b)
		copy(b[2:], "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c")
		return b
	}
	client12 := handshake(message(1, hello12))
	rest12 := []turn{
		says(client, handshake(message(16, []byte("key"))), ccs, encrypted, appData), says(server, ccs, encrypted, appData),
	}
	big := ext(21, make([]byte, 60000))
	v2 := func(version uint16, specs, session, challenge []byte) []byte {
		b := slices.Concat([]byte{1}, u16(version, uint16(len(specs)), uint16(len(session)), uint16(len(challenge))), specs, session, challenge)
		return append(u16(uint16(len(b))|0x8000), b...)
	}
	certified := said12 + " certificate:false certificate:false"
	for _, c := range []struct {
		rule  string // and its source
		turns []turn
		want  []string
	}{
		{
			"messages are cut over records", // RFC 8446 section 5.1, RFC 5246 section 6.2.1
			append([]turn{says(client, records(message(1, hello12), 7)), says(server, records(flight12, 1))}, rest12...),
			[]string{certified},
		},
		{
			"a record holds several messages", // RFC 8446 section 5.1
			append([]turn{says(client, client12), says(server, handshake(flight12))}, rest12...),
			[]string{certified},
		},
		{
			"a hello of nearly 64 KiB is read", // RFC 8446 section 4.1.2: extensions of up to 2^16-1 bytes
			[]turn{says(client, records(message(1, clientHello(0x0303, nil, []uint16{1}, sni("big"), big)), 16384)), says(server, handshake(flight12), ccs), says(client, ccs)},
			[]string{"tls client initiator sni big offered TLSv1.2 version TLSv1.2 cipher c02f server-alpn h2 certificate:false certificate:false"},
		},
		{
			"a hello beyond the cap is passed over, and said", // the cap is ours
			[]turn{
				says(client, records(message(1, clientHello(0x0303, nil, make([]uint16, 5000), big)), 16384)),
				says(server, handshake(flight12), ccs), says(client, ccs),
			},
			[]string{"lost initiator too large 70045", "tls client initiator version TLSv1.2 cipher c02f server-alpn h2 incomplete true certificate:false certificate:false"},
		},
		{
			"certificates beyond the cap are passed over, and said", // the cap is ours
			[]turn{
				says(client, client12), says(server, records(slices.Concat(message(2, answer12), certificates(strings.Repeat("x", 270000)), message(14, nil)), 16384), ccs),
				says(client, ccs),
			},
			[]string{"lost responder too large 270006", said12 + " incomplete true"},
		},
		{
			"the cap is for all certificates of a connection",
			[]turn{
				says(client, client12), says(server, records(slices.Concat(message(2, answer12), certificates(strings.Repeat("x", 200000)), message(14, nil)), 16384)),
				says(client, records(certificates(strings.Repeat("y", 200000)), 16384), ccs),
			},
			[]string{"lost initiator too large 200006", said12 + " incomplete true certificate:false"},
		},
		{
			"ChangeCipherSpec means nothing in TLS 1.3", // RFC 8446 appendix D.4
			[]turn{says(client, handshake(message(1, hello13)), ccs), says(server, handshake(message(2, answer13)), ccs, appData), says(client, alert(2, 48), appData)},
			[]string{said13 + " alert true 2 unknown certificate authority"},
		},
		{
			"a side is read until ChangeCipherSpec up to TLS 1.2", // RFC 5246 section 7.1
			[]turn{says(client, client12), says(server, handshake(flight12)), says(client, ccs, alert(2, 40)), says(server, ccs, alert(2, 40))},
			[]string{certified},
		},
		{
			"the client's ChangeCipherSpec may come before the server's hello", // a packet came late
			[]turn{says(client, client12, ccs, encrypted, encrypted), says(server, handshake(flight12), ccs)},
			[]string{certified},
		},
		{
			"a HelloRetryRequest is told, and the second hello is read past", // RFC 8446 section 4.1.3 and 4.1.4
			[]turn{
				says(client, handshake(message(1, hello13))), says(server, handshake(message(2, retry(answer13))), ccs),
				says(client, ccs, handshake(message(1, clientHello(0x0303, nil, []uint16{0x1302}, sni("second"), offers(0x0304))))),
				says(server, handshake(message(2, serverHello(0x0303, nil, 0x1302, ext(43, u16(0x0304))))), appData), says(client, appData),
			},
			[]string{strings.Replace(said13, "1301", "1302", 1) + " retried true"},
		},
		{
			"a HelloRetryRequest without more stands for the server's hello",
			[]turn{says(client, handshake(message(1, hello13))), says(server, handshake(message(2, retry(answer13))))},
			[]string{said13 + " retried true"},
		},
		{
			"a HelloRetryRequest behind the ServerHello takes no place",
			[]turn{says(client, handshake(message(1, hello13))), says(server, handshake(message(2, answer13), message(2, retry(serverHello(0x0303, nil, 0x1302)))))},
			[]string{said13 + " retried true"},
		},
		{
			"a HelloRetryRequest of a draft has a type of its own", // draft-ietf-tls-tls13-21 section 4.1.4
			[]turn{says(client, handshake(message(1, hello13))), says(server, handshake(message(6, u16(0x7f15, 0)))), says(server, handshake(message(2, answer13)))},
			[]string{said13 + " retried true"},
		},
		{
			"the version is that of supported_versions, drafts by number", // RFC 8446 section 4.2.1
			[]turn{
				says(client, handshake(message(1, clientHello(0x0303, nil, []uint16{0x1301}, offers(0x7f1c, 0x0303))))),
				says(server, handshake(message(2, serverHello(0x0303, nil, 0x1301, ext(43, u16(0x7f1c)))))),
			},
			[]string{"tls client initiator offered 0x7f1c version 0x7f1c cipher 1301"},
		},
		{
			"the ServerHello of early drafts has no session id", // draft-ietf-tls-tls13-16 section 4.1.3
			[]turn{says(server, handshake(message(2, slices.Concat(u16(0x7f10), random, u16(0x1303), vec16(ext(40, []byte("key"))))))), says(server, appData)},
			[]string{"tls client initiator version 0x7f10 cipher 1303"},
		},
		{
			"resumed by session id", // RFC 5246 section 7.3
			[]turn{
				says(client, handshake(message(1, clientHello(0x0303, []byte("session"), []uint16{1}, []byte{})))), says(server, handshake(message(2, answer12)), ccs), says(client, ccs),
			},
			[]string{"tls client initiator offered TLSv1.2 version TLSv1.2 cipher c02f server-alpn h2 resumed true"},
		},
		{
			"resumed by ticket", // RFC 5077 section 3.4
			[]turn{
				says(client, handshake(message(1, clientHello(0x0303, nil, []uint16{1}, ext(35, []byte("ticket")))))),
				says(server, handshake(message(2, answer12), message(4, []byte("ticket"))), ccs), says(client, ccs),
			},
			[]string{"tls client initiator offered TLSv1.2 version TLSv1.2 cipher c02f server-alpn h2 resumed true"},
		},
		{
			"not resumed: a certificate came", // RFC 5246 section 7.3
			[]turn{
				says(client, handshake(message(1, clientHello(0x0303, []byte("session"), []uint16{1}, []byte{})))), says(server, handshake(flight12)), says(client, ccs), says(server, ccs),
			},
			[]string{"tls client initiator offered TLSv1.2 version TLSv1.2 cipher c02f server-alpn h2 certificate:false certificate:false"},
		},
		{
			"not resumed: the session id is another one", // RFC 5246 section 7.3
			[]turn{
				says(client, handshake(message(1, clientHello(0x0303, []byte("another"), []uint16{1}, []byte{})))), says(server, handshake(message(2, answer12)), ccs), says(client, ccs),
			},
			[]string{"tls client initiator offered TLSv1.2 version TLSv1.2 cipher c02f server-alpn h2"},
		},
		{
			"resumed by a pre-shared key in TLS 1.3, with early data", // RFC 8446 section 2.2, 4.2.10
			[]turn{
				says(client, handshake(message(1, clientHello(0x0303, nil, []uint16{0x1301}, offers(0x0304), ext(42, nil), ext(41, []byte("psk"))))), ccs, appData),
				says(server, handshake(message(2, serverHello(0x0303, nil, 0x1301, ext(43, u16(0x0304)), ext(41, u16(0))))), ccs, appData),
			},
			[]string{"tls client initiator offered TLSv1.3 version TLSv1.3 cipher 1301 resumed true early true"},
		},
		{
			"alerts are told in order while they can be read", // RFC 8446 section 6
			[]turn{says(client, client12), says(server, alert(1, 112), handshake(flight12)), says(client, alert(2, 42)), says(server, alert(1, 0))},
			[]string{certified + " alert false 1 unrecognized name alert true 2 bad certificate alert false 1 close notify"},
		},
		{
			"an encrypted alert is none", // RFC 8446 section 6: 2 bytes, level 1 or 2
			[]turn{says(client, client12, record(21, []byte("\x02\x28encrypted")), record(21, []byte{9, 40})), says(server, alert(2, 40))},
			[]string{"tls client initiator sni example.com alpn [h2 http/1.1] offered TLSv1.2 alert false 2 handshake failure"},
		},
		{
			"an alert alone is enough",
			[]turn{says(server, alert(2, 40))},
			[]string{"tls client initiator alert false 2 handshake failure"},
		},
		{
			"an SSLv2 hello has a version and ciphers, and no fingerprint", // RFC 5246 appendix E.2
			append([]turn{says(client, v2(0x0301, []byte("\x00\x00\x2f\x01\x00\x80"), nil, random[:16])), says(server, handshake(flight12))}, rest12...),
			[]string{"tls client initiator offered TLSv1.0 version TLSv1.2 cipher c02f server-alpn h2 sslv2 0103010006000000100000" +
				"2f01008030313233343536373839616263646566 certificate:false certificate:false"},
		},
		{
			"SSL 2.0 is read as far as the hellos", // the SSL 2.0 draft of 1995, section 2.6
			[]turn{
				says(client, v2(2, []byte("\x01\x00\x80"), nil, random[:16])),
				says(server, u16(0x8000|11+4+3+16), []byte{4, 0, 1, 0, 2}, u16(4, 3, 16), []byte("leaf\x01\x00\x80"), random[:16]),
				says(client, []byte("\x80\x10\x02 master key....")),
			},
			[]string{"tls client initiator offered SSLv2 version SSLv2 sslv2 0100020003000000100100803031323334353637383961626364656" +
				"6 certificate:false"},
		},
		{
			"certificates of both sides are told in order", // RFC 5246 section 7.4.2, 7.4.6
			[]turn{says(client, client12), says(server, handshake(flight12)), says(client, handshake(certificates("mine"), message(16, nil)), ccs), says(server, ccs)},
			[]string{certified + " certificate:true"},
		},
		{
			"a Certificate message alone is enough", // the capture begins late
			[]turn{says(server, handshake(certificates("leaf")), ccs, encrypted)},
			[]string{"tls client initiator certificate:false"},
		},
		{
			"a damaged list of certificates is read as far as it goes", // RFC 5246 section 7.4.2
			[]turn{says(client, client12), says(server, handshake(message(2, answer12), message(11, vec24(append(vec24([]byte("leaf")), 0, 1, 0, 'x')))), ccs), says(client, ccs)},
			[]string{said12 + " incomplete true certificate:false"},
		},
		{
			"ECH: the outer name, and that there is an extension", // RFC 9849 section 6.1, 6.2
			[]turn{says(client, handshake(message(1, clientHello(0x0303, nil, []uint16{0x1301}, sni("outer"), ext(0xfe0d, []byte("\x00grease"))))))},
			[]string{"tls client initiator sni outer offered TLSv1.2 ech true"},
		},
		{
			"names are shown escaped", // RFC 8701 section 3: ALPN has GREASE too
			[]turn{says(client, handshake(message(1, clientHello(0x0303, nil, []uint16{1}, sni("a\x00b\\\xff"), alpn("\x0a\x0a", "h2")))))},
			[]string{`tls client initiator sni a\x00b\x5c\xff alpn [\x0a\x0a h2] offered TLSv1.2`},
		},
		{
			"a server alone is read", // the other direction was not captured
			[]turn{says(server, handshake(flight12), ccs, appData)},
			[]string{"tls client initiator version TLSv1.2 cipher c02f server-alpn h2 certificate:false certificate:false"},
		},
		{
			"the client may be the responder", // FTP in active mode: RFC 4217 section 7
			[]turn{says(server, client12), says(client, handshake(flight12), alert(2, 40))},
			[]string{strings.Replace(certified, "initiator", "responder", 1) + " alert false 2 handshake failure"},
		},
		{
			"a server that speaks something else is handed over", // TLS sent to the port of HTTP
			[]turn{says(client, client12), says(server, []byte("HTTP/1.1 400 Bad Request\r\n")), says(client, []byte("HTTP\n"))},
			[]string{"tls client initiator sni example.com alpn [h2 http/1.1] offered TLSv1.2", "HTTP initiator \"HTTP\""},
		},
		{
			"a server that speaks something else is handed over, though it begins like a record",
			[]turn{says(client, client12), says(server, []byte("\x16\x03not a record\n")), says(client, []byte("HTTP\n"))},
			[]string{"tls client initiator sni example.com alpn [h2 http/1.1] offered TLSv1.2", "HTTP initiator \"HTTP\""},
		},
		{
			"no record where one has to begin", // RFC 8446 section 5.1
			[]turn{says(client, client12, []byte("GET / HTTP/1.1\r\n"), alert(2, 40)), says(server, alert(2, 40))},
			[]string{"lost initiator framing 0", "tls client initiator sni example.com alpn [h2 http/1.1] offered TLSv1.2 incomplete true alert false 2 handshake failure"},
		},
		{
			"an endless list of hellos keeps four", // the bound is ours
			[]turn{says(client, client12), says(server, bytes.Repeat(handshake(message(2, answer12)), 50)), says(server, handshake(message(2, answer13)))},
			[]string{said12},
		},
		{
			"TLS after CONNECT", // RFC 9110 section 9.3.6
			append([]turn{says(client, []byte("CONNECT example.com:443!\n")), says(server, []byte("200\n")), says(client, client12), says(server, handshake(flight12))}, rest12...),
			[]string{certified},
		},
	} {
		t.Run(c.rule, func(t *testing.T) {
			assert.Equal(t, c.want, without(playAll(t, factories(tls.Factory{}), c.turns...)))
		})
	}
}

// A Handshake does not wait for the end of its connection.
func TestAHandshakeIsToldOnceNothingMoreCanBeRead(t *testing.T) {
	for _, turns := range [][]turn{
		{says(client, handshake(message(1, hello12))), says(server, handshake(flight12)), says(client, ccs), says(server, ccs)},
		{says(client, handshake(message(1, hello12)), ccs), says(server, handshake(flight12)), says(server, ccs)},
		{says(client, handshake(message(1, hello12)), ccs), says(server, ccs), says(client, appData), says(server, appData)},
		{says(client, handshake(message(1, hello13))), says(server, handshake(message(2, answer13)), ccs, appData), says(client, ccs), says(client, appData)},
	} {
		player, err := flowscope.NewSessionPlayer(flowscope.Config{}, tls.Factory{})
		require.NoError(t, err)
		flow := player.TCP(40000, 443)
		for i, turn := range turns {
			assert.Len(t, flow.Data(turn.side, turn.b, 1), i/(len(turns)-1), "turn %d of %d", i+1, len(turns))
		}
		assert.Zero(t, player.Stats().Parsers)
		assert.Empty(t, flow.End(flowscope.EndFIN, 2))
	}
	player, err := flowscope.NewSessionPlayer(flowscope.Config{}, tls.Factory{})
	require.NoError(t, err)
	flow := player.TCP(40000, 443)
	flow.Data(client, handshake(message(1, hello12)), 1)
	flow.Data(server, alert(2, 40), 1)
	assert.Empty(t, flow.Close(server, 1))
	assert.Len(t, flow.Close(client, 1), 1, "both sides are closed")
}

// What comes behind a gap is read where it can be told.
func TestGaps(t *testing.T) {
	client12 := handshake(message(1, hello12))
	hello := message(2, answer12)
	long := certificates("leaf", strings.Repeat("root", 1000))
	keys := message(12, bytes.Repeat([]byte("keys"), 500))
	all := handshake(hello, long, keys, message(14, nil))
	inKeys := len(all) - 1000
	inCertificates := 5 + len(hello) + 1000
	for _, c := range []struct {
		name  string
		turns []turn
		want  []string
	}{
		{
			"in a message that is passed over: nothing is lost",
			[]turn{says(client, client12), says(server, all[:inKeys]), missing(server, all[inKeys:][:500]), says(server, all[inKeys+500:], ccs), says(client, ccs)},
			[]string{said12 + " certificate:false certificate:false"},
		},
		{
			"in certificates: the messages behind them are read",
			[]turn{says(client, client12), says(server, all[:inCertificates]), missing(server, all[inCertificates:][:500]), says(server, all[inCertificates+500:], alert(2, 40)), says(client, ccs)},
			[]string{"lost responder gap 500", said12 + " incomplete true alert false 2 handshake failure"},
		},
		{
			"a whole record: the next one begins behind it",
			[]turn{says(client, client12), says(server, handshake(hello)), missing(server, handshake(long)), says(server, handshake(message(14, nil)), alert(2, 40))},
			[]string{fmt.Sprintf("lost responder gap %d", len(long)+5), said12 + " incomplete true alert false 2 handshake failure"},
		},
		{
			"a whole record: the next one may begin with any message",
			[]turn{says(client, client12), says(server, handshake(hello)), missing(server, handshake(keys)), says(server, handshake(message(13, []byte("request")), long), alert(2, 40))},
			[]string{fmt.Sprintf("lost responder gap %d", len(keys)+5), said12 + " incomplete true certificate:false certificate:false alert false 2 handshake failure"},
		},
		{
			"over the end of a message: the rest of the record is passed over",
			[]turn{
				says(client, client12), says(server, handshake(hello, keys, certificates("leaf"+string(certificates("forged"))))[:5+len(hello)+100]),
				missing(server, make([]byte, len(keys)-100+4+3+3+4)), says(server, certificates("forged"), handshake(message(14, nil)), alert(2, 40)),
			},
			[]string{fmt.Sprintf("lost responder gap %d", len(keys)-100+14), said12 + " incomplete true alert false 2 handshake failure"},
		},
		{
			"over the end of a record: the next one is looked for",
			[]turn{
				says(client, client12), says(server, handshake(hello), handshake(keys)[:1500]), missing(server, handshake(keys)[1500:]), missing(server, handshake(keys)[:100]),
				says(server, handshake(keys)[100:], handshake(long), ccs),
			},
			[]string{"lost responder gap 609", said12 + " incomplete true certificate:false certificate:false"},
		},
		{
			"at the beginning of the client",
			[]turn{missing(client, client12[:40]), says(client, client12[40:]), says(server, handshake(flight12), ccs)},
			[]string{"lost initiator gap 40", "tls client initiator version TLSv1.2 cipher c02f server-alpn h2 incomplete true certificate:false certificate:false"},
		},
		{
			"a session that is not resumed is not told as one",
			[]turn{
				says(client, handshake(message(1, clientHello(0x0303, []byte("session"), []uint16{1}, []byte{})))),
				says(server, handshake(hello)), missing(server, handshake(long)), says(server, ccs), says(client, ccs),
			},
			[]string{fmt.Sprintf("lost responder gap %d", len(long)+5), "tls client initiator offered TLSv1.2 version TLSv1.2 cipher c02f server-alpn h2 incomplete true"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := without(playAll(t, factories(tls.Factory{}), c.turns...))
			if c.name == "at the beginning of the client" {
				// The parser begins with the server; a gap before that is no parser's.
				c.want = []string{strings.Replace(c.want[1], " incomplete true", "", 1)}
			}
			assert.Equal(t, c.want, got)
		})
	}
}

// TLS after other protocols is found by its first record.
func TestStartTLS(t *testing.T) {
	client12 := handshake(message(1, hello12))
	handshake12 := []turn{
		says(client, client12), says(server, handshake(flight12)), says(client, handshake(message(16, nil)), ccs, encrypted), says(server, ccs, encrypted, appData), says(client, appData),
	}
	want := []string{said12 + " certificate:false certificate:false"}
	text := func(side flowscope.FlowSide, s string) turn { return says(side, []byte(s)) }
	for _, c := range []struct {
		name string // and its source
		talk []turn
	}{
		{"SMTP", []turn{ // RFC 3207
			text(server, "220-mail\r\n220 ready\r\n"), text(client, "EHLO me\r\n"), text(server, "250-mail\r\n250 STARTTLS\r\n"),
			text(client, "STARTTLS\r\n"), text(server, "220 go ahead\r\n"),
		}},
		{"IMAP", []turn{ // RFC 2595 section 3
			text(server, "* OK ready\r\n"), text(client, "a STARTTLS\r\n"), text(server, "a OK begin\r\n"),
		}},
		{"POP3", []turn{ // RFC 2595 section 4
			text(server, "+OK ready\r\n"), text(client, "STLS\r\n"), text(server, "+OK begin\r\n"),
		}},
		{"FTP", []turn{ // RFC 4217 section 4
			text(server, "220 ftp\r\n"), text(client, "AUTH TLS\r\n"), text(server, "234 begin\r\n"),
		}},
		{"XMPP", []turn{ // RFC 6120 section 5.4
			text(client, "<?xml version='1.0'?><stream:stream to='x'>"), text(server, "<?xml version='1.0'?>\n<stream:stream><stream:features><starttls/></stream:features>"),
			text(client, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"), text(server, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
		}},
		{"LDAP", []turn{ // RFC 4511 section 4.14
			text(client, "\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"), text(server, "\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"),
		}},
		{"SOCKS 4", []turn{ // the SOCKS 4 protocol of 1994
			text(client, "\x04\x01\x01\xbb\x0a\x00\x00\x01me\x00"), text(server, "\x00\x5a\x00\x00\x00\x00\x00\x00"),
		}},
		{"SOCKS 4a", []turn{ // its extension for names
			text(client, "\x04\x01\x01\xbb\x00\x00\x00\x01me\x00example.com\x00"), text(server, "\x00\x5a\x00\x00\x00\x00\x00\x00"),
		}},
		{"SOCKS 5", []turn{ // RFC 1928
			text(client, "\x05\x02\x00\x01"), text(server, "\x05\x00"), text(client, "\x05\x01\x00\x03\x0bexample.com\x01\xbb"),
			text(server, "\x05\x00\x00\x01\x0a\x00\x00\x01\x01\xbb"),
		}},
		{"SOCKS 5 with a password", []turn{ // RFC 1929
			text(client, "\x05\x01\x02"), text(server, "\x05\x02"), text(client, "\x01\x02me\x06secret"), text(server, "\x01\x00"),
			text(client, "\x05\x01\x00\x01\x0a\x00\x00\x01\x01\xbb"), text(server, "\x05\x00\x00\x04________________\x01\xbb"),
		}},
		{"MySQL", []turn{ // Connection Phase of the protocol, Protocol::SSLRequest
			text(server, "\x4a\x00\x00\x00\x0a8.0.36\x00"+strings.Repeat("x", 66)), text(client, "\x20\x00\x00\x01\x05\xae\xff\x19\x00\x00\x00\x01\x2d"+strings.Repeat("\x00", 23)),
		}},
		{"PostgreSQL", []turn{ // Message Flow, SSL Session Encryption
			text(client, "\x00\x00\x00\x08\x04\xd2\x16\x2f"), text(server, "S"),
		}},
		{"PostgreSQL, GSSAPI first", []turn{
			text(client, "\x00\x00\x00\x08\x04\xd2\x16\x30"), text(server, "N"), text(client, "\x00\x00\x00\x08\x04\xd2\x16\x2f"), text(server, "S"),
		}},
		{"RDP", []turn{ // MS-RDPBCGR section 2.2.1.1
			text(client, "\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00"), text(server, "\x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00\x02\x00\x08\x00\x02\x00\x00\x00"),
		}},
		{"PROXY 1", []turn{text(client, "PROXY TCP4 10.0.0.1 10.0.0.2 40000 443\r\n")}},            // the PROXY protocol, section 2.1
		{"PROXY 2", []turn{text(client, "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"+"0123456789ab")}}, // section 2.2
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, want, without(playAll(t, factories(tls.Factory{}), append(c.talk, handshake12...)...)))

			var one []turn
			for _, turn := range append(slices.Clone(c.talk), handshake12...) {
				if turn.side == client {
					one = append(one, turn)
				}
			}
			if first := c.talk[0]; first.side == client || c.name == "MySQL" || c.name == "FTP" || c.name == "POP3" || c.name == "SMTP" {
				got := without(playAll(t, factories(tls.Factory{}), one...))
				assert.Equal(t, []string{"tls client initiator sni example.com alpn [h2 http/1.1] offered TLSv1.2"}, got, "the client alone")
			}
		})
	}
	for _, c := range []struct {
		name  string
		turns []turn
		want  []string
	}{
		{"SMTP without TLS, as far as MaxTalk", append([]turn{
			text(server, "220 ready\r\n"), text(client, "EHLO me\r\n"), text(server, "250 mail\r\n"), text(client, strings.Repeat("DATA\r\n", 20000)),
		}, handshake12...), nil},
		{"MySQL without TLS", []turn{text(server, "\x4a\x00\x00\x00\x0a8.0.36\x00"+strings.Repeat("x", 66)), text(client, "\x20\x00\x00\x01\x05\xa6\xff\x19"+strings.Repeat("\x00", 28))}, nil},
		{"PostgreSQL that refuses", []turn{text(client, "\x00\x00\x00\x08\x04\xd2\x16\x2f"), text(server, "N"), text(client, "\x00\x00\x00\x10\x00\x03\x00\x00user\x00me\x00")}, nil},
		{
			"SOCKS, and then another protocol", // all factories are asked
			[]turn{
				text(client, "\x05\x01\x00"), text(server, "\x05\x00"), text(client, "\x05\x01\x00\x03\x0bexample.com\x00\x50"), text(server, "\x05\x00\x00\x01\x0a\x00\x00\x01\x01\xbb"),
				text(client, "HTTP hello\n"),
			},
			[]string{`HTTP initiator "HTTP hello"`},
		},
		{
			"SOCKS, and then another protocol before the answer",
			[]turn{
				text(client, "\x05\x01\x00"), text(server, "\x05\x00"), text(client, "\x05\x01\x00\x03\x0bexample.com\x00\x50HTTP hello\n"), text(server, "\x05\x00\x00\x01\x0a\x00\x00\x01\x01\xbb"),
			},
			[]string{`HTTP initiator "HTTP hello"`},
		},
		{
			"SOCKS, and then TLS before the answer",
			[]turn{
				text(client, "\x05\x01\x00"), text(server, "\x05\x00"), says(client, []byte("\x05\x01\x00\x03\x0bexample.com\x01\xbb"), client12),
				text(server, "\x05\x00\x00\x01\x0a\x00\x00\x01\x01\xbb"), says(server, handshake(flight12), ccs), says(client, ccs),
			},
			want,
		},
		{
			"SOCKS 4 with a name beyond all bounds",
			[]turn{text(client, "\x04\x01\x01\xbb\x00\x00\x00\x01me\x00"+strings.Repeat("x", 2000)+"\x00HTTP x\n"), text(server, "\x00\x5a\x00\x00\x00\x00\x00\x00")},
			nil,
		},
		{
			"PROXY, and then another protocol",
			[]turn{text(client, "PROXY TCP4 10.0.0.1 10.0.0.2 40000 443\r\nHTTP hello\n")},
			[]string{`HTTP initiator "HTTP hello"`},
		},
		{
			"SMTP behind PROXY", // a talk after a talk
			append([]turn{
				text(client, "PROXY TCP4 10.0.0.1 10.0.0.2 40000 25\r\n"), text(server, "220 ready\r\n"), text(client, "STARTTLS\r\n"), text(server, "220 go\r\n"),
			}, handshake12...),
			want,
		},
		{
			"a gap in the talk",
			append([]turn{
				text(server, "220 ready\r\n"), text(client, "EHLO me\r\n"), missing(server, []byte("250 STARTTLS")), text(server, "\r\n"), text(client, "STARTTLS\r\n"), text(server, "220 go\r\n"),
			}, handshake12...),
			want,
		},
		{
			"a gap right before TLS",
			append([]turn{
				text(server, "220 ready\r\n"), text(client, "STARTTLS\r"), missing(client, []byte("\n")), text(server, "220 go\r\n"),
			}, handshake12...),
			want,
		},
		{
			"a gap over the client's hello",
			append([]turn{
				text(server, "220 ready\r\n"), text(client, "STARTTLS\r\n"), text(server, "220 go\r\n"), missing(client, client12),
			}, handshake12[1:]...),
			[]string{"tls client initiator version TLSv1.2 cipher c02f server-alpn h2 certificate:false certificate:false"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, without(playAll(t, factories(tls.Factory{}), c.turns...)))
		})
	}
}

// The examples of the definitions.
func TestFingerprints(t *testing.T) {
	groups := func(g ...uint16) []byte { return ext(10, vec16(u16(g...))) }
	points := ext(11, vec8(0))
	// github.com/salesforce/ja3, README: "How it works".
	for text, h := range map[string][]byte{
		"ada70206e40642a3e4461f35503241d5": clientHello(769, nil, []uint16{0x1a1a, 47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4},
			ext(0x2a2a, nil), ext(0, nil), groups(0xfafa, 23, 24, 25), points),
		"de350869b8c85de67a350c8d186f11e6": clientHello(769, nil, []uint16{4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99}),
	} {
		assert.Equal(t, text, tls.ClientHello(h).JA3().String())
	}
	// github.com/FoxIO-LLC/ja4, technical_details/JA4.md.
	empty := func(types ...uint16) (all []byte) {
		for _, n := range types {
			all = append(all, ext(n, nil)...)
		}
		return all
	}
	signatures := ext(13, vec16(u16(0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601)))
	h := clientHello(0x0303, nil,
		[]uint16{0x0a0a, 0xcca9, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca8, 0x1301, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035},
		ext(0x1a1a, nil), empty(0x001b), sni("a"), empty(0x0033), alpn("h2", "x"), empty(0x4469, 0x0017, 0x002d), signatures, empty(0x0005, 0x0023, 0x0012),
		offers(0x3a3a, 0x0303, 0x0304), empty(0xff01, 0x000b, 0x000a, 0x0015))
	assert.Equal(t, "t13d1516h2_8daaf6152771_e5627efa2ab1", tls.ClientHello(h).JA4().String())
	for _, c := range []struct {
		name, want string
		hello      []byte
	}{
		{"no extensions: zeros", "t12i010000_888b19a43b15_000000000000", clientHello(0x0303, nil, []uint16{1})},
		{"no ciphers: zeros", "ts3i000000_000000000000_000000000000", clientHello(0x0300, nil, nil)},
		{"only SNI and ALPN: nothing is left to hash", "t11d0102h1_888b19a43b15_000000000000", clientHello(0x0302, nil, []uint16{1}, sni("a"), alpn("http/1.1"))},
		{"no signature algorithms: no underscore", "t10i010100_888b19a43b15_a8f3e973773c", clientHello(0x0301, nil, []uint16{1}, ext(10, vec16(nil)))},
		{"an ALPN of one byte counts twice", "t12i0101xx_888b19a43b15_000000000000", clientHello(0x0303, nil, []uint16{1}, alpn("x"))},
		{"an ALPN that is no text: digits of its bytes", "t12i0101ab_888b19a43b15_000000000000", clientHello(0x0303, nil, []uint16{1}, alpn("\xa0\x0b"))},
		{"an empty ALPN", "t12i010100_888b19a43b15_000000000000", clientHello(0x0303, nil, []uint16{1}, alpn(""))},
		{"an unknown version", "t00i010100_888b19a43b15_b9a491fefe05", clientHello(0x0303, nil, []uint16{1}, offers(0x7f1c))},
	} {
		assert.Equal(t, c.want, tls.ClientHello(c.hello).JA4().String(), c.name)
	}
	many := clientHello(0x0303, nil, make([]uint16, 300), empty(make([]uint16, 200)...))
	assert.Equal(t, "t12d9999", tls.ClientHello(many).JA4().String()[:8], "counts go up to 99")
	// JA3S is the MD5 of "769,47,65281-0-11-35-5-16".
	assert.Equal(t, "836ce314215654b5b1f85f97c73e506f", tls.ServerHello(serverHello(769, nil, 47, empty(65281, 0, 11, 35, 5, 16))).JA3S().String())
	assert.Empty(t, tls.ClientHello(nil).JA3().String())
	assert.Empty(t, tls.ClientHello(nil).JA4().String())
	assert.Empty(t, tls.ServerHello(nil).JA3S().String())
}

func TestHellosOnRequest(t *testing.T) {
	got := playAll(t, factories(tls.Factory{Hellos: true}), says(client, handshake(message(1, hello12))), says(server, handshake(flight12), ccs), says(client, ccs))
	require.Len(t, got, 3)
	assert.Equal(t, []string{fmt.Sprintf("hello initiator client %d server 0", len(hello12)), fmt.Sprintf("hello responder client 0 server %d", len(answer12))}, got[:2])
}

func TestLimitsAreFields(t *testing.T) {
	f := tls.Factory{MaxHello: 60, MaxCertificates: 10}
	got := without(playAll(t, factories(f), says(client, handshake(message(1, hello12))), says(server, handshake(flight12), ccs), says(client, ccs)))
	assert.Equal(t, []string{
		fmt.Sprintf("lost initiator too large %d", len(hello12)), "lost responder too large 17", "tls client initiator version TLSv1.2 cipher c02f server-alpn h2 incomplete true",
	}, got)
}

func TestBudget(t *testing.T) {
	player, err := flowscope.NewSessionPlayer(flowscope.Config{SessionBytes: 16 << 10}, tls.Factory{})
	require.NoError(t, err)
	got := without(playOn(player, func(left int) int { return min(left, 1000) },
		says(client, handshake(message(1, hello12))), says(server, handshake(message(2, answer12), certificates(strings.Repeat("x", 15000)))), says(server, ccs)))
	assert.Equal(t, []string{"lost responder budget 0", said12 + " incomplete true"}, got)
	assert.Zero(t, player.Stats().HeldBytes)
}

func TestNames(t *testing.T) {
	assert.Equal(t, "SSLv2 SSLv3 TLSv1.0 TLSv1.1 TLSv1.2 TLSv1.3 0x7f1c ", strings.TrimSuffix(fmt.Sprintln(tls.VersionSSL20, tls.VersionSSL30, tls.VersionTLS10, tls.VersionTLS11,
		tls.VersionTLS12, tls.VersionTLS13, tls.Version(0x7f1c), tls.Version(0)), "\n"))
	assert.Equal(t, "TLS_AES_128_GCM_SHA256", tls.CipherSuite(0x1301).String())
	assert.Equal(t, "0x00FF", tls.CipherSuite(0xff).String())
	assert.Equal(t, "handshake failure", tls.AlertDescription(40).String())
	assert.Equal(t, "too large", tls.LostTooLarge.String())
	assert.Equal(t, "unknown", tls.LostReason(99).String())
}

func TestProbe(t *testing.T) {
	certificate := handshake(certificates("leaf"))
	wrong := bytes.Clone(certificate)
	wrong[11]++
	v2 := []byte("\x80\x1c\x01\x03\x01\x00\x03\x00\x00\x00\x10\x00\x00\x2f0123456789abcdef")
	wrong2 := bytes.Clone(v2)
	wrong2[1]++
	for _, c := range []struct {
		name string
		b    []byte
		want flowscope.Verdict
	}{
		{"a ClientHello", handshake(message(1, hello12)), flowscope.VerdictYes},
		{"a ServerHello", handshake(message(2, answer12)), flowscope.VerdictYes},
		{"certificates", certificate, flowscope.VerdictYes},
		{"certificates whose lengths disagree", wrong, flowscope.VerdictNo},
		{"an alert", alert(2, 40), flowscope.VerdictYes},
		{"an alert that nothing defines", alert(2, 200), flowscope.VerdictNo},
		{"SSLv2", v2, flowscope.VerdictYes},
		{"SSLv2 whose lengths disagree", wrong2, flowscope.VerdictNo},
		{"application data", appData, flowscope.VerdictNo},
		{"a message of another type", handshake(message(14, nil)), flowscope.VerdictNo},
		{"text", []byte("GET / HTTP/1.1\r\n"), flowscope.VerdictNo},
	} {
		last := flowscope.VerdictMaybe
		for n := 1; n <= len(c.b); n++ {
			v := tls.Factory{}.Probe(flowscope.Probe{L4: flowscope.L4TCP, First: c.b[:n]})
			if last != flowscope.VerdictMaybe {
				assert.Equal(t, last, v, "%s: monotone at %d", c.name, n)
			}
			last = v
		}
		assert.Equal(t, c.want, last, c.name)
		assert.Equal(t, flowscope.VerdictNo, tls.Factory{}.Probe(flowscope.Probe{L4: flowscope.L4UDP, First: c.b}), c.name)
		assert.Equal(t, flowscope.VerdictNo, tls.StartTLS{}.Probe(flowscope.Probe{L4: flowscope.L4TCP, First: c.b}), c.name)
	}
}

// A parser that is used again counts the memory that it has kept.
func TestEveryConnectionCountsItsMemory(t *testing.T) {
	player, err := flowscope.NewSessionPlayer(flowscope.Config{}, tls.Factory{})
	require.NoError(t, err)
	var held [2]int64
	for i := range held {
		flow := player.TCP(40000, 443)
		flow.Data(client, handshake(message(1, hello12)), 1)
		flow.Data(server, handshake(flight12)[:90], 1)
		held[i] = player.Stats().HeldBytes
		flow.End(flowscope.EndFIN, 2)
	}
	assert.Equal(t, held[0], held[1])
}
