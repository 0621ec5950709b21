package acceptance

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// longPackets are packets whose IP length goes beyond a whole frame, where the honest ends are between the halves. No
// receiver takes them.
func longPackets() (all []string) {
	for _, who := range []string{">", "<"} {
		for _, step := range []string{"4:EVIL/a4", "4:EVIL/a4/F", "4:/fA/a4", "4:/fA/a8", "4:/fFA/a4", "8:EVIL/a4", "S", "S/n50000", "S/n-3", "SA/n50000/a4", "R@4", "RA@4"} {
			all = append(all, who+step+"/l9")
		}
	}
	return all
}

func TestA11APacketLongerThanItsFrameChangesNothing(t *testing.T) {
	for _, opening := range []string{honestOpening, ""} {
		for _, pause := range []string{"", "+35s sweep"} {
			for _, r := range longPackets() {
				honest(t, opening, []string{r}, pause, -1)
			}
		}
	}
}

// Where nobody acknowledges, since the other side is not captured.
func TestAPacketLongerThanItsFrameFromTheOnlySideThereIs(t *testing.T) {
	for _, opening := range []string{">S ", ""} {
		for _, r := range longPackets()[:12] {
			p := testkit.NewPlay(t, nil, flowscope.Config{})
			p.Play(opening + ">0:abcd/a0 " + r + " >4:efgh/a4 +35s sweep >8:ijkl/a4 >12:/fFA/a4 finish")
			if p.Text(0) != "abcdefghijkl" || p.Starts != 1 {
				t.Errorf("%s%s: %q, %d flows", opening, r, p.Text(0), p.Starts)
			}
		}
	}
}

// It begins nothing, and is no packet of a connection that has ended.
func TestAPacketLongerThanItsFrameWithoutAConnection(t *testing.T) {
	for _, steps := range []string{">S/l9", ">0:abcd/a0/l9", "<SA/a0/l9", ">F@3/l9", ">R@3/l9"} {
		p := testkit.NewPlay(t, nil, flowscope.Config{})
		p.Play(steps + " finish")
		st := p.Driver.Stats()
		if p.Starts != 0 || st.Refused[flowscope.RefusedLongPacket] != 1 || st.PacketsUnmatched != 1 {
			t.Errorf("%s: %d flows, %+v", steps, p.Starts, st.Refused)
		}
		p = testkit.NewPlay(t, nil, flowscope.Config{})
		p.Play("hs >F@0 <A1 <F@0 >A1 " + strings.Replace(steps, "/l9", "/n90000/l9", 1) + " finish")
		if st := p.Driver.Stats(); p.Starts != 1 || st.PacketsLate != 0 || st.Refused[flowscope.RefusedLongPacket] != 1 {
			t.Errorf("%s behind the end: %d flows, %+v", steps, p.Starts, st)
		}
	}
}

// Some captures cut frames and do not say so. The receiver does: what it acknowledges, it had.
func TestASegmentThatWasCutWithoutAWord(t *testing.T) {
	for _, c := range []struct{ name, steps, want string }{
		{"acknowledged", "hs >0:abcd/a0/l4 <0:/fA/a8 >8:ijkl/a0 <0:/fA/a12", "abcd<4>ijkl"},
		{"again, and whole, before its acknowledgement", "hs >0:abcd/a0/l4 >0:abcdefgh/a0 <0:/fA/a8 >8:ijkl/a0", "abcdefghijkl"},
		{"again, and whole, with its acknowledgement", "hs >0:abcd/a0/l4 <0:/fA/a8 >0:abcdefgh/a0 >8:ijkl/a0", "abcdefghijkl"},
		{"whole first", "hs >0:abcdefgh/a0 >0:abcd/a0/l4 <0:/fA/a8 >8:ijkl/a0", "abcdefghijkl"},
		{"every one of them", "hs >0:abcd/a0/l4 >8:ijkl/a0/l4 <0:/fA/a16 >16:mnop/a0/l4 <0:/fA/a24 +1s sweep", "abcd<4>ijkl<4>mnop<4>"},
		{"by the snap length", "hs >0:abcdefgh/a0/c4 <0:/fA/a8 >8:ijkl/a0", "abcd<4>ijkl"},
	} {
		p := testkit.NewPlay(t, nil, flowscope.Config{})
		p.Play(c.steps + " finish")
		p.Want(c.name, c.want, p.Text(0))
	}
}

