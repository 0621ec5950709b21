module github.com/flowscope-go/flowscope/examples/live

go 1.25.0

require (
	github.com/flowscope-go/flowscope v0.0.0
	github.com/gopacket/gopacket v1.7.7
	github.com/stretchr/testify v1.12.1
	golang.org/x/net v0.57.0
	golang.org/x/sys v0.47.0
)

require (
	github.com/dgryski/go-wyhash v0.0.0-20191203203029-c4841ae36371 // indirect
	github.com/google/gopacket v1.1.19 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace github.com/flowscope-go/flowscope => ../..
