package main

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/flowscope-go/flowscope"
)

// replay gives the packets of a capture in the time that they took, times a factor.
type replay struct {
	title string
	views iter.Seq2[flowscope.PacketView, error]
	speed float64       // 0: at once
	pause time.Duration // the longest silence that is waited for, in packet time; 0: any
	clock func() time.Time
	sleep func(context.Context, time.Duration) error

	mu      sync.Mutex
	due     time.Time           // when the last packet was, or will be, given
	latest  flowscope.Timestamp // of the packets before, the latest timestamp that was not put back
	next    flowscope.Timestamp // of the packet that is waited for
	begun   bool
	skipped time.Duration
}

func newReplay(title string, views iter.Seq2[flowscope.PacketView, error], speed float64, pause time.Duration) *replay {
	return &replay{title: clean(title, maxText), views: views, speed: speed, pause: pause, clock: time.Now, sleep: sleep}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (r *replay) Packets(ctx context.Context) iter.Seq2[flowscope.PacketView, error] {
	return func(yield func(flowscope.PacketView, error) bool) {
		for view, err := range r.views {
			if err == nil {
				err = r.wait(ctx, view.Timestamp)
			}
			if !yield(view, err) || err != nil {
				return
			}
		}
	}
}

// wait returns when the packet is due.
func (r *replay) wait(ctx context.Context, at flowscope.Timestamp) error {
	if err := ctx.Err(); err != nil || r.speed == 0 {
		return err
	}
	d := r.plan(at)
	if d <= 0 {
		return nil
	}
	return r.sleep(ctx, d)
}

// backward is how far a timestamp may lie behind others and still be of the same time: packets of several queues are not
// quite in order. One that lies further behind means that the timestamps before it, or this one, are wrong.
const backward = time.Second

// plan says how long to wait for a packet with this timestamp.
func (r *replay) plan(at flowscope.Timestamp) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock()
	if !r.begun {
		r.begun, r.due, r.latest, r.next = true, now, at, at
		return 0
	}
	if step := at.Sub(r.next); step > 0 {
		r.latest, r.next = r.next, at
		if r.pause > 0 && step > r.pause {
			r.skipped += step - r.pause
			step = r.pause
		}
		r.due = r.due.Add(time.Duration(min(float64(step)/r.speed, 1<<61)))
	} else if step < -backward {
		r.latest, r.next = at, at
	}
	if late := now.Sub(r.due); late > time.Second {
		r.due = now // the program was stopped, or cannot keep up: no hurry to make up for it
	}
	return r.due.Sub(now)
}

// now is the time in the capture, which passes while a packet is waited for.
func (r *replay) now() (flowscope.Timestamp, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.begun || r.speed == 0 {
		return 0, false
	}
	left := time.Duration(float64(r.due.Sub(r.clock())) * r.speed)
	if left <= 0 {
		return 0, false // the packet is due: it moves time itself
	}
	return max(r.latest, r.next.Add(-left)), true
}

func (r *replay) dropped() (uint64, bool) { return 0, false }

func (r *replay) name() string { return r.title }

func (r *replay) pace() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := "at once"
	if r.speed > 0 {
		text = fmt.Sprintf("x%g", r.speed)
	}
	if r.skipped > 0 {
		text += ", " + span(r.skipped) + " of silence skipped"
	}
	return text
}
