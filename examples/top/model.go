package main

import (
	"time"
	"unicode"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"github.com/flowscope-go/flowscope"
)

// repaintEvery is how long after a snapshot the screen asks for the next one. Where many flows make a snapshot slow it waits
// longer, so that at most a tenth of the time goes into them.
const repaintEvery = 500 * time.Millisecond

// tab is one of the three views.
type tab int

const (
	flowsTab tab = iota
	sessionsTab
	healthTab
	numTabs
)

var tabNames = [numTabs]string{"Flows", "Sessions", "Health"}

// model is the state of the screen. Update and View depend on nothing else: they read no clock, and the watch only
// through ask, whose reply comes as a message.
type model struct {
	ask func(q query, traced flowscope.FlowID) snapshot

	width, height int
	snap          snapshot
	tab           tab
	query         query
	frozen        bool
	help          bool
	editing       bool
	typed         string           // the filter while it is edited
	flow          flowscope.FlowID // the flow under the cursor, 0 before the cursor was moved
	flowAt        int              // where it was last
	session       uint64           // the session under the cursor, 0 for the newest
	scroll        int              // the first column of the health view
	detail        flowscope.FlowID // the flow that is looked at, 0 for none
}

// reply brings a snapshot. Only one of them at a time leads to the next question, so that keys do not make questions
// more frequent for good.
type reply struct {
	snap snapshot
	took time.Duration
	next bool
}

// tick is the time to ask again.
type tick struct{}

// Init implements tea.Model.
func (m model) Init() tea.Cmd { return m.question(true) }

func (m model) question(next bool) tea.Cmd {
	if m.ask == nil {
		return nil
	}
	ask, q, traced := m.ask, m.query, m.detail
	return func() tea.Msg {
		began := time.Now()
		s := ask(q, traced)
		return reply{s, time.Since(began), next}
	}
}

// Update implements tea.Model.
func (m model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case reply:
		if !m.frozen {
			if msg.snap.over && !m.snap.over && m.query.order == byRate {
				m.query.order = byBytes // all flows have ended: there are no rates
			}
			m.snap = msg.snap
		}
		if msg.next {
			return m, tea.Tick(max(repaintEvery, 9*msg.took), func(time.Time) tea.Msg { return tick{} })
		}
	case tick:
		return m, m.question(true)
	case tea.PasteMsg:
		if m.editing {
			m.typed = typed(m.typed, msg.Content)
		}
	case tea.KeyPressMsg:
		before, looked := m.query, m.detail
		m, quit := m.key(msg)
		switch {
		case quit:
			return m, tea.Quit
		case m.query != before, m.detail != looked, msg.String() == "space" && !m.frozen:
			return m, m.question(false)
		}
		return m, nil
	}
	return m, nil
}

// maxTyped bounds the filter.
const maxTyped = 100

// typed adds what can be shown of some text to the filter.
func typed(to, text string) string {
	for _, c := range text {
		if len(to) < maxTyped && unicode.IsPrint(c) && c != utf8.RuneError {
			to += string(c)
		}
	}
	return to
}

// key does what a key stands for.
func (m model) key(k tea.KeyPressMsg) (to model, quit bool) {
	name := k.String()
	switch {
	case name == "ctrl+c":
		return m, true
	case m.editing:
		return m.edit(k), false
	case m.help:
		m.help = false
		return m, name == "q"
	}
	switch name {
	case "q":
		return m, true
	case "?", "h":
		m.help = true
	case "tab", "right", "l":
		m.tab, m.detail = (m.tab+1)%numTabs, 0
	case "shift+tab", "left":
		m.tab, m.detail = (m.tab+numTabs-1)%numTabs, 0
	case "1", "2", "3":
		m.tab, m.detail = tab(name[0]-'1'), 0
	case "space":
		m.frozen = !m.frozen
	case "/":
		m.editing, m.typed = true, m.query.words
	case "s":
		m.query.order = (m.query.order + 1) % numOrders
	case "S":
		m.query.order = (m.query.order + numOrders - 1) % numOrders
	case "r":
		m.query.reverse = !m.query.reverse
	case "a":
		m.query.which = (m.query.which + 1) % numWhich
	case "esc", "backspace":
		if m.detail != 0 {
			m.detail = 0
		} else {
			m.query.words = ""
		}
	case "enter":
		m = m.open()
	default:
		m = m.move(name)
	}
	return m, false
}

