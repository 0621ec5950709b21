package difftest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/netsampler/goflow2/v2/decoders/netflow"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/export"
)

// IPFIX messages of package export, read by goflow2 and by tshark: what they read is what the records say.

// ipfixFields are the elements of one record as texts: by number, with "r" in front if they are reverse ones.
type ipfixFields map[string]string

// ipfixSums are what the records before have said of each flow that was reported.
type ipfixSums map[flowscope.UID][8]uint64

// wanted is what the elements of a record have to be: every one of them, and no other.
func (said ipfixSums) wanted(r *flowscope.Record) ipfixFields {
	f := ipfixFields{}
	set := func(name string, v any) { f[name] = fmt.Sprint(v) }
	from, to := r.Initiator.Addr.WithZone(""), r.Responder.Addr.WithZone("")
	switch {
	case from.Is4() && to.Is4():
		set("8", from)
		set("12", to)
	case from.IsValid() && to.IsValid():
		set("27", netip.AddrFrom16(from.As16()))
		set("28", netip.AddrFrom16(to.As16()))
	}
	set("4", uint8(r.Proto))
	switch r.Proto {
	case 6, 17, 132:
		set("7", r.Initiator.Port)
		set("11", r.Responder.Port)
	case 1:
		set("32", int(r.ICMPType)*256+int(r.ICMPCode))
	case 58:
		set("139", int(r.ICMPType)*256+int(r.ICMPCode))
	}
	if r.Proto == 6 {
		set("6", uint8(r.Flags[0]))
		set("r6", uint8(r.Flags[1]))
	}
	set("148", r.UID.Uint64())
	set("156", seconds(int64(r.Start)))
	set("157", seconds(int64(r.End)))
	said.counters(r, set)
	if r.VLAN != 0 {
		set("58", r.VLAN)
	}
	if r.MAC != [2]flowscope.MAC{} {
		set("56", r.MAC[0])
		set("80", r.MAC[1])
	}
	set("136", map[flowscope.EndReason]int{
		flowscope.EndIdleTimeout: 1, flowscope.EndFIN: 3, flowscope.EndRST: 3, flowscope.EndReused: 3,
		flowscope.EndForceClosed: 4, flowscope.EndFinished: 4, flowscope.EndEvicted: 5, flowscope.EndBufferOverflow: 5,
	}[r.Reason])
	if !r.Final {
		set("136", 2)
	}
	set("239", map[bool]int{true: 0, false: 1}[r.Midstream])
	return f
}

// counters sets those of a record: what the records of the flow before it have not said.
func (said ipfixSums) counters(r *flowscope.Record, set func(string, any)) {
	now := [8]uint64{
		r.Packets[0] + r.Late[0], r.Packets[1] + r.Late[1], r.IPBytes[0] + r.LateIPBytes[0], r.IPBytes[1] + r.LateIPBytes[1],
		r.WireBytes[0] + r.LateBytes[0], r.WireBytes[1] + r.LateBytes[1], r.PayloadBytes[0], r.PayloadBytes[1],
	}
	before := said[r.UID]
	for i, name := range []string{"2", "r2", "1", "r1", "352", "r352", "231", "232"} {
		if n := now[i]; name[len(name)-1] != '1' || len(name) == 3 || r.IPBytes != [2]uint64{} || r.LateIPBytes != [2]uint64{} {
			set(name, n-min(n, before[i]))
		}
		now[i] = max(now[i], before[i])
	}
	if said[r.UID] = now; r.Final {
		delete(said, r.UID)
	}
}

// seconds is a time in seconds modulo 2^32, which is what IPFIX has.
func seconds(ns int64) string {
	t := time.Unix(0, ns)
	return fmt.Sprintf("%d.%09d", uint32(t.Unix()), t.Nanosecond())
}