// mirrored plays the steps as a mirror sends them on: each frame in a tunnel, cut behind so many bytes of payload, or
// not at all.
func mirrored(t *testing.T, put func([]byte) []byte, steps string) *testkit.Play {
	d, err := flowscope.NewFlowDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), nil, flowscope.Config{Events: flowscope.AllEvents})
	require.NoError(t, err)
	p := testkit.NewPlay(t, nil, flowscope.Config{})
	p.Book = testkit.NewBook(t, d)
	for _, step := range strings.Fields(steps) {
		if step[0] != '>' && step[0] != '<' {
			p.Step(step)
			continue
		}
		v := p.View(step)
		v.Frame, v.WireLen = put(v.Frame), 0
		p.Hear(d.Track(v))
	}
	return p
}

func TestAMirrorThatCuts(t *testing.T) {
	pppoe := func(f []byte) []byte { return frames.EtherFrame(0x8864, frames.PPPoE(1, f[14:])) }
	for name, put := range map[string]func([]byte) []byte{
		"VXLAN":          func(f []byte) []byte { return testkit.OuterUDP(0, 4789, frames.VXLAN(7, f)) },
		"ERSPAN":         func(f []byte) []byte { return testkit.OuterIP(0, 47, frames.ERSPAN(2, 7, f)) },
		"GRE":            func(f []byte) []byte { return testkit.OuterIP(0, 47, frames.GRE{}.Put(f[14:])) },
		"TZSP":           func(f []byte) []byte { return testkit.OuterUDP(0, 37008, frames.TZSP(1, f)) },
		"PPPoE":          pppoe,
		"PPPoE in VXLAN": func(f []byte) []byte { return testkit.OuterUDP(0, 4789, frames.VXLAN(7, pppoe(f))) },
	} {
		for _, c := range []struct{ name, steps, want string }{
			{"cut", ">S <SA >A0 >0:abcdefgh/a0/c4 <0:/fA/a8 >8:ijkl/a0 <0:/fA/a12", "abcd<4>ijkl"},
			{"every one of them", ">S <SA >A0 >0:abcdefgh/a0/c4 <0:/fA/a8 >8:ijklmnop/a0/c4 <0:/fA/a16 +1s sweep", "abcd<4>ijkl<4>"},
			{"acknowledged before", ">S <SA >A0 <0:/fA/a8 >0:abcdefgh/a0/c4 <0:/fA/a12 >8:ijkl/a0 +1s sweep", "abcd<4>ijkl"},
			{"and whole", ">S <SA >A0 >0:abcdefgh/a0/c4 >0:abcdefgh/a0 <0:/fA/a8 >8:ijkl/a0", "abcdefghijkl"},
			{"and whole behind the next", ">S <SA >A0 >0:abcdefgh/a0/c4 >8:ijkl/a0 >0:abcdefgh/a0 <0:/fA/a12", "abcdefghijkl"},
			{"and whole behind its acknowledgement", ">S <SA >A0 >0:abcdefgh/a0/c4 <0:/fA/a8 >0:abcdefgh/a0 >8:ijkl/a0", "abcdefghijkl"},
			{"whole, and cut", ">S <SA >A0 >0:abcdefgh/a0 >0:abcdefgh/a0/c4 <0:/fA/a8 >8:ijkl/a0", "abcdefghijkl"},
			{"one side", ">S >0:abcdefgh/a0/c4 >8:ijklmnop/a0/c4 >16:qrst/a0 +35s sweep", "abcd<4>ijkl<4>qrst"},
			{"one side under way", ">0:abcdefgh/a0/c4 >8:ijklmnop/a0/c4 >16:qrst/a0 +35s sweep", "abcd<4>ijkl<4>qrst"},
			{"one side, and whole", ">S >0:abcdefgh/a0/c4 >0:abcdefgh/a0 >8:ijkl/a0 +35s sweep", "abcdefghijkl"},
		} {
			p := mirrored(t, put, c.steps+" finish")
			if p.Starts != 1 {
				t.Errorf("%s, %s: %d flows", name, c.name, p.Starts)
				continue
			}
			p.Want(name+", "+c.name, c.want, p.Text(0))
		}
	}
}
