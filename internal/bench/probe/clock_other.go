//go:build !linux

package main

import (
	"runtime"
	"time"
)

// clockName says what now measures.
const clockName = "wall time"

var began = time.Now()

// now is the time since the program began: the CPU time of a thread is read on Linux alone.
func now() time.Duration { return time.Since(began) }

// pin locks the goroutine to its thread. The thread is not pinned to a processor.
func pin(int) bool {
	runtime.LockOSThread()
	return false
}