// manyRecords are those of the project's captures, by several keys, of ended flows and reports; and with extra
// of them, random ones.
func manyRecords(t *testing.T, random int) (all []flowscope.Record) {
	t.Helper()
	cfg := flowscope.Config{
		Details: flowscope.AllDetails, Events: flowscope.Events(flowscope.EventReleased, flowscope.EventReport), ReportEvery: time.Millisecond,
	}
	for _, name := range glob(t, "../../testdata/captures/*.pcap") {
		five, err := flowscope.NewFlowDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{VLAN: true}), nil, cfg)
		require.NoError(t, err)
		all = append(all, recordsOf(t, name, five.Events)...)
		pairs, err := flowscope.NewFlowTracker(flowscope.IPPair{}, flowscope.Config{Events: cfg.Events})
		require.NoError(t, err)
		all = append(all, recordsOf(t, name, pairs.Events)...)
		macs, err := flowscope.NewFlowTracker(flowscope.MACPair{}, cfg)
		require.NoError(t, err)
		all = append(all, recordsOf(t, name, macs.Events)...)
	}
	r := rand.New(rand.NewPCG(9, 10))
	for range random {
		all = append(all, randomRecord(r, all))
	}
	return all
}

// recordsOf tracks a capture.
func recordsOf[K comparable](
	t *testing.T, capture string, track func(iter.Seq2[flowscope.PacketView, error]) iter.Seq2[*flowscope.FlowEvent[K], error],
) (all []flowscope.Record) {
	t.Helper()
	for ev, err := range track(flowscope.OpenCapture(capture)) {
		require.NoError(t, err)
		all = append(all, flowscope.RecordOf(ev))
	}
	return all
}

// randomRecord has fields of some record and any numbers.
func randomRecord(r *rand.Rand, some []flowscope.Record) (f flowscope.Record) {
	v := reflect.ValueOf(&f).Elem()
	for i := range v.NumField() {
		field := v.Field(i)
		field.Set(reflect.ValueOf(some[r.IntN(len(some))]).Field(i))
		switch {
		case r.IntN(3) != 0:
		case field.CanUint():
			field.SetUint(r.Uint64() >> r.IntN(64) & (1<<field.Type().Bits() - 1))
		case field.CanInt():
			field.SetInt(int64(r.Uint64()) >> r.IntN(64))
		case field.Kind() == reflect.Array && field.Index(0).CanUint():
			for k := range field.Len() {
				field.Index(k).SetUint(r.Uint64() >> r.IntN(64) & (1<<field.Index(k).Type().Bits() - 1))
			}
		case r.IntN(2) == 0:
			field.SetZero()
		}
	}
	return f
}

// ipfixMessages are the messages of the records, as they were written, with options records between them.
func ipfixMessages(t *testing.T, records []flowscope.Record, o export.IPFIXOptions) (all [][]byte) {
	t.Helper()
	x, err := export.NewIPFIXWriter(writerFunc(func(b []byte) { all = append(all, bytes.Clone(b)) }), o)
	require.NoError(t, err)
	for i := range records {
		require.NoError(t, x.Write(&records[i]))
		if i%100 == 99 {
			require.NoError(t, x.WriteStats(records[i].End, ipfixTrackerStats))
		}
	}
	require.NoError(t, x.Flush())
	require.Zero(t, x.Stats().LeftOut)
	return all
}

var ipfixTrackerStats = func() *flowscope.TrackerStats {
	s := &flowscope.TrackerStats{FlowsCreated: 1234}
	s.Refused[flowscope.RefusedNotIP], s.Refused[flowscope.RefusedBadChecksum], s.Refused[flowscope.RefusedTruncatedTCP] = 100, 20, 3
	return s
}()

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) {
	f(b)
	return len(b), nil
}

