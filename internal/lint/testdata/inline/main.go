// Inline instantiates the generic types of the library as a user's program does, so that a test can see
// which calls the compiler left in their methods.
package main

import (
	"fmt"

	"github.com/flowscope-go/flowscope"
)

func main() {
	views := []flowscope.PacketView{{Frame: make([]byte, 60)}}
	tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{})
	if err != nil {
		panic(err)
	}
	fmt.Println(len(tracker.Track(views[0])))
	for _, events := range tracker.TrackBatch(views) {
		fmt.Println(len(events))
	}
	driver, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, flowscope.Config{})
	if err != nil {
		panic(err)
	}
	fmt.Println(len(driver.Track(views[0])), len(driver.Finish()))
}
