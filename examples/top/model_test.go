package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest"
	"github.com/flowscope-go/flowscope/flowtest/frames"
)

var special = map[string]rune{
	"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown, "home": tea.KeyHome,
	"end": tea.KeyEnd, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "space": tea.KeySpace, "backspace": tea.KeyBackspace,
	"left": tea.KeyLeft, "right": tea.KeyRight,
}

// press presses keys one after the other: names of keys, or text.
func press(m model, keys ...string) model {
	for _, k := range keys {
		m, _ = pressed(m, k)
	}
	return m
}

func pressed(m model, key string) (model, tea.Cmd) {
	msg := tea.KeyPressMsg{Text: key}
	switch {
	case key == "ctrl+c":
		msg = tea.KeyPressMsg{Code: 'c', Mod: tea.ModCtrl}
	case special[key] != 0:
		msg = tea.KeyPressMsg{Code: special[key]}
		if key == "space" {
			msg.Text = " "
		}
	default:
		msg.Code = []rune(key)[0]
	}
	to, cmd := m.Update(msg)
	return to.(model), cmd
}

func resized(m model, width, height int) model {
	to, _ := m.Update(tea.WindowSizeMsg{Width: width, Height: height})
	return to.(model)
}

// seen is a model with a snapshot, and whoever asks gets others of the same watch.
func seen(t testing.TB, views []flowscope.PacketView) model {
	t.Helper()
	w := watched(t, flowscope.Config{}, views)
	m := model{ask: w.snapshot, width: 80, height: 24, query: query{order: byBytes}}
	return told(m, w.snapshot(m.query, 0))
}

func told(m model, s snapshot) model {
	to, _ := m.Update(reply{snap: s})
	return to.(model)
}

var sgr = regexp.MustCompile("\x1b\\[[0-9;]*m")

// screen is the text of the screen, after a look at its size, and for anything that would move the cursor.
func screen(t testing.TB, m model) string {
	t.Helper()
	lines := strings.Split(m.View().Content, "\n")
	require.Len(t, lines, m.height)
	for _, text := range lines {
		require.LessOrEqual(t, ansi.StringWidth(text), m.width, "%q", text)
		for _, c := range sgr.ReplaceAllString(text, "") {
			require.True(t, c >= ' ' && c <= '~' || strings.ContainsRune("█░ ▁▂▃▄▅▆▇↓↑…", c), "%q in %q", c, text)
		}
	}
	return ansi.Strip(strings.Join(lines, "\n"))
}

// hostile is traffic whose names are made to harm a terminal.
func hostile() (views []flowscope.PacketView) {
	const bad = "\x1b[2J\x1b]0;owned\x07\x9b31m日本語\u202e\r\n"
	d := flowtest.NewDialogue("[2001:db8:1111:2222:3333:4444:5555:6666]:65535", "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:65534")
	header := strings.NewReplacer("\r", "", "\n", "").Replace(bad)
	d.Client("GET /" + header + strings.Repeat("long", 400) + " HTTP/1.1\r\nHost: " + header + "\r\n\r\n")
	d.Server("HTTP/1.1 200 " + header + "\r\nContent-Length: 5000\r\n\r\n" + strings.Repeat("x", 3000)).Lose(1)
	d.Close()
	views = d.Views()
	label := string(rune(len(bad))) + bad
	query := "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + label + label + "\x00\x00\x10\x00\x01"
	reply := "\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + label + label + "\x00\x00\x10\x00\x01" +
		"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x05\x00" + string(rune(len(label))) + label
	for i, f := range [][]byte{
		frames.UDP{Src: "10.0.0.1:4000", Dst: "10.0.0.2:53", Payload: []byte(query)}.Ethernet(),
		frames.UDP{Src: "10.0.0.2:53", Dst: "10.0.0.1:4000", Payload: []byte(reply)}.Ethernet(),
	} {
		views = append(views, flowscope.PacketView{Frame: f, Timestamp: views[len(views)-1].Timestamp.Add(time.Duration(i+1) * ms)})
	}
	return views
}

