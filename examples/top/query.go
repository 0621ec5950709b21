package main

import (
	"cmp"
	"slices"
	"strings"

	"github.com/flowscope-go/flowscope"
)

// order is what flows are sorted by, the largest first.
type order int

const (
	byRate order = iota
	byBytes
	byPackets
	byAge     // the oldest first
	byNewest  // the last to begin first
	byTrouble // missing bytes, gaps and retransmissions
	numOrders
)

var orderNames = [numOrders]string{"rate", "bytes", "packets", "age", "newest", "trouble"}

func (o order) String() string { return orderNames[o] }

// which flows are shown.
type which int

const (
	allFlows which = iota
	liveFlows
	endedFlows
	numWhich
)

var whichNames = [numWhich]string{"all", "live", "ended"}

func (w which) String() string { return whichNames[w] }

// query says which flows the screen shows, and in which order. The watch uses it to choose from all flows, and the model
// again for what it holds, so that it also works while the screen is frozen.
type query struct {
	order   order
	reverse bool
	which   which
	words   string // the filter: words that all must be in a flow's text; those with a "-" in front must not
}

// value is what a flow is sorted by.
func (o order) value(r *row) float64 {
	switch o {
	case byBytes:
		return float64(r.stats.Bytes[0] + r.stats.Bytes[1])
	case byPackets:
		return float64(r.stats.Packets[0] + r.stats.Packets[1])
	case byAge:
		return r.age().Seconds()
	case byNewest:
		return float64(r.stats.Start())
	case byTrouble:
		s := &r.stats
		missing := s.Streams[0].GapBytes + s.Streams[1].GapBytes + s.Streams[0].DroppedBytes + s.Streams[1].DroppedBytes
		return float64(missing) + float64(s.Retransmitted[0]+s.Retransmitted[1])
	}
	return r.rate[0] + r.rate[1]
}

func (q *query) wants(ended bool) bool {
	return q.which == allFlows || (q.which == endedFlows) == ended
}

// matches reports whether text, in lower case, has the words of the filter.
func matches(words, text string) bool {
	for _, word := range strings.Fields(strings.ToLower(words)) {
		if not, ok := strings.CutPrefix(word, "-"); ok && not != "" {
			if strings.Contains(text, not) {
				return false
			}
		} else if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// apply gives the rows that the query asks for, in its order.
func (q *query) apply(rows []row) []row {
	var out []row
	for i := range rows {
		if q.wants(rows[i].ended()) && (q.words == "" || matches(q.words, rows[i].text())) {
			out = append(out, rows[i])
		}
	}
	slices.SortFunc(out, func(a, b row) int { return q.compare(q.order.value(&a), q.order.value(&b), a.id, b.id) })
	return out
}

// compare compares two flows by what they are sorted by. Of equal ones, such as all that are silent, the newest comes first.
func (q *query) compare(x, y float64, a, b flowscope.FlowID) int {
	c := cmp.Compare(y, x)
	if q.reverse {
		c = -c
	}
	return cmp.Or(c, cmp.Compare(b, a))
}
