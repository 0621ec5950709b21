package flowscope

import "iter"

// Events tracks all views of a capture, such as those of OpenCapture, and then calls Finish. It gives
// the events one at a time:
//
//	for ev, err := range tracker.Events(flowscope.OpenCapture("traffic.pcap")) {
//		if err != nil {
//			return err
//		}
//		...
//	}
//
// An event is borrowed until the loop goes on. The first error of views ends the capture: it comes
// last, with no event, after the events of the packets before it and those of Finish. So this is for
// captures; a live source, whose read timeouts are errors too, takes a loop with Track and Sweep. A
// loop that ends early leaves the flows alive, and Finish to the caller. Within the loop may be called
// what may be called while events are being read, such as ForceClose.
func (t *FlowTracker[K, S]) Events(views iter.Seq2[PacketView, error]) iter.Seq2[*FlowEvent[K], error] {
	return eventsOf(views, t.Track, t.Finish)
}

// Events tracks all views of a capture; see FlowTracker.Events.
func (d *FlowDriver[K, S]) Events(views iter.Seq2[PacketView, error]) iter.Seq2[*FlowEvent[K], error] {
	return eventsOf(views, d.Track, d.Finish)
}

func eventsOf[K comparable](
	views iter.Seq2[PacketView, error], track func(PacketView) []FlowEvent[K], finish func() []FlowEvent[K],
) iter.Seq2[*FlowEvent[K], error] {
	return func(yield func(*FlowEvent[K], error) bool) {
		var failed error
		for v, err := range views {
			if err != nil {
				failed = err
				break
			}
			events := track(v)
			for i := range events {
				if !yield(&events[i], nil) {
					return
				}
			}
		}
		events := finish()
		for i := range events {
			if !yield(&events[i], nil) {
				return
			}
		}
		if failed != nil {
			yield(nil, failed)
		}
	}
}
