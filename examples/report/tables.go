package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flowscope-go/flowscope"
)

// table is a table of the page. Each cell is told its column's name too, for narrow pages.
type table struct {
	Title, Text, Cut string
	Heads            []head
	Rows             [][]cell
}

type head struct {
	Name  string
	Right bool
}

type cell struct {
	head
	Text, Class string
}

func (t *table) row(cells ...string) {
	row := make([]cell, len(cells))
	for i, text := range cells {
		row[i] = cell{head: t.Heads[i], Text: text}
	}
	t.Rows = append(t.Rows, row)
}

func (t *table) cutTo(all uint64, isAbout bool) {
	l := list{}
	l.cutTo(len(t.Rows), all, isAbout)
	t.Cut = l.Cut
}

// tables are those that have rows.
func tables(all ...table) []table {
	return slices.DeleteFunc(all, func(t table) bool { return len(t.Rows) == 0 })
}

// times is a table of texts and how often they came.
func times(title, what string, h *heavy[string]) table {
	t := table{Title: title, Heads: []head{{what, false}, {"times", true}}}
	ranked := h.ranked()
	for _, e := range ranked[:min(len(ranked), listRows)] {
		t.row(e.key, count(e.n))
	}
	t.cutTo(uint64(len(ranked))+h.forgotten, h.forgotten > 0)
	return t
}

// tables are what deserves a look.
func (f *facts) tables() []table {
	return tables(f.flows.troubleTable(), f.flows.handshakeTable(), f.anomalyTable(), f.lossTable())
}

func (f *flowFacts) troubleTable() table {
	t := table{Title: "Connections with resets, holes or segments sent again", Heads: []head{
		{"from", false}, {"to", false}, {"history", false}, {"ended", false}, {"sent again", true}, {"holes", true}, {"never seen", true},
	}}
	for i := range f.trouble.items {
		fl := &f.trouble.items[i].value
		how := howEnded(fl.Proto, fl.Reason, false)
		t.row(end(fl.Initiator), end(fl.Responder), fl.History.String(), how.text,
			count(fl.repeats(0)+fl.repeats(1)), count(fl.Gaps[0]+fl.Gaps[1]), size(fl.GapBytes[0]+fl.GapBytes[1]))
		if last := t.Rows[len(t.Rows)-1]; how.class == "bad" {
			last[3].Class = "bad"
		}
	}
	t.cutTo(f.troubled, false)
	if len(t.Rows) > 0 {
		t.Text = "Letters of the history are those of Zeek: capitals are the initiator's. Refused connections are below."
	}
	return t
}

func (f *flowFacts) handshakeTable() table {
	t := table{Title: "Odd handshakes", Heads: []head{{"what", false}, {"connections", true}, {"for example", false}}}
	for _, what := range handshakeKinds {
		if k := f.handshakes[what]; k != nil {
			t.row(what, count(k.n), strings.Join(k.examples, "; "))
		}
	}
	return t
}

func (f *facts) anomalyTable() table {
	t := table{Title: "Anomalies", Heads: []head{{"kind", false}, {"severity", false}, {"times", true}, {"for example", false}}}
	var kinds []flowscope.AnomalyKind
	for i, n := range f.stats.Anomalies {
		if n > 0 {
			kinds = append(kinds, flowscope.AnomalyKind(i))
		}
	}
	slices.SortStableFunc(kinds, func(a, b flowscope.AnomalyKind) int { return int(b.Severity()) - int(a.Severity()) })
	for _, kind := range kinds {
		example := ""
		if k := f.flows.anomalies[kind]; k != nil {
			example = strings.Join(k.examples, "; ")
		}
		t.row(words(kind.String()), kind.Severity().String(), count(f.stats.Anomalies[kind]), example)
		switch kind.Severity() {
		case flowscope.SeverityError:
			t.Rows[len(t.Rows)-1][1].Class = "bad"
		case flowscope.SeverityWarning:
			t.Rows[len(t.Rows)-1][1].Class = "warn"
		}
	}
	return t
}

func (f *facts) lossTable() table {
	t := table{Title: "Messages that could not be read", Heads: []head{{"protocol and reason", false}, {"times", true}}}
	for _, why := range slices.Sorted(maps.Keys(f.messages.lost)) {
		t.row(words(why), fmt.Sprint(f.messages.lost[why]))
	}
	return t
}