func TestHostileNamesAreHarmless(t *testing.T) {
	m := resized(seen(t, hostile()), 300, 60)
	require.Len(t, m.snap.sessions, 2)
	m = press(m, "2")
	text := screen(t, m)
	require.Contains(t, text, `GET \x1b[2J\x1b]0;owned\x07\x9b31m\xe6\x97\xa5`)
	require.Contains(t, text, `TXT \027[2J\027]0;owned`)
	m.snap.source, m.snap.failed = clean("\x1b[2J日本", 50), clean("\x1b[2J", 50)
	screen(t, m)
	m = press(m, "/", "日", "\x1b[2J", "\u202e", "enter")
	require.Equal(t, "日[2J", m.query.words)
	screen(t, m)
	m = press(m, "/")
	to, _ := m.Update(tea.PasteMsg{Content: strings.Repeat("\x1b[31m日\n", 99)})
	require.LessOrEqual(t, len(to.(model).typed), maxTyped+3)
	screen(t, to.(model))
}

// Every view of every traffic fits every screen.
func TestNoLineIsWiderThanTheScreen(t *testing.T) {
	many, err := newWatch(newReplay("flood", flood(20_000), 0, 0), flowscope.Config{MaxFlows: 3000})
	require.NoError(t, err)
	require.NoError(t, many.run(context.Background()))
	models := map[string]model{
		"empty": {}, "sample": seen(t, sample(t)), "hostile": seen(t, hostile()),
		"many":  told(model{}, many.snapshot(query{}, 0)),
		"lossy": seen(t, flowtest.Load(t, "../../testdata/captures/sessions.pcap")),
	}
	damaged := models["sample"]
	damaged.snap.failed, damaged.snap.source = strings.Repeat("no ", 90), strings.Repeat("long", 90)
	models["damaged"] = damaged
	for name, m := range models {
		for _, width := range []int{20, 21, 34, 60, 79, 80, 100, 133, 200, 300} {
			for _, height := range []int{5, 6, 11, 12, 16, 24, 40, 50, 100} {
				m := resized(m, width, height)
				views := [][]string{nil, {"2"}, {"3"}, {"enter"}}
				if height == 24 { // the others differ in single lines
					views = append(views, []string{"3", "down", "end"}, []string{"?"}, []string{"/", "a"}, []string{"down", "end"},
						[]string{"2", "end", "enter"}, []string{"space"})
				}
				for _, keys := range views {
					require.NotPanics(t, func() { screen(t, press(m, keys...)) }, "%s %dx%d %v", name, width, height, keys)
				}
				page := resized(m, width, height).page()
				require.LessOrEqual(t, len(page), height)
				for _, text := range page {
					require.LessOrEqual(t, ansi.StringWidth(text), width)
					require.NotContains(t, text, "\x1b")
				}
			}
		}
		for _, size := range [][2]int{{0, 0}, {1, 1}, {2, 1}, {1, 5}, {3, 3}, {19, 4}, {300, 100}} {
			m := resized(m, size[0], size[1])
			if size[0] > 0 {
				screen(t, m)
				screen(t, press(m, "enter"))
				screen(t, press(m, "3"))
			} else {
				require.Empty(t, m.View().Content)
			}
			m.page()
		}
	}
}

// On the usual screen nothing that matters is left out.
func TestTheUsualScreen(t *testing.T) {
	m := seen(t, sample(t))
	text := screen(t, m)
	for _, want := range []string{
		"seen 124 pkt, 19.7kB", "0 live flows", "drops -", "gaps 0", "retransmissions 0", "refused 2", "table", "streams", "parsers", "process",
		"[1 Flows]", "2 Sessions", "3 Health", "all flows by bytes", "INITIATOR", "RESPONDER", "BYTES", "AGE", "STATE/END",
		"192.0.2.10:33678", "198.51.100.20:80", "q quit", "? help", "tab view", "space freeze", "/ filter", "enter detail", "s sort",
	} {
		require.Contains(t, text, want)
	}
	text = screen(t, press(m, "tab"))
	for _, want := range []string{"REQUEST", "RESULT", "LATENCY", "GET 198.51.100.20/", "404", "A www.example"} {
		require.Contains(t, text, want)
	}
	text = screen(t, press(m, "3"))
	for _, want := range []string{"Capture", "TCP streams", "Sessions", "ended: fin", "not_ip"} {
		require.Contains(t, text, want)
	}
	text = screen(t, press(m, "?"))
	for _, want := range []string{"freeze", "filter", "sort by", "GAPS", "RETR"} {
		require.Contains(t, text, want)
	}
}

