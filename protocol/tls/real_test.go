package tls_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	stdtls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// recording is a connection of crypto/tls with itself.
type recording struct {
	turns          []turn
	hello          *stdtls.ClientHelloInfo // the first one
	client, server stdtls.ConnectionState
	failed         bool
}

// wire carries one direction. Unlike net.Pipe it holds what nobody has read yet: client and server
// of TLS 1.3 may write at the same time.
type wire struct {
	sync.Mutex
	more   sync.Cond
	b      []byte
	closed bool
}

// end is one end of a connection that notes what is written to it.
type end struct {
	net.Conn // nil: crypto/tls needs no more than these methods
	in, out  *wire
	side     flowscope.FlowSide
	note     func(turn)
}

func pipe(note func(turn)) (a, b net.Conn) {
	up, down := new(wire), new(wire)
	up.more.L, down.more.L = up, down
	return end{in: down, out: up, side: client, note: note}, end{in: up, out: down, side: server, note: note}
}

func (e end) Write(b []byte) (int, error) {
	e.note(turn{side: e.side, b: bytes.Clone(b)})
	e.out.Lock()
	defer e.out.Unlock()
	e.out.b = append(e.out.b, b...)
	e.out.more.Signal()
	return len(b), nil
}

func (e end) Read(b []byte) (int, error) {
	e.in.Lock()
	defer e.in.Unlock()
	for len(e.in.b) == 0 && !e.in.closed {
		e.in.more.Wait()
	}
	if len(e.in.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b, e.in.b)
	e.in.b = e.in.b[n:]
	return n, nil
}

func (e end) Close() error {
	for _, w := range []*wire{e.in, e.out} {
		w.Lock()
		w.closed = true
		w.more.Broadcast()
		w.Unlock()
	}
	return nil
}

// converse makes a connection, with a word from each side if the handshake succeeds.
func converse(clientConfig, serverConfig *stdtls.Config) *recording {
	r := new(recording)
	var mu sync.Mutex
	a, b := pipe(func(t turn) {
		mu.Lock()
		defer mu.Unlock()
		r.turns = append(r.turns, t)
	})
	serverConfig = serverConfig.Clone()
	serverConfig.GetConfigForClient = func(h *stdtls.ClientHelloInfo) (*stdtls.Config, error) {
		if r.hello == nil {
			c := *h
			r.hello = &c
		}
		return nil, nil
	}
	done := make(chan error)
	go func() {
		s := stdtls.Server(b, serverConfig)
		err := s.Handshake()
		if err == nil {
			word := make([]byte, 4)
			_, err = io.ReadFull(s, word)
			_, _ = s.Write(word)
			r.server = s.ConnectionState()
		}
		_ = b.Close()
		done <- err
	}()
	c := stdtls.Client(a, clientConfig)
	err := c.Handshake()
	if err == nil {
		_, err = c.Write([]byte("ping"))
		_, _ = io.ReadAll(c)
		r.client = c.ConnectionState()
	}
	_ = a.Close()
	r.failed = <-done != nil || err != nil
	return r
}

func certificateFor(t testing.TB, name string) stdtls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Unix(1700000000, 0), NotAfter: time.Unix(4000000000, 0), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return stdtls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// read plays a recording and gives the one Handshake.
func read(t testing.TB, r *recording) *tls.Handshake {
	t.Helper()
	player, err := flowscope.NewSessionPlayer(flowscope.Config{}, factories(tls.Factory{})...)
	require.NoError(t, err)
	flow := player.TCP(40000, 443)
	var found *tls.Handshake
	note := func(all []flowscope.Emitted) {
		for _, e := range all {
			m, ok := e.Message.(*tls.Handshake)
			require.True(t, ok, "%v", describe(all))
			require.Nil(t, found, "a second Handshake")
			found = m.CloneMessage().(*tls.Handshake)
		}
	}
	for _, turn := range r.turns {
		note(flow.Data(turn.side, turn.b, 1))
	}
	note(flow.End(flowscope.EndFIN, 2))
	require.NotNil(t, found)
	return found
}

