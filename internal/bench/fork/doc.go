// Package fork measures the maintained fork of gopacket, which has a module of its own since the library depends on the
// original:
//
//	go test -run '^$' -bench Mix .
//	go test -run '^$' -bench Mix -tags reassembly .
package fork
