package http1

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

const get = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"

func ok(body string) string {
	return "HTTP/1.1 200 OK\r\nContent-Length: " + itoa(len(body)) + "\r\n\r\n" + body
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}

func gets(targets ...string) string {
	var b strings.Builder
	for _, target := range targets {
		b.WriteString("GET " + target + " HTTP/1.1\r\n\r\n")
	}
	return b.String()
}

// TestRules has a row for each rule. Sections are those of RFC 9112 where nothing else is said.
func TestRules(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []step
		want  string
	}{
		{"one exchange", []step{client(get), server(ok("hello")), clientFIN(), serverFIN()},
			`GET /a host "h" HTTP/1.1 -> 200 HTTP/1.1 body 5`},
		{"the responder may be the client", []step{{side: 1, b: get}, {side: 0, b: ok("hello")}},
			`responder is client: GET /a host "h" HTTP/1.1 -> 200 HTTP/1.1 body 5`},
		{"the response may be seen first", []step{server(ok("x")), clientFIN(), serverFIN()}, `? -> 200 HTTP/1.1 body 1`},

		{"1xx has no body and answers nothing (RFC 9110 section 15.2)",
			[]step{client("POST /a HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"),
				server("HTTP/1.1 100 Continue\r\nContent-Length: 7\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"), client("ab"), server(ok(""))},
			`POST /a HTTP/1.1 body 2 -> 200 HTTP/1.1 interim 2`},
		{"HEAD has no body whatever the fields say (section 6.3, rule 1)",
			[]step{client("HEAD /a HTTP/1.1\r\n\r\n"), server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
				client("HEAD /b HTTP/1.1\r\n\r\n"), server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
				client(gets("/c")), server(ok("x"))},
			"HEAD /a HTTP/1.1 -> 200 HTTP/1.1\nHEAD /b HTTP/1.1 -> 200 HTTP/1.1\nGET /c HTTP/1.1 -> 200 HTTP/1.1 body 1"},
		{"204 and 304 have no body (section 6.3, rule 1)",
			[]step{client(gets("/a", "/b", "/c")),
				server("HTTP/1.1 204 x\r\nContent-Length: 9\r\n\r\nHTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n" + ok("x"))},
			"GET /a HTTP/1.1 -> 204 HTTP/1.1\nGET /b HTTP/1.1 -> 304 HTTP/1.1\nGET /c HTTP/1.1 -> 200 HTTP/1.1 body 1"},
		{"2xx to CONNECT hands over, also to HTTP (section 6.3, rule 2; RFC 9110 section 9.3.6)",
			[]step{client("CONNECT h:443 HTTP/1.1\r\n\r\n"), server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
				client(gets("/in")), server(ok("x"))},
			"CONNECT h:443 HTTP/1.1 -> 200 HTTP/1.1 upgraded\nSwitched connect \"\" \"h:443\"\nGET /in HTTP/1.1 -> 200 HTTP/1.1 body 1"},
		{"bytes behind CONNECT wait for the answer",
			[]step{client("CONNECT h:443 HTTP/1.1\r\n\r\n\x16\x03\x01"), server("HTTP/1.1 200 OK\r\n\r\n")},
			"CONNECT h:443 HTTP/1.1 -> 200 HTTP/1.1 upgraded\nSwitched connect \"\" \"h:443\""},
		{"a refused CONNECT stays HTTP (RFC 9110 section 9.3.6)",
			[]step{client("CONNECT h:443 HTTP/1.1\r\n\r\n" + gets("/b")), server("HTTP/1.1 403 no\r\nContent-Length: 2\r\n\r\nno" + ok("x"))},
			"CONNECT h:443 HTTP/1.1 -> 403 HTTP/1.1 body 2\nGET /b HTTP/1.1 -> 200 HTTP/1.1 body 1"},
		{"a CONNECT of which the answer is not captured",
			[]step{client("CONNECT h:443 HTTP/1.1\r\n\r\n" + gets("/in")), clientFIN()},
			"CONNECT h:443 HTTP/1.1 -> ?\nSwitched unanswered \"\" \"h:443\"\nGET /in HTTP/1.1 -> ?"},
		{"an empty line too many before a tunnel (section 2.2)",
			[]step{client("CONNECT h:1 HTTP/1.1\r\n\r\n\n"), server("HTTP/1.1 200 OK\r\n\r\n\n"), client(gets("/in")), server(ok("x"))},
			"CONNECT h:1 HTTP/1.1 -> 200 HTTP/1.1 upgraded\nSwitched connect \"\" \"h:1\"\nGET /in HTTP/1.1 -> 200 HTTP/1.1 body 1"},

		{"chunked wins over Content-Length, and is ambiguous (section 6.3, rule 3)",
			[]step{client("POST /a HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n" + gets("/b"))},
			"POST /a HTTP/1.1 body 2 -> ? ambiguous\nGET /b HTTP/1.1 -> ?"},
		{"the last coding counts (section 6.3, rule 4)",
			[]step{client(gets("/a", "/b")), server("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: , Chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n" + ok(""))},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 body 2\nGET /b HTTP/1.1 -> 200 HTTP/1.1"},
		{"without chunked at the end a response goes on until close (section 6.3, rule 4)",
			[]step{client(gets("/a")), server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\nContent-Length: 1\r\n\r\nabc"), serverFIN()},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 body 3 ambiguous"},
		{"without chunked at the end a request's end is unknown (section 6.3, rule 4)",
			[]step{client("POST /a HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nGET /b HTTP/1.1\r\n\r\n"), server(ok(""))},
			"Lost client framing at 45\nPOST /a HTTP/1.1 -> 200 HTTP/1.1 request_cut"},
		{"chunked in HTTP/1.0 is ambiguous (section 6.1)",
			[]step{client(gets("/a")), server("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n")},
			"GET /a HTTP/1.1 -> 200 HTTP/1.0 body 1 ambiguous"},
		{"identity is no coding (RFC 2616 section 3.6)",
			[]step{client(gets("/a")), server("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 1\r\n\r\na")},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 body 1"},
		{"equal Content-Lengths are one (section 6.3, rule 5)",
			[]step{client("POST /a HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2, 02\r\n\r\nab" + gets("/b"))},
			"POST /a HTTP/1.1 body 2 -> ?\nGET /b HTTP/1.1 -> ?"},
		{"of different Content-Lengths the first stands (section 6.3, rule 5)",
			[]step{client("POST /a HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nab" + gets("/b"))},
			"POST /a HTTP/1.1 body 2 -> ? ambiguous\nGET /b HTTP/1.1 -> ?"},
		{"a request with a length that is no number is lost (section 6.3, rule 5)",
			[]step{client("POST /a HTTP/1.1\r\nContent-Length: +2\r\n\r\nab" + gets("/b")), server(ok(""))},
			"Lost client framing at 40\nPOST /a HTTP/1.1 -> 200 HTTP/1.1 request_cut"},
		{"a response with a length that is no number goes on until close (section 6.3, rule 5)",
			[]step{client(gets("/a")), server("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nab"), serverFIN()},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 body 2"},
		{"neither: a request has no body, a response goes on until close (section 6.3, rules 7 and 8)",
			[]step{client("POST /a HTTP/1.1\r\n\r\n"), server("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), serverFIN()},
			"POST /a HTTP/1.1 -> 200 HTTP/1.1 body 19"},
		{"a reset cuts a response that goes on until close (section 8)",
			[]step{client(gets("/a")), server("HTTP/1.1 200 OK\r\n\r\nab"), reset()},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 body 2 response_cut"},
		{"a close cuts a body of known length (section 8)",
			[]step{client("POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"), server("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"), clientFIN(), serverFIN()},
			"POST /a HTTP/1.1 body 2 -> 200 HTTP/1.1 body 2 request_cut|response_cut"},
		{"a close cuts a head",
			[]step{client("GET /a HTTP/1.1\r\nHost: h\r\nX"), server("HTTP/1.1 200 OK\r\nServ"), clientFIN(), serverFIN()},
			`GET /a host "h" HTTP/1.1 -> 200 HTTP/1.1 request_cut|response_cut`},

		{"chunk extensions are skipped (section 7.1.1)",
			[]step{client(gets("/a", "/b")), server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=\"b;\"\r\nab\r\n3 \t; x\nabc\n0;y\r\n\r\n" + ok(""))},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 body 5\nGET /b HTTP/1.1 -> 200 HTTP/1.1"},
		{"chunk sizes in both cases, with zeros (section 7.1)",
			[]step{client(gets("/a", "/b")), server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0000000000000000000A\r\n0123456789\r\nb\r\n0123456789a\r\n00000\r\n\r\n" + ok(""))},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 body 21\nGET /b HTTP/1.1 -> 200 HTTP/1.1"},
		{"a chunk size that overflows (section 7.1)",
			[]step{client(gets("/a")), server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8000000000000000\r\n" + ok(""))},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 response_cut\nLost server framing at 62"},
		{"a chunk size that is none (section 7.1)",
			[]step{client(gets("/a")), server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\nab")},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 response_cut\nLost server framing at 47"},
		{"garbage behind a chunk size (section 7.1)",
			[]step{client(gets("/a")), server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 2\r\nab")},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 response_cut\nLost server framing at 49"},
		{"a chunk longer than its size (section 7.1)",
			[]step{client(gets("/a")), server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab")},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 body 1 response_cut\nLost server framing at 51"},

		{"bare LF ends a line (section 2.2)", []step{client("GET /a HTTP/1.1\nHost: h\n\n"), server("HTTP/1.1 200 OK\nContent-Length: 1\n\nx")},
			`GET /a host "h" HTTP/1.1 -> 200 HTTP/1.1 body 1`},
		{"empty lines before a head (section 2.2)", []step{client("\r\n\n" + get + "\r\n\r\n" + get), server("\r\n" + ok("") + "\r\n" + ok(""))},
			"GET /a host \"h\" HTTP/1.1 -> 200 HTTP/1.1\nGET /a host \"h\" HTTP/1.1 -> 200 HTTP/1.1"},
		{"a folded field (section 5.2)",
			[]step{client("POST /a HTTP/1.1\r\nTransfer-Encoding:\r\n chunked\r\nHost:\r\n\th\r\n\r\n0\r\n\r\n"), server(ok(""))},
			`POST /a host "h" HTTP/1.1 -> 200 HTTP/1.1`},
		{"space before the colon: still that field (section 5.1)",
			[]step{client("POST /a HTTP/1.1\r\nContent-Length : 2\r\n\r\nab"), server(ok(""))},
			"POST /a HTTP/1.1 body 2 -> 200 HTTP/1.1 malformed"},
		{"a line without a colon is passed over (section 5)",
			[]step{client("GET /a HTTP/1.1\r\nnonsense\r\nHost: h\r\n\r\n"), server(ok(""))},
			`GET /a host "h" HTTP/1.1 -> 200 HTTP/1.1 malformed`},
		{"spaces stay in the target (section 3)", []step{client("GET /a b  c HTTP/1.1\r\n\r\n"), server(ok(""))},
			"GET /a b  c HTTP/1.1 -> 200 HTTP/1.1 malformed"},
		{"a target may be missing (section 3)", []step{client("GET HTTP/1.1\r\n\r\n"), server(ok(""))},
			"GET  HTTP/1.1 -> 200 HTTP/1.1 malformed"},
		{"any method is one (RFC 9110 section 9.1)", []step{client("MY-METHOD * HTTP/1.0\r\n\r\n"), server(ok(""))},
			"MY-METHOD * HTTP/1.0 -> 200 HTTP/1.1"},

		{"HTTP/0.9, answered", []step{client("GET /a\r\n"), server("<html>HTTP/1.1 200 OK\r\n\r\n"), serverFIN()},
			"GET /a HTTP/0.9 -> 0 HTTP/0.9 body 25"},
		{"HTTP/0.9, a short answer", []step{client("GET /a\r\n"), server("HT"), serverFIN()}, "GET /a HTTP/0.9 -> 0 HTTP/0.9 body 2"},
		{"HTTP/0.9, answered by a newer server", []step{client("GET /a\r\n"), server(ok("x"))}, "GET /a HTTP/0.9 -> 200 HTTP/1.1 body 1"},
		{"HTTP/0.9, ended by FIN", []step{client("GET /a\r\n"), clientFIN()}, "GET /a HTTP/0.9 -> ?"},
		{"no version, but fields: a damaged 1.x", []step{client("GET /a\r\nHost: h\r\n\r\n"), server(ok("x"))},
			`GET /a host "h"  -> 200 HTTP/1.1 body 1 malformed`},

		{"an early response pairs with its request (RFC 9110 section 10.1.1)",
			[]step{client("POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\nab"), server("HTTP/1.1 413 x\r\nContent-Length: 0\r\n\r\n"), client("cd" + gets("/b")), server(ok(""))},
			"POST /a HTTP/1.1 body 4 -> 413 HTTP/1.1 early\nGET /b HTTP/1.1 -> 200 HTTP/1.1"},
		{"a response to half a head pairs with its request (RFC 9110 section 10.1.1)",
			[]step{client("GET /a HTTP/1.1\r\n"), server("HTTP/1.1 408 x\r\nContent-Length: 0\r\n\r\n"), client("\r\n")},
			"GET /a HTTP/1.1 -> 408 HTTP/1.1 early"},
		{"responses answer requests in order (section 9.3.2)",
			[]step{client(gets("/a", "/b")), server(ok("1") + ok("22")), client(gets("/c")), server(ok("333"))},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 body 1\nGET /b HTTP/1.1 -> 200 HTTP/1.1 body 2\nGET /c HTTP/1.1 -> 200 HTTP/1.1 body 3"},
		{"an unasked response is told as such (section 9.3.2)",
			[]step{client(gets("/a")), server(ok("1") + "HTTP/1.1 408 x\r\nContent-Length: 0\r\n\r\n"), client(gets("/b")), server(ok("2"))},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 body 1\n? -> 408 HTTP/1.1\nGET /b HTTP/1.1 -> 200 HTTP/1.1 body 1"},

		{"101 hands over (RFC 9110 section 7.8)",
			[]step{client("GET /a HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n"),
				server("HTTP/1.1 101 x\r\nUpgrade: WebSocket\r\n\r\n\x81\x05hello"), client("\x81\x85")},
			"GET /a HTTP/1.1 -> 101 HTTP/1.1 upgraded\nSwitched upgrade \"WebSocket\" \"/a\""},
		{"a refused upgrade stays HTTP (RFC 9110 section 7.8)",
			[]step{client("GET /a HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"), server(ok("x")), client(gets("/b")), server(ok(""))},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 body 1\nGET /b HTTP/1.1 -> 200 HTTP/1.1"},
		{"the preface of HTTP/2 (RFC 9113 section 3.4)", []step{client(preface + "\x00\x00\x00\x04"), server("\x00\x00\x00\x04")},
			"Switched preface \"h2\" \"\""},
		{"the preface of HTTP/2 behind Upgrade (RFC 7540 section 3.2)",
			[]step{client("GET /a HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + preface), server("HTTP/1.1 101 x\r\nUpgrade: h2c\r\n\r\n\x00\x00")},
			"GET /a HTTP/1.1 -> 101 HTTP/1.1 upgraded\nSwitched upgrade \"h2c\" \"/a\"\nSwitched preface \"h2\" \"\""},

		{"a gap inside a known length is counted",
			[]step{client(gets("/a")), server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na"), serverGap(7), server("b"), client(gets("/b")), server(ok(""))},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 body 9 missing 7\nGET /b HTTP/1.1 -> 200 HTTP/1.1"},
		{"a gap to the end of a known length is counted",
			[]step{client("POST /a HTTP/1.1\r\nContent-Length: 9\r\n\r\n"), clientGap(9), server(ok("")), client(gets("/b")), server(ok(""))},
			"POST /a HTTP/1.1 body 9 missing 9 -> 200 HTTP/1.1\nGET /b HTTP/1.1 -> 200 HTTP/1.1"},
		{"a gap inside a chunk is counted",
			[]step{client(gets("/a", "/b")), server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\na"), serverGap(8), server("\r\n0\r\n\r\n" + ok(""))},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 body 9 missing 8\nGET /b HTTP/1.1 -> 200 HTTP/1.1"},
		{"a gap in a body until close is counted",
			[]step{client(gets("/a")), server("HTTP/1.1 200 OK\r\n\r\na"), serverGap(8), server("b"), serverFIN()},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 body 10 missing 8"},
		{"a gap beyond a body: the next head is sought at a line start",
			[]step{client(gets("/a")), server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na"), serverGap(8),
				server("xHTTP/1.1 204 no\r\n\r\n" + ok("x")), client(gets("/b")), server("\nHTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n")},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 body 2 missing 1\nLost server gap at 40\nLost server gap at 67, found after 27\n? -> 200 HTTP/1.1 body 1\nGET /b HTTP/1.1 -> 404 HTTP/1.1"},
		{"a gap in the line before a chunk cuts the message",
			[]step{client(gets("/a")), server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"), serverGap(8), client(gets("/b")), server(ok(""))},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 body 1 response_cut\nLost server gap at 53\nLost server gap at 61, found after 8\nGET /b HTTP/1.1 -> 200 HTTP/1.1"},
		{"a gap in a head: what its first line says stays",
			[]step{client("GET /a HTTP/1.1\r\nHo"), clientGap(10), server("HTTP/1.1 200 OK\r\nX"), serverGap(10), client(gets("/b")), server(ok("x"))},
			"Lost client gap at 19\nGET /a HTTP/1.1 -> 200 HTTP/1.1 request_cut|response_cut\nLost server gap at 18\nLost client gap at 29, found after 10\nLost server gap at 28, found after 10\nGET /b HTTP/1.1 -> 200 HTTP/1.1 body 1 after_gap"},
		{"after a gap the answer goes to the last request of a client that waits (section 9.3.2)",
			[]step{client(gets("/a")), server(ok("1")), client(gets("/b")), serverGap(100), client(gets("/c")), server(ok("333"))},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 body 1\nLost server gap at 39\nLost server gap at 139, found after 100\nGET /b HTTP/1.1 -> ?\nGET /c HTTP/1.1 -> 200 HTTP/1.1 body 3"},
		{"after a gap the requests of a client that sends ahead go first in, first out (section 9.3.2)",
			[]step{client(gets("/a", "/b", "/c", "/d")), server(ok("1")), serverGap(100), server(ok("22")), server(ok("333"))},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 body 1\nLost server gap at 39\nLost server gap at 139, found after 100\nGET /b HTTP/1.1 -> 200 HTTP/1.1 body 2 uncertain\nGET /c HTTP/1.1 -> 200 HTTP/1.1 body 3 uncertain\nGET /d HTTP/1.1 -> ?"},

		{"after a framing error that side is read no further",
			[]step{client(gets("/a")), server(ok("1") + "nonsense\r\n" + ok("2")), client(gets("/b"))},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 body 1\nLost server framing at 39\nGET /b HTTP/1.1 -> ?"},
		{"the other side speaks something else", []step{client(gets("/a")), server("SSH-2.0-x\r\n"), serverFIN()},
			"Lost server midstream at 0\nGET /a HTTP/1.1 -> ?"},
		{"joined in the middle of a response",
			[]step{client(gets("/b")), server("tail of a body\r\n"), server(ok("1"))},
			"Lost server midstream at 0\nLost server midstream at 16, found after 16\nGET /b HTTP/1.1 -> 200 HTTP/1.1 body 1"},
		{"a head that is too long is told as far as it goes",
			[]step{client("GET /a HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 70000) + "\r\n\r\n"), server(ok("1"))},
			"Lost client too_long at 0\nGET /a host \"h\" HTTP/1.1 -> 200 HTTP/1.1 body 1 request_cut"},
	} {
		t.Run(c.name, func(t *testing.T) { assert.Equal(t, c.want, everyCut(t, Factory{}, c.steps)) })
	}
}

// Text is readable whatever a peer sends, and different bytes have different texts.
func TestTextOfBytes(t *testing.T) {
	assert.Equal(t, `a b~\x00\x09\x5cx09\x7f\xff`, Text("a b~\x00\t\\x09\x7f\xff").String())
	assert.Empty(t, Text(nil).String())
}
