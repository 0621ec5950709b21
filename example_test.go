package flowscope_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest"
	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// What both sides of a web request said, out of a capture file. The bytes of a Data event are lent; who wants to keep
// them copies them.
func ExampleFlowDriver() {
	driver, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, flowscope.Config{})
	if err != nil {
		panic(err)
	}
	for view, err := range flowscope.OpenCapture("testdata/captures/http.pcap") {
		if err != nil {
			panic(err)
		}
		for _, ev := range driver.Track(view) {
			switch ev.Kind {
			case flowscope.EventData:
				line, _, _ := bytes.Cut(ev.Bytes, []byte("\r\n"))
				fmt.Printf("%v at %d: %s\n", ev.Side, ev.Offset, line)
			case flowscope.EventGap:
				fmt.Printf("%v at %d: %d bytes were never seen\n", ev.Side, ev.Offset, ev.Len)
			case flowscope.EventSideClosed:
				fmt.Printf("%v said %d bytes\n", ev.Side, ev.Offset)
			}
		}
	}
	for range driver.FinishParts() {
	}
	// Output:
	// initiator at 0: GET / HTTP/1.1
	// responder at 0: HTTP/1.1 200 OK
	// initiator at 73: GET /none HTTP/1.1
	// responder at 918: HTTP/1.1 404 Not Found
	// initiator said 150 bytes
	// responder said 1212 bytes
}

// wholeLines delivers a stream line by line, lines of up to 64 KiB.
type wholeLines struct {
	flowscope.StreamReassembler
	rest []byte
}

func (l *wholeLines) HandlePiece(p flowscope.Piece, out *flowscope.Delivery) {
	l.rest = append(l.rest, p.Bytes...)
	end := bytes.LastIndexByte(l.rest, '\n') + 1
	if p.Gap > 0 || p.End || end == 0 && len(l.rest) > 1<<16 {
		end = len(l.rest)
	}
	out.Data(bytes.Clone(l.rest[:end]))
	out.Gap(p.Gap, p.Cause)
	l.rest = append(l.rest[:0], l.rest[end:]...)
}

// A Reassembler of one's own around a StreamReassembler. The data that it delivers becomes Data events, here of whole
// lines only, although the capture's segments came in the wrong order and cut lines anywhere.
func ExampleStreamReassembler() {
	factory := flowscope.ReassemblerFunc[flowscope.FiveTupleKey](func(flowscope.FiveTupleKey, flowscope.FlowSide) flowscope.Reassembler {
		return new(wholeLines)
	})
	driver, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, factory, flowscope.Config{})
	if err != nil {
		panic(err)
	}
	n := 0
	for view, err := range flowscope.OpenCapture("testdata/captures/lossy.pcap") {
		if err != nil {
			panic(err)
		}
		for _, ev := range driver.Track(view) {
			if ev.Kind == flowscope.EventData && ev.Side == flowscope.Initiator {
				for line := range bytes.Lines(ev.Bytes) {
					if n%100 == 0 {
						fmt.Printf("%.20s...\n", line)
					}
					n++
				}
			}
		}
	}
	fmt.Println(n, "lines")
	// Output:
	// line 0000 of a text ...
	// line 0100 of a text ...
	// line 0200 of a text ...
	// 300 lines
}

// counter is a minimal Reassembler: it counts, and delivers nothing.
type counter struct{ segments, bytes int }

func (c *counter) Segment(s flowscope.Segment, _ *flowscope.Delivery) {
	c.segments++
	c.bytes += len(s.Payload)
}

func (c *counter) Fin(*flowscope.Delivery) {}
func (c *counter) Rst(*flowscope.Delivery) {}

