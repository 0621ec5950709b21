package main

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// clockName says what now measures.
const clockName = "CPU time of the thread"

// now is the CPU time of the calling thread, which must be locked. Other programs add to it only
// indirectly, by sharing the caches and the units of a core. The workers of the garbage collector
// run on other threads and do not add to it.
func now() time.Duration {
	const threadCPUTime = 3 // CLOCK_THREAD_CPUTIME_ID
	var t syscall.Timespec
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, threadCPUTime, uintptr(unsafe.Pointer(&t)), 0); errno != 0 {
		panic(errno)
	}
	return time.Duration(t.Nano())
}

// pin locks the goroutine to its thread, and the thread to a processor: that one, or the last that
// is allowed if cpu is negative. It reports whether the thread is pinned. Other threads of the
// process may run anywhere.
func pin(cpu int) bool {
	runtime.LockOSThread()
	const bits = 8 * unsafe.Sizeof(uintptr(0))
	var set [1024 / bits]uintptr
	if cpu < 0 {
		_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, unsafe.Sizeof(set), uintptr(unsafe.Pointer(&set)))
		if errno != 0 {
			return false
		}
		for i := range uintptr(1024) {
			if set[i/bits]>>(i%bits)&1 != 0 {
				cpu = int(i)
			}
		}
		clear(set[:])
	}
	if cpu < 0 || cpu >= 1024 {
		return false
	}
	set[uintptr(cpu)/bits] = 1 << (uintptr(cpu) % bits)
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(set), uintptr(unsafe.Pointer(&set)))
	return errno == 0
}