func TestTheHealthViewKeepsItsColumns(t *testing.T) {
	var s snapshot
	s.stats.HeldBytes, s.stats.MemoryBytes = 1<<62, 1<<62
	s.packets, s.bytes, s.dropped, s.dropsKnown, s.forgotten, s.repeats = 1<<63, 1<<63, 1<<63, true, 1<<63, [2]uint64{1 << 63, 1 << 63}
	s.losses, s.kinds = []named{{strings.Repeat("long", 20), 1 << 63}}, []named{{"http", 1 << 63}}
	for i := range s.stats.Anomalies {
		s.stats.Anomalies[i] = 1 << 63
	}
	for i := range s.stats.Refused {
		s.stats.Refused[i] = 1 << 63
	}
	m := model{width: 80, height: 24, tab: healthTab, snap: s}
	shown := 0
	for i, section := range m.health().sections {
		for k, text := range section {
			require.Less(t, ansi.StringWidth(text), healthWidth, "%d %d %q", i, k, text)
			shown++
		}
	}
	// All of it can be scrolled to.
	seen := map[string]bool{}
	for range 20 {
		for _, text := range m.body(m.bodyHeight()) {
			text = ansi.Strip(text)
			for len(text) > 0 {
				n := min(len(text), healthWidth)
				seen[strings.TrimSpace(text[:n])] = true
				text = text[n:]
			}
		}
		m = press(m, "down")
	}
	for _, section := range m.health().sections {
		for _, text := range section {
			require.True(t, seen[strings.TrimSpace(ansi.Strip(text))], text)
		}
	}
	require.Greater(t, shown, 60)
}

func TestTheDetailShowsBothSides(t *testing.T) {
	m := seen(t, flowtest.Load(t, "../../testdata/captures/sessions.pcap"))
	m = press(m, "enter") // the one with the most bytes, of which a frame is missing
	require.NotZero(t, m.detail)
	m = told(m, m.ask(m.query, m.detail))
	text := screen(t, resized(m, 100, 40))
	for _, want := range []string{
		"192.0.2.10:58666 -> 192.0.2.20:80", "www.example.net", "from the initiator", "from the responder", "delivered",
		"1.4kB in 1 gap", "100%", "handshake", "history ShADa", "GET www.example.net/report.txt", "304",
	} {
		require.Contains(t, text, want)
	}
	require.Regexp(t, `progress .*\d\d\.\d%`, text)
	require.Zero(t, press(m, "esc").detail)
	m.snap.traced, m.snap.rows = nil, nil
	require.Contains(t, screen(t, m), "Nothing is known")
}

func TestKeys(t *testing.T) {
	m := seen(t, sample(t))
	for _, c := range []struct {
		keys  string
		check func(m model) bool
	}{
		{"tab", func(m model) bool { return m.tab == sessionsTab }},
		{"tab tab tab", func(m model) bool { return m.tab == flowsTab }},
		{"left", func(m model) bool { return m.tab == healthTab }},
		{"3", func(m model) bool { return m.tab == healthTab }},
		{"s", func(m model) bool { return m.query.order == byPackets }},
		{"S", func(m model) bool { return m.query.order == byRate }},
		{"S S", func(m model) bool { return m.query.order == byTrouble }},
		{"r", func(m model) bool { return m.query.reverse }},
		{"r r", func(m model) bool { return !m.query.reverse }},
		{"a", func(m model) bool { return m.query.which == liveFlows && len(m.rows()) == 0 }},
		{"a a", func(m model) bool { return m.query.which == endedFlows && len(m.rows()) == 16 }},
		{"a a a", func(m model) bool { return m.query.which == allFlows }},
		{"space", func(m model) bool { return m.frozen }},
		{"space space", func(m model) bool { return !m.frozen }},
		{"?", func(m model) bool { return m.help }},
		{"? s", func(m model) bool { return !m.help && m.query.order == byBytes }},
		{"/ : 8 0 enter", func(m model) bool { return m.query.words == ":80" && len(m.rows()) == 3 }},
		{"/ : 8 0 esc", func(m model) bool { return m.query.words == "" && !m.editing }},
		{"/ : 8 0 backspace enter", func(m model) bool { return m.query.words == ":8" }},
		{"/ q space s enter", func(m model) bool { return m.query.words == "q s" && m.query.order == byBytes }},
		{"/ backspace enter", func(m model) bool { return m.query.words == "" }},
		{"/ u d p enter esc", func(m model) bool { return m.query.words == "" && len(m.rows()) == 16 }},
		{"down", func(m model) bool { return m.flow == m.rows()[1].id }},
		{"down down up", func(m model) bool { return m.flow == m.rows()[1].id }},
		{"up", func(m model) bool { return m.flow == m.rows()[0].id }},
		{"end", func(m model) bool { return m.flow == m.rows()[15].id }},
		{"end home", func(m model) bool { return m.flow == m.rows()[0].id }},
		{"pgdown pgdown", func(m model) bool { return m.flow == m.rows()[15].id }},
		{"down r", func(m model) bool { return m.flow == m.rows()[14].id && m.flowIndex(m.rows()) == 14 }}, // the cursor stays with its flow
		{"enter", func(m model) bool { return m.detail == m.rows()[0].id }},
		{"enter esc", func(m model) bool { return m.detail == 0 }},
		{"enter down", func(m model) bool { return m.detail == m.rows()[0].id && m.flow == m.detail }},
		{"enter tab", func(m model) bool { return m.detail == 0 && m.tab == sessionsTab }},
		{"2 down", func(m model) bool { return m.session == m.sessions()[1].number }},
		{"2 down up", func(m model) bool { return m.session == 0 }},
		{"2 end enter", func(m model) bool { return m.detail == m.snap.sessions[0].flow }},
		{"2 / d n s enter", func(m model) bool { return len(m.sessions()) == 2 }},
		{"é", func(m model) bool { return m.tab == flowsTab }},
	} {
		got := press(m, strings.Fields(c.keys)...)
		require.True(t, c.check(got), "%s", c.keys)
		screen(t, got)
	}
	for _, k := range []string{"q", "ctrl+c"} {
		_, cmd := pressed(m, k)
		require.NotNil(t, cmd)
		require.Equal(t, tea.QuitMsg{}, cmd(), k)
	}
	_, cmd := pressed(press(m, "/"), "q")
	require.Nil(t, cmd, "q is a letter of the filter")
}

