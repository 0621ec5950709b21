package acceptance

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// piecesOf reads fragments in a shorthand, offset:length in bytes, "+" where more follow, "x" where the bytes are
// other ones.
func piecesOf(t testing.TB, v6 bool, id uint32, text string) (out []testkit.Piece) {
	t.Helper()
	for _, w := range strings.Fields(text) {
		var off, n int
		_, err := fmt.Sscanf(w, "%d:%d", &off, &n)
		require.NoError(t, err, w)
		from := testkit.WholeDatagram
		if strings.Contains(w, "x") {
			from = testkit.OtherDatagram
		}
		body := make([]byte, n)
		if off < len(from) {
			copy(body, from[off:])
		}
		out = append(out, testkit.Piece{V6: v6, ID: id, Offset: off, More: strings.Contains(w, "+"), Body: body})
	}
	return out
}

// outlets are the ways by which fragments come to a tracker: bare, and in a tunnel.
var outlets = []struct {
	name string
	ex   testkit.Extractor
	wrap func(ip []byte) []byte
}{
	{"bare", flowscope.FiveTuple{}, func(ip []byte) []byte { return frames.Ethernet(ip) }},
	{"tagged", flowscope.FiveTuple{VLAN: true}, func(ip []byte) []byte { return frames.Ethernet(ip, 7) }},
	{"in VXLAN", flowscope.AutoDetectEncap(flowscope.FiveTuple{}), func(ip []byte) []byte { return testkit.VXLANOf(77, ip) }},
	{"in MPLS", flowscope.StripMPLS(flowscope.FiveTuple{}), func(ip []byte) []byte { return frames.EtherFrame(0x8847, frames.MPLS(ip, 16)) }},
}

// rowJ says what becomes of fragments. What is not said is 0.
type rowJ struct {
	name    string
	pieces  string
	packets int // whole datagrams that come out
	stats   flowscope.FragmentStats
	emitted flowscope.AnomalyKind
}

var rowsJ = []rowJ{
	{"I1: in order", "0:8+ 8:8+ 16:8+ 24:8+ 32:8", 1, flowscope.FragmentStats{Datagrams: 1}, 0},
	{"I2: a copy", "0:8+ 8:8+ 8:8+ 16:24", 1, flowscope.FragmentStats{Datagrams: 1, Duplicates: 1}, 0},
	{"I2: a copy of the first", "0:8+ 0:8+ 8:32", 1, flowscope.FragmentStats{Datagrams: 1, Duplicates: 1}, 0},
	{"I2: a copy of other bytes", "0:8+ 8:8+ 8:8+x 16:24", 1, flowscope.FragmentStats{Datagrams: 1, Duplicates: 1}, flowscope.AnomalyFragmentOverlap},
	{"I3: contained", "0:24+ 8:8+x 24:16", 1, flowscope.FragmentStats{Datagrams: 1, Duplicates: 1}, flowscope.AnomalyFragmentOverlap},
	{"I4: partial overlap", "0:16+ 8:16+ 24:16", 0, flowscope.FragmentStats{Overlaps: 1, Unused: 2}, flowscope.AnomalyFragmentOverlap},
	{"I4: a superset", "8:8+ 0:24+ 24:16", 0, flowscope.FragmentStats{Overlaps: 1, Unused: 2}, flowscope.AnomalyFragmentOverlap},
	{"I5: overlap, and the whole set again", "0:16+ 8:16+ 0:8+ 8:8+ 16:24", 0, flowscope.FragmentStats{Overlaps: 1, Unused: 3}, flowscope.AnomalyFragmentOverlap},
	{"I6: two last ones", "0:8+ 32:8 32:8 8:24+", 1, flowscope.FragmentStats{Datagrams: 1, Duplicates: 1}, 0},
	{"I6: two last ones that end elsewhere", "0:8+ 32:8 24:8 8:24+", 0, flowscope.FragmentStats{Overlaps: 1, Unused: 3}, flowscope.AnomalyFragmentOverlap},
	{"I7: behind the last one", "0:8+ 24:8 32:8+ 8:16+", 0, flowscope.FragmentStats{Overlaps: 1, Unused: 3}, flowscope.AnomalyFragmentOverlap},
	{"I8: not a multiple of 8", "0:8+ 8:7+ 8:32", 1, flowscope.FragmentStats{Datagrams: 1, Bad: 1}, flowscope.AnomalyBadFragment},
	{"I9: empty", "0:8+ 8:0+ 8:32", 1, flowscope.FragmentStats{Datagrams: 1, Bad: 1}, flowscope.AnomalyBadFragment},
	{"I11: it ends too far", "0:8+ 65528:16+ 8:32", 1, flowscope.FragmentStats{Datagrams: 1, Bad: 1}, flowscope.AnomalyBadFragment},
	{"each twice, the whole set again", "0:8+ 8:32 0:8+ 8:32", 1, flowscope.FragmentStats{Datagrams: 1, Duplicates: 2, Unused: 2}, 0},
	{"each twice", "0:8+ 0:8+ 8:32 8:32", 1, flowscope.FragmentStats{Datagrams: 1, Duplicates: 2, Unused: 1}, 0},
	{"I19: one is missing", "0:8+ 16:24", 0, flowscope.FragmentStats{Unused: 1, Waiting: 1}, 0},
	{"the first is missing", "8:8+ 16:24", 0, flowscope.FragmentStats{Unused: 2, Waiting: 1}, 0},
}

