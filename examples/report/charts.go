package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/flowscope-go/flowscope"
)

// The pictures. Lengths along a time axis are percent; what is drawn is stretched to the width that there is, and
// texts stand beside it.

// plot is a picture with a time axis, or another one, and a vertical one.
type plot struct {
	Height  float64
	Name    string // for who does not see it
	Labels  []label
	Lines   []float64
	Marks   []mark
	Folds   []band
	Bars    []bar
	Paths   []path
	Bands   []hband
	Caption string
}

// bar is a rectangle; X and W are percent, Y and H pixels from the top.
type bar struct {
	X, W, Y, H float64
	Class      string
	Title      string
}

// path is a line. Its places are in thousandths of the width, and in pixels from the top.
type path struct{ Class, D string }

// hband is a band over the whole width.
type hband struct {
	Y, H  float64
	Title string
}

// columns is how many columns a time axis has, about.
const columns = 200

// timeline are the two pictures with the time axis of the capture.
type timeline struct {
	axis  *axis
	width int64 // of a column
	all   []column
}

type column struct {
	from int64
	bin
}

func newTimeline(b *bins) *timeline {
	t := &timeline{axis: newAxis(b.spans())}
	t.width = max(b.width, int64(math.Round(nice(float64(t.axis.shown())/columns))))
	t.axis.snap(t.width)
	at := map[int64]*column{}
	for n, one := range b.at {
		from := floorDiv(n*b.width, t.width) * t.width
		c := at[from]
		if c == nil {
			c = &column{from: from}
			at[from] = c
		}
		c.add(one)
	}
	for _, c := range at {
		t.all = append(t.all, *c)
	}
	slices.SortFunc(t.all, func(a, b column) int { return cmp.Compare(a.from, b.from) })
	return t
}

// plot draws two numbers of each column on top of each other.
func (t *timeline) plot(name string, height float64, of func(*column) [2]float64, text func(float64) string, classes [2]string, whole bool) *plot {
	p := &plot{Height: height, Name: name, Folds: t.axis.folds, Caption: t.folded()}
	p.Labels, p.Lines = t.axis.labels(widePixels)
	most := 0.0
	for i := range t.all {
		v := of(&t.all[i])
		most = max(most, v[0]+v[1])
	}
	var top float64
	p.Marks, top = marks(most, height, text, whole)
	for i := range t.all {
		c := &t.all[i]
		x0, x1 := t.axis.x(c.from), t.axis.x(c.from+t.width)
		w := min(max(x1-x0-0.05, 0.25), 0.7) // in a short piece a column may be wide
		x0 = min(x0, 100-w)
		y := height
		for j, v := range of(c) {
			if v == 0 {
				continue
			}
			h := max(v/top*height, 0.6)
			y = max(y-h, 0)
			p.Bars = append(p.Bars, bar{X: x0, W: w, Y: y, H: h, Class: classes[j], Title: t.title(c)})
		}
	}
	return p
}

func (t *timeline) title(c *column) string {
	return fmt.Sprintf("%s: %s, %s of TCP, %s of other traffic, %s begun", lasting(time.Duration(max(c.from-t.axis.start, 0))),
		some(c.packets, "packet"), size(max(c.bytes[0], 0)), size(max(c.bytes[1], 0)), some(c.flows, "flow"))
}

// folded says what of the time axis is left out.
func (t *timeline) folded() string { return t.axis.caption() }

func (a *axis) caption() string {
	switch n := len(a.folds); n {
	case 0:
		return ""
	case 1:
		return "The grey band is silence left out: " + lasting(a.silent) + "."
	default:
		return fmt.Sprintf("Grey bands are silence left out: %d, of %s in all, the longest of %s.", n, lasting(a.silent), lasting(a.most))
	}
}

func (t *timeline) throughput() *plot {
	perSecond := 8 * 1e9 / float64(t.width)
	return t.plot("Throughput by time", 170, func(c *column) [2]float64 {
		return [2]float64{float64(max(c.bytes[0], 0)) * perSecond, float64(max(c.bytes[1], 0)) * perSecond}
	}, func(v float64) string { return scaled(v, "bit/s") }, [2]string{"a", "c"}, false)
}

func (t *timeline) begun() *plot {
	return t.plot("Flows begun by time", 70, func(c *column) [2]float64 { return [2]float64{float64(c.flows)} }, inShort, [2]string{"a", "a"}, true)
}

// inShort is a whole number with a prefix, if it is large.
func inShort(v float64) string {
	if v < 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return strings.TrimSuffix(scaled(v, ""), " ")
}

// row is a flow in the picture of flows.
type row struct {
	Name, Title, Class, Note string
	Bar                      band
	Holes                    []float64
	Path                     string
}

// rows are the heaviest flows in the order of their beginnings.
func (t *timeline) rows(heaviest []scored[flow]) (rows []row) {
	flows := make([]*flow, len(heaviest))
	for i := range heaviest {
		flows[i] = &heaviest[i].value
	}
	slices.SortStableFunc(flows, func(a, b *flow) int { return cmp.Compare(a.Start, b.Start) })
	for _, fl := range flows {
		r := row{Title: fl.Proto.String() + " " + arrow(&fl.Record)}
		r.Name = fl.Proto.String() + " " + shortEnd(fl.Initiator) + " → " + shortEnd(fl.Responder)
		how := howEnded(fl.Proto, fl.Reason, isRefused(fl))
		r.Class = how.class
		r.Note = size(fl.WireBytes[0]+fl.WireBytes[1]) + ", " + how.text
		x0, x1 := t.axis.x(int64(inReach(fl.Start))), t.axis.x(int64(inReach(fl.End)))
		r.Bar = band{min(x0, 99.6), max(x1-x0, 0.4)}
		for _, at := range fl.holes {
			r.Path += fmt.Sprintf("M%.1f 9h0", 10*t.axis.x(int64(at)))
		}
		rows = append(rows, r)
	}
	return rows
}

