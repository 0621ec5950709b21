package flowscope_test

import (
	"strings"
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

// What becomes of a hole is the same, whether or not another flow's packet says in between that its time is up.
func TestWhyAHoleWasGivenUpIsNoMatterOfOtherFlows(t *testing.T) {
	for name, c := range map[string]struct{ flow, want string }{
		"its time comes first":         {"hs >5:x", ">gap[0,5)expired >5:x >closed@6:idle <closed@0:idle ended:idle"},
		"the receiver has it":          {"hs >5:x <A6", ">gap[0,5)acknowledged >5:x >closed@6:idle <closed@0:idle ended:idle"},
		"the time of its flow is over": {"hs >5:x >F@6 <F@0", "<closed@0 >gap[0,5)ended >5:x >closed@6:fin ended:fin"},
		"the flow ends at that time":   {"hs >5:x +30s <R@0", ">gap[0,5)expired >5:x >closed@6:rst <closed@0:rst ended:rst"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, between := range []string{"", "+31s >S/t1", "+29s >S/t1 +2s >S/t2 +1s", "+31s sweep"} {
				for _, last := range []string{" +2h >S/t9", " +2h sweep"} {
					p := newDrvPlay(t, nil, flowscope.Config{ClockJump: flowscope.Never})
					p.play(c.flow + " " + between + last)
					if said := p.said(); said != c.want && !strings.HasPrefix(said, c.want+" ") {
						t.Errorf("%q:\n got %s\nwant %s", between+last, said, c.want)
					}
				}
			}
		})
	}
}
