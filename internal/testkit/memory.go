package testkit

import (
	"runtime"
)

// Heap is the size of what is reachable on the heap.
func Heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