// A Reassembler sees every segment of its side, retransmissions included, in the order of arrival. It is still
// there when the flow ends.
func ExampleReassembler() {
	factory := flowscope.ReassemblerFunc[flowscope.FiveTupleKey](func(flowscope.FiveTupleKey, flowscope.FlowSide) flowscope.Reassembler {
		return new(counter)
	})
	driver, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, factory, flowscope.Config{})
	if err != nil {
		panic(err)
	}
	for view, err := range flowscope.OpenCapture("testdata/captures/lossy.pcap") {
		if err != nil {
			panic(err)
		}
		for _, ev := range driver.Track(view) {
			if ev.Kind == flowscope.EventEnded {
				if c, ok := driver.ReassemblerOf(&ev, flowscope.Initiator).(*counter); ok { // else the initiator sent no payload
					fmt.Println(c.segments, "segments,", c.bytes, "bytes for a text of 18300")
				}
			}
		}
	}
	// Output:
	// 38 segments, 19800 bytes for a text of 18300
}

// commandLine is a message of the protocol below.
type commandLine struct{ Text []byte }

func (m *commandLine) CloneMessage() flowscope.Message {
	return &commandLine{Text: bytes.Clone(m.Text)}
}

// commands is a factory of a protocol of lines of text, on port 4000.
type commands struct{}

func (commands) Probe(p flowscope.Probe) flowscope.Verdict {
	return p.OnPort(4000) // of either side: the capture may begin with the server
}

func (commands) NewSessionParser() flowscope.SessionParser { return new(commandParser) }

type commandParser struct{ carry [2]flowscope.Carry }

func (p *commandParser) Data(c flowscope.Chunk, out *flowscope.Messages) {
	const maxLine = 1000
	carry := &p.carry[c.Side]
	b, ok := carry.Join(c.Bytes, out)
	for ok {
		end := bytes.IndexByte(b, '\n')
		if end < 0 || end > maxLine {
			ok = len(b) <= maxLine
			break
		}
		flowscope.Emit[commandLine](out).Text = carry.Lend(b[:end], out)
		b = b[end+1:]
	}
	if !ok || !carry.Keep(b, out) {
		out.Done() // a real protocol emits a message about it
	}
}

func (p *commandParser) Gap(side flowscope.FlowSide, _, _ int64, _ flowscope.Timestamp, out *flowscope.Messages) {
	p.carry[side].Drop(out)
}

func (p *commandParser) Closed(flowscope.FlowSide, flowscope.EndReason, flowscope.Timestamp, *flowscope.Messages) {
}

func (p *commandParser) Ended(flowscope.EndReason, flowscope.Timestamp, *flowscope.Messages) {}

func (p *commandParser) Reset() {
	p.carry[flowscope.Initiator].Reset()
	p.carry[flowscope.Responder].Reset()
}

// A parser of one's own reads both sides of a connection, however the bytes are cut. A SessionPlayer
// tests it without packets.
func ExampleSessionParser() {
	player, err := flowscope.NewSessionPlayer(flowscope.Config{}, commands{})
	if err != nil {
		fmt.Println(err)
		return
	}
	flow := player.TCP(50000, 4000)
	flow.Data(flowscope.Initiator, []byte("HEL"), 1)
	for _, e := range flow.Data(flowscope.Initiator, []byte("LO\nLIST\n"), 2) {
		fmt.Printf("%v: %s\n", e.Side, e.Message.(*commandLine).Text)
	}
	// Output:
	// initiator: HELLO
	// initiator: LIST
}

// Events go to any logger, at levels that fit them.
func ExampleLogEvent() {
	driver, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, flowscope.Config{Events: flowscope.AllEvents})
	if err != nil {
		panic(err)
	}
	logger := slog.New(slog.NewTextHandler(os.Stdout, nil)) // the times are those of the packets
	for view, err := range flowscope.OpenCapture("testdata/captures/http.pcap") {
		if err != nil {
			panic(err)
		}
		events := driver.Track(view)
		for i := range events {
			if events[i].L4 == flowscope.L4TCP {
				flowscope.LogEvent(logger, &events[i])
			}
		}
	}
	// Output:
	// time=2026-11-22T20:06:33.335Z level=INFO msg=started flow=2 key="tcp 192.0.2.10:33678 <-> 198.51.100.20:80" l4=tcp
	// time=2026-11-22T20:06:33.340Z level=INFO msg=ended flow=2 key="tcp 192.0.2.10:33678 <-> 198.51.100.20:80" l4=tcp reason=fin history=ShADadFf packets=12 bytes=2170
}

