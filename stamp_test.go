package flowscope_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// stamped is a tracker for packets with any timestamps, in seconds. It writes down the flows that have ended: their
// first and last timestamp and packets, with the reason.
type stamped struct {
	*testing.T
	*testkit.Ledger[flowscope.FiveTupleKey]
	ended []string
	at    []float64 // of Packet events
}

func newStamped(t *testing.T) *stamped {
	return &stamped{T: t, Ledger: testkit.NewAudited(t, flowscope.FiveTuple{}, flowscope.Config{})}
}

func (s *stamped) hear(events []flowscope.Event) {
	for i := range events {
		switch ev := &events[i]; ev.Kind {
		case flowscope.EventPacket:
			s.at = append(s.at, float64(ev.Timestamp)/1e9)
		case flowscope.EventEnded:
			n := ev.Stats.Packets[0] + ev.Stats.Packets[1]
			s.ended = append(s.ended, fmt.Sprintf("%v-%v %d %v", float64(ev.Stats.Start())/1e9, float64(ev.Stats.End())/1e9, n, ev.Reason))
		}
	}
}

func (s *stamped) track(frame []byte, at float64) {
	s.hear(s.Track(flowscope.PacketView{Frame: frame, Timestamp: testkit.Seconds(at), ID: s.Packets + 1}))
}

// query is a packet of the UDP flow n.
func (s *stamped) query(n int, at float64) {
	s.track(testkit.UDP(fmt.Sprintf("10.0.0.1:%d", n), "10.0.0.2:53"), at)
}

func (s *stamped) finish() { s.hear(s.Finish()) }

// talk is the segment of an established connection that bears that number, from 0 on; the first three open it.
func (s *stamped) talk(n int, at float64) {
	switch seq := uint32(101 + n/2*5); {
	case n == 0:
		s.track(testkit.TCP(testkit.Client, testkit.Server, "S", 100, 0, ""), at)
	case n == 1:
		s.track(testkit.TCP(testkit.Server, testkit.Client, "SA", 900, 101, ""), at)
	case n == 2:
		s.track(testkit.TCP(testkit.Client, testkit.Server, "A", 101, 901, ""), at)
	case n%2 == 1:
		s.track(testkit.TCP(testkit.Client, testkit.Server, "A", seq-5, 901, "abcde"), at)
	default:
		s.track(testkit.TCP(testkit.Server, testkit.Client, "A", 901, seq-5, ""), at)
	}
}

func TestAPairThatSpeaksOnceAnHourIsAFlowEachTime(t *testing.T) {
	for _, every := range []float64{59 * 60, 61 * 60, 100 * 24 * 3600} {
		s := newStamped(t)
		var want []string
		var at []float64
		for i := range 5 {
			now := 1000 + float64(i)*every
			s.query(1, now)
			s.query(1, now+0.25)
			want = append(want, fmt.Sprintf("%v-%v 2 idle", now, now+0.25))
			at = append(at, now, now+0.25)
		}
		s.finish()
		want[4] = strings.Replace(want[4], "idle", "finished", 1)
		assert.Equal(t, want, s.ended, "%v s", every)
		assert.Equal(t, at, s.at)
	}
	s := newStamped(t) // and of one packet each
	for i := range 4 {
		s.query(1, float64(i)*3660)
	}
	s.finish()
	assert.Equal(t, []string{"0-0 1 idle", "3660-3660 1 idle", "7320-7320 1 idle", "10980-10980 1 finished"}, s.ended)
}

// Numbers prove more than a timestamp, until the clock has come to it.
func TestAConnectionThatPausesStaysOne(t *testing.T) {
	for _, others := range []bool{false, true} {
		s := newStamped(t)
		for n := range 7 {
			s.talk(n, float64(n))
		}
		for n := 7; n < 11; n++ {
			now := float64(n-6) * 3660
			if others {
				s.query(1, now-1)
				s.query(1, now-0.5)
			}
			s.talk(n, now)
		}
		s.finish()
		flows := 0
		for _, e := range s.ended {
			if !strings.Contains(e, " 2 ") {
				flows++
			}
		}
		assert.Equal(t, map[bool]int{false: 1, true: 5}[others], flows, "%v", s.ended)
	}
	s := newStamped(t)
	for n := range 7 {
		s.talk(n, float64(n))
	}
	s.track(testkit.TCP(testkit.Client, testkit.Server, "A", 5_000_000, 901, "abcde"), 5000)
	s.track(testkit.TCP(testkit.Client, testkit.Server, "S", 7777, 0, ""), 10_000)
	s.finish()
	assert.Equal(t, []string{"0-6 7 idle", "5000-5000 1 idle", "10000-10000 1 finished"}, s.ended, "what does not fit is another flow")
}

