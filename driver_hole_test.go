package flowscope_test

import (
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
)

// within fails if f does not come back, so that an endless loop does not take the other tests with it.
func drvWithin(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("does not come back")
	}
}

func TestAHoleOutlivedByItsFlowEndsWithIt(t *testing.T) {
	for name, last := range map[string]string{"by a packet of another flow": ">S/t1", "by a Finish": "finish"} {
		t.Run(name, func(t *testing.T) {
			drvWithin(t, func() {
				p := newDrvPlay(t, nil, flowscope.Config{})
				p.play("hs >5:x >F@6 <F@0 +11s " + last)
				p.want("said", "<closed@0 >gap[0,5)ended >5:x >closed@6:fin ended:fin", p.said())
			})
		})
	}
}
