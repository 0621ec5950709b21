package tls

import (
	"bytes"
	"slices"

	"github.com/flowscope-go/flowscope"
)

// Handshake is the handshake of a connection, as far as it could be read. It is emitted once both sides
// encrypt or are complete, at the latest at the end of the flow, for each connection on which a
// hello, a Certificate message or a readable alert was seen.
//
// Its bytes are lent until the next call on the driver; Clone of the event, or CloneMessage, keeps
// them.
type Handshake struct {
	// Client is the side of the client: the one that sent a ClientHello, or did not send a ServerHello. It is
	// not always the initiator.
	Client flowscope.FlowSide

	// SNI is the server name of the client's hello, that of the outer one with ECH.
	SNI Text
	// ALPN are the protocols that the client offers, ServerALPN the one that the server chose, which
	// is in clear up to TLS 1.2.
	ALPN       []Text
	ServerALPN Text
	// Offered is the highest version that the client offers, Version that of the connection; 0
	// without the hello.
	Offered, Version Version
	// Cipher is the cipher suite of the connection, if there is a ServerHello.
	Cipher CipherSuite

	// Resumed: the connection goes on with the keys of one before. Up to TLS 1.2 that is known once
	// the server has encrypted without sending a certificate; in TLS 1.3 it is so if the server took
	// a pre-shared key.
	Resumed bool
	// Retried: the server asked for another ClientHello (HelloRetryRequest). ClientHello, with
	// SNI, ALPN and the fingerprints, is the first one, ServerHello the last one.
	Retried bool
	// ECH: the client sent encrypted_client_hello. That it is real cannot be known: clients send
	// it with random content too (RFC 9849 section 6.2).
	ECH bool
	// EarlyData: the client announced data before the handshake is over (0-RTT).
	EarlyData bool
	// Incomplete: something is missing that might have been read. A *Lost said so.
	Incomplete bool

	// ClientHello is the client's first hello, ServerHello the server's last one; that of a
	// HelloRetryRequest only if no other came. SSLv2 is the client's hello if it has that format.
	ClientHello ClientHello
	ServerHello ServerHello
	SSLv2       SSLv2Hello

	// Certificates are those of both sides, in the order of capture; none in TLS 1.3.
	Certificates []Certificate
	// Alerts are the alerts that were not encrypted, in the order of capture, at most 16.
	Alerts []Alert

	// ClientTime and ServerTime are when the first bytes of ClientHello and of ServerHello came; 0
	// without them.
	ClientTime, ServerTime flowscope.Timestamp
}

// CloneMessage is a copy that shares no memory with the message.
func (h *Handshake) CloneMessage() flowscope.Message {
	c := *h
	c.ClientHello = bytes.Clone(h.ClientHello)
	c.ServerHello = bytes.Clone(h.ServerHello)
	c.SSLv2 = h.SSLv2.clone()
	c.SNI = bytes.Clone(h.SNI)
	c.ServerALPN = bytes.Clone(h.ServerALPN)
	c.ALPN = slices.Clone(h.ALPN)
	for i, name := range c.ALPN {
		c.ALPN[i] = bytes.Clone(name)
	}
	c.Certificates = slices.Clone(h.Certificates)
	for i := range c.Certificates {
		c.Certificates[i].DER = bytes.Clone(h.Certificates[i].DER)
	}
	c.Alerts = slices.Clone(h.Alerts)
	return &c
}

// JA3 is the JA3 fingerprint of the client's first hello; see ClientHello.JA3.
func (h *Handshake) JA3() MD5 { return h.ClientHello.JA3() }

// JA3S is the JA3S fingerprint of the ServerHello; see ServerHello.JA3S.
func (h *Handshake) JA3S() MD5 { return h.ServerHello.JA3S() }

// JA4 is the JA4 fingerprint of the client's first hello; see ClientHello.JA4.
func (h *Handshake) JA4() JA4 { return h.ClientHello.JA4() }

// Hello is one hello message, emitted as soon as it is complete if Factory.Hellos is set. One of the
// two is set. A HelloRetryRequest is a ServerHello too.
type Hello struct {
	Client ClientHello
	Server ServerHello
}

// CloneMessage is a copy that shares no memory with the message.
func (h *Hello) CloneMessage() flowscope.Message {
	return &Hello{Client: bytes.Clone(h.Client), Server: bytes.Clone(h.Server)}
}

// Lost reports bytes that could not be read. The Side of its event has sent them.
type Lost struct {
	Why LostReason
	// Bytes is how many bytes are missing, or how long the message is that was too large; else 0.
	Bytes int64
}

// CloneMessage is a copy of the message.
func (l *Lost) CloneMessage() flowscope.Message {
	c := *l
	return &c
}

// LostReason is the reason of a Lost.
type LostReason uint8

const (
	// LostGap: bytes are missing from the stream before the side encrypts. What follows is read
	// again from the next record that can be told.
	LostGap LostReason = iota + 1
	// LostTooLarge: a message is longer than Factory.MaxHello or MaxCertificates. It is passed over.
	LostTooLarge
	// LostFraming: there is no record where one has to begin. The side is not read further.
	LostFraming
	// LostBudget: Config.SessionBytes is used up. The connection is not read further.
	LostBudget
)

var lostNames = [...]string{LostGap: "gap", LostTooLarge: "too large", LostFraming: "framing", LostBudget: "budget"}

// String is a short name, such as "too large".
func (r LostReason) String() string {
	if int(r) < len(lostNames) && r > 0 {
		return lostNames[r]
	}
	return "unknown"
}