// An older capture behind a newer one, without a gap: from the eighth packet on the clock is there.
func TestAnOlderCaptureBehindANewerKeepsItsTimes(t *testing.T) {
	s := newStamped(t)
	for i := range 3 {
		s.query(1, 90_000+float64(i))
	}
	for i := range 40 {
		s.query(2+i/10, 100+float64(i)*10) // each ten packets, 90 s
	}
	require.Equal(t, testkit.Seconds(480), s.Tracker.Now(), "ten seconds wait for the next packet")
	s.query(9, 1000)
	s.query(9, 1000)
	s.finish()
	assert.Equal(t, []string{"100-190 10 idle", "200-290 10 idle", "300-390 10 idle", "400-490 10 idle", "90000-90002 3 idle", "1000-1000 2 finished"}, rotate(s.ended))
}

// rotate puts the flow that began in the newer capture behind the others, wherever it ended.
func rotate(ended []string) (list []string) {
	late := ""
	for _, e := range ended {
		if strings.HasPrefix(e, "90000") {
			late = e
			continue
		}
		list = append(list, e)
	}
	if n := len(list); late != "" && n > 0 {
		list = append(list[:n-1:n-1], late, list[n-1])
	}
	return list
}

// Of one packet the timestamp is wrong, whichever it is and by whatever.
func TestOneWrongTimestampEndsAtMostItsOwnFlowOfUDP(t *testing.T) {
	play := func(wrong int, by float64) *stamped {
		s := newStamped(t)
		for i := range 20 {
			for k := range 3 {
				now := 1e9 + float64(i)/10 + float64(k)/100
				if 3*i+k == wrong {
					now += by
				}
				if k == 0 {
					s.talk(i, now)
				} else {
					s.query(k, now)
				}
			}
		}
		return s
	}
	for _, by := range []float64{-2e9, -7200, -600, -2, 2, 400, 600, 7200, 2e9} {
		for wrong := range 60 {
			if wrong == 0 && by < 0 {
				continue // nothing tells a capture that begins with a wrong timestamp from one that begins with a pause
			}
			s := play(wrong, by)
			if ended := len(s.ended); ended > 1 || ended == 1 && (wrong%3 == 0 || by < 60) {
				t.Errorf("packet %d wrong by %v: %v", wrong, by, s.ended)
			}
			for n := range 400 {
				s.query(7, 1e9+2+float64(n)) // the world goes on
			}
			if len(s.ended) < 3 {
				t.Errorf("packet %d wrong by %v stops the time: %v", wrong, by, s.ended)
			}
			s.finish()
			for _, e := range s.ended {
				if want := "1e+09-"; wrong >= 6 && strings.Contains(e, " 20 ") && !strings.HasPrefix(e, want) && !strings.HasPrefix(e, "1.0000000000") {
					t.Errorf("packet %d wrong by %v: %s", wrong, by, e)
				}
			}
		}
	}
}

// A stranger's timestamp gives up no hole, and a pause before an early segment makes the hole no older.
func TestHolesGoByTheClock(t *testing.T) {
	for script, want := range map[string]string{
		"hs >5:x <A6 <A6 +10m >S/t1 +-10m >0:abcde":                                          ">0:abcde >5:x",
		"hs >5:x <A6 <A6 +-10m >S/t1 +10m >0:abcde":                                          ">0:abcde >5:x",
		"hs +2s >5:x <A6 <A6 >0:abcde":                                                       ">0:abcde >5:x",
		"hs +2h >5:x +1ms <A6 +1ms <A6 +1ms >0:abcde":                                        ">0:abcde >5:x",
		"hs >5:x <A6 <A6 +20ms >S/t1":                                                        ">gap[0,5)acknowledged >5:x",
		"hs >5:x <A6 <A6 +2s >S/t1":                                                          "",
		"hs >5:x <A6 <A6 +2s >S/t1 >S/t1":                                                    ">gap[0,5)acknowledged >5:x",
		"hs >5:x <A6 <A6 +2s sweep":                                                          ">gap[0,5)acknowledged >5:x",
		"hs <5:y >5:x >A6 >A6 +1ms <A6 <A6 +1s sweep":                                        "<gap[0,5)acknowledged <5:y >gap[0,5)acknowledged >5:x",
		"hs <5:y >5:x >A6 >A6 +1ms <A6 <A6 +9500us >S/t1 +1s sweep":                          "<gap[0,5)acknowledged <5:y >gap[0,5)acknowledged >5:x",
		"hs <5:y >5:x <A6 <A6 +1ms >A6 >A6 +1s sweep":                                        ">gap[0,5)acknowledged >5:x <gap[0,5)acknowledged <5:y",
		"hs +-1h >S/t1 >S/t1 >S/t1 >S/t1 >5:x >A0 <A6 <A6 +20ms >S/t1":                       ">gap[0,5)acknowledged >5:x",
		"hs >5:x <A6 <A6 +-1h >S/t1 >S/t2 >S/t3 >S/t4 >S/t5 >S/t6 >S/t7 >S/t8 +5ms >0:abcde": ">0:abcde >5:x",
	} {
		p := testkit.NewPlay(t, nil, flowscope.Config{})
		p.Play(script)
		p.Want(script, want, p.Said())
	}
}

