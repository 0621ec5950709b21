module github.com/flowscope-go/flowscope/examples/report/browser

go 1.25

require (
	github.com/chromedp/cdproto v0.160.1
	github.com/chromedp/chromedp v0.23.1
	github.com/flowscope-go/flowscope v0.0.0
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/dgryski/go-wyhash v0.0.0-20191203203029-c4841ae36371 // indirect
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	github.com/google/gopacket v1.1.19 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace github.com/flowscope-go/flowscope => ../../..