func TestFragmentsByTheTableOfFamilyJ(t *testing.T) {
	for _, row := range rowsJ {
		for _, how := range outlets {
			for _, v6 := range []bool{false, true} {
				name := fmt.Sprintf("%s, %s, IPv6 %v", row.name, how.name, v6)
				l := testkit.NewAudited(t, how.ex, flowscope.Config{})
				wires, out := uint64(0), 0
				for i, p := range piecesOf(t, v6, 9, row.pieces) {
					f := how.wrap(p.Packet())
					wires += uint64(len(f))
					for _, ev := range l.Track(flowscope.PacketView{Frame: f, ID: uint64(i + 1)}) {
						if ev.Kind == flowscope.EventPacket && len(ev.Bytes) > 0 {
							assert.Equal(t, string(testkit.WholeDatagram[8:]), string(ev.Bytes), name)
							out++
						}
					}
				}
				st := l.Tracker.Stats()
				got, want := st.Fragments, row.stats
				want.Frames, want.Bytes = st.Packets, got.Bytes
				assert.Equal(t, want, got, name)
				assert.Equal(t, row.packets, out, name)
				for k := flowscope.AnomalyFragmentOverlap; k <= flowscope.AnomalyFragmentTimeout; k++ {
					assert.Equal(t, k == row.emitted, st.Anomalies[k] > 0, "%s: %v emitted %d times", name, k, st.Anomalies[k])
				}
				for f := range l.Tracker.Flows() {
					if st.Fragments.Unused == 0 && st.PacketsUnmatched == 0 {
						assert.Equal(t, [2]uint64{st.Packets, 0}, f.Stats.Packets, name)
						assert.Equal(t, [2]uint64{wires, 0}, f.Stats.Bytes, name)
					}
					assert.Equal(t, uint64(32*out), f.Stats.Payload[0], name)
				}
				l.Finish()
				end := l.Tracker.Stats().Fragments
				assert.Equal(t, [3]int64{int64(got.Waiting), 0, 0}, [3]int64{int64(end.Incomplete), int64(end.Waiting), end.Bytes}, name)
			}
		}
	}
}

func TestFragmentsInAnyOrderAreOneDatagram(t *testing.T) {
	for _, how := range outlets {
		for _, v6 := range []bool{false, true} {
			all := piecesOf(t, v6, 9, "0:8+ 8:8+ 16:8+ 24:8+ 32:8")
			n := uint32(0)
			testkit.Permute(len(all), func(order []int) {
				n++
				l := testkit.NewAudited(t, how.ex, flowscope.Config{})
				var wires uint64
				for i, k := range order {
					p := all[k]
					p.ID = n
					f := how.wrap(p.Packet())
					wires += uint64(len(f))
					events := l.Track(flowscope.PacketView{Frame: f, ID: uint64(i + 1)})
					if i < 4 {
						continue
					}
					last := events[len(events)-1]
					require.Equal(t, string(testkit.WholeDatagram[8:]), string(last.Bytes), order)
				}
				for f := range l.Tracker.Flows() {
					require.Equal(t, [2]uint64{5, 0}, f.Stats.Packets, order)
					require.Equal(t, [2]uint64{wires, 0}, f.Stats.Bytes, order)
				}
				st := l.Tracker.Stats().Fragments
				require.Equal(t, [3]uint64{5, 1, 0}, [3]uint64{st.Frames, st.Datagrams, st.Unused})
			})
			require.EqualValues(t, 120, n)
		}
	}
}

