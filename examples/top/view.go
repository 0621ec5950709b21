package main

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/flowscope-go/flowscope"
)

var (
	bold    = ansi.NewStyle().Bold()
	faint   = ansi.NewStyle().Faint()
	reverse = ansi.NewStyle().Reverse(true)
	red     = ansi.NewStyle().Bold().ForegroundColor(ansi.Red)
	yellow  = ansi.NewStyle().ForegroundColor(ansi.Yellow)
	green   = ansi.NewStyle().ForegroundColor(ansi.Green)
	cyan    = ansi.NewStyle().ForegroundColor(ansi.Cyan)
)

// View implements tea.Model.
func (m model) View() tea.View {
	v := tea.NewView(strings.Join(m.lines(), "\n"))
	v.AltScreen = true
	v.WindowTitle = "flowscope top: " + m.snap.source
	return v
}

// lines are those of the screen: as many as it has, and none wider.
func (m model) lines() []string {
	if m.width <= 0 || m.height <= 0 {
		return nil
	}
	lines := m.header()
	body := m.body(m.bodyHeight())
	lines = append(lines, body...)
	for len(lines) < m.height-1 {
		lines = append(lines, "")
	}
	lines = append(lines[:max(m.height-1, 0)], m.footer())
	for i := range lines {
		lines[i] = fit(lines[i], m.width)
	}
	return lines
}

// page is one screen for where nothing can be selected and no key pressed: flows, and sessions in what room is left.
func (m model) page() []string {
	lines := m.header()
	if m.height >= 4 {
		lines[len(lines)-1] = ""
	}
	room := max(m.height-len(lines), 0)
	flows := m.flows(room)
	if said := m.sessions(); len(said) > 0 && room >= 9 {
		flows = flows[:min(len(flows), max(room-min(len(said), room/3)-2, 0))]
		flows = append(append(flows, ""), m.messages(room-len(flows)-1)...)
	}
	lines = append(lines, flows...)
	lines = lines[:min(len(lines), m.height)]
	for i := range lines {
		lines[i] = strings.TrimRight(ansi.Strip(fit(lines[i], m.width)), " ")
	}
	return lines
}

// bodyHeight is what header and footer leave.
func (m model) bodyHeight() int { return max(m.height-len(m.header())-1, 0) }

// header says how the whole stands. On a low screen the flows are more important.
func (m model) header() []string {
	lines := []string{m.title()}
	if m.height >= 12 {
		lines = append(lines, m.traffic(), m.trouble())
	}
	if m.height >= 16 {
		lines = append(lines, m.gauges())
	}
	if m.snap.failed != "" && m.height >= 3 {
		lines = append(lines, " "+red.Styled(m.snap.failed))
	}
	if m.height >= 4 {
		lines = append(lines, m.tabs())
	}
	return lines
}

// apart puts one text on the left and one on the right; the right one gives way.
func apart(l, r string, width int) string {
	room := width - ansi.StringWidth(l)
	if ansi.StringWidth(r) > room-1 {
		r = ansi.Truncate(r, max(room-1, 0), "")
	}
	return l + strings.Repeat(" ", max(room-ansi.StringWidth(r), 0)) + r
}

func (m model) title() string {
	state := m.snap.pace
	switch {
	case m.frozen:
		state = "FROZEN (space: go on)"
	case m.snap.over:
		state = "the capture is over"
	}
	at := ""
	if m.snap.packets > 0 {
		at = m.snap.now.Time().UTC().Format("2006-01-02 15:04:05")
	}
	right := strings.TrimSpace(state + "  " + at)
	name := middle(m.snap.source, max(m.width-len(right)-18, 8))
	return reverse.Styled(left(apart(" flowscope top  "+name, right+" ", m.width), m.width))
}

