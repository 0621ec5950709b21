package acceptance

import (
	"strings"
	"testing"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// What is captured first of a connection under way may be a lie, or refused: the flow goes on as the conversation does,
// from its first byte on. Each row is what comes before the honest ends, who stand at 0 and answer what they refuse.
func TestA25ALieIsTheFirstPacketUnderWay(t *testing.T) {
	const refuses = " <0:/fA/a0 "
	eight := func(s string) string { return strings.Repeat(s+refuses, 8) }
	for _, lies := range []string{
		">R@1" + refuses,
		">R@1" + refuses + "+1s sweep",
		">R@1" + refuses + "+35s sweep",
		"<R@1000 >0:/fA/a0 +2s sweep",
		">R@1 >S/n1000000000" + refuses,
		">R@-1 >S/n1000000000/dXYZ" + refuses,
		">R@70000 >S/n5000 <SA/n305411897/a5000 >0:/fA/a0",
		">0:XYZ/fU >S/n5000 <SA/n305411897/a5000 >0:/fA/a0",
		">S/n1000000000" + refuses,
		">0:XYZ/fSF/n1" + refuses,
		">0:XYZ/fSFPA/n1/a0" + refuses,
		">SA/n500/a77777" + refuses,
		">SA/a77777" + refuses,
		">SA/n500/a77777" + refuses + "<S/n500 >0:/fA/a0",
		">0:XYZ/fSA/n1/a0" + refuses,
		">0:XYZ/fSA/n1/a0" + refuses + "<131070:X/a0 >0:/fA/a0",
		">900000000:X/a0" + refuses,
		eight(">900000000:X/a0"),
		eight(">900000000:/a0"),
		eight(">900000000:X/a0") + "+2s sweep",
		"<131070:X/a0 >0:/fA/a0 <131070:X/a0 >0:/fA/a0 <131070:X/a0 >0:/fA/a0",
		">1:b/F/a0" + refuses + ">1000:X/a0" + refuses + ">1:/fFA/a0" + refuses + ">SA/n9/a0" + refuses,
		">60001:X/a0" + refuses + ">60001:X/a0" + refuses + ">S/n1000000000" + refuses + refuses,
		"<0:wx/a0 <2:/a1 >0:/a0 >1:b/a0 <2:/a0",
	} {
		script := lies + " " + honestBefore + " " + honestAfter + " " + honestClose + " finish"
		p := testkit.NewPlay(t, nil, flowscope.Config{})
		p.Play(script)
		if got := [2]string{p.Text(0), p.Text(1)}; got != honestSaid && got != [2]string{honestSaid[1], honestSaid[0]} || p.Starts != 1 {
			t.Errorf("%s: said %q, want %q; %d flows", script, got, honestSaid, p.Starts)
		}
	}
}

// A reset ends a connection under way where its receiver stands, which its ACK says: what was sent elsewhere before that
// was refused. Without such an ACK it ends where its sender stands.
func TestA25AResetUnderWay(t *testing.T) {
	for _, row := range []struct{ script, want string }{
		{">2000000000:X/a0 <0:/fA/a0 >R@0 finish", ">closed@0:rst <closed@0:rst ended:rst"},
		{">1000:X/a0 <0:/fA/a0 >R@0/dXYZ finish", ">gap[0,1000)ended >1000:X >closed@1001:rst <closed@0:rst ended:rst"},
		{">60001:/fFA/a0 <0:/fA/a0 >R@0 finish", ">closed@0:rst <closed@0:rst ended:rst"},
		{">0:XYZ/a1000000 <0:/fA/a0 >R@0 finish", ">closed@0:rst <closed@0:rst ended:rst"},
		{">0:abcd/a0 <0:/fA/a4 >R@4 finish", ">0:abcd >closed@4:rst <closed@0:rst ended:rst"},
		{">0:abcd/a0 >R@4 +2s sweep", ">0:abcd >closed@4:rst ended:rst"},
		{">S/n1000000000 <0:/fA/a0 >R@0 finish", ">closed@0:rst <closed@0:rst ended:rst"},
		{"<2000000000:X/a2000000000 >0:/fA/a0 >R@0 finish", ">closed@0:rst <closed@0:rst ended:rst"},
		// A reset before what its sender has sent on does not end it.
		{">R@0 >0:abcd/a0 <0:/fA/a4 finish", ">0:abcd >closed@4:finished <closed@0:finished ended:finished"},
	} {
		p := testkit.NewPlay(t, nil, flowscope.Config{})
		p.Play(row.script)
		p.Want(row.script, row.want, p.Said())
	}
}

// A reset at the number that its receiver acknowledged last is in doubt where held bytes may have moved the receiver on,
// and where the reset itself has more than fits the window if windows are not scaled.
func TestA11AResetWhereTheReceiverMayStand(t *testing.T) {
	for _, row := range []struct{ before, reset, want string }{
		{honestOpening + " " + honestBefore + " >4:efgh/a-200", ">R@4 <4:/fA/a8", "abcdefghijkl"},
		{honestBefore, ">R@4/dX", "abcd"},
		{honestBefore + " >4:efgh/a4 <4:/fA/a8/w0", ">R@8/dXYZ <4:/fA/a8/w0 <4:/fA/a8", "abcdefghijkl"},
	} {
		p := testkit.NewPlay(t, nil, flowscope.Config{})
		p.Play(row.before + " " + row.reset + " >8:ijkl/a4 <4:/fA/a12 <4:/fA/a12 finish")
		if p.Text(0) != row.want || p.Starts != 1 {
			t.Errorf("%s %s: %q in %d flows, %q", row.before, row.reset, p.Text(0), p.Starts, p.Said())
		}
	}
}

// Receivers answer segments that carry bytes, not each bare ACK: only where those stay without an answer for long is the
// other side not captured any more, and its resets and silence say nothing.
func TestA11ABareACKIsNotAnsweredForLong(t *testing.T) {
	p := testkit.NewPlay(t, nil, flowscope.Config{})
	p.Play(honestOpening + " " + honestBefore + " >1000000004:/fA/a5000000 +35s sweep >60004:X/a4 >R@5 <4:/fA/a4 " + honestAfter + " " + honestClose + " finish")
	if got := [2]string{p.Text(0), p.Text(1)}; got != honestSaid || p.Starts != 1 {
		t.Errorf("said %q in %d flows", got, p.Starts)
	}
}

// Segments at other numbers do not keep a flow that opens, but its own do.
func TestA25MisfitsDoNotKeepAnOpeningFlow(t *testing.T) {
	for _, row := range []struct {
		script string
		ends   bool
	}{
		{">S +50s <1000:x/a500 +24s sweep", false},
		{">S +50s <1000:x/a500 +25s sweep", true},
		{">S +50s <1000:x/a500 +1s >S +50s sweep", false},
		{">S +50s <1000:x/a500 +1s >S +50s <2000:x/a700 +25s sweep", true},
		{">S +50s <1000:x/a500 +25s >S", false}, // it fits, and the clock has not come to its timestamp
		{">S +50s <1000:x/a500 +25s sweep >S", true},
	} {
		p := testkit.NewPlay(t, nil, flowscope.Config{})
		p.Play(row.script)
		if ended := p.Reason == flowscope.EndIdleTimeout; ended != row.ends {
			t.Errorf("%s: ended %v", row.script, ended)
		}
	}
}

// A side holds no more than SideBytes, also of what waits for an acknowledgement.
func TestA2WhatWaitsIsWithinSideBytes(t *testing.T) {
	p := testkit.NewPlay(t, nil, flowscope.Config{SideBytes: 4096})
	p.Play(honestOpening + " >60000:x*4000/a0 >64000:x*97/a0")
	if st := p.Driver.Stats(); st.SegmentsHeld != 2 || st.PayloadNotHeld != 1 {
		t.Errorf("%d segments held, %d without payload", st.SegmentsHeld, st.PayloadNotHeld)
	}
}
