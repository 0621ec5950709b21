module github.com/flowscope-go/flowscope/internal/difftest

go 1.24

require (
	github.com/flowscope-go/flowscope v0.0.0
	github.com/miekg/dns v1.1.62
	github.com/netsampler/goflow2/v2 v2.2.6
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3
	github.com/stretchr/testify v1.12.1
	go.yaml.in/yaml/v3 v3.0.5
	golang.org/x/net v0.43.0
)

require (
	github.com/dgryski/go-wyhash v0.0.0-20191203203029-c4841ae36371 // indirect
	github.com/google/gopacket v1.1.19 // indirect
	golang.org/x/mod v0.26.0 // indirect
	golang.org/x/sync v0.16.0 // indirect
	golang.org/x/sys v0.35.0 // indirect
	golang.org/x/text v0.28.0 // indirect
	golang.org/x/tools v0.35.0 // indirect
)

replace github.com/flowscope-go/flowscope => ../..
