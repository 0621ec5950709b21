package flowscope
import "testing"
func BenchmarkOneTCP(b *testing.B){ tr := newTraffic(64,true); t := mustTracker(b, Config{Events: Events(EventEnded)}); now:=Timestamp(1); for i:=0;i<b.N;i++ { now++; t.Track(PacketView{Frame: tr.next(uint32(i&63)), Timestamp: now}) } }
func BenchmarkOneUDP(b *testing.B){ tr := newTraffic(64,false); t := mustTracker(b, Config{Events: Events(EventEnded)}); now:=Timestamp(1); for i:=0;i<b.N;i++ { now++; t.Track(PacketView{Frame: tr.next(uint32(i&63)), Timestamp: now}) } }
func BenchmarkOneFloor(b *testing.B){ tr := newTraffic(64,true); t := newFloor(64); now:=Timestamp(1); for i:=0;i<b.N;i++ { now++; t.track(PacketView{Frame: tr.next(uint32(i&63)), Timestamp: now}) } }
func BenchmarkOneExtract(b *testing.B){ tr := newTraffic(64,true); var ft FiveTuple; var x Extracted[FiveTupleKey]; var ex FlowExtractor[FiveTupleKey]=ft; now:=Timestamp(1); for i:=0;i<b.N;i++ { now++; ex.Extract(PacketView{Frame: tr.next(uint32(i&63)), Timestamp: now},&x) } }
