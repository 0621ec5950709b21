package sessionlog

import (
	"cmp"
	"encoding/hex"
	"strings"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// Handshake is a TLS handshake. What belongs to a message that was not seen is absent.
type Handshake struct {
	Head
	SNI          string        `json:"sni,omitempty"`
	ClientALPN   []string      `json:"client_alpn,omitempty"`
	JA3          string        `json:"ja3,omitempty"`
	JA4          string        `json:"ja4,omitempty"`
	Version      string        `json:"version,omitempty"`
	Cipher       *uint16       `json:"cipher,omitempty"`
	ServerALPN   string        `json:"server_alpn,omitempty"`
	JA3S         string        `json:"ja3s,omitempty"`
	HRR          bool          `json:"hrr"` // there was a HelloRetryRequest
	Resumed      bool          `json:"resumed"`
	Latency      *int64        `json:"latency_us,omitempty"`
	Certificates []Certificate `json:"certificates,omitempty"`
	Alerts       []Alert       `json:"alerts,omitempty"`
}

type Certificate struct {
	Side    string `json:"side"`
	SHA1    string `json:"sha1"`
	Subject string `json:"subject,omitempty"` // absent if the certificate is malformed
}

type Alert struct {
	Side        string `json:"side"`
	Level       uint8  `json:"level"`
	Description uint8  `json:"description"`
}

func newHandshake(ev *flowscope.Event, m *tls.Handshake) *Handshake {
	h := &Handshake{
		Head: newHead("tls", ev, m.Client, cmp.Or(m.ClientTime, m.ServerTime, ev.Timestamp)),
		SNI:  m.SNI.String(), ServerALPN: m.ServerALPN.String(),
		JA3: m.JA3().String(), JA4: m.JA4().String(), JA3S: m.JA3S().String(),
		HRR: m.Retried, Resumed: m.Resumed,
		Latency: microseconds(m.ServerTime.Sub(m.ClientTime), m.ClientTime != 0 && m.ServerTime != 0),
	}
	for _, protocol := range m.ALPN {
		h.ClientALPN = append(h.ClientALPN, protocol.String())
	}
	if m.Version != 0 {
		h.Version = m.Version.String()
	}
	if m.ServerHello != nil {
		cipher := uint16(m.Cipher)
		h.Cipher = &cipher
	}
	for _, c := range m.Certificates {
		sum := c.SHA1()
		one := Certificate{Side: sideName(c.Client), SHA1: hex.EncodeToString(sum[:])}
		if parsed, err := c.Parse(); err == nil {
			one.Subject = parsed.Subject.String()
		}
		h.Certificates = append(h.Certificates, one)
	}
	for _, a := range m.Alerts {
		h.Alerts = append(h.Alerts, Alert{sideName(a.Client), a.Level, uint8(a.Description)})
	}
	return h
}

func sideName(client bool) string {
	if client {
		return "client"
	}
	return "server"
}

// Cells implements Record.
func (h *Handshake) Cells() []string {
	var result []string
	for _, text := range []string{h.Version, h.ServerALPN} {
		if text != "" {
			result = append(result, text)
		}
	}
	if h.HRR {
		result = append(result, "retried")
	}
	if h.Resumed {
		result = append(result, "resumed")
	}
	for _, a := range h.Alerts {
		result = append(result, a.Side+" alert: "+tls.AlertDescription(a.Description).String())
	}
	request := strings.TrimSpace(h.SNI + " " + strings.Join(h.ClientALPN, ","))
	return []string{request, strings.Join(result, ", "), milliseconds(h.Latency), ""}
}