// I5: what contradicted itself is refused for FragmentTimeout from its first fragment on, and not longer.
func TestADroppedDatagramIsRememberedUntilItsTimeIsUp(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for _, by := range []string{"sweep", "traffic"} {
			l := testkit.NewAudited(t, flowscope.FiveTuple{}, flowscope.Config{FragmentTimeout: 10 * time.Second})
			id := uint64(0)
			play := func(text string, at float64) {
				for _, p := range piecesOf(t, v6, 9, text) {
					id++
					l.Track(flowscope.PacketView{Frame: p.Frame(), Timestamp: testkit.Seconds(at), ID: id})
				}
			}
			play("0:16+ 8:16+", 1)
			play("0:8+ 8:32", 10.9)
			require.Zero(t, l.Tracker.Stats().Fragments.Datagrams)
			if by == "sweep" {
				l.Sweep(testkit.Seconds(11))
			}
			play("0:8+ 8:32", 11)
			assert.EqualValues(t, 1, l.Tracker.Stats().Fragments.Datagrams, by)
			l.Finish()
		}
	}
}

// I16, RFC 4963: the identification is used again at once, by a longer datagram. Copies of the fragments of
// the first one do not get into it.
func TestAnIdentificationThatIsUsedAgain(t *testing.T) {
	for _, how := range outlets {
		for _, v6 := range []bool{false, true} {
			l := testkit.NewAudited(t, how.ex, flowscope.Config{})
			second := append(slices.Clone(testkit.WholeDatagram), "and more"...)
			second[5] = byte(len(second))
			pieces := piecesOf(t, v6, 9, "0:8+ 8:32 8:32 0:8+")
			for _, at := range []int{0, 8, 40} {
				end := min(at+32, len(second))
				if at == 0 {
					end = 8
				}
				pieces = append(pieces, testkit.Piece{V6: v6, ID: 9, Offset: at, More: end < len(second), Body: second[at:end]})
			}
			var texts []string
			for i, p := range pieces {
				for _, ev := range l.Track(flowscope.PacketView{Frame: how.wrap(p.Packet()), ID: uint64(i + 1)}) {
					if ev.Kind == flowscope.EventPacket && len(ev.Bytes) > 0 {
						texts = append(texts, string(ev.Bytes))
					}
				}
			}
			assert.Equal(t, []string{string(testkit.WholeDatagram[8:]), string(second[8:])}, texts)
			st := l.Tracker.Stats().Fragments
			st.Bytes = 0
			assert.Equal(t, flowscope.FragmentStats{Frames: 7, Datagrams: 2, Duplicates: 2, Unused: 2}, st, "%s, IPv6 %v", how.name, v6)
			l.Finish()
		}
	}
}

// A receiver drops a frame that ends before its packet does, and nothing else.
func TestAFragmentLongerThanItsFrameSpoilsNoDatagram(t *testing.T) {
	for _, policy := range []flowscope.FragmentPolicy{flowscope.FragmentsReassemble, flowscope.FragmentsIgnore} {
		for _, v6 := range []bool{false, true} {
			l := testkit.NewAudited(t, flowscope.FiveTuple{}, flowscope.Config{Fragments: policy})
			var texts []string
			for i, p := range piecesOf(t, v6, 9, "0:8+ 0:8+ 8:32 8:32") {
				f := p.Frame()
				if i%2 == 0 {
					f = f[:len(f)-1]
				}
				for _, ev := range l.Track(flowscope.PacketView{Frame: f, ID: uint64(i + 1)}) {
					if ev.Kind == flowscope.EventPacket && len(ev.Bytes) > 0 {
						texts = append(texts, string(ev.Bytes))
					}
				}
			}
			st := l.Tracker.Stats()
			assert.EqualValues(t, 2, st.Refused[flowscope.RefusedLongFragment])
			if policy == flowscope.FragmentsReassemble {
				assert.Equal(t, []string{string(testkit.WholeDatagram[8:])}, texts)
				assert.EqualValues(t, [4]uint64{2, 1, 0, 2}, [4]uint64{st.Fragments.Frames, st.Fragments.Datagrams, st.Fragments.Cut, st.PacketsUnmatched})
			}
			l.Finish()
		}
	}
}