// While frozen the screen shows one moment; what it holds can still be sorted and filtered.
func TestAFrozenScreenStays(t *testing.T) {
	m := press(seen(t, sample(t)), "space")
	before := screen(t, m)
	later := m.snap
	later.packets, later.rows = 99999, nil
	m = told(m, later)
	require.Equal(t, before, screen(t, m))
	require.Contains(t, before, "FROZEN")
	require.Len(t, press(m, "/", "u", "d", "p", "enter").rows(), 3)
	require.True(t, slices.IsSortedFunc(press(m, "s").rows(), func(a, b row) int { return int(byPackets.value(&b) - byPackets.value(&a)) }))
	m, cmd := pressed(m, "space")
	require.NotNil(t, cmd, "it asks at once")
	require.EqualValues(t, 99999, told(m, later).snap.packets)
}

// A question leads to a reply, and the reply to the next question after a while; keys ask at once, but only once.
func TestQuestionsDoNotMultiply(t *testing.T) {
	asked := 0
	m := model{width: 80, height: 24, ask: func(query, flowscope.FlowID) snapshot { asked++; return snapshot{} }}
	msg := m.Init()()
	require.Equal(t, 1, asked)
	require.True(t, msg.(reply).next)
	_, cmd := m.Update(msg)
	require.NotNil(t, cmd)
	require.Equal(t, tick{}, cmd())
	_, cmd = m.Update(tick{})
	require.True(t, cmd().(reply).next)
	m, cmd = pressed(m, "s")
	msg = cmd()
	require.False(t, msg.(reply).next)
	_, cmd = m.Update(msg)
	require.Nil(t, cmd)
	_, cmd = pressed(m, "down")
	require.Nil(t, cmd, "nothing is asked for")
}

// Rates are of live flows. When all have ended, those with the most bytes come first.
func TestTheEndOfACaptureSortsByBytes(t *testing.T) {
	m := told(model{width: 80, height: 24}, snapshot{})
	require.Equal(t, byRate, m.query.order)
	m = told(m, snapshot{over: true})
	require.Equal(t, byBytes, m.query.order)
	require.Equal(t, byRate, told(press(m, "S"), snapshot{over: true}).query.order, "but it can be asked for")
}

// Whatever is pressed, the screen is one.
func TestRandomKeys(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	keys := []string{"s", "S", "r", "a", "/", "x", ":", "1", "2", "3", "j", "k", "g", "G", "?", "h", "l"}
	for k := range special {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	m := seen(t, hostile())
	for i := range 1000 {
		if random.IntN(20) == 0 {
			m = resized(m, 20+random.IntN(281), 5+random.IntN(96))
		}
		if random.IntN(10) == 0 {
			m = told(m, m.ask(m.query, m.detail))
		}
		k := keys[random.IntN(len(keys))]
		m = press(m, k)
		require.NotPanics(t, func() { screen(t, m) }, fmt.Sprint(i, k))
	}
}