// The clock steps back: what was there before times out by the new time, and later timers count on.
func TestFlowsOfATimeThatWasTakenBackTimeOut(t *testing.T) {
	s := newStamped(t)
	s.query(1, 1e6)
	s.talk(0, 1e6)
	s.talk(1, 1e6)
	s.track(testkit.TCP(testkit.Client, testkit.Server, "R", 101, 0, ""), 1e6) // lingers
	for i := range 300 {
		s.query(2, float64(i))
	}
	assert.Equal(t, []string{"1e+06-1e+06 3 rst", "1e+06-1e+06 1 idle"}, s.ended)
	assert.Zero(t, s.Tracker.Stats().FlowsLingering)
	assert.Equal(t, 1, s.Tracker.Len())
}

// A flow's First and Last are its own packets', whatever timestamps others have; a step back of a little moves
// nothing.
func TestTimesOfAFlowDoNotDependOnOthers(t *testing.T) {
	for _, others := range []bool{false, true} {
		s := newStamped(t)
		if others {
			s.query(2, 10.000001)
		}
		s.query(1, 10)
		if others {
			s.query(2, 12.3)
		}
		s.query(1, 12)
		s.query(1, 11.999999)
		s.hear(s.Sweep(testkit.Seconds(12 + 60)))
		assert.Equal(t, "10-12 3 idle", s.ended[0])
		s.finish()
	}
}

// Finish believes the last timestamp, which nothing else confirms.
func TestFinishConfirmsTheLastTimestamp(t *testing.T) {
	s := newStamped(t)
	s.query(1, 0)
	s.query(2, 3660)
	s.finish()
	assert.Equal(t, []string{"0-0 1 idle", "3660-3660 1 finished"}, s.ended)
	assert.Equal(t, uint64(0), s.Tracker.Stats().ClockSuspects)
}

// A damaged packet counts in its flow as any other does, whatever its timestamp says.
func TestADamagedPacketsTimestampEndsNoConnection(t *testing.T) {
	tr, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{Checksums: flowscope.ChecksumVerify})
	require.NoError(t, err)
	ended := 0
	track := func(frame []byte, at float64) {
		ended += testkit.Count(tr.Track(flowscope.PacketView{Frame: frame, Timestamp: testkit.Seconds(at)}), flowscope.EventEnded)
	}
	track(testkit.TCP(testkit.Client, testkit.Server, "S", 100, 0, ""), 1)
	track(testkit.TCP(testkit.Server, testkit.Client, "SA", 900, 101, ""), 1.1)
	track(testkit.TCP(testkit.Client, testkit.Server, "A", 101, 901, ""), 1.2)
	damaged := testkit.TCP(testkit.Client, testkit.Server, "A", 101, 901, "abcde")
	damaged[len(damaged)-1] ^= 1
	track(damaged, 7200)
	track(testkit.TCP(testkit.Client, testkit.Server, "A", 101, 901, "abcde"), 1.4)
	track(testkit.TCP(testkit.Server, testkit.Client, "A", 901, 106, ""), 1.5)
	require.EqualValues(t, 1, tr.Stats().Anomalies[flowscope.AnomalyBadChecksum])
	assert.Zero(t, ended)
	assert.Equal(t, 1, tr.Len())
	for f := range tr.Flows() {
		assert.EqualValues(t, 4, f.Stats.Packets[flowscope.Initiator])
		assert.Equal(t, testkit.Seconds(1.4), f.Stats.Last[flowscope.Initiator])
	}
}