// I10: a first fragment without its whole TCP header. IPv4 hosts take it, IPv6 hosts must not.
func TestATinyFirstFragment(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		ends := [2]string{testkit.Client, testkit.Server}
		if v6 {
			ends = [2]string{"[fd00::1]:1234", "[fd00::2]:80"}
		}
		l := testkit.NewAudited(t, flowscope.FiveTuple{}, flowscope.Config{})
		for i, p := range frames.Fragments(frames.TCP{Src: ends[0], Dst: ends[1], Flags: "S"}.IP(), 8, 5) {
			l.Track(flowscope.PacketView{Frame: frames.Ethernet(p), ID: uint64(i + 1)})
		}
		st := l.Tracker.Stats()
		assert.EqualValues(t, 1, st.Anomalies[flowscope.AnomalyBadFragment])
		if v6 {
			assert.Equal(t, [3]uint64{1, 0, 1}, [3]uint64{st.Fragments.Bad, st.Fragments.Datagrams, st.Refused[flowscope.RefusedTruncatedTCP]})
			assert.Zero(t, l.Tracker.Len())
		} else {
			assert.Equal(t, [3]uint64{0, 1, 0}, [3]uint64{st.Fragments.Bad, st.Fragments.Datagrams, st.PacketsUnmatched})
			assert.Equal(t, 1, l.Tracker.Len())
		}
		l.Finish()
	}
}

// I12, I13: RFC 6946, and RFC 8200 section 4.5.
func TestIPv6FragmentHeadersThatMeanLess(t *testing.T) {
	l := testkit.NewAudited(t, flowscope.FiveTuple{}, flowscope.Config{})
	set := piecesOf(t, true, 9, "0:8+ 8:32")
	set[1].Proto = 6 // only the first one's counts
	atomic := testkit.Piece{V6: true, ID: 9, Body: testkit.WholeDatagram}
	var texts []string
	for i, p := range []testkit.Piece{set[0], atomic, set[1]} {
		for _, ev := range l.Track(flowscope.PacketView{Frame: p.Frame(), ID: uint64(i + 1)}) {
			if ev.Kind == flowscope.EventPacket {
				texts = append(texts, string(ev.Bytes))
			}
		}
	}
	assert.Equal(t, []string{"", string(testkit.WholeDatagram[8:]), string(testkit.WholeDatagram[8:])}, texts)
	st := l.Tracker.Stats().Fragments
	assert.Equal(t, [2]uint64{2, 1}, [2]uint64{st.Frames, st.Datagrams}, "an atomic fragment is none")
	l.Finish()
}

// I14: a fragment header in a fragment.
func TestFragmentHeadersDoNotNest(t *testing.T) {
	inner := testkit.Piece{V6: true, ID: 8, More: true, Body: testkit.WholeDatagram}.Packet()[40:]
	l := testkit.NewAudited(t, flowscope.FiveTuple{}, flowscope.Config{})
	for i, p := range []testkit.Piece{
		{V6: true, Proto: 44, ID: 7, More: true, Body: inner[:24]}, {V6: true, Proto: 44, ID: 7, Offset: 24, Body: inner[24:]},
	} {
		l.Track(flowscope.PacketView{Frame: p.Frame(), ID: uint64(i + 1)})
	}
	l.Finish()
	st := l.Tracker.Stats()
	assert.Zero(t, st.FlowsCreated)
	assert.EqualValues(t, 1, st.Refused[flowscope.RefusedNestedFragment])
	assert.EqualValues(t, 1, st.Anomalies[flowscope.AnomalyBadFragment])
}

// I15: datagrams that have no more than the identification in common.
func TestFragmentsOfDifferentDatagramsAreKeptApart(t *testing.T) {
	put := func(p testkit.Piece, vlans ...uint16) func(testkit.Piece) []byte {
		return func(q testkit.Piece) []byte {
			q.V6, q.Src, q.Dst, q.Proto = p.V6, p.Src, p.Dst, p.Proto
			return frames.Ethernet(q.Packet(), vlans...)
		}
	}
	all := []func(testkit.Piece) []byte{
		put(testkit.Piece{}), put(testkit.Piece{V6: true}), put(testkit.Piece{Proto: 136}), put(testkit.Piece{Src: "10.0.0.3", Dst: "10.0.0.2"}),
		put(testkit.Piece{Src: "10.0.0.1", Dst: "10.0.0.3"}), put(testkit.Piece{}, 7), put(testkit.Piece{}, 8),
		func(q testkit.Piece) []byte { return testkit.VXLANOf(77, q.Packet()) }, func(q testkit.Piece) []byte { return testkit.VXLANOf(78, q.Packet()) },
	}
	l := testkit.NewAudited(t, flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{})
	id := uint64(0)
	for _, q := range piecesOf(t, false, 9, "16:8+ 0:16+ 24:16") {
		for _, f := range all {
			id++
			l.Track(flowscope.PacketView{Frame: f(q), ID: id})
		}
	}
	st := l.Tracker.Stats().Fragments
	assert.EqualValues(t, len(all), st.Datagrams)
	assert.Zero(t, st.Overlaps+st.Duplicates+st.Unused)
	l.Finish()
}

