package acceptance

import (
	"fmt"
	"testing"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// Finish forgets all flows at once where they fill the table, and that must not show: not to the caller's code while
// it goes on, not after a panic of that in the middle, and not in the next capture.
func TestAFinishOfAFullTableLooksLikeOneOfFewFlows(t *testing.T) {
	for _, room := range []int{8, 10_000} { // with the first, flows are forgotten all at once; with the second, one by one
		for blast := range 9 { // the flow at whose end the caller's code panics; the last is none
			t.Run(fmt.Sprintf("room for %d, panic in the end of flow %d", room, blast), func(t *testing.T) {
				finishThrice(t, room, blast)
			})
		}
	}
}

// atFin calls at the end of its side.
type atFin struct{ fin func() }

func (a *atFin) Segment(flowscope.Segment, *flowscope.Delivery) {}
func (a *atFin) Fin(*flowscope.Delivery)                        { a.fin() }

func (a *atFin) Rst(*flowscope.Delivery) { a.fin() }

func finishThrice(t *testing.T, room, blown int) {
	const flows = 8
	var p *testkit.Play
	alive := [flows]bool{}
	look := func(when string, spared int) {
		t.Helper()
		for tuple, want := range alive {
			if _, ok := p.Driver.Get(testkit.TupleKey(tuple)); ok != want && tuple != spared {
				t.Errorf("%s, Get of %d says %v", when, tuple, ok)
			}
			if !want && tuple != spared && p.Driver.ForceClose(testkit.TupleKey(tuple)) {
				t.Errorf("%s, %d could be closed", when, tuple)
			}
		}
	}
	cut, blew := 0, flows
	factory := flowscope.ReassemblerFunc[testkit.Key](func(key testkit.Key, _ flowscope.FlowSide) flowscope.Reassembler {
		return &atFin{func() {
			tuple := 0
			for key != testkit.TupleKey(tuple) {
				tuple++
			}
			cut++
			look(fmt.Sprintf("when %d ends", tuple), blew)
			if tuple == blown {
				blown, blew = flows, tuple // a Reassembler that blew is not told again
				panic(blast{})
			}
			alive[tuple] = false
		}}
	})
	p = testkit.NewPlay(t, factory, flowscope.Config{MaxFlows: room})
	finish := func() {
		defer func() {
			if r := recover(); r != nil && r != (blast{}) {
				panic(r)
			}
		}()
		p.Driver.Finish()
	}
	for n := 1; n <= 3; n++ {
		for i := range alive {
			tuple := (i*3 + n) % flows // another slot each time
			p.Play(fmt.Sprintf(">0:x/t%d", tuple))
			alive[tuple] = true
		}
		look("before Finish", flows)
		finish()
		look("after a Finish", flows)
		finish()
		alive = [flows]bool{}
		look("after another Finish", flows)
		if blew = flows; cut != n*flows {
			t.Errorf("%d ends in %d captures", cut, n)
		}
	}
	if st := p.Driver.Stats(); st.FlowsCreated != 3*flows || st.FlowsEnded != 3*flows || st.FlowsActive+st.FlowsLingering != 0 {
		t.Errorf("%+v", st)
	}
}