// TestGoflow2ReadsOurIPFIX: what goflow2's decoder reads of every record are its fields, whatever is in it, in
// messages of any size.
func TestGoflow2ReadsOurIPFIX(t *testing.T) {
	records := manyRecords(t, 2000)
	for _, o := range []export.IPFIXOptions{
		{Nanoseconds: true}, {MaxMessage: 512, TemplateMessages: 3}, {MaxMessage: 65535, Domain: 7}, {TemplateEvery: time.Millisecond, Nanoseconds: true},
	} {
		said, templates, next, sequence, octets := ipfixSums{}, netflow.CreateTemplateSystem(), 0, 0, 0
		for number, message := range ipfixMessages(t, records, o) {
			var read netflow.IPFIXPacket
			b := bytes.NewBuffer(message)
			require.NoError(t, netflow.DecodeMessageVersion(b, templates, nil, &read))
			require.Zero(t, b.Len())
			require.Equal(t, len(message), int(read.Length))
			require.Equal(t, o.Domain, read.ObservationDomainId)
			require.Equal(t, sequence, int(read.SequenceNumber))
			for _, set := range read.FlowSets {
				switch set := set.(type) {
				case netflow.DataFlowSet:
					for _, record := range set.Records {
						want, got := withTimes(said.wanted(&records[next]), o, &records[next]), goflow2Fields(t, record.Values)
						if !maps.Equal(want, got) { // require.Equal is slow
							require.Equal(t, want, got, "record %d", next)
						}
						next++
						sequence++
					}
				case netflow.OptionsDataFlowSet:
					for _, record := range set.Records {
						require.Equal(t, ipfixFields{"149": fmt.Sprint(o.Domain)}, goflow2Fields(t, record.ScopesValues))
						wantOptions(t, goflow2Fields(t, record.OptionsValues), number, next, octets)
						sequence++
					}
				}
			}
			octets += len(message)
		}
		require.Len(t, records, next)
	}
}

// wantOptions compares options records with what was sent before them: the flows in the message itself are not.
func wantOptions(t *testing.T, got ipfixFields, messages, flows, octets int) {
	t.Helper()
	if len(got) == 2 {
		require.Equal(t, ipfixFields{"163": "1234", "164": "23"}, got)
		return
	}
	sent, err := strconv.Atoi(got["42"])
	require.NoError(t, err)
	require.LessOrEqual(t, sent, flows)
	require.Greater(t, sent, flows-1000)
	delete(got, "42")
	require.Equal(t, ipfixFields{"40": fmt.Sprint(octets), "41": fmt.Sprint(messages), "166": "0"}, got)
}

// withTimes are the fields with times of that option.
func withTimes(f ipfixFields, o export.IPFIXOptions, r *flowscope.Record) ipfixFields {
	if !o.Nanoseconds {
		delete(f, "156")
		delete(f, "157")
		f["152"] = fmt.Sprint(max(r.Start.Time().UnixMilli(), 0))
		f["153"] = fmt.Sprint(max(r.End.Time().UnixMilli(), 0))
	}
	return f
}

// goflow2Fields are the elements that goflow2 has cut out.
func goflow2Fields(t *testing.T, values []netflow.DataField) ipfixFields {
	t.Helper()
	f := ipfixFields{}
	for _, v := range values {
		name := fmt.Sprint(v.Type)
		if v.PenProvided {
			require.Equal(t, uint32(29305), v.Pen)
			name = "r" + name
		}
		require.NotContains(t, f, name, "an element twice")
		b := v.Value.([]byte)
		switch v.Type {
		case netflow.IPFIX_FIELD_sourceIPv4Address, netflow.IPFIX_FIELD_destinationIPv4Address,
			netflow.IPFIX_FIELD_sourceIPv6Address, netflow.IPFIX_FIELD_destinationIPv6Address:
			a, ok := netip.AddrFromSlice(b)
			require.True(t, ok)
			f[name] = a.String()
		case netflow.IPFIX_FIELD_sourceMacAddress, netflow.IPFIX_FIELD_destinationMacAddress:
			f[name] = net.HardwareAddr(b).String()
		case netflow.IPFIX_FIELD_flowStartNanoseconds, netflow.IPFIX_FIELD_flowEndNanoseconds:
			// NTP, rounded down as goflow2's own ConvertNTPEpoch does.
			s, fraction := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
			f[name] = fmt.Sprintf("%d.%09d", s-2208988800, uint64(fraction)*1e9>>32)
		default:
			n := uint64(0)
			for _, c := range b {
				n = n<<8 | uint64(c)
			}
			f[name] = strconv.FormatUint(n, 10)
		}
	}
	return f
}