// kindOfRow is an entry of the legend of the rows.
type kindOfRow struct{ Class, Text string }

// rowKinds are what can be seen in the rows.
func rowKinds(rows []row) (kinds []kindOfRow) {
	seen := map[string]bool{}
	for _, r := range rows {
		seen[r.Class] = true
		seen["dot"] = seen["dot"] || r.Path != ""
	}
	for _, k := range []kindOfRow{
		{"ok", "closed"}, {"bad", "reset or refused"}, {"idle", "fell silent, or replaced"}, {"open", "until the end"}, {"warn", "ended for want of room"},
		{"dot", "bytes that were never seen"},
	} {
		if seen[k.Class] {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// way is how a flow ended, in words and in a colour.
type way struct{ text, class string }

func howEnded(proto flowscope.L4Proto, reason flowscope.EndReason, isRefused bool) way {
	if isRefused {
		return way{"refused", "bad"}
	}
	switch reason {
	case flowscope.EndFIN:
		return way{"closed", "ok"}
	case flowscope.EndRST:
		return way{"reset", "bad"}
	case flowscope.EndFinished:
		if proto == flowscope.L4TCP {
			return way{"open at the end", "open"}
		}
		return way{"until the end", "open"}
	case flowscope.EndIdleTimeout:
		return way{"fell silent", "idle"}
	case flowscope.EndReused:
		return way{"replaced", "idle"}
	case flowscope.EndEvicted:
		return way{"evicted", "warn"}
	}
	return way{strings.ReplaceAll(reason.String(), "_", " "), "warn"}
}

// durationPlot draws a histogram of durations, of one or two kinds, each in a colour.
func durationPlot(name string, classes []string, kinds ...*durations) *plot {
	first, last := math.MaxInt, -1
	most := uint64(0)
	for _, d := range kinds {
		for i, n := range d.bars {
			if n > 0 {
				first, last, most = min(first, i), max(last, i), max(most, n)
			}
		}
	}
	if last < 0 {
		return nil
	}
	lo, hi := first/barsPerDecade, last/barsPerDecade+1
	p := &plot{Height: 110, Name: name}
	var top float64
	p.Marks, top = marks(float64(most), p.Height, inShort, true)
	labels := newPlaced(halfPixels)
	for k := lo; k <= hi; k++ {
		x := 100 * float64(k-lo) / float64(hi-lo)
		labels.add(x, lasting(time.Duration(math.Pow(10, float64(k)))))
		if k > lo && k < hi {
			p.Lines = append(p.Lines, x)
		}
	}
	for k := lo; k < hi; k++ {
		for _, m := range []float64{2, 5} {
			labels.add(100*(float64(k-lo)+math.Log10(m))/float64(hi-lo), lasting(time.Duration(m*math.Pow(10, float64(k)))))
		}
	}
	p.Labels = labels.sorted()
	step := 100 / float64((hi-lo)*barsPerDecade)
	for j, d := range kinds {
		for i, n := range d.bars {
			if n == 0 {
				continue
			}
			h := max(float64(n)/top*p.Height, 1)
			w := 0.86 * step / float64(len(kinds))
			p.Bars = append(p.Bars, bar{
				X: float64(i-lo*barsPerDecade)*step + 0.07*step + float64(j)*w, W: w, Y: p.Height - h, H: h, Class: classes[j],
				Title: fmt.Sprintf("%s to %s: %d", edge(i), edge(i+1), n),
			})
		}
	}
	return p
}

func edge(i int) string { return lasting(time.Duration(math.Pow(10, float64(i)/barsPerDecade))) }

// plot draws the stream of a side by time.
func (s *series) plot() *plot {
	const height = 260
	a := s.axis()
	p := &plot{Height: height, Name: "Bytes of the stream by time", Folds: a.folds, Caption: a.caption()}
	p.Labels, p.Lines = a.labels(widePixels)
	var top float64
	p.Marks, top = marks(float64(s.top), height, func(v float64) string { return size(int64(v)) }, true)
	y := func(v int64) float64 { return height * (1 - min(max(float64(v)/top, 0), 1)) }
	var fresh, again, acks strings.Builder
	for _, g := range s.segments {
		b := &fresh
		if g.again {
			b = &again
		}
		// A segment of a few bytes is seen too: the ends of the line are square.
		fmt.Fprintf(b, "M%.1f %.1fL%.1f %.1f", 10*a.x(g.t0), y(g.lo), 10*a.x(g.t1), y(g.hi))
	}
	for i, k := range s.acks {
		if i == 0 {
			fmt.Fprintf(&acks, "M%.1f %.1f", 10*a.x(k.t), y(k.at))
			continue
		}
		fmt.Fprintf(&acks, "H%.1fV%.1f", 10*a.x(k.t), y(k.at))
	}
	for _, h := range s.holes {
		p.Bands = append(p.Bands, hband{y(h.hi), max(y(h.lo)-y(h.hi), 2), fmt.Sprintf("bytes %d to %d were never seen", h.lo, h.hi)})
	}
	for _, one := range []path{{"ack", acks.String()}, {"fresh", fresh.String()}, {"again", again.String()}} {
		if one.D != "" {
			p.Paths = append(p.Paths, one)
		}
	}
	return p
}
