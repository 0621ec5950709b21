package main

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/flowscope-go/flowscope"
)

// details shows one flow with both its sides.
func (m model) details(height int) []string {
	r := m.looked()
	if r == nil {
		return []string{" Nothing is known of this flow any more: it ended long ago. esc goes back."}
	}
	lines := []string{
		bold.Styled(" "+r.l4.String()+"  "+r.side(flowscope.Initiator)+" -> "+r.side(flowscope.Responder)) + "  " + r.name,
		packed(m.width, " "+r.condition(), "age "+span(r.age()), "since "+clock(r.stats.Start(), r.now), m.handshake(r), m.extras(r)),
		"",
	}
	lines = append(lines, m.sides(r)...)
	lines = append(lines, m.said(r, height-len(lines))...)
	return lines
}

func (m model) handshake(r *row) string {
	s := &r.stats
	if s.SYNToSYNACK == 0 && s.SYNACKToACK == 0 {
		return ""
	}
	return fmt.Sprintf("handshake %s + %s", milliseconds(s.SYNToSYNACK), milliseconds(s.SYNACKToACK))
}

func (m model) extras(r *row) string {
	var parts []string
	if h := r.history.String(); h != "" {
		parts = append(parts, "history "+h)
	}
	if r.stats.Midstream {
		parts = append(parts, "under way when first seen")
	}
	if t := r.stats.TunnelString(); t != "" {
		parts = append(parts, "in "+t)
	}
	return strings.Join(parts, "  ")
}

// sides compares the two, what each sent in a column.
func (m model) sides(r *row) []string {
	const label = 15
	width := max(min((m.width-label-4)/2, 60), 8)
	var lines []string
	add := func(name string, of func(side int) string) {
		lines = append(lines, " "+left(name, label)+" "+left(of(0), width)+" "+left(of(1), width))
	}
	s := &r.stats
	add("", func(side int) string { return bold.Styled([]string{"from the initiator", "from the responder"}[side]) })
	add("wire", func(i int) string {
		return fmt.Sprintf("%s in %s", size(float64(s.Bytes[i])), several(s.Packets[i], "packet"))
	})
	add("rate", func(i int) string {
		text := left(perSecond(r.rate[i]), 9)
		if trace := m.trace(i); len(trace) > 0 {
			text += cyan.Styled(glyph.line(trace, max(width-10, 0)))
		}
		return text
	})
	add("last packet", func(i int) string {
		if s.Packets[i] == 0 {
			return "none seen"
		}
		return clock(s.Last[i], r.now) + ", " + span(r.now.Sub(s.Last[i])) + " ago"
	})
	add("payload", func(i int) string { return size(float64(s.Payload[i])) })
	if r.l4 != flowscope.L4TCP {
		return lines
	}
	add("progress", func(i int) string { return progress(&s.Streams[i], width) })
	add("delivered", func(i int) string { return count(s.Streams[i].Delivered) + " bytes in order" })
	add("missing", func(i int) string { return missing(&s.Streams[i]) })
	add("sent again", func(i int) string {
		if s.Retransmitted[i] == 0 {
			return "none"
		}
		return yellow.Styled(fmt.Sprintf("%s in %s", size(float64(s.RetransmittedBytes[i])), several(s.Retransmitted[i], "segment")))
	})
	add("flags", func(i int) string { return s.Flags[i].String() })
	add("FIN", func(i int) string {
		if s.FIN[i] == 0 {
			return "none"
		}
		return clock(s.FIN[i], r.now)
	})
	return lines
}

func (m model) trace(side int) []float64 {
	if m.snap.traced == nil || m.snap.traced.id != m.detail {
		return nil
	}
	return m.snap.trace[side]
}

// progress is how much of a side's stream could be delivered.
func progress(s *flowscope.StreamStats, width int) string {
	all := s.Delivered + s.GapBytes + s.DroppedBytes
	if all == 0 {
		return "nothing yet"
	}
	share := float64(s.Delivered) / float64(all)
	style := green
	if share < 1 {
		style = yellow
	}
	percent := fmt.Sprintf(" %.1f%%", min(share*100, 99.9))
	if share == 1 {
		percent = " 100%"
	}
	return style.Styled(glyph.bar(share, max(min(width-ansi.StringWidth(percent)-1, 30), 0))) + percent
}

func missing(s *flowscope.StreamStats) string {
	var parts []string
	if s.Gaps > 0 {
		parts = append(parts, fmt.Sprintf("%s in %s", size(float64(s.GapBytes)), several(s.Gaps, "gap")))
	}
	if s.DroppedBytes > 0 {
		parts = append(parts, size(float64(s.DroppedBytes))+" for want of room")
	}
	if s.Conflicts > 0 {
		parts = append(parts, several(s.Conflicts, "conflict"))
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return yellow.Styled(strings.Join(parts, ", "))
}

// said are the sessions of the flow, the newest first, as far as they are kept and fit.
func (m model) said(r *row, height int) []string {
	var lines []string
	columns := messageColumns()
	for i := range columns {
		if t := columns[i].title; t == "CLIENT" || t == "SERVER" {
			columns[i].rank = 100 // the flow's own
		}
	}
	columns = append(columns[:2:2], columns[4:]...)
	layout(columns, m.width)
	all := m.snap.sessions
	for i := len(all) - 1; i >= 0 && len(lines) < height-2; i-- {
		if all[i].flow == r.id {
			text := m.message(columns, &all[i])
			if all[i].bad {
				text = yellow.Styled(text)
			}
			lines = append(lines, text)
		}
	}
	if len(lines) > 0 {
		lines = append([]string{"", titles(columns)}, lines...)
	}
	return lines
}
