package tls

import (
	"bytes"

	"github.com/flowscope-go/flowscope"
)

// StartTLS follows connections that begin in clear, as far as the first record of TLS on each side,
// and then reads them as Factory does:
//
//   - SMTP (RFC 3207), LMTP, IMAP and POP3 (RFC 2595), FTP (RFC 4217), XMPP (RFC 6120 section 5),
//     LDAP (RFC 4511 section 4.14), the greetings of MySQL and PostgreSQL, and RDP
//   - SOCKS 4, 4a and 5 (RFC 1928, 1929), and the PROXY protocol of HAProxy, after which may follow
//     any protocol: if it is not TLS, all factories are asked
//
// The protocol before TLS is passed over, unit by unit: lines, packets, messages. A record of TLS can
// only begin where a unit may begin. Nothing is emitted for a connection that never begins TLS.
// After CONNECT it is the parser of HTTP that hands over, and Factory that reads.
type StartTLS struct {
	Factory
	// MaxTalk is how many bytes of a side may come before TLS. Then the connection is given up.
	// Default 64 KiB.
	MaxTalk int
}

// Probe says Yes to the first bytes of a side of these protocols.
func (f StartTLS) Probe(p flowscope.Probe) flowscope.Verdict {
	if p.L4 != flowscope.L4TCP {
		return flowscope.VerdictNo
	}
	_, v := recognise(p.First)
	return v
}

// NewSessionParser makes a parser for a connection.
func (f StartTLS) NewSessionParser() flowscope.SessionParser {
	return newParser(f.Factory, modeTalk, orDefault(f.MaxTalk, defaultMaxTalk))
}

// talk is the protocol before TLS.
type talk uint8

const (
	talkLines talk = iota + 1
	talkXMPP
	talkLDAP
	talkSOCKS
	talkMySQL
	talkPostgreSQL
	talkRDP
	talkPROXY
)

// talkSide is how far the talk of a side is read.
type talkSide struct {
	size int  // bytes so far
	skip int  // bytes of a unit to pass over
	line bool // inside a line, or a tag of XML
	step uint8
	over bool // only TLS may follow, or after a proxy anything
}

// greetings are the first bytes of talks in lines, of servers and of clients; without regard to case.
var greetings = []string{
	"220 ", "220-", "+OK", "* OK", "* PREAUTH", "* BYE", "EHLO ", "HELO ", "LHLO ", "STLS\r", "CAPA\r", "AUTH TLS", "AUTH SSL",
}

const (
	proxyV1 = "PROXY "
	proxyV2 = "\r\n\r\n\x00\r\nQUIT\n"
)

// recognise returns the talk that begins with b, the first bytes of either side.
func recognise(b []byte) (talk, flowscope.Verdict) {
	t, v := talk(0), flowscope.VerdictNo
	switch b[0] {
	case '2', '+', '*', 'E', 'e', 'H', 'h', 'L', 'l', 'S', 's', 'C', 'c', 'A', 'a':
		t, v = talkLines, probeLines(b)
	case '<':
		t, v = talkXMPP, probeXMPP(b)
	case 0x30:
		t, v = talkLDAP, probeLDAP(b)
	case 4, 5:
		t, v = talkSOCKS, probeSOCKS(b)
	case 0:
		t, v = talkPostgreSQL, probePostgreSQL(b)
	case 3:
		t, v = talkRDP, probeRDP(b)
	case 'P', '\r':
		t, v = talkPROXY, probePROXY(b)
	}
	// MySQL's begins with its own length. No two talks are a Yes to the same bytes, so the order does not
	// matter.
	if v != flowscope.VerdictYes {
		if m := probeMySQL(b); m >= v {
			t, v = talkMySQL, m
		}
	}
	if v != flowscope.VerdictYes {
		t = 0
	}
	return t, v
}

// hasPrefix says whether b begins with the prefix.
func hasPrefix(b []byte, prefix string) flowscope.Verdict {
	n := min(len(b), len(prefix))
	switch {
	case string(b[:n]) != prefix[:n]:
		return flowscope.VerdictNo
	case n < len(prefix):
		return flowscope.VerdictMaybe
	}
	return flowscope.VerdictYes
}