// A whole TCP connection, packet by packet. Every kind of event has a name; what an event carries depends on its
// kind.
func ExampleFlowTracker() {
	tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{})
	if err != nil {
		panic(err) // only a wrong Config is an error
	}
	for _, view := range webRequest() {
		for _, ev := range tracker.Track(view) {
			switch ev.Kind {
			case flowscope.EventStarted:
				fmt.Println("started:", ev.Key)
			case flowscope.EventEstablished:
				fmt.Println("established")
			case flowscope.EventEnded:
				fmt.Println("ended:", ev.Reason, ev.History, ev.Stats.Packets, ev.Stats.Payload)
			}
		}
	}
	fmt.Println("still open at the end of the capture:", len(tracker.Finish()))
	// Output:
	// started: tcp 192.0.2.1:40000 <-> 192.0.2.80:80
	// established
	// ended: fin ShADadFf [6 5] [16 17]
	// still open at the end of the capture: 0
}

// An extractor of one's own decides which packets belong together. This one sees a flow in what two racks say to
// each other, whatever the protocol; its key is a plain struct. It also says how long such a flow may be silent.
func ExampleFlowExtractor() {
	tracker, err := flowscope.NewFlowTracker(racks{}, flowscope.Config{})
	if err != nil {
		panic(err)
	}
	for i, view := range webRequest() {
		view.Timestamp = flowscope.NewTimestamp(int64(i), 0)
		tracker.Track(view)
	}
	for flow := range tracker.Flows() {
		fmt.Printf("rack %d to rack %d: %d packets\n", flow.Key.from, flow.Key.to, flow.Stats.Packets[0]+flow.Stats.Packets[1])
	}
	fmt.Println(len(tracker.Sweep(flowscope.NewTimestamp(600, 0))), "ended after ten minutes")
	fmt.Println(len(tracker.Sweep(flowscope.NewTimestamp(6000, 0))), "ended after a hundred")
	// Output:
	// rack 1 to rack 80: 11 packets
	// 0 ended after ten minutes
	// 1 ended after a hundred
}

type rackPair struct{ from, to byte }

type racks struct{}

func (racks) Extract(v flowscope.PacketView, x *flowscope.Extracted[rackPair]) bool {
	// Let a built-in extractor read the headers, and take from it what is needed.
	var inner flowscope.Extracted[flowscope.IPPairKey]
	if !(flowscope.IPPair{}).Extract(v, &inner) {
		x.Refused = inner.Refused
		return false
	}
	if !inner.Key.A().Is4() {
		return false
	}
	a, b := inner.Key.A().As4(), inner.Key.B().As4()
	x.Key = rackPair{a[3], b[3]} // the key must be written whole
	x.Orientation, x.L4, x.Payload, x.Missing = inner.Orientation, inner.L4, inner.Payload, inner.Missing
	return true
}

func (racks) IdleTimeout(rackPair) time.Duration { return time.Hour }

// A value of the caller's lives with each flow. It is found by the event, without another look-up, and it still
// answers while the flow's Ended is handled.
func ExampleNewFlowTrackerWithState() {
	type session struct {
		name    string
		answers int
	}
	names := 0
	tracker, err := flowscope.NewFlowTrackerWithState(flowscope.FiveTuple{}, flowscope.Config{}, func(flowscope.FiveTupleKey) session {
		names++
		return session{name: fmt.Sprintf("session-%d", names)}
	})
	if err != nil {
		panic(err)
	}
	for _, view := range webRequest() {
		for _, ev := range tracker.Track(view) {
			s := tracker.State(&ev)
			switch {
			case ev.Kind == flowscope.EventPacket && ev.Side == flowscope.Responder && len(ev.Bytes) > 0:
				s.answers++
			case ev.Kind == flowscope.EventEnded:
				fmt.Println(s.name, "got", s.answers, "answer")
			}
		}
	}
	// Output:
	// session-1 got 1 answer
}