// packed joins texts as far as they fit.
func packed(width int, texts ...string) string {
	var b strings.Builder
	used := 0
	for _, t := range texts {
		w := ansi.StringWidth(t)
		if t == "" || used+w+2 > width {
			continue
		}
		if used > 0 {
			b.WriteString("  ")
			used += 2
		}
		b.WriteString(t)
		used += w
	}
	return b.String()
}

func (m model) traffic() string {
	s := &m.snap
	line := packed(m.width,
		" "+bold.Styled(right(perSecond(s.byteRate), 8)),
		right(scaled(s.packetRate, ""), 5)+" pkt/s"+map[bool]string{true: " mean"}[s.over],
		fmt.Sprintf("seen %s pkt, %s", short(s.packets), size(float64(s.bytes))),
		fmt.Sprintf("%s live flows", count(s.stats.FlowsActive)))
	whole := s.curve
	if !s.over && len(whole) > 0 {
		whole = whole[:len(whole)-1] // the last second is not over
	}
	if room := m.width - ansi.StringWidth(line) - 3; room >= 8 {
		line += "  " + cyan.Styled(glyph.line(whole, min(room, curveSeconds)))
	}
	return line
}

// alarm is a counter that should be 0.
func alarm(name string, n uint64, more string) string {
	if n == 0 {
		return name + " 0"
	}
	return yellow.Styled(name + " " + short(n) + more)
}

func (m model) trouble() string {
	s := &m.snap
	drops := "drops -"
	if s.dropsKnown {
		drops = alarm("drops", s.dropped, "")
	}
	streams := &s.stats.Streams
	missing := ""
	if streams.GapBytes > 0 {
		missing = " (" + size(float64(streams.GapBytes)) + ")"
	}
	var anomalies, losses uint64
	for _, n := range s.stats.Anomalies {
		anomalies += n
	}
	for _, l := range s.losses {
		losses += l.n
	}
	return packed(m.width, " "+drops, alarm("gaps", streams.Gaps, missing),
		alarm("retransmissions", s.repeats[0], ""), alarm("refused", s.stats.PacketsUnmatched, ""),
		alarm("anomalies", anomalies, ""), alarm("not read", losses, ""), alarm("evicted", s.stats.FlowsEvicted, ""))
}

// gauge is a bar of what is used of a limit.
func gauge(name string, used, limit float64, width int) string {
	share := 0.0
	if limit > 0 {
		share = used / limit
	}
	style := green
	switch {
	case share >= 0.9:
		style = red
	case share >= 0.7:
		style = yellow
	}
	return fmt.Sprintf("%s %s %.0f%%", name, style.Styled(glyph.bar(share, width)), share*100)
}

func (m model) gauges() string {
	s := &m.snap
	width := max(min((m.width-56)/3, 24), 4)
	return packed(m.width,
		" "+gauge("table", float64(s.stats.FlowsActive+s.stats.FlowsLingering), float64(s.config.MaxFlows), width),
		gauge("streams", float64(s.stats.MemoryBytes), float64(s.config.TotalBytes), width),
		gauge("parsers", float64(s.stats.Sessions.HeldBytes), float64(s.config.SessionBytes), width),
		"process "+size(float64(s.memory)))
}

func (m model) tabs() string {
	var b strings.Builder
	for t, name := range tabNames {
		text := fmt.Sprintf(" %d %s ", t+1, name)
		if tab(t) == m.tab {
			b.WriteString(reverse.Styled("[" + text[1:len(text)-1] + "]"))
		} else {
			b.WriteString(text)
		}
	}
	return apart(b.String(), m.selection()+" ", m.width)
}