// I17
func TestFirstFragmentsWithoutEndStayWithinTheBounds(t *testing.T) {
	n := 200_000
	if testing.Short() {
		n = 20_000
	}
	for _, cfg := range []flowscope.Config{{MaxFlows: 50}, {MaxFlows: 50, FragmentDatagrams: 10}, {MaxFlows: 50, FragmentBytes: 100_000}} {
		cfg.Events = flowscope.NoEvents
		tr := testkit.NewTracker(t, cfg)
		cfg = tr.Config()
		frame := testkit.Piece{More: true, Body: testkit.WholeDatagram}.Frame()
		for i := range n {
			binary.BigEndian.PutUint32(frame[26:], uint32(i>>10))
			binary.BigEndian.PutUint16(frame[18:], uint16(i))
			tr.Track(flowscope.PacketView{Frame: frame})
			if i%1000 != 0 {
				continue
			}
			if st := tr.Stats().Fragments; st.Bytes > cfg.FragmentBytes || st.Waiting > cfg.FragmentDatagrams {
				t.Fatalf("%+v", st)
			}
		}
		st := tr.Stats()
		assert.EqualValues(t, n-st.Fragments.Waiting, st.Fragments.Limited)
		assert.EqualValues(t, st.Fragments.Limited, st.Anomalies[flowscope.AnomalyFragmentLimit], "one a call")
		assert.Positive(t, st.Fragments.Limited)
		assert.Zero(t, st.Fragments.Unused, "each is counted in its flow")
	}
}

// I18
func TestADatagramOfThousandsOfPiecesInReverse(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		body := bytes.Repeat([]byte("12345678"), 8189)
		copy(body, testkit.WholeDatagram[:4])
		binary.BigEndian.PutUint16(body[4:], uint16(len(body)))
		body[6], body[7] = 0, 0
		l := testkit.NewTracker(t, flowscope.Config{})
		for at := len(body) - 8; at >= 0; at -= 8 {
			p := testkit.Piece{V6: v6, ID: 1, Offset: at, More: at+8 < len(body), Body: body[at : at+8]}
			events := l.Track(flowscope.PacketView{Frame: p.Frame()})
			if at == 0 {
				require.Equal(t, body[8:], events[len(events)-1].Bytes)
				require.EqualValues(t, 8189, l.Stats().Packets)
				for f := range l.Flows() {
					require.EqualValues(t, 8189, f.Stats.Packets[0])
				}
			}
		}
	}
}

// I19: what does not become complete gives its memory back, by Sweep and by the next fragments.
func TestDatagramsThatAreNotCompleteInTimeAreGivenUp(t *testing.T) {
	for _, by := range []string{"sweep", "traffic"} {
		l := testkit.NewAudited(t, flowscope.FiveTuple{}, flowscope.Config{FragmentTimeout: 5 * time.Second})
		for i := range uint32(10) {
			l.Track(flowscope.PacketView{Frame: piecesOf(t, false, i, "8:8+")[0].Frame(), Timestamp: testkit.Seconds(1), ID: uint64(i + 1)})
		}
		require.Equal(t, 10, l.Tracker.Stats().Fragments.Waiting)
		var events []flowscope.FlowEvent[testkit.Key]
		left := 0
		if by == "sweep" {
			assert.Empty(t, l.Sweep(testkit.Seconds(6)-1))
			events = l.Sweep(testkit.Seconds(6))
		} else {
			for i := range uint32(2) { // of each fragment at most 8 others
				left++
				v := flowscope.PacketView{Frame: piecesOf(t, false, 100+i, "8:8+")[0].Frame(), Timestamp: testkit.Seconds(6), ID: uint64(11 + i)}
				events = append(slices.Clone(events), l.Track(v)...)
			}
		}
		st := l.Tracker.Stats()
		assert.EqualValues(t, 10, st.Fragments.Incomplete, by)
		assert.Equal(t, left, st.Fragments.Waiting, by)
		emitted := int64(0)
		for _, ev := range events {
			if ev.Anomaly == flowscope.AnomalyFragmentTimeout {
				emitted += ev.Len
			}
		}
		assert.EqualValues(t, 10, emitted, by)
		l.Sweep(testkit.Seconds(20))
		l.Sweep(testkit.Seconds(30))
		assert.Zero(t, l.Tracker.Stats().Fragments.Waiting)
		l.Finish()
	}
}