// A handshake reads as crypto/tls itself says of it.
func TestRealHandshakes(t *testing.T) {
	serverCertificate, clientCertificate := certificateFor(t, "server.example"), certificateFor(t, "client.example")
	base := stdtls.Config{ServerName: "server.example", InsecureSkipVerify: true}
	cache := stdtls.NewLRUClientSessionCache(8)
	for _, c := range []struct {
		name    string
		client  func(*stdtls.Config)
		server  func(*stdtls.Config)
		retried bool
		fails   bool
	}{
		{name: "TLS 1.2", client: func(c *stdtls.Config) { c.MaxVersion = stdtls.VersionTLS12 }},
		{name: "TLS 1.3"},
		{name: "TLS 1.2, ALPN", client: func(c *stdtls.Config) {
			c.MaxVersion, c.NextProtos = stdtls.VersionTLS12, []string{"h2", "http/1.1"}
		}, server: func(c *stdtls.Config) { c.NextProtos = []string{"http/1.1"} }},
		{name: "TLS 1.3, ALPN", client: func(c *stdtls.Config) { c.NextProtos = []string{"h2", "http/1.1"} }, server: func(c *stdtls.Config) { c.NextProtos = []string{"h2"} }},
		{name: "TLS 1.2, client certificate", client: func(c *stdtls.Config) {
			c.MaxVersion, c.Certificates = stdtls.VersionTLS12, []stdtls.Certificate{clientCertificate}
		}, server: func(c *stdtls.Config) { c.ClientAuth = stdtls.RequireAnyClientCert }},
		{name: "TLS 1.3, client certificate", client: func(c *stdtls.Config) { c.Certificates = []stdtls.Certificate{clientCertificate} },
			server: func(c *stdtls.Config) { c.ClientAuth = stdtls.RequireAnyClientCert }},
		{name: "TLS 1.2, to be resumed", client: func(c *stdtls.Config) { c.MaxVersion, c.ClientSessionCache = stdtls.VersionTLS12, cache }},
		{name: "TLS 1.2, resumed", client: func(c *stdtls.Config) { c.MaxVersion, c.ClientSessionCache = stdtls.VersionTLS12, cache }},
		{name: "TLS 1.3, to be resumed", client: func(c *stdtls.Config) { c.ServerName, c.ClientSessionCache = "other.example", cache }},
		{name: "TLS 1.3, resumed", client: func(c *stdtls.Config) { c.ServerName, c.ClientSessionCache = "other.example", cache }},
		{name: "HelloRetryRequest", client: func(c *stdtls.Config) { c.CurvePreferences = []stdtls.CurveID{stdtls.CurveP256, stdtls.CurveP384} },
			server: func(c *stdtls.Config) { c.CurvePreferences = []stdtls.CurveID{stdtls.CurveP384} }, retried: true},
		{name: "without a name", client: func(c *stdtls.Config) { c.ServerName = "" }},
		{name: "no version in common", client: func(c *stdtls.Config) { c.MaxVersion = stdtls.VersionTLS12 }, server: func(c *stdtls.Config) { c.MinVersion = stdtls.VersionTLS13 }, fails: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			cc, sc := base.Clone(), &stdtls.Config{Certificates: []stdtls.Certificate{serverCertificate}}
			sc.SetSessionTicketKeys([][32]byte{{1}})
			if c.client != nil {
				c.client(cc)
			}
			if c.server != nil {
				c.server(sc)
			}
			r := converse(cc, sc)
			require.Equal(t, c.fails, r.failed)
			m := read(t, r)
			assertHello(t, r.hello, m)
			assert.Equal(t, c.retried, m.Retried)
			assert.False(t, m.Incomplete)
			assert.Equal(t, flowscope.Timestamp(1), m.ClientTime)
			if c.fails {
				assert.Equal(t, []tls.Alert{{Client: false, Level: 2, Description: 70}}, m.Alerts)
				return
			}
			assertServer(t, r, m)

			// And in any cut.
			playAll(t, factories(tls.Factory{Hellos: true}), r.turns...)
		})
	}
}