// Captures are read packet by packet, whatever their format, and a damaged file gives every packet before the
// damage and then says where it begins.
func ExampleReadCapture() {
	file := captureFile(webRequest())
	cut := file[:len(file)-1]
	for view, err := range flowscope.ReadCapture(bytes.NewReader(cut)) {
		if err != nil {
			fmt.Println("damaged:", err)
			break
		}
		fmt.Println(view.ID, len(view.Frame), "bytes")
	}
	// Output:
	// 1 54 bytes
	// 2 54 bytes
	// 3 54 bytes
	// 4 70 bytes
	// 5 54 bytes
	// 6 71 bytes
	// 7 54 bytes
	// 8 54 bytes
	// 9 54 bytes
	// 10 54 bytes
	// damaged: capture file, offset 757: file ends early: while reading a record
}

// Where packets stop coming, Sweep advances the time, and ends the flows that have timed out.
func ExampleFlowTracker_Sweep() {
	tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{UDPTimeout: 10 * time.Second})
	if err != nil {
		panic(err)
	}
	noon := flowscope.TimestampOf(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	tracker.Track(flowscope.PacketView{Frame: question(), Timestamp: noon})
	for _, wait := range []time.Duration{9 * time.Second, 10 * time.Second} {
		events := tracker.Sweep(noon.Add(wait))
		fmt.Println(wait, "later:", len(events), "ended,", tracker.Len(), "live")
	}
	// Output:
	// 9s later: 0 ended, 1 live
	// 10s later: 1 ended, 0 live
}

// webRequest is a connection: handshake, one request, one response, both sides close.
func webRequest() []flowscope.PacketView {
	d := flowtest.NewDialogue("192.0.2.1:40000", "192.0.2.80:80")
	d.Client("GET / HTTP/1.0\r\n")
	d.Server("HTTP/1.0 200 OK\r\n")
	d.Close()
	return d.Views()
}

func question() []byte {
	return frames.UDP{Src: "192.0.2.1:40000", Dst: "192.0.2.53:53", Payload: []byte("a question")}.Ethernet()
}

// captureFile writes a classic pcap file.
func captureFile(views []flowscope.PacketView) []byte {
	var file bytes.Buffer
	w, err := flowscope.NewCaptureWriter(&file, flowscope.LinkTypeEthernet)
	if err != nil {
		panic(err)
	}
	for _, v := range views {
		if err := w.Write(v); err != nil {
			panic(err)
		}
	}
	return file.Bytes()
}

// Traffic of an overlay network: the conversation is inside, wherever the tunnel may be.
func ExampleAutoDetectEncap() {
	tracker, err := flowscope.NewFlowTracker(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{})
	if err != nil {
		panic(err)
	}
	tracker.Track(flowscope.PacketView{Frame: inVXLAN(77, question())})
	tracker.Track(flowscope.PacketView{Frame: question()}) // in no tunnel, so another conversation
	for flow := range tracker.Flows() {
		fmt.Println(flow.Key, flow.Stats.Packets, "first seen through", cmp.Or(flow.Stats.TunnelString(), "none"))
	}
	// Output:
	// udp 192.0.2.1:40000 <-> 192.0.2.53:53 tunneled [1 0] first seen through vxlan:77
	// udp 192.0.2.1:40000 <-> 192.0.2.53:53 [1 0] first seen through none
}

// Two tenants use the same addresses. With the tunnel in the key they are two flows.
func ExamplePerTunnel() {
	extractor := flowscope.PerTunnel(flowscope.AutoDetectEncap(flowscope.FiveTuple{}))
	tracker, err := flowscope.NewFlowTracker(extractor, flowscope.Config{})
	if err != nil {
		panic(err)
	}
	for _, network := range []uint32{77, 78, 77} {
		tracker.Track(flowscope.PacketView{Frame: inVXLAN(network, question())})
	}
	for events := range tracker.FinishParts() {
		for _, ev := range events {
			fmt.Println(ev.Key, ev.Stats.Packets)
		}
	}
	// Output:
	// udp 192.0.2.1:40000 <-> 192.0.2.53:53 tunneled in vxlan:77 [2 0]
	// udp 192.0.2.1:40000 <-> 192.0.2.53:53 tunneled in vxlan:78 [1 0]
}