func probeLines(b []byte) flowscope.Verdict {
	best := flowscope.VerdictNo
	for _, g := range greetings {
		if b[0]|0x20 != g[0]|0x20 {
			continue
		}
		n := min(len(b), len(g))
		if equalFold(b[:n], g[:n]) {
			if n == len(g) {
				return flowscope.VerdictYes
			}
			best = flowscope.VerdictMaybe
		}
	}
	return best
}

// equalFold compares with upper-case ASCII.
func equalFold(b []byte, upper string) bool {
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != upper[i] {
			return false
		}
	}
	return true
}

// probeXMPP recognises <stream:stream, after an XML declaration or not: RFC 6120 section 4.7.
func probeXMPP(b []byte) flowscope.Verdict {
	if v := hasPrefix(b, "<?xml"); v == flowscope.VerdictMaybe && len(b) > 1 {
		return v
	} else if v == flowscope.VerdictYes {
		end := bytes.IndexByte(b[:min(len(b), 128)], '>')
		if end < 0 {
			if len(b) >= 128 {
				return flowscope.VerdictNo
			}
			return flowscope.VerdictMaybe
		}
		b = b[end+1:]
		for len(b) > 0 && (b[0] == ' ' || b[0] == '\r' || b[0] == '\n' || b[0] == '\t') {
			b = b[1:]
		}
	}
	return hasPrefix(b, "<stream:stream")
}

// probeLDAP recognises an LDAPMessage with a bind, a search or an extended operation, or the answer to one:
// RFC 4511 section 4.1.1.
func probeLDAP(b []byte) flowscope.Verdict {
	if b[0] != 0x30 {
		return flowscope.VerdictNo
	}
	header, size, v := berHeader(b)
	if v != flowscope.VerdictYes {
		return v
	}
	b = b[header:]
	switch {
	case size < 5, len(b) > 0 && b[0] != 2, len(b) > 1 && (b[1] < 1 || b[1] > 4):
		return flowscope.VerdictNo
	case len(b) < 2 || len(b) < 3+int(b[1]):
		return flowscope.VerdictMaybe
	}
	switch b[2+int(b[1])] {
	case 0x60, 0x61, 0x63, 0x64, 0x65, 0x77, 0x78:
		return flowscope.VerdictYes
	}
	return flowscope.VerdictNo
}

// berHeader returns the sizes of the tag with its length, and of the contents.
func berHeader(b []byte) (header, size int, v flowscope.Verdict) {
	if len(b) < 2 {
		return 0, 0, flowscope.VerdictMaybe
	}
	if b[1] < 0x80 {
		return 2, int(b[1]), flowscope.VerdictYes
	}
	n := int(b[1] & 0x7f)
	if n == 0 || n > 4 {
		return 0, 0, flowscope.VerdictNo
	}
	if len(b) < 2+n {
		return 0, 0, flowscope.VerdictMaybe
	}
	for _, c := range b[2 : 2+n] {
		if size >= 1<<22 {
			return 0, 0, flowscope.VerdictNo
		}
		size = size<<8 | int(c)
	}
	return 2 + n, size, flowscope.VerdictYes
}

// probeSOCKS recognises the first message of a client of SOCKS 4 with CONNECT, or of SOCKS 5.
func probeSOCKS(b []byte) flowscope.Verdict {
	switch {
	case b[0] == 4:
		return probeSOCKS4(b)
	case b[0] != 5, len(b) > 1 && (b[1] == 0 || b[1] > 16):
		return flowscope.VerdictNo
	case len(b) < 2:
		return flowscope.VerdictMaybe
	}
	n := 2 + int(b[1])
	for _, method := range b[2:min(n, len(b))] {
		if method > 9 && method < 0x80 || method == 0xff {
			return flowscope.VerdictNo
		}
	}
	if len(b) < n {
		return flowscope.VerdictMaybe
	}
	return flowscope.VerdictYes
}

func probeSOCKS4(b []byte) flowscope.Verdict {
	if len(b) > 1 && b[1] != 1 || len(b) > 3 && b[2]|b[3] == 0 || len(b) > 7 && b[4]|b[5]|b[6]|b[7] == 0 {
		return flowscope.VerdictNo
	}
	for i := 8; i < min(len(b), 8+256); i++ {
		if b[i] == 0 {
			return flowscope.VerdictYes
		}
		if !isPlain(b[i]) && b[i] != '\\' {
			return flowscope.VerdictNo
		}
	}
	if len(b) >= 8+256 {
		return flowscope.VerdictNo
	}
	return flowscope.VerdictMaybe
}