// I20: bits that should not be there.
func TestOddBitsOfAFragmentAreAccepted(t *testing.T) {
	for name, flags := range map[string]uint16{"don't fragment": 0x4000, "reserved": 0x8000, "both": 0xc000} {
		l := testkit.NewAudited(t, flowscope.FiveTuple{}, flowscope.Config{})
		for i, p := range piecesOf(t, false, 9, "0:8+ 8:32") {
			p.Flags = flags
			l.Track(flowscope.PacketView{Frame: p.Frame(), ID: uint64(i + 1)})
		}
		assert.EqualValues(t, 1, l.Tracker.Stats().Fragments.Datagrams, name)
		l.Finish()
	}
}

func TestInterleavedDatagramsDoNotDisturbOneAnother(t *testing.T) {
	l := testkit.NewAudited(t, flowscope.FiveTuple{}, flowscope.Config{})
	id := uint64(0)
	for _, text := range []string{"32:8", "8:8+", "24:8+", "0:8+", "16:8+"} {
		for k := range uint32(20) {
			id++
			l.Track(flowscope.PacketView{Frame: piecesOf(t, k&1 == 1, k, text)[0].Frame(), ID: id})
		}
	}
	assert.EqualValues(t, 20, l.Tracker.Stats().Fragments.Datagrams)
	assert.Equal(t, 2, l.Tracker.Len())
	for f := range l.Tracker.Flows() {
		assert.Equal(t, [2]uint64{50, 0}, f.Stats.Packets)
	}
	l.Finish()
}

// cutTo fragments what is longer than n.
func cutTo(n int, ip []byte, id uint32) [][]byte {
	if len(ip) <= n {
		return [][]byte{ip}
	}
	return frames.Fragments(ip, n-40, id)
}

func TestAStreamInFragmentsIsTheStream(t *testing.T) {
	for family, ends := range testkit.TunnelEnds {
		talk := testkit.Conversation(ends)
		bare := testkit.Encapsulation{Put: func(_ int, ip []byte) []byte { return frames.Ethernet(ip) }}
		want, _ := testkit.RunConversation(t, flowscope.FiveTuple{}, testkit.Carry(bare, talk))
		for name, how := range map[string]struct {
			ex    testkit.Extractor
			split func(n int, s testkit.Message) [][]byte
		}{
			"bare": {flowscope.FiveTuple{}, func(n int, s testkit.Message) (out [][]byte) {
				for _, p := range frames.Fragments(s.IP, 24, uint32(n)) {
					out = append(out, frames.Ethernet(p))
				}
				return out
			}},
			"inside VXLAN": {flowscope.InnerVXLAN(flowscope.FiveTuple{}), func(n int, s testkit.Message) (out [][]byte) {
				for _, p := range frames.Fragments(s.IP, 24, uint32(n)) {
					out = append(out, testkit.OuterUDP(s.Dir, 4789, frames.VXLAN(7, testkit.InnerFrame(s.Dir, p))))
				}
				return out
			}},
			"around VXLAN": {flowscope.AutoDetectEncap(flowscope.FiveTuple{}), func(n int, s testkit.Message) (out [][]byte) {
				for _, p := range cutTo(80, testkit.OuterUDP(s.Dir, 4789, frames.VXLAN(7, testkit.InnerFrame(s.Dir, s.IP)))[14:], uint32(n)) {
					out = append(out, frames.Ethernet(p))
				}
				return out
			}},
			"both": {flowscope.AutoDetectEncap(flowscope.FiveTuple{}), func(n int, s testkit.Message) (out [][]byte) {
				for k, p := range frames.Fragments(s.IP, 24, uint32(n)) {
					for _, o := range cutTo(80, testkit.OuterUDP(s.Dir, 4789, frames.VXLAN(7, testkit.InnerFrame(s.Dir, p)))[14:], uint32(n*10+k)) {
						out = append(out, frames.Ethernet(o))
					}
				}
				return out
			}},
		} {
			for _, reverse := range []bool{false, true} {
				var all [][]byte
				for n, s := range talk {
					split := how.split(n, s)
					if reverse {
						slices.Reverse(split)
					}
					all = append(all, split...)
				}
				got, _ := testkit.RunConversation(t, how.ex, all)
				assert.Equal(t, uint64(len(all)), got.Packets[0]+got.Packets[1], "frames count as they came")
				got.Packets = want.Packets
				want.Key = want.Key.WithTunnel(name != "bare")
				assert.Equal(t, want, got, "%s, family %d, reverse %v", name, family, reverse)
			}
		}
	}
}

