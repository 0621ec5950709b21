package flowscope

import (
	"math"

	"github.com/flowscope-go/flowscope/internal/clock"
	"github.com/flowscope-go/flowscope/internal/flowtable"
)

// Reports tell of flows that live on; see Config.ReportEvery. A flow has one timer in the timer wheel:
// with reports it is set to what comes first.

// reports are when the flows are reported, by the number of their slots.
type reports struct {
	every        int64
	flows        perSlot[flowReport]
	fastTimeouts [8]uint64 // in place of FlowTracker.fastTimeouts, which are 0
}

// flowReport is when a flow's next report is due: as soon as that time has passed. idle is the flow's
// other timer, as it was set last.
type flowReport struct{ next, idle int64 }

// newReports gives nil if there are none.
func newReports(cfg *Config) *reports {
	if cfg.ReportEvery == 0 || cfg.ReportEvery == Never {
		return nil
	}
	return &reports{every: int64(cfg.ReportEvery)}
}

// begin begins the flow of a slot, whose first packet has that time and whose last is of the present.
func (r *reports) begin(id flowtable.ID, start, now int64) {
	*r.flows.reset(id) = flowReport{next: clock.Add(start, r.every)}
	r.skip(id, now)
}

// skip leaves out the reports before a packet that has been counted already: the flow's first packets
// were of a rival.
func (r *reports) skip(id flowtable.ID, now int64) {
	if v := r.flows.at(id); v.next < now {
		v.next = clock.Add(v.next, (clock.Sub(now, v.next)-1)/r.every*r.every)
		v.next = clock.Add(v.next, r.every)
	}
}

// takeBack makes the next report that of the first boundary behind a time: a wrong timestamp has brought the
// reports before it forward.
func (r *reports) takeBack(id flowtable.ID, to int64) {
	if v := r.flows.at(id); clock.Sub(v.next, to) > r.every {
		v.next -= (clock.Sub(v.next, to) - 1) / r.every * r.every
	}
}

// timer is when the timer of a slot runs whose other timer is at idle, in elapsed time.
func (r *reports) timer(id flowtable.ID, idle int64, c *clock.Clock) int64 {
	v := r.flows.at(id)
	v.idle = idle
	return min(idle, c.ElapsedAt(clock.Add(v.next, 1)))
}

// continues is record.continues for a flow of which no report is due. It is apart so that trackers without reports
// pay for none of it.
func (r *reports) continues(id flowtable.ID, f *record, now int64, flags TCPFlags) bool {
	return now <= r.flows.at(id).next && f.continues(now, &r.fastTimeouts, flags)
}

// due reports whether a boundary has passed, and gives the last one that has.
func (r *reports) due(id flowtable.ID, now int64) (at int64, ok bool) {
	v := r.flows.at(id)
	if now <= v.next || v.next == math.MaxInt64 {
		return 0, false
	}
	at = v.next + clock.Sub(now, v.next+1)/r.every*r.every
	v.next = clock.Add(at, r.every)
	return at, true
}

// report emits the report of a live flow, if one is due.
func (t *FlowTracker[K, S]) report(s *slot[K, S], now int64) {
	if s.Value.bits&released != 0 || s.Value.over() {
		return
	}
	at, ok := t.reports.due(s.ID(), now)
	if !ok || !t.cfg.Events.Has(EventReport) {
		return
	}
	id := t.packetID
	t.packetID = 0 // it comes from time alone
	t.emitFinal(EventReport, s).Timestamp = Timestamp(at)
	t.packetID = id
}
