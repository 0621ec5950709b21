package tls

import (
	"github.com/flowscope-go/flowscope"
)

// The Handshake at the end of a connection.

// finish emits the Handshake, if there is anything to say.
func (p *parser) finish(out *flowscope.Messages) {
	if p.gone || !p.clientHello.ok && !p.v2.ok && !p.hasServerHello && !p.serverHello.ok && p.numCertificates == 0 && p.numAlerts == 0 {
		return
	}
	m := flowscope.Emit[Handshake](out)
	m.Client, m.ClientTime, m.ServerTime = p.client, p.clientTime, p.serverTime
	m.Retried, m.Incomplete = p.retried, p.incomplete
	all := out.Copy(p.kept.b)
	part := func(s span) []byte {
		if !s.ok {
			return nil
		}
		return all[s.from:s.to:s.to]
	}
	m.ClientHello, m.ServerHello, m.SSLv2 = part(p.clientHello), part(p.serverHello), part(p.v2)
	m.describeClient(out)
	m.describeServer(p.version)
	m.Resumed = p.resumed(m)
	p.listCertificates(m, part, out)
	m.Alerts = flowscope.Slice[Alert](out, int(p.numAlerts))
	for i := range m.Alerts {
		a := p.alerts[i]
		m.Alerts[i] = Alert{a.side == p.client, a.level, AlertDescription(a.description)}
	}
}

func (h *Handshake) describeClient(out *flowscope.Messages) {
	if h.SSLv2 != nil && h.ClientHello == nil {
		h.Offered = h.SSLv2.Version()
		return
	}
	extensions := h.ClientHello.parts().extensions
	h.SNI, h.Offered = serverName(extensions), h.ClientHello.offered(extensions)
	n := 0
	for range protocols(extensions) {
		n++
	}
	h.ALPN = flowscope.Slice[Text](out, n)
	n = 0
	for name := range protocols(extensions) {
		h.ALPN[n] = name
		n++
	}
	_, h.ECH = extension(extensions, extECH)
	_, h.EarlyData = extension(extensions, extEarlyData)
}

func (h *Handshake) describeServer(version Version) {
	if h.Version = version; h.ServerHello == nil {
		return
	}
	h.Version, h.Cipher, h.ServerALPN = h.ServerHello.Version(), h.ServerHello.Cipher(), h.ServerHello.ALPN()
}

// resumed follows RFC 8446 section 2.2, RFC 5246 section 7.3 and RFC 5077 section 3.
func (p *parser) resumed(m *Handshake) bool {
	if !p.hasServerHello || m.ServerHello == nil {
		return false
	}
	server := m.ServerHello.parts()
	if m.Version.is13() {
		_, psk := extension(server.extensions, extPreSharedKey)
		return psk
	}
	if d := &p.sides[p.client^1]; !d.ccs || d.full || d.gapped {
		return false
	}
	if m.ClientHello == nil {
		return true // by the order of the messages alone
	}
	client := m.ClientHello.parts()
	ticket, _ := extension(client.extensions, extSessionTicket)
	return len(ticket) > 0 || len(client.session) > 0 && string(client.session) == string(server.session)
}

func (p *parser) listCertificates(m *Handshake, part func(span) []byte, out *flowscope.Messages) {
	total := 0
	for _, s := range p.certificates[:p.numCertificates] {
		n, _ := countCertificates(part(s.span))
		total += n
	}
	m.Certificates = flowscope.Slice[Certificate](out, total)
	i := 0
	for _, s := range p.certificates[:p.numCertificates] {
		eachCertificate(part(s.span), func(der []byte) {
			m.Certificates[i] = Certificate{s.side == p.client, der}
			i++
		})
	}
}