// probeMySQL recognises the server's greeting of protocol version 10, and the client's request for TLS:
// a packet of 32 bytes whose capabilities have CLIENT_SSL and CLIENT_PROTOCOL_41.
func probeMySQL(b []byte) flowscope.Verdict {
	if len(b) > 1 && b[1] > 3 {
		return flowscope.VerdictNo // too long, as with most bytes of other protocols
	}
	if v := probeMySQLRequest(b); v != flowscope.VerdictNo {
		return v
	}
	switch {
	case len(b) > 2 && b[2] != 0, len(b) > 3 && b[3] != 0, len(b) > 4 && b[4] != 10,
		len(b) > 5 && (b[5] < '3' || b[5] > '9'):
		return flowscope.VerdictNo
	case len(b) < 6:
		return flowscope.VerdictMaybe
	}
	if be := int(b[0]) | int(b[1])<<8; be < 30 {
		return flowscope.VerdictNo
	}
	for i := 6; i < min(len(b), 6+100); i++ {
		if b[i] == 0 {
			return flowscope.VerdictYes
		}
		if !isPlain(b[i]) {
			return flowscope.VerdictNo
		}
	}
	if len(b) >= 6+100 {
		return flowscope.VerdictNo
	}
	return flowscope.VerdictMaybe
}

const mysqlRequest = 4 + 32

func probeMySQLRequest(b []byte) flowscope.Verdict {
	if v := hasPrefix(b, "\x20\x00\x00\x01"); v != flowscope.VerdictYes {
		return v
	}
	if len(b) > 5 && (b[5]&0x08 == 0 || b[5]&0x02 == 0) {
		return flowscope.VerdictNo
	}
	for i := 13; i < min(len(b), mysqlRequest); i++ {
		if b[i] != 0 && i < 32 { // MariaDB has flags in the last 4 bytes
			return flowscope.VerdictNo
		}
	}
	if len(b) < mysqlRequest {
		return flowscope.VerdictMaybe
	}
	return flowscope.VerdictYes
}

const (
	postgresSSL = "\x00\x00\x00\x08\x04\xd2\x16\x2f" // SSLRequest
	postgresGSS = "\x00\x00\x00\x08\x04\xd2\x16\x30" // GSSENCRequest
)

func probePostgreSQL(b []byte) flowscope.Verdict {
	return max(hasPrefix(b, postgresSSL), hasPrefix(b, postgresGSS))
}

// probeRDP recognises the connection request and confirm of X.224 in TPKT: MS-RDPBCGR section 2.2.1.
func probeRDP(b []byte) flowscope.Verdict {
	switch {
	case b[0] != 3, len(b) > 1 && b[1] != 0, len(b) > 2 && b[2] != 0, len(b) > 3 && b[3] < 11,
		len(b) > 4 && b[4] != b[3]-5, len(b) > 5 && b[5] != 0xe0 && b[5] != 0xd0:
		return flowscope.VerdictNo
	case len(b) < 6:
		return flowscope.VerdictMaybe
	}
	return flowscope.VerdictYes
}

func probePROXY(b []byte) flowscope.Verdict {
	return max(hasPrefix(b, proxyV1+"TCP4 "), hasPrefix(b, proxyV1+"TCP6 "), hasPrefix(b, proxyV1+"UNKNOWN"), hasPrefix(b, proxyV2))
}

