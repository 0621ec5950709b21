// Package captures embeds a capture of this folder, for examples that are run without a file.
package captures

import _ "embed"

// Sessions is sessions.pcap: HTTP/1, TLS and DNS. ../README.md describes it.
//
//go:embed sessions.pcap
var Sessions []byte