// selection says what is shown of all there is.
func (m model) selection() string {
	filter := ""
	if m.query.words != "" {
		filter = "  filter: " + clean(m.query.words, 40)
	}
	switch {
	case m.detail != 0 || m.tab == healthTab:
		return ""
	case m.tab == sessionsTab:
		return fmt.Sprintf("%s of %s%s", count(len(m.sessions())), count(m.snap.sessionsSeen), filter)
	}
	arrow := glyph.down
	if m.query.reverse {
		arrow = glyph.up
	}
	shown := count(m.snap.matched)
	if m.snap.matched > len(m.snap.rows) {
		shown = count(len(m.snap.rows)) + " first of " + shown
	}
	return fmt.Sprintf("%s flows by %s %s  %s%s", m.query.which, m.query.order, arrow, shown, filter)
}

// roomy is the height from which the last sessions are shown below the flows.
const roomy = 40

func (m model) body(height int) []string {
	if height == 0 {
		return nil
	}
	var lines []string
	switch {
	case m.help:
		lines = helpLines
	case m.detail != 0:
		lines = m.details(height)
	case m.tab == flowsTab && m.height >= roomy:
		lower := height / 3 // a screen as high as this has room for both
		lines = m.flows(height - lower - 1)
		for len(lines) < height-lower {
			lines = append(lines, "")
		}
		lines = append(lines, m.messages(lower)...)
	case m.tab == flowsTab:
		lines = m.flows(height)
	case m.tab == sessionsTab:
		lines = m.messages(height)
	default:
		lines = m.healthColumns(height)
	}
	return lines[:min(len(lines), height)]
}

// footer shows the keys, as many as fit: the first ones matter most.
func (m model) footer() string {
	if m.editing {
		return bold.Styled(" filter: ") + clean(m.typed, maxTyped) + reverse.Styled(" ") + faint.Styled("  enter: use it  esc: leave it")
	}
	type hint struct{ key, text string }
	hints := []hint{{"q", "quit"}, {"?", "help"}}
	switch {
	case m.help:
		hints = []hint{{"any key", "back"}}
	case m.detail != 0:
		hints = append(hints, hint{"esc", "back"}, hint{"space", "freeze"})
	default:
		hints = append(hints, hint{"tab", "view"}, hint{"space", "freeze"})
		if m.tab != healthTab {
			hints = append(hints, hint{"/", "filter"}, hint{"enter", "detail"})
		}
		if m.tab == flowsTab {
			hints = append(hints, hint{"s", "sort"}, hint{"r", "reverse"}, hint{"a", "all/live/ended"})
		}
	}
	var texts []string
	for i, h := range hints {
		text := bold.Styled(h.key) + " " + h.text
		if i == 0 {
			text = " " + text
		}
		texts = append(texts, text)
	}
	return packed(m.width+1, texts...)
}

var helpLines = []string{
	bold.Styled(" Keys"),
	"  tab, 1 2 3     flows, sessions as they come, health",
	"  up down j k    move; pgup pgdown home end; the cursor stays with its flow",
	"  enter, esc     look at one flow, with both sides; back",
	"  s, S           sort by rate, bytes, packets, age, newest, trouble",
	"  r, a           reverse; all flows, live ones, ended ones",
	"  /              filter: all words must be there, a word with - must not",
	"  space          freeze the screen; counting goes on",
	"  q              quit",
	bold.Styled(" Words"),
	"  GAPS           bytes that the capture lacks, so they are given up",
	"  RETR           TCP segments that their side had sent before",
	"  drops          packets lost before they could be read; - unknown, of a file",
	"  refused        packets that belong to no flow, such as ARP; see Health",
	"  trouble        missing bytes and retransmissions together",
}

// window is the part of n lines that is shown, with the cursor near its middle.
func window(cursor, n, height int) (from, to int) {
	from = max(min(cursor-height/2, n-height), 0)
	return from, min(from+height, n)
}

// clock is a time of day; of another day than now also the day.
func clock(t, now flowscope.Timestamp) string {
	a, b := t.Time().UTC(), now.Time().UTC()
	if a.Truncate(24 * time.Hour).Equal(b.Truncate(24 * time.Hour)) {
		return a.Format("15:04:05.000")
	}
	return a.Format("01-02 15:04:05")
}