// readTalk reads the bytes of a side before TLS.
func (p *parser) readTalk(side flowscope.FlowSide, b []byte, out *flowscope.Messages) (rest []byte, more bool) {
	d := &p.sides[side]
	if p.talk == 0 {
		var v flowscope.Verdict
		switch p.talk, v = recognise(b); {
		case v == flowscope.VerdictYes:
			p.talker = side
			p.sides[side^1].talk.over = p.talk == talkPROXY
		case v == flowscope.VerdictMaybe && len(b) < flowscope.MaxProbe, p.sides[side^1].mode != modeDone && len(b) < flowscope.MaxProbe:
			return b, false // the other side will tell
		default:
			p.leave(out)
			return nil, false
		}
	}
	t := &d.talk
	for len(b) > 0 {
		if t.skip == 0 && !t.line {
			switch probeRecord(b) {
			case flowscope.VerdictYes:
				d.mode = modeStart
				return b, true
			case flowscope.VerdictMaybe:
				return b, false
			}
			if t.over {
				return p.afterTalk(side, b, out)
			}
			n, v := p.unit(t, b, side == p.talker)
			switch v {
			case flowscope.VerdictMaybe:
				return b, false
			case flowscope.VerdictNo:
				p.notTLS(side, out)
				return nil, false
			}
			t.skip = n
		}
		n := min(t.skip, len(b))
		if t.line {
			end := byte('\n')
			if p.talk == talkXMPP {
				end = '>'
			}
			n = bytes.IndexByte(b, end) + 1
			if t.line = n == 0; t.line {
				n = len(b)
			}
		} else {
			t.skip -= n
		}
		b = b[n:]
		if t.size += n; t.size > p.maxTalk {
			p.notTLS(side, out)
			return nil, false
		}
	}
	if t.over && t.skip == 0 {
		return nil, p.wakeOther(side, out)
	}
	return nil, false
}

// notTLS ends the reading of a talk in which TLS does not begin.
func (p *parser) notTLS(side flowscope.FlowSide, out *flowscope.Messages) {
	if p.sides[side^1].begun {
		p.stop(side, out) // the other side has begun it
		return
	}
	p.leave(out)
}

// afterTalk is asked where TLS had to begin, but b does: after a proxy anything may follow.
func (p *parser) afterTalk(side flowscope.FlowSide, b []byte, out *flowscope.Messages) (rest []byte, more bool) {
	other := &p.sides[side^1]
	switch {
	case p.talk != talkSOCKS && p.talk != talkPROXY:
		p.notTLS(side, out)
	case p.talk == talkSOCKS && !other.talk.over && other.mode == modeTalk && len(b) < flowscope.MaxProbe:
		return b, false // the other side's answer has to be read first
	default:
		p.handOver(side, b, out)
	}
	return nil, false
}

// gapInTalk takes a gap of n bytes of a side before TLS has begun on it.
func (p *parser) gapInTalk(side flowscope.FlowSide, n int64, out *flowscope.Messages) {
	d := &p.sides[side]
	t := &d.talk
	switch {
	case n <= int64(t.skip):
		t.skip -= int(n)
	case p.sides[side^1].begun:
		d.gapped = true
		p.lost(LostGap, n, out)
		p.beginHunt(d, out)
	case p.talk == talkLines || p.talk == talkXMPP:
		d.carry.Drop(out)
		t.line = false // TLS may begin here; if not, the next line does
	default:
		p.leave(out)
	}
}

// wakeOther goes on with the other side, if it waited for the end of this side's talk.
func (p *parser) wakeOther(side flowscope.FlowSide, out *flowscope.Messages) bool {
	other := &p.sides[side^1]
	if p.talk != talkSOCKS || other.mode != modeTalk || !other.talk.over || other.carry.Len() == 0 {
		return false
	}
	b, ok := other.carry.Join(nil, out)
	switch {
	case probeRecord(b) == flowscope.VerdictNo:
		p.handOver(side^1, b, out)
	case !ok || !other.carry.Keep(b, out):
		p.overBudget(out)
	}
	return false
}

// unit gives the size of the unit at the beginning of b. A line has none: t.line is set.
func (p *parser) unit(t *talkSide, b []byte, talker bool) (size int, v flowscope.Verdict) {
	switch p.talk {
	case talkLines, talkXMPP:
		t.line = true
		return 0, flowscope.VerdictYes
	case talkLDAP:
		header, size, v := berHeader(b)
		return header + size, v
	case talkMySQL:
		if len(b) < 4 {
			return 0, flowscope.VerdictMaybe
		}
		size := 4 + (int(b[0]) | int(b[1])<<8 | int(b[2])<<16)
		// A client's first packet that is no request for TLS logs in.
		if v := probeMySQLRequest(b); b[3] == 1 && t.size == 0 && v != flowscope.VerdictYes {
			return 0, v
		}
		return size, flowscope.VerdictYes
	case talkPostgreSQL:
		return unitPostgreSQL(t, b)
	case talkRDP:
		if len(b) > 0 && b[0] != 3 {
			return 0, flowscope.VerdictNo
		}
		if len(b) < 4 {
			return 0, flowscope.VerdictMaybe
		}
		return max(be16(b[2:]), 4), flowscope.VerdictYes
	case talkSOCKS:
		return unitSOCKS(t, b, talker)
	case talkPROXY:
		return unitPROXY(t, b)
	}
	return 0, flowscope.VerdictNo
}