// A first fragment begins no TCP flow: its datagram may be dropped. If there is a flow it counts at once.
func TestAFragmentedSYNBeginsItsFlowWhenItIsWhole(t *testing.T) {
	l := testkit.NewAudited(t, flowscope.FiveTuple{}, flowscope.Config{})
	split := frames.Fragments(frames.TCP{Src: testkit.Client, Dst: testkit.Server, Flags: "S", Payload: make([]byte, 40)}.IP(), 24, 5)
	for i, p := range split {
		assert.Zero(t, l.Tracker.Len())
		l.Track(flowscope.PacketView{Frame: frames.Ethernet(p), ID: uint64(i + 1)})
	}
	require.Equal(t, 1, l.Tracker.Len())
	data := frames.Fragments(frames.TCP{Src: testkit.Client, Dst: testkit.Server, Flags: "PA", Seq: 41, Ack: 1, Payload: make([]byte, 40)}.IP(), 24, 6)
	events := l.Track(flowscope.PacketView{Frame: frames.Ethernet(data[0]), ID: 9})
	require.Len(t, events, 1)
	assert.Equal(t, flowscope.EventPacket, events[0].Kind)
	assert.Empty(t, events[0].Bytes)
	assert.EqualValues(t, len(split)+1, l.Tracker.Stats().Packets-l.Tracker.Stats().Fragments.Unused)
	l.Finish()
}

func TestIgnoredFragmentsAreRefusedButForTheFirst(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		l := testkit.NewAudited(t, flowscope.FiveTuple{}, flowscope.Config{Fragments: flowscope.FragmentsIgnore})
		for i, p := range piecesOf(t, v6, 9, "8:8+ 0:8+ 16:24 0:16+") {
			l.Track(flowscope.PacketView{Frame: p.Frame(), ID: uint64(i + 1)})
		}
		st := l.Tracker.Stats()
		assert.Equal(t, flowscope.FragmentStats{}, st.Fragments)
		assert.EqualValues(t, 2, st.Refused[flowscope.RefusedFragment])
		for f := range l.Tracker.Flows() {
			assert.EqualValues(t, 2, f.Stats.Packets[0])
		}
		l.Finish()
	}
}

// With a snap length the bytes are not there: it is as if datagrams were not put together.
func TestFragmentsThatTheCaptureCutAreNotPutTogether(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		l := testkit.NewAudited(t, flowscope.FiveTuple{}, flowscope.Config{})
		var out []string
		for i, p := range piecesOf(t, v6, 9, "0:16+ 16:24") {
			f := p.Frame()
			for _, ev := range l.Track(flowscope.PacketView{Frame: frames.Cut(f, len(f)-4), WireLen: len(f), ID: uint64(i + 1)}) {
				out = append(out, fmt.Sprintf("%v %d", ev.Kind, len(ev.Bytes)))
			}
		}
		assert.Equal(t, []string{"started 0", "packet 4"}, out)
		st := l.Tracker.Stats().Fragments
		assert.Equal(t, [3]uint64{1, 0, 1}, [3]uint64{st.Cut, st.Datagrams, st.Unused})
		l.Finish()
	}
}

func TestEveryExtractorGetsWholeDatagrams(t *testing.T) {
	body := frames.UDP{Src: "10.0.0.1:5000", Dst: "10.0.0.2:53", Payload: testkit.WholeDatagram[8:]}.IP()
	feed := func(track func(flowscope.PacketView) string) (last string) {
		for i, p := range frames.Fragments(body, 16, 3) {
			last = track(flowscope.PacketView{Frame: frames.Ethernet(p), ID: uint64(i + 1)})
		}
		return last
	}
	name := "FiveTuple"
	assert.Equal(t, "udp 10.0.0.1:5000 <-> 10.0.0.2:53 3 "+string(testkit.WholeDatagram[8:]), feed(lastOf(t, flowscope.FiveTuple{})), name)
	assert.Equal(t, "{53} 3 "+string(testkit.WholeDatagram[8:]), feed(lastOf(t, testkit.PortOnly{})), "own, by FiveTuple")
	assert.Equal(t, "{167772161 167772162} 3 "+string(testkit.WholeDatagram[8:]), feed(lastOf(t, ownReader{})), "own, by its own reading")
	assert.Equal(t, "udp 10.0.0.1:5000 <-> 10.0.0.2:53 3 "+string(testkit.WholeDatagram[8:]), feed(lastOf(t, flowscope.PerTunnel(flowscope.FiveTuple{}))))
	// To pairs of addresses each fragment is a packet.
	assert.Equal(t, "10.0.0.1 <-> 10.0.0.2 3 "+string(testkit.WholeDatagram[32:]), feed(lastOf(t, flowscope.IPPair{})))
	assert.Contains(t, feed(lastOf(t, flowscope.MACPair{})), "02:00:00:00:00:01 <-> 02:00:00:00:00:02 3 ")
}

