package main

import (
	"runtime"

	"github.com/flowscope-go/flowscope"
)

// contender is what packets are shown to. Its functions return the number of events.
type contender struct {
	name   string
	track  func([]flowscope.PacketView) int
	sweep  func(flowscope.Timestamp) int
	finish func() int
}

// newContenders makes a tracker and a driver with default values. The calls are written out for
// both, so that they are not made through an interface.
func newContenders() ([]contender, error) {
	t, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{})
	if err != nil {
		return nil, err
	}
	d, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, flowscope.Config{})
	if err != nil {
		return nil, err
	}
	return []contender{{
		name: "tracker",
		track: func(views []flowscope.PacketView) (events int) {
			for i := range views {
				events += len(t.Track(views[i]))
			}
			return events
		},
		sweep:  func(now flowscope.Timestamp) int { return len(t.Sweep(now)) },
		finish: func() int { return len(t.Finish()) },
	}, driver("driver", d)}, nil
}

func driver(name string, d *flowscope.FlowDriver[flowscope.FiveTupleKey, struct{}]) contender {
	return contender{
		name: name,
		track: func(views []flowscope.PacketView) (events int) {
			for i := range views {
				events += len(d.Track(views[i]))
			}
			return events
		},
		sweep:  func(now flowscope.Timestamp) int { return len(d.Sweep(now)) },
		finish: func() int { return len(d.Finish()) },
	}
}

// newDrivers makes what a comparison about parsers measures: drivers with default values, and drivers
// that emit no other events than the ends of flows and messages, each without parsers and, in a tree
// that has them, with parsers.
func newDrivers() (all []contender, err error) {
	for _, of := range []struct {
		name   string
		events flowscope.EventMask
	}{{"driver", 0}, {"ends", flowscope.Events(flowscope.EventEnded)}} {
		cfg := flowscope.Config{Events: of.events}
		d, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, cfg)
		if err != nil {
			return nil, err
		}
		all = append(all, driver(of.name, d))
		if d, err = withParsers(cfg); err != nil {
			return nil, err
		}
		if d != nil {
			all = append(all, driver(of.name+"+parsers", d))
		}
	}
	return all, nil
}

// allocated runs f with a heap that has just been collected, and returns how often and how much it
// allocates.
func allocated(f func()) (mallocs, bytes uint64) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs, after.TotalAlloc - before.TotalAlloc
}
