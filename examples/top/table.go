package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flowscope-go/flowscope"
)

// column is one of a table. Those with a lower rank stay longer when the screen is narrow.
type column struct {
	title      string
	min, max   int // its width
	right      bool
	rank       int
	short      func(s string, width int) string // how a text is made to fit
	share, use int                              // of what is left over; the width in use, 0 if the column is left out
}

func cut(s string, width int) string {
	if len(s) > width && width > 2 {
		return s[:width-2] + ".."
	}
	return s[:min(len(s), max(width, 0))]
}

// layout gives each column its width.
func layout(columns []column, width int) {
	ranked := make([]*column, len(columns))
	for i := range columns {
		ranked[i] = &columns[i]
	}
	slices.SortStableFunc(ranked, func(a, b *column) int { return a.rank - b.rank })
	left := width - 1 // a column is free on the left
	for i, c := range ranked {
		if left < c.min && i > 0 {
			break
		}
		c.use = min(c.min, left) // the first one is always there
		left -= c.use + 1
	}
	left++ // nothing stands behind the last one
	for left > 0 {
		gave := false
		for _, c := range ranked {
			if more := min(c.share, c.max-c.use, left); c.use > 0 && more > 0 {
				c.use, left, gave = c.use+more, left-more, true
			}
		}
		if !gave {
			break
		}
	}
}

func line(columns []column, cell func(i int) string) string {
	var b strings.Builder
	for i := range columns {
		c := &columns[i]
		if c.use == 0 {
			continue
		}
		text := cell(i)
		if c.short != nil {
			text = c.short(text, c.use)
		}
		b.WriteByte(' ')
		if c.right {
			b.WriteString(right(text, c.use))
		} else {
			b.WriteString(left(text, c.use))
		}
	}
	return b.String()
}

func titles(columns []column) string {
	return bold.Styled(line(columns, func(i int) string { return columns[i].title }))
}

// flowColumns are those of the table of flows. Once all have ended there are no rates.
func flowColumns(over bool) []column {
	columns := []column{
		{title: "PROTO", min: 6, max: 6, rank: 3},
		{title: "INITIATOR", min: 16, max: 47, rank: 0, short: middle, share: 3},
		{title: "RESPONDER", min: 16, max: 47, rank: 1, short: middle, share: 3},
		{title: "NAME", min: 16, max: 60, rank: 9, short: cut, share: 2},
		{title: "RATE", min: 8, max: 8, right: true, rank: 4},
		{title: "BYTES", min: 7, max: 7, right: true, rank: 2},
		{title: "PKTS", min: 6, max: 6, right: true, rank: 8},
		{title: "AGE", min: 6, max: 6, right: true, rank: 5},
		{title: "GAPS", min: 6, max: 7, right: true, rank: 7, share: 1},
		{title: "RETR", min: 5, max: 6, right: true, rank: 7, share: 1},
		{title: "STATE/END", min: 11, max: 20, rank: 6, share: 1},
	}
	if over {
		columns = slices.DeleteFunc(columns, func(c column) bool { return c.title == "RATE" })
	}
	return columns
}

func flowCell(r *row, title string) string {
	s := &r.stats
	switch title {
	case "PROTO":
		return r.l4.String()
	case "INITIATOR":
		return r.side(flowscope.Initiator)
	case "RESPONDER":
		return r.side(flowscope.Responder)
	case "NAME":
		return r.name
	case "RATE":
		return perSecond(r.rate[0] + r.rate[1])
	case "BYTES":
		return size(float64(s.Bytes[0] + s.Bytes[1]))
	case "PKTS":
		return short(s.Packets[0] + s.Packets[1])
	case "AGE":
		return span(r.age())
	case "GAPS":
		if n := s.Streams[0].GapBytes + s.Streams[1].GapBytes; n > 0 {
			return size(float64(n))
		}
		return ""
	case "RETR":
		return some(s.Retransmitted[0] + s.Retransmitted[1])
	}
	return r.condition()
}

// flows is the table of flows.
func (m model) flows(height int) []string {
	columns := flowColumns(m.snap.over)
	layout(columns, m.width)
	rows := m.rows()
	lines := []string{titles(columns)}
	if len(rows) == 0 {
		return append(lines, m.nothing("flows", m.snap.known))
	}
	cursor := m.flowIndex(rows)
	from, to := window(cursor, len(rows), height-1)
	for i := from; i < to; i++ {
		r := &rows[i]
		text := line(columns, func(c int) string { return flowCell(r, columns[c].title) })
		switch {
		case i == cursor && m.flow != 0:
			text = reverse.Styled(left(text, m.width))
		case r.ended():
			text = faint.Styled(text)
		case byTrouble.value(r) > 0:
			text = yellow.Styled(text)
		}
		lines = append(lines, text)
	}
	return lines
}

// nothing says why a table is empty.
func (m model) nothing(what string, known int) string {
	if known > 0 {
		return fmt.Sprintf(" None of the %d %s is as asked for: esc drops the filter, a shows all.", known, what)
	}
	return " No " + what + " yet."
}

func messageColumns() []column {
	return []column{
		{title: "TIME", min: 12, max: 14, rank: 4, share: 1},
		{title: "KIND", min: 4, max: 4, rank: 2},
		{title: "CLIENT", min: 15, max: 47, rank: 5, short: middle, share: 2},
		{title: "SERVER", min: 15, max: 47, rank: 6, short: middle, share: 2},
		{title: "REQUEST", min: 30, max: 100, rank: 0, short: cut, share: 4},
		{title: "RESULT", min: 9, max: 80, rank: 1, short: cut, share: 3},
		{title: "LATENCY", min: 9, max: 9, right: true, rank: 3},
	}
}

func messageCell(s *session, title string, now flowscope.Timestamp) string {
	switch title {
	case "TIME":
		return clock(s.at, now)
	case "KIND":
		return s.kind
	case "CLIENT":
		return s.client
	case "SERVER":
		return s.server
	case "REQUEST":
		return s.request
	case "RESULT":
		return s.result
	}
	if s.answered {
		return milliseconds(s.latency)
	}
	return ""
}

// messages is the table of sessions.
func (m model) messages(height int) []string {
	columns := messageColumns()
	layout(columns, m.width)
	all := m.sessions()
	lines := []string{titles(columns)}
	if len(all) == 0 {
		return append(lines, m.nothing("sessions", len(m.snap.sessions)))
	}
	cursor := m.sessionIndex(all)
	from, to := window(cursor, len(all), height-1)
	for i := from; i < to; i++ {
		text := m.message(columns, &all[i])
		if i == cursor && m.session != 0 {
			text = reverse.Styled(left(text, m.width))
		} else if all[i].bad {
			text = yellow.Styled(text)
		}
		lines = append(lines, text)
	}
	return lines
}

func (m model) message(columns []column, s *session) string {
	return line(columns, func(c int) string { return messageCell(s, columns[c].title, m.snap.now) })
}