// Only what is in the tunnel counts; the rest is refused by name.
func ExampleInnerVXLAN() {
	tracker, err := flowscope.NewFlowTracker(flowscope.InnerVXLAN(flowscope.FiveTuple{}), flowscope.Config{})
	if err != nil {
		panic(err)
	}
	tracker.Track(flowscope.PacketView{Frame: inVXLAN(77, question())})
	tracker.Track(flowscope.PacketView{Frame: question()})
	stats := tracker.Stats()
	fmt.Println(stats.FlowsCreated, "flow,", stats.Refused[flowscope.RefusedNotTunnel], "packet", flowscope.RefusedNotTunnel)
	// Output:
	// 1 flow, 1 packet not_tunnel
}

// A packet that was damaged on the way is counted, and not taken for a part of the conversation.
func ExampleChecksumMode() {
	tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{Checksums: flowscope.ChecksumVerify})
	if err != nil {
		panic(err)
	}
	damaged := question()
	damaged[bytes.Index(damaged, []byte("question"))] ^= 1
	for _, frame := range [][]byte{question(), damaged} {
		for _, ev := range tracker.Track(flowscope.PacketView{Frame: frame}) {
			if ev.Kind == flowscope.EventPacket {
				fmt.Printf("%q\n", ev.Bytes)
			}
		}
	}
	fmt.Println(tracker.Stats().ChecksumsBad, "wrong")
	// Output:
	// "a question"
	// ""
	// 1 wrong
}

// inVXLAN puts a frame into a tunnel between two other hosts.
func inVXLAN(network uint32, inner []byte) []byte {
	return frames.UDP{Src: "198.51.100.1:50000", Dst: "198.51.100.2:4789", Payload: frames.VXLAN(network, inner)}.Ethernet()
}

// A Record is a flow as a line of a log: here in JSON. Its UID is the same whatever else is in the capture.
// Released comes once for each flow, as Ended does, and counts late packets too.
func ExampleRecordOf() {
	tracker, err := flowscope.NewFlowTracker(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{
		Details: flowscope.DetailIPBytes | flowscope.DetailLateBytes,
		Events:  flowscope.Events(flowscope.EventReleased),
	})
	if err != nil {
		panic(err)
	}
	for ev, err := range tracker.Events(flowscope.OpenCapture("testdata/captures/http.pcap")) {
		if err != nil {
			panic(err)
		}
		if ev.L4 == flowscope.L4TCP {
			line, err := json.Marshal(flowscope.RecordOf(ev))
			if err != nil {
				panic(err)
			}
			fmt.Println(string(line))
		}
	}
	// Output:
	// {"uid":"C1LIGukyFz6ia92frs","final":true,"proto":"tcp","initiator":"192.0.2.10:33678","responder":"198.51.100.20:80","packets":[7,5],"wire_bytes":[620,1550],"ip_bytes":[522,1480],"payload_bytes":[150,1212],"start":"2026-11-22T20:06:33.335029Z","end":"2026-11-22T20:06:33.340371Z","syn_to_synack_ns":35000,"synack_to_ack_ns":19000,"state":"closed","reason":"fin","history":"ShADadFf","flags":["FSPA","FSPA"],"midstream":false}
}

// A flow that lives on is reported every minute, with what was counted since it began. Sub gives what
// came since the report before.
func ExampleConfig_reports() {
	// The state of a flow is what was counted by its last report, so it is gone with the flow.
	tracker, err := flowscope.NewFlowTrackerWithState(flowscope.FiveTuple{}, flowscope.Config{
		ReportEvery: time.Minute,
		Events:      flowscope.Events(flowscope.EventReport, flowscope.EventEnded),
	}, func(flowscope.FiveTupleKey) flowscope.FlowStats { return flowscope.FlowStats{} })
	if err != nil {
		panic(err)
	}
	show := func(events []flowscope.Event) {
		for i := range events {
			ev := &events[i]
			before := tracker.State(ev)
			since := ev.Stats.Sub(before)
			*before = *ev.Stats
			part := *ev // a record of what is new: same UID, start and end
			part.Stats = &since
			r := flowscope.RecordOf(&part)
			fmt.Println(ev.Kind, ev.Stats.Packets[flowscope.Initiator], "packets,", r.Packets[flowscope.Initiator], "of them new", r.UID == ev.UID())
		}
	}
	frame := firstFrame("testdata/captures/http.pcap") // of a DNS query
	for second := range 150 {
		show(tracker.Track(flowscope.PacketView{Frame: frame, Timestamp: flowscope.NewTimestamp(int64(second), 0)}))
	}
	show(tracker.Finish())
	// Output:
	// report 61 packets, 61 of them new true
	// report 121 packets, 60 of them new true
	// ended 150 packets, 29 of them new true
}