// unitPostgreSQL recognises requests of 8 bytes, and their answers of one: S to go on with TLS, G with
// GSSAPI, N without.
func unitPostgreSQL(t *talkSide, b []byte) (size int, v flowscope.Verdict) {
	switch b[0] {
	case 0:
		if v = probePostgreSQL(b); v != flowscope.VerdictYes {
			return 0, v
		}
		return 8, v
	case 'S':
		t.over = true
		return 1, flowscope.VerdictYes
	case 'N':
		return 1, flowscope.VerdictYes // the client may ask for the other kind
	}
	return 0, flowscope.VerdictNo
}

// unitSOCKS reads the messages of RFC 1928 section 3 to 6, RFC 1929 and SOCKS 4: those of the two
// sides can be told by their first byte and their place.
func unitSOCKS(t *talkSide, b []byte, client bool) (size int, v flowscope.Verdict) {
	more := func(n int) (int, flowscope.Verdict) {
		if n > len(b) {
			return 0, flowscope.VerdictMaybe
		}
		return n, flowscope.VerdictYes
	}
	at := func(i int) int { // the byte at i, or 0 where it is not there yet
		if i < len(b) {
			return int(b[i])
		}
		return 0
	}
	switch {
	case t.step == 0 && client && b[0] == 4: // CONNECT of SOCKS 4
		user := bytes.IndexByte(b[min(8, len(b)):], 0)
		if len(b) < 8 || user < 0 {
			return limited(b)
		}
		n := 8 + user + 1
		if b[4]|b[5]|b[6] == 0 { // SOCKS 4a: a name follows
			name := bytes.IndexByte(b[n:], 0)
			if name < 0 {
				return limited(b)
			}
			n += name + 1
		}
		if n > maxUnit {
			return 0, flowscope.VerdictNo
		}
		t.over = true
		return n, flowscope.VerdictYes
	case t.step == 0 && !client && b[0] == 0: // its answer
		if len(b) < 8 {
			return more(8)
		}
		t.over = true
		return 8, flowscope.VerdictYes
	case t.step == 0 && b[0] == 5: // the client's methods, and the one that the server chose
		size = 2
		if client {
			size = 2 + at(1)
		}
		if len(b) >= 2 && size <= len(b) {
			t.step = 1
		}
		return more(max(size, 2))
	case t.step > 0 && b[0] == 1: // user and password, and the answer to them
		if !client {
			return more(2)
		}
		if len(b) < 3+at(1) {
			return limited(b)
		}
		return more(3 + at(1) + at(2+at(1)))
	case t.step > 0 && b[0] == 5:
		if len(b) < 5 {
			return limited(b)
		}
		n := 0
		switch b[3] {
		case 1:
			n = 4 + 4 + 2
		case 3:
			n = 4 + 1 + int(b[4]) + 2
		case 4:
			n = 4 + 16 + 2
		default:
			return 0, flowscope.VerdictNo
		}
		if n, v = more(n); v == flowscope.VerdictYes {
			t.over = true
		}
		return n, v
	}
	return 0, flowscope.VerdictNo
}

// maxUnit is how long a unit may be whose length is not written at its beginning.
const maxUnit = 1024

// limited is Maybe for a unit whose end is not there yet, and No for one that has none.
func limited(b []byte) (size int, v flowscope.Verdict) {
	if len(b) >= maxUnit {
		return 0, flowscope.VerdictNo
	}
	return 0, flowscope.VerdictMaybe
}

// unitPROXY reads the header of the PROXY protocol, version 1 (a line of at most 107 bytes) or 2.
func unitPROXY(t *talkSide, b []byte) (size int, v flowscope.Verdict) {
	if b[0] == proxyV1[0] {
		if size = bytes.IndexByte(b[:min(len(b), 107)], '\n') + 1; size == 0 {
			if len(b) >= 107 {
				return 0, flowscope.VerdictNo
			}
			return 0, flowscope.VerdictMaybe
		}
	} else {
		if len(b) < 16 {
			return 0, flowscope.VerdictMaybe
		}
		size = 16 + be16(b[14:])
	}
	t.over = true
	return size, flowscope.VerdictYes
}
