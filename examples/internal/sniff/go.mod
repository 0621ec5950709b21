module github.com/flowscope-go/flowscope/examples/internal/sniff

go 1.25.0

require (
	github.com/flowscope-go/flowscope v0.0.0
	golang.org/x/net v0.55.0
	golang.org/x/sys v0.45.0
)

require (
	github.com/dgryski/go-wyhash v0.0.0-20191203203029-c4841ae36371 // indirect
	github.com/google/gopacket v1.1.19 // indirect
	github.com/gopacket/gopacket v1.7.7
)

replace github.com/flowscope-go/flowscope => ../../..
