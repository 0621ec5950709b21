// Package options holds the flags that the example programs share.
package options

import (
	"flag"
	"time"

	"github.com/flowscope-go/flowscope"
)

// Usage names the flags in a usage line.
const Usage = "[-idle D] [-no-encap] [-no-defrag] [-checksums ignore|verify|auto]"

// Options are the flags' values.
type Options struct {
	Idle      time.Duration
	NoEncap   bool
	NoDefrag  bool
	Checksums flowscope.ChecksumMode
}

// Add defines the flags.
func Add(flags *flag.FlagSet) *Options {
	o := new(Options)
	flags.DurationVar(&o.Idle, "idle", 0, "end flows that are idle for this long, whatever their kind (0: the defaults)")
	flags.BoolVar(&o.NoEncap, "no-encap", false, "do not decapsulate tunnels")
	flags.BoolVar(&o.NoDefrag, "no-defrag", false, "do not reassemble IP fragments")
	flags.TextVar(&o.Checksums, "checksums", flowscope.ChecksumIgnore, "whether checksums are verified: ignore, verify or auto")
	return o
}

// Extractor makes the extractor that the flags ask for.
func (o *Options) Extractor() flowscope.FlowExtractor[flowscope.FiveTupleKey] {
	if o.NoEncap {
		return flowscope.FiveTuple{}
	}
	return flowscope.AutoDetectEncap(flowscope.FiveTuple{})
}

// Config is the zero Config with the values of the flags and these events.
func (o *Options) Config(events ...flowscope.EventKind) flowscope.Config {
	cfg := flowscope.Config{Events: flowscope.Events(events...), Checksums: o.Checksums}
	if o.NoDefrag {
		cfg.Fragments = flowscope.FragmentsIgnore
	}
	if o.Idle != 0 {
		cfg.OpeningTimeout, cfg.EstablishedTimeout, cfg.ClosingTimeout = o.Idle, o.Idle, o.Idle
		cfg.UDPTimeout, cfg.ICMPTimeout, cfg.OtherTimeout = o.Idle, o.Idle, o.Idle
		cfg.LingerTimeout = max(o.Idle, 60*time.Second)
	}
	return cfg
}
