//go:build noparsers

package main

import "github.com/flowscope-go/flowscope"

// withParsers makes nothing: the tree is older than the parsers.
func withParsers(flowscope.Config) (*flowscope.FlowDriver[flowscope.FiveTupleKey, struct{}], error) {
	return nil, nil
}
