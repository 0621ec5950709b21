package flowscope

import (
	"fmt"
	"reflect"
)

// SetConfig changes timeouts and limits of a tracker that runs. The fields that may differ from Config()
// are OpeningTimeout, EstablishedTimeout, ClosingTimeout, ResetTimeout, UDPTimeout, ICMPTimeout,
// OtherTimeout, LingerTimeout, the three hole timeouts, SideBytes, SidePieces, TotalBytes, MaxAnomalies,
// and MaxFlows up to what it was when the tracker was made; 0 stands for the default. The error says what
// cannot be changed or is wrong, and wraps ErrConfig; then nothing has changed.
//
//	cfg := tracker.Config()
//	cfg.UDPTimeout = 10 * time.Second
//	err := tracker.SetConfig(cfg)
//
// It may be called while events are being read. What has to leave does so with the next calls of Track,
// Sweep or Finish, with the events that it has then: flows that have been idle for longer than a new
// timeout end with EndIdleTimeout, those beyond MaxFlows with EndEvicted, and streams that hold more than
// TotalBytes give up holes, with GapBudget. A stream that holds more than SideBytes keeps that until its
// next early segment. Holes that are open keep the timer that they have. MaxFlows replaces what SetMaxFlows
// has set. The next call takes a time proportional to the number of flows.
func (t *FlowTracker[K, S]) SetConfig(cfg Config) error {
	cfg, err := t.cfg.changed(cfg)
	if err != nil {
		return err
	}
	if cfg.MaxFlows > t.capacity {
		return fmt.Errorf("%w: MaxFlows %d is more than the %d that the tracker was made for", ErrConfig, cfg.MaxFlows, t.capacity)
	}
	t.cfg, t.maxFlows = cfg, cfg.MaxFlows
	t.setTimeouts()
	t.doubts.HealAfter, t.doubts.HoldFor = int64(cfg.HoleAckedTimeout), int64(cfg.HoleTimeout)
	t.doubts.MaxBytes, t.doubts.MaxHeld = doubtLimits(&cfg)
	t.doubts.SideBytes, t.doubts.MaxDoubts = cfg.SideBytes, maxDoubts(&cfg)
	t.clock.Reach(cfg.longestWait())
	t.refile, t.reclaimDue = true, true
	return nil
}

// SetConfig changes timeouts and limits of a driver that runs; see FlowTracker.SetConfig.
func (d *FlowDriver[K, S]) SetConfig(cfg Config) error {
	if err := d.t.SetConfig(cfg); err != nil {
		return err
	}
	d.arena.SetLimits(d.t.cfg.streamLimits())
	d.streams.SetTimeouts(d.t.cfg.holeTimeouts())
	return nil
}

// changed is c with what SetConfig may change taken from the other, whose defaults it fills in.
func (c Config) changed(to Config) (Config, error) {
	to, err := to.withDefaults()
	if err != nil {
		return c, err
	}
	c.MaxFlows, c.MaxAnomalies = to.MaxFlows, to.MaxAnomalies
	c.SideBytes, c.SidePieces, c.TotalBytes = to.SideBytes, to.SidePieces, to.TotalBytes
	c.OpeningTimeout, c.EstablishedTimeout, c.ClosingTimeout = to.OpeningTimeout, to.EstablishedTimeout, to.ClosingTimeout
	c.ResetTimeout, c.LingerTimeout = to.ResetTimeout, to.LingerTimeout
	c.UDPTimeout, c.ICMPTimeout, c.OtherTimeout = to.UDPTimeout, to.ICMPTimeout, to.OtherTimeout
	c.HoleAckedTimeout, c.HoleTimeout, c.HoleOneSidedTimeout = to.HoleAckedTimeout, to.HoleTimeout, to.HoleOneSidedTimeout
	if c == to {
		return c, nil
	}
	a, b := reflect.ValueOf(c), reflect.ValueOf(to)
	for i := range a.NumField() {
		if !a.Field(i).Equal(b.Field(i)) {
			return c, fmt.Errorf("%w: %s cannot be changed while the tracker runs", ErrConfig, a.Type().Field(i).Name)
		}
	}
	return c, nil
}

// setTimeouts makes the timeouts of the classes from the Config.
func (t *FlowTracker[K, S]) setTimeouts() {
	cfg := &t.cfg
	t.timeouts = [8]int64{
		classOpening:     int64(cfg.OpeningTimeout),
		classEstablished: int64(cfg.EstablishedTimeout),
		classClosing:     int64(cfg.ClosingTimeout),
		classUDP:         int64(cfg.UDPTimeout),
		classICMP:        int64(cfg.ICMPTimeout),
		classOther:       int64(cfg.OtherTimeout),
		classLinger:      int64(cfg.LingerTimeout),
		classReset:       int64(cfg.ResetTimeout),
	}
	if t.fastPaths && t.keyTimeout == nil {
		fast := &t.fastTimeouts
		if t.reports != nil {
			fast = &t.reports.fastTimeouts
		}
		for class, timeout := range t.timeouts {
			fast[class] = uint64(timeout)
		}
		if t.reports == nil {
			t.openingTimeout = fast[classOpening]
		}
		fast[classLinger] = 0  // of a flow that is ending
		fast[classOpening] = 0 // see record.opens
	}
}

// refileTimers sets the timers of all flows anew: their timeouts are others.
func (t *FlowTracker[K, S]) refileTimers() {
	t.refile = false
	for s := range t.table.All {
		t.setTimer(s)
	}
}