// firstFrame is the first frame of a capture.
func firstFrame(name string) []byte {
	for view, err := range flowscope.OpenCapture(name) {
		if err != nil {
			panic(err)
		}
		return bytes.Clone(view.Frame) // it was lent
	}
	panic("no packets")
}

// Timeouts may change while a tracker runs, as when memory gets short.
func ExampleFlowTracker_SetConfig() {
	tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{})
	if err != nil {
		panic(err)
	}
	frame := firstFrame("testdata/captures/http.pcap") // of a DNS query
	tracker.Track(flowscope.PacketView{Frame: frame, Timestamp: flowscope.NewTimestamp(100, 0)})
	cfg := tracker.Config()
	cfg.UDPTimeout = 5 * time.Second
	if err := tracker.SetConfig(cfg); err != nil {
		panic(err)
	}
	for _, ev := range tracker.Sweep(flowscope.NewTimestamp(105, 0)) {
		fmt.Println(ev.Kind, ev.Reason, ev.Key)
	}
	cfg.Details = flowscope.DetailIPBytes
	fmt.Println(tracker.SetConfig(cfg))
	// Output:
	// ended idle udp 192.0.2.10:40764 <-> 198.51.100.20:53
	// flowscope: wrong config: Details cannot be changed while the tracker runs
}

// Flows beside gopacket's layers, on a handle that may be silent: the ticks of a time.Ticker let time pass.
func ExampleViewOf() {
	packets, ticks := make(chan gopacket.Packet), make(chan time.Time)
	go func() { // in place of PacketSource.Packets and a time.Ticker
		at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
		p := gopacket.NewPacket(question(), layers.LayerTypeEthernet, gopacket.Default)
		p.Metadata().Timestamp = at
		packets <- p
		ticks <- at.Add(2 * time.Minute)
		close(packets)
	}()
	tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{})
	if err != nil {
		panic(err)
	}
	show := func(events []flowscope.Event) {
		for i := range events {
			if ev := &events[i]; ev.Kind == flowscope.EventEnded {
				fmt.Println(ev.Key, ev.Reason)
			}
		}
	}
	for open := true; open; {
		select {
		case p, ok := <-packets:
			if open = ok; ok {
				fmt.Println(p.NetworkLayer().NetworkFlow())
				show(tracker.Track(flowscope.ViewOf(p, flowscope.LinkTypeEthernet)))
			}
		case now := <-ticks: // behind the packets that still wait in the capture
			show(tracker.Sweep(flowscope.TimestampOf(now.Add(-100 * time.Millisecond))))
		}
	}
	show(tracker.Finish())
	// Output:
	// 192.0.2.1->192.0.2.53
	// udp 192.0.2.1:40000 <-> 192.0.2.53:53 idle
}

// The loop of programs that use gopacket, with flows beside its layers.
func ExampleFromPackets() {
	file, err := os.Open("testdata/captures/http.pcap")
	if err != nil {
		panic(err)
	}
	defer file.Close()
	reader, err := pcapgo.NewReader(file)
	if err != nil {
		panic(err)
	}
	source := gopacket.NewPacketSource(reader, reader.LinkType())
	link := flowscope.LinkTypeOf(uint16(reader.LinkType()))
	for c, err := range flowscope.Conversations(flowscope.FromPackets(source.Packets(), link)) {
		if err != nil {
			panic(err)
		}
		fmt.Println(c.Initiator, c.Responder, c.Reason)
	}
	// Output: 192.0.2.10:33678 198.51.100.20:80 fin
}
