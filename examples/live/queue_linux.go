package main

import (
	"sync"

	"github.com/flowscope-go/flowscope"
)

// Limits of the packets in the queue. A batch may exceed queueBytes by one frame.
const (
	queueBytes   = 8 << 20
	queuePackets = 1 << 16
)

// batch is packets with memory of their own, which is used again.
type batch struct {
	memory []byte // of the frames
	views  []flowscope.PacketView
}

func (b *batch) full() bool { return len(b.memory) >= queueBytes || len(b.views) >= queuePackets }

// queue carries packets from the goroutine that reads to the one that tracks. There are two
// batches: one is filled while the other is tracked, then they change places. So the reader
// copies a packet, since the handle's buffer is used again, but allocates nothing for it,
// and the socket is emptied while a packet is tracked. When the queue is full the reader
// waits, and the kernel drops packets and counts them.
type queue struct {
	ready chan struct{} // there are packets

	mu      sync.Mutex
	room    sync.Cond // filling is not full, or stopped
	filling *batch
	stopped bool
}

func newQueue() *queue {
	q := &queue{ready: make(chan struct{}, 1), filling: new(batch)}
	q.room.L = &q.mu
	return q
}

// add copies a packet. It reports false if the queue was stopped.
func (q *queue) add(v flowscope.PacketView) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.filling.full() && !q.stopped {
		q.room.Wait()
	}
	if q.stopped {
		return false
	}
	b := q.filling
	// Where the memory has to grow, the frames before this one stay where they are.
	at := len(b.memory)
	b.memory = append(b.memory, v.Frame...)
	v.Frame = b.memory[at:len(b.memory):len(b.memory)]
	b.views = append(b.views, v)
	select {
	case q.ready <- struct{}{}:
	default:
	}
	return true
}

// take gives all packets of the queue, for a batch that is done with.
func (q *queue) take(done *batch) *batch {
	clear(done.views)
	done.memory, done.views = done.memory[:0], done.views[:0]
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.filling
	q.filling = done
	q.room.Signal()
	return b
}

// stop lets add return. Packets that were added before can be taken.
func (q *queue) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = true
	q.room.Signal()
}