// edit takes a key for the filter.
func (m model) edit(k tea.KeyPressMsg) model {
	switch k.String() {
	case "enter":
		m.editing, m.query.words = false, m.typed
	case "esc":
		m.editing = false
	case "backspace":
		if _, n := utf8.DecodeLastRuneInString(m.typed); n > 0 {
			m.typed = m.typed[:len(m.typed)-n]
		}
	case "ctrl+u":
		m.typed = ""
	default:
		m.typed = typed(m.typed, k.Text)
	}
	return m
}

// open looks at the flow under the cursor.
func (m model) open() model {
	switch m.tab {
	case flowsTab:
		if rows := m.rows(); len(rows) > 0 {
			r := rows[m.flowIndex(rows)]
			m.flow, m.detail = r.id, r.id
		}
	case sessionsTab:
		if all := m.sessions(); len(all) > 0 {
			m.detail = all[m.sessionIndex(all)].flow
		}
	}
	return m
}

// move moves the cursor.
func (m model) move(name string) model {
	page := max(m.bodyHeight()-2, 1)
	step, known := map[string]int{
		"up": -1, "k": -1, "down": 1, "j": 1, "pgup": -page, "pgdown": page, "ctrl+b": -page, "ctrl+f": page,
		"home": -1 << 20, "g": -1 << 20, "end": 1 << 20, "G": 1 << 20,
	}[name]
	if !known || m.detail != 0 {
		return m
	}
	switch m.tab {
	case flowsTab:
		if rows := m.rows(); len(rows) > 0 {
			m.flowAt = within(m.flowIndex(rows)+step, len(rows))
			m.flow = rows[m.flowAt].id
		}
	case sessionsTab:
		if all := m.sessions(); len(all) > 0 {
			at := within(m.sessionIndex(all)+step, len(all))
			m.session = all[at].number
			if at == 0 {
				m.session = 0
			}
		}
	case healthTab:
		m.scroll = within(m.scroll+step, m.maxScroll()+1)
	}
	return m
}

func within(at, n int) int { return max(min(at, n-1), 0) }

// rows are the flows to show.
func (m model) rows() []row { return m.query.apply(m.snap.rows) }

// flowIndex is where the cursor is among rows: at its flow, wherever that has gone, or else where it was.
func (m model) flowIndex(rows []row) int {
	if m.flow == 0 {
		return 0
	}
	for i := range rows {
		if rows[i].id == m.flow {
			return i
		}
	}
	return within(m.flowAt, len(rows))
}

// sessions are those to show, the newest first.
func (m model) sessions() []session {
	var out []session
	for i := len(m.snap.sessions) - 1; i >= 0; i-- {
		s := &m.snap.sessions[i]
		if m.query.words == "" || matches(m.query.words, s.text()) {
			out = append(out, *s)
		}
	}
	return out
}

// sessionIndex is where the cursor is among sessions, of which the newest is the first.
func (m model) sessionIndex(all []session) int {
	if m.session == 0 {
		return 0
	}
	for i := range all {
		if all[i].number <= m.session {
			return i
		}
	}
	return max(len(all)-1, 0)
}

// looked is the flow that is looked at, or nil if nothing is known of it any more.
func (m model) looked() *row {
	if r := m.snap.traced; r != nil && r.id == m.detail {
		return r
	}
	for i := range m.snap.rows {
		if m.snap.rows[i].id == m.detail {
			return &m.snap.rows[i]
		}
	}
	return nil
}
