package acceptance

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// A packet that its receiver refuses changes nothing: honest exchanges before and after it are delivered as without it.
// The honest ends are a script in two halves, and the refused packets stand between them.
const (
	honestOpening = ">S <SA >0:/fA/a0"
	honestBefore  = ">0:abcd/a0 <0:/fA/a4 <0:wxyz/a4 >4:/fA/a4"
	honestAfter   = ">4:efgh/a4 <4:/fA/a8 <4:stuv/a8 >8:/fA/a8"
	honestClose   = ">8:/fFA/a8 <8:/fA/a9 <8:/fFA/a9 >9:/fA/a9"
	honestWindow  = 60000
)

var honestSaid = [2]string{"abcdefgh", "wxyzstuv"}

// refusedPackets are those that a receiver refuses where the honest ends are between the halves: both have sent, and
// acknowledged, four bytes.
func refusedPackets() (all []string) {
	edge := 4 + honestWindow
	for _, who := range []string{">", "<"} {
		for _, at := range []int{edge, edge + 1, 4 + 2*honestWindow, 1 << 30, 1<<31 - 1} {
			all = append(all, fmt.Sprintf("%s%d:EVIL/a4", who, at), fmt.Sprintf("%s%d:/fFA/a4", who, at))
		}
		for _, at := range []int{5, 1000, edge + 1, 4 + 2*honestWindow, 1 << 30, 1<<31 - 1, 3} {
			all = append(all, fmt.Sprintf("%sR@%d", who, at))
		}
		for _, ack := range []int{5, honestWindow, honestWindow + 5, 2 * honestWindow, 1 << 30, 1<<31 - 1, -200000} {
			all = append(all, fmt.Sprintf("%s4:EVIL/a%d", who, ack), fmt.Sprintf("%s4:/fA/a%d", who, ack))
		}
		all = append(all, who+"S/n50000", who+"SA/n50000/a4", who+"4:EVIL/fP", who+"0:EVIL/a4")
	}
	return all
}

// honest plays the refused packets between the halves, and compares what was said. lost is the honest step that was not
// captured; -1 is none.
func honest(t *testing.T, opening string, refused []string, pause string, lost int) {
	t.Helper()
	steps := strings.Fields(opening + " " + honestBefore)
	n := len(steps)
	steps = append(steps, strings.Fields(honestAfter+" "+honestClose)...)
	want := honestSaid
	if lost >= 0 {
		if at, data, ok := strings.Cut(steps[lost], ":"); ok && data[0] != '/' {
			side := strings.Index("><", at[:1])
			text := data[:4]
			want[side] = strings.Replace(want[side], text, "<4>", 1)
			if slices.ContainsFunc(refused, func(r string) bool { return strings.HasPrefix(r, steps[lost][:3]+"EVIL") }) {
				return // the only copy that was captured: nobody can know that it is not the one that was taken
			}
		} else if strings.Contains(steps[lost], "/fFA") {
			want[strings.Index("><", steps[lost][:1])] += "<1>" // acknowledged, and nobody saw that it was no byte
		}
		steps = slices.Delete(steps, lost, lost+1)
		if lost < n {
			n--
		}
	}
	steps = slices.Insert(steps, n, append(slices.Clone(refused), strings.Fields(pause)...)...)
	p := testkit.NewPlay(t, nil, flowscope.Config{})
	p.Play(strings.Join(steps, " ") + " finish")
	if got := [2]string{p.Text(0), p.Text(1)}; got != want || p.Starts != 1 {
		t.Errorf("%s: said %q, want %q; %d flows", strings.Join(steps, " "), got, want, p.Starts)
	}
}

func TestA11ARefusedPacketChangesNothing(t *testing.T) {
	for _, pause := range []string{"", "+35s sweep"} {
		for _, r := range refusedPackets() {
			honest(t, honestOpening, []string{r}, pause, -1)
		}
	}
}

func TestA11TwoRefusedPacketsChangeNothing(t *testing.T) {
	all := refusedPackets()
	for i, a := range all {
		for k, b := range all {
			if testing.Short() && (i+k)%7 != 0 {
				continue
			}
			honest(t, honestOpening, []string{a, b}, "", -1)
		}
	}
}

func TestA11ARefusedPacketAndALostOne(t *testing.T) {
	steps := len(strings.Fields(honestOpening + " " + honestBefore + " " + honestAfter + " " + honestClose))
	for _, r := range refusedPackets() {
		for lost := range steps {
			honest(t, honestOpening, []string{r}, "", lost)
		}
	}
}

// A25, and A4: the same of a connection under way, of which no handshake tells the numbers, nor the scale of the windows:
// a segment that is refused may look as one behind a hole. The receiver's ACK stands before it, so it waits.
func TestA25ARefusedPacketUnderWay(t *testing.T) {
	for _, pause := range []string{"", "+35s sweep"} {
		for _, r := range refusedPackets() {
			honest(t, "", []string{r}, pause, -1)
		}
	}
}
