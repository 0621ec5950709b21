module github.com/flowscope-go/flowscope/internal/bench/fork

go 1.25.0

require (
	github.com/flowscope-go/flowscope v0.0.0
	github.com/gopacket/gopacket v1.7.7
)

require (
	github.com/dgryski/go-wyhash v0.0.0-20191203203029-c4841ae36371 // indirect
	github.com/google/gopacket v1.1.19 // indirect
)

replace github.com/flowscope-go/flowscope => ../../..
