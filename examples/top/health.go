package main

import (
	"github.com/flowscope-go/flowscope"
)

// healthWidth is that of a column of the health view.
const healthWidth = 39

// health are the counters, in sections. Those of a list that are 0 are left out.
func (m model) health() *sheet {
	s := &m.snap
	t := &s.stats
	h := new(sheet)
	h.section("Capture")
	h.entry("packets", count(s.packets))
	h.entry("bytes on the wire", size(float64(s.bytes)))
	if s.dropsKnown {
		h.counter("dropped by the kernel", s.dropped, yellow.Styled)
	} else {
		h.entry("dropped", "not known of a file")
	}
	h.entry("fragments", count(t.Fragments.Frames))
	h.counter("timestamps going back", t.ClockBackward, yellow.Styled)
	h.section("Flows")
	h.entry("begun", count(t.FlowsCreated))
	h.entry("live, lingering", count(t.FlowsActive)+", "+count(t.FlowsLingering))
	h.entry("place for", count(s.config.MaxFlows))
	for i, n := range t.Ended {
		if n > 0 {
			h.entry("ended: "+flowscope.EndReason(i).String(), count(n))
		}
	}
	if s.forgotten > 0 {
		h.entry("ended ones not shown", count(s.forgotten))
	}
	m.streams(h)
	m.parsers(h)
	if t.PacketsUnmatched > 0 {
		h.section("Packets of no flow")
	}
	for i, n := range t.Refused {
		h.counter(flowscope.Refusal(i).String(), n, nil)
	}
	m.anomalies(h)
	return h
}

func (m model) streams(h *sheet) {
	s := &m.snap
	t := &s.stats.Streams
	h.section("TCP streams")
	h.entry("delivered", size(float64(t.Delivered)))
	h.counter("gaps", t.Gaps, yellow.Styled)
	if t.GapBytes > 0 {
		h.entry("missing in them", size(float64(t.GapBytes)))
	}
	h.counter("segments sent again", s.repeats[0], yellow.Styled)
	if s.repeats[1] > 0 {
		h.entry("bytes sent again", size(float64(s.repeats[1])))
	}
	h.counter("conflicting copies", t.Conflicts, red.Styled)
	if t.DroppedBytes > 0 {
		h.entry("dropped for want of room", size(float64(t.DroppedBytes)))
	}
	h.entry("memory", size(float64(s.stats.MemoryBytes))+" of "+size(float64(s.config.TotalBytes)))
}

func (m model) parsers(h *sheet) {
	s := &m.snap
	t := &s.stats.Sessions
	h.section("Sessions")
	for _, k := range s.kinds {
		h.entry(k.name, count(k.n))
	}
	h.entry("parsers at work", count(t.Parsers))
	h.counter("not read for want of room", t.Refused+t.Evicted, yellow.Styled)
	for _, l := range s.losses {
		h.counter("not read: "+l.name, l.n, yellow.Styled)
	}
	h.entry("memory", size(float64(t.HeldBytes))+" of "+size(float64(s.config.SessionBytes)))
}

func (m model) anomalies(h *sheet) {
	begun := false
	for i, n := range m.snap.stats.Anomalies {
		if n == 0 {
			continue
		}
		if !begun {
			h.section("Anomalies")
			begun = true
		}
		kind := flowscope.AnomalyKind(i)
		h.counter(kind.String(), n, map[flowscope.Severity]func(string) string{
			flowscope.SeverityWarning: yellow.Styled, flowscope.SeverityError: red.Styled,
		}[kind.Severity()])
	}
}

// sheet is a list of sections with names and values.
type sheet struct{ sections [][]string }

func (h *sheet) section(title string) {
	h.sections = append(h.sections, []string{bold.Styled(" " + left(title, healthWidth-2))})
}

func (h *sheet) add(text string) {
	last := &h.sections[len(h.sections)-1]
	*last = append(*last, text)
}

func (h *sheet) entry(name, value string) { h.add(entry(name, value)) }

func entry(name, value string) string {
	value = cut(value, healthWidth-6)
	name = cut(name, healthWidth-4-len(value))
	return " " + apart(" "+name, value, healthWidth-2)
}

// counter is an entry in a colour, left out if it is 0.
func (h *sheet) counter(name string, n uint64, style func(string) string) {
	if n == 0 {
		return
	}
	text := entry(name, count(n))
	if style != nil {
		text = style(text)
	}
	h.add(text)
}

// columns puts sections one below the other, and goes on in the next column where one does not fit. A section that is longer
// than a column is continued.
func (h *sheet) columns(height int) (all [][]string) {
	var column []string
	for _, section := range h.sections {
		if len(column) > 0 {
			if len(column)+1+len(section) > height && len(section) <= height || len(column)+2 >= height {
				all, column = append(all, column), nil
			} else {
				column = append(column, "")
			}
		}
		for _, text := range section {
			if len(column) == height {
				all, column = append(all, column), nil
			}
			column = append(column, text)
		}
	}
	return append(all, column)
}

// healthColumns are as many columns side by side as fit, from the one that was scrolled to.
func (m model) healthColumns(height int) []string {
	all := m.healthLayout(height)
	all = all[within(m.scroll, len(all)):]
	out := make([]string, height)
	for i, column := range all[:min(len(all), m.healthFits())] {
		for at, text := range column {
			out[at] = left(out[at], i*healthWidth) + text
		}
	}
	return out
}

// healthLayout uses the width of the screen before its height.
func (m model) healthLayout(height int) [][]string {
	h := m.health()
	for low := 8; low < height; low++ {
		if all := h.columns(low); len(all) <= m.healthFits() {
			return all
		}
	}
	return h.columns(max(height, 1))
}

// healthFits is how many columns fit.
func (m model) healthFits() int { return max(m.width/healthWidth, 1) }

// maxScroll is how many columns there are to the left of the last ones.
func (m model) maxScroll() int {
	return max(len(m.healthLayout(m.bodyHeight()))-m.healthFits(), 0)
}
