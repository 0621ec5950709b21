package acceptance

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// A2. Connections whose segments all wait for an acknowledgement that never comes, a byte each, take no more
// memory than TotalBytes allows them: an eighth for their payload, as much for the list of them.
func TestA2SegmentsThatWaitAreBounded(t *testing.T) {
	const connections, segments = 2000, 256
	before := testkit.Heap()
	d := newDownloadDriver(t, flowscope.Config{MaxFlows: 4 * connections, TotalBytes: 16 << 20})
	empty := testkit.Heap()
	c := &download{t: t, d: d}
	for k := range connections {
		c.client = fmt.Sprintf("10.1.%d.%d", k/250, k%250)
		c.handshake(0)
		for j := range uint32(segments) {
			c.response(1000+65535+j, 100, "A", "x")
		}
	}
	st := d.Stats()
	if st.SegmentsNotHeld == 0 || st.SegmentsHeld+st.SegmentsNotHeld != connections*segments {
		t.Fatalf("%d segments were held, %d not", st.SegmentsHeld, st.SegmentsNotHeld)
	}
	const room = 16 << 20 / 8
	if flows := int64(connections * (416 + 1000)); testkit.Heap()-empty > flows+2*room {
		t.Errorf("%d bytes for %d segments, and %d before", testkit.Heap()-empty, st.SegmentsHeld, empty-before)
	}
	runtime.KeepAlive(d)
}