// lastOf plays views, and says the key of the flow, its packets, and the last payload.
func lastOf[K comparable](t *testing.T, ex flowscope.FlowExtractor[K]) func(flowscope.PacketView) string {
	l := testkit.NewAudited(t, ex, flowscope.Config{})
	return func(v flowscope.PacketView) (last string) {
		for _, ev := range l.Track(v) {
			if f, ok := l.Tracker.Get(ev.Key); ok {
				last = fmt.Sprint(ev.Key, " ", f.Stats.Packets[0], " ", string(ev.Bytes))
			}
		}
		return last
	}
}

// TestOverlapVectors plays published overlaps of fragments. Whoever puts such a datagram together picks an owner for
// the bytes that came twice; here it does not come out, unless each fragment is all new or all there, and then the
// first owner is right.
func TestOverlapVectors(t *testing.T) {
	text, err := os.ReadFile(testkit.Path("../shared/reference/overlap-vectors.tsv"))
	if err != nil {
		t.Skip("../shared/reference/overlap-vectors.tsv is not here: it is not part of the repository")
	}
	played, dropped := 0, 0
	for line := range strings.Lines(string(text)) {
		col := strings.Split(strings.TrimSpace(line), "\t")
		if len(col) < 5 || col[0] != "ip8" || col[3] != "first" {
			continue
		}
		played++
		there, drop, units := map[int]bool{}, false, len(col[4])
		var pieces []testkit.Piece
		for _, s := range strings.Fields(col[2]) {
			at, letters, _ := strings.Cut(s, ":")
			var off int
			_, err := fmt.Sscan(at, &off)
			require.NoError(t, err)
			old := 0
			var body []byte
			for i, c := range letters {
				if there[off+i] {
					old++
				}
				there[off+i] = true
				body = append(body, bytes.Repeat([]byte{byte(c)}, 8)...)
			}
			drop = drop || old != 0 && old != len(letters)
			pieces = append(pieces, testkit.Piece{ID: 1, Offset: 8 * off, More: off+len(letters) < units, Body: body})
		}
		tr := testkit.NewTracker(t, flowscope.Config{})
		got := ""
		for _, p := range pieces {
			if p.Offset == 0 {
				copy(p.Body, []byte{4, 210, 0, 80, 0, byte(8 * units), 0, 0})
			}
			for _, ev := range tr.Track(flowscope.PacketView{Frame: p.Frame()}) {
				for i := 0; i < len(ev.Bytes); i += 8 {
					got += string(ev.Bytes[i])
				}
			}
		}
		want := col[4][1:]
		if drop {
			want = ""
			dropped++
		}
		assert.Equal(t, want, got, "%s: %s", col[1], col[2])
	}
	if played == 0 || dropped == 0 || dropped == played {
		t.Errorf("%d vectors, %d dropped", played, dropped)
	}
}

// The time of the fastest of several runs, since others use the machine too.
func TestTimestampsThatFallCostNoMoreWhereManyDatagramsWait(t *testing.T) {
	const more = 2000
	run := func(waiting int) (best time.Duration) {
		best = time.Hour
		for range 5 {
			tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{
				FragmentDatagrams: waiting + more, FragmentBytes: 1 << 28, FragmentTimeout: flowscope.Never,
			})
			require.NoError(t, err)
			took := time.Duration(0)
			show := func(id uint32, at flowscope.Timestamp) {
				ip := frames.Fragments(frames.UDP{Src: testkit.Client, Dst: testkit.Server, Payload: make([]byte, 40)}.IP(), 24, id)[0]
				frame := frames.Ethernet(ip)
				start := time.Now()
				tracker.Track(flowscope.PacketView{Frame: frame, Timestamp: at})
				if id >= uint32(waiting) {
					took += time.Since(start)
				}
			}
			at := flowscope.Timestamp(1e18)
			for id := range uint32(waiting + more) {
				if at++; id >= uint32(waiting) {
					at = at.Add(-time.Hour)
				}
				show(id, at)
			}
			require.Equal(t, waiting+more, tracker.Stats().Fragments.Waiting)
			best = min(best, took)
		}
		return best
	}
	few, many := run(10), run(20_000)
	require.Less(t, many, 20*few, "%v with 10 datagrams", few)
}