func assertHello(t *testing.T, want *stdtls.ClientHelloInfo, m *tls.Handshake) {
	assert.Equal(t, want.ServerName, m.SNI.String())
	var protocols []string
	for _, p := range m.ALPN {
		protocols = append(protocols, p.String())
	}
	assert.Equal(t, want.SupportedProtos, protocols)
	var ciphers, extensions []uint16
	for c := range m.ClientHello.CipherSuites() {
		ciphers = append(ciphers, uint16(c))
	}
	for e := range m.ClientHello.Extensions() {
		extensions = append(extensions, e)
	}
	assert.Equal(t, want.CipherSuites, ciphers)
	assert.Equal(t, want.Extensions, extensions)
	assert.Equal(t, slices.Max(want.SupportedVersions), uint16(m.Offered))
	assert.True(t, m.ClientHello.WellFormed())
	assert.Len(t, m.ClientHello.Random(), 32)
	assert.Equal(t, ja4(want), m.JA4().String())
	if !fipsOnly() {
		assert.Equal(t, ja3(want), m.JA3().String())
	}
}

func assertServer(t *testing.T, r *recording, m *tls.Handshake) {
	assert.Equal(t, r.client.Version, uint16(m.Version))
	assert.Equal(t, r.client.CipherSuite, uint16(m.Cipher))
	assert.Equal(t, r.client.DidResume, m.Resumed)
	assert.Empty(t, m.Alerts)
	if m.Version == tls.VersionTLS13 {
		assert.Empty(t, m.ServerALPN)
		assert.Empty(t, m.Certificates)
		return
	}
	assert.Equal(t, r.client.NegotiatedProtocol, m.ServerALPN.String())
	var want, got []string
	for i, state := range []stdtls.ConnectionState{r.client, r.server} {
		for _, c := range state.PeerCertificates {
			if !state.DidResume {
				want = append(want, fmt.Sprint(i == 1, c.Subject, c.NotAfter, sha256.Sum256(c.Raw)))
			}
		}
	}
	for _, c := range m.Certificates {
		parsed, err := c.Parse()
		require.NoError(t, err)
		got = append(got, fmt.Sprint(c.Client, parsed.Subject, parsed.NotAfter, c.SHA256()))
		if !fipsOnly() {
			assert.Equal(t, sha1.Sum(c.DER), c.SHA1())
		}
	}
	assert.Equal(t, want, got)
}

// ja3 and ja4 build the fingerprints as text, from what crypto/tls has parsed.
func ja3(h *stdtls.ClientHelloInfo) string {
	join := func(list ...uint16) string { return strings.ReplaceAll(strings.Trim(fmt.Sprint(list), "[]"), " ", "-") }
	var groups, points []uint16
	for _, g := range h.SupportedCurves {
		groups = append(groups, uint16(g))
	}
	for _, p := range h.SupportedPoints {
		points = append(points, uint16(p))
	}
	text := strings.Join([]string{"771", join(h.CipherSuites...), join(h.Extensions...), join(groups...), join(points...)}, ",")
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

func ja4(h *stdtls.ClientHelloInfo) string {
	list := func(numbers []uint16) string {
		var words []string
		for _, n := range numbers {
			words = append(words, fmt.Sprintf("%04x", n))
		}
		return strings.Join(words, ",")
	}
	hash := func(s string) string { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:])[:12] }
	version, name, protocol := "12", "i", "00"
	if slices.Contains(h.SupportedVersions, stdtls.VersionTLS13) {
		version = "13"
	}
	if h.ServerName != "" {
		name = "d"
	}
	if len(h.SupportedProtos) > 0 {
		p := h.SupportedProtos[0]
		protocol = p[:1] + p[len(p)-1:]
	}
	ciphers := slices.Sorted(slices.Values(h.CipherSuites))
	extensions := slices.Sorted(slices.Values(h.Extensions))
	extensions = slices.DeleteFunc(extensions, func(e uint16) bool { return e == 0 || e == 16 })
	var signatures []uint16
	for _, s := range h.SignatureSchemes {
		signatures = append(signatures, uint16(s))
	}
	return fmt.Sprintf("t%s%s%02d%02d%s_%s_%s", version, name, len(ciphers), len(h.Extensions), protocol, hash(list(ciphers)), hash(list(extensions)+"_"+list(signatures)))
}

func TestACertificateParsesWithoutTheMessage(t *testing.T) {
	der := bytes.Clone(certificateFor(t, "a.example").Certificate[0])
	c, err := tls.Certificate{DER: der}.Parse()
	require.NoError(t, err)
	clear(der)
	assert.NotZero(t, c.Raw[0])
	_, err = tls.Certificate{DER: []byte("no certificate")}.Parse()
	assert.Error(t, err)
}
