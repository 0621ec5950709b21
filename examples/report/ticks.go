package main

import (
	"cmp"
	"math"
	"slices"
	"time"
	"unicode/utf8"
)

// label is a text at an axis. Wide ones are only shown where there is much room.
type label struct {
	X      float64 // percent
	Anchor string
	Text   string
	Wide   bool
}

// Widths of pictures in pixels, at least: on a narrow page, on a wide one, and of a picture that has half of it.
const (
	narrowPixels = 236
	widePixels   = 590
	halfPixels   = 320
	rowPixels    = 460 // beside names
)

// placed are the labels that do not touch one another.
type placed struct {
	labels []label
	wide   float64
}

func newPlaced(wide float64) *placed { return &placed{wide: wide} }

// extent is the room of a label on a picture of that many pixels. A character of the widest usual font, DejaVu Sans,
// has 7 pixels at most at this size.
func (l *label) extent(pixels float64) (from, to float64) {
	w := float64(utf8.RuneCountInString(l.Text))*7 + 2
	at := l.X / 100 * pixels
	switch l.Anchor {
	case "start":
		return at, at + w
	case "end":
		return at - w, at
	}
	return at - w/2, at + w/2
}

// add places a label if there is room for it, and reports whether there was. Near the edges it is moved to their
// inner side.
func (p *placed) add(x float64, text string) bool {
	for _, wide := range []bool{false, true} {
		pixels := float64(narrowPixels)
		if wide {
			pixels = p.wide
		}
		l := label{X: x, Text: text, Anchor: "middle", Wide: wide}
		if from, _ := l.extent(narrowPixels); from < 0 {
			l.Anchor = "start"
		} else if _, to := l.extent(narrowPixels); to > narrowPixels {
			l.Anchor = "end"
		}
		if p.fits(&l, pixels, wide) {
			p.labels = append(p.labels, l)
			return true
		}
	}
	return false
}

func (p *placed) fits(l *label, pixels float64, wide bool) bool {
	from, to := l.extent(pixels)
	if from < -1 || to > pixels+1 {
		return false
	}
	for i := range p.labels {
		// Those that are always shown must have room on a wide picture too: an anchor at an edge moves.
		for _, w := range []float64{pixels, p.wide} {
			f, t := p.labels[i].extent(w)
			from, to := l.extent(w)
			if (!p.labels[i].Wide || wide || w == p.wide) && from < t+9 && f < to+9 {
				return false
			}
		}
	}
	return true
}

// sorted are the labels from left to right.
func (p *placed) sorted() []label {
	slices.SortStableFunc(p.labels, func(a, b label) int { return cmp.Compare(a.X, b.X) })
	return p.labels
}

// labels are the texts of a time axis, and the places of its vertical lines. In the first piece they are the time
// since the beginning. A piece behind a fold begins with that, and goes on with the time since the fold.
func (a *axis) labels(pixels float64) (labels []label, lines []float64) {
	p := newPlaced(pixels)
	p.add(0, "0")
	heads := a.heads()
	for _, i := range a.bySize() {
		if i > 0 {
			p.add(a.pieces[i].x0, heads[i])
		}
	}
	for _, i := range a.bySize() {
		piece := a.pieces[i]
		share := (piece.x1 - piece.x0) / 100
		step := niceTime(float64(piece.to-piece.from) / max(8*share, 1))
		for t := step; piece.from+t < piece.to; t += step {
			x, text := a.x(piece.from+t), lasting(time.Duration(t))
			if i > 0 {
				text = "+" + text
			}
			if p.add(x, text) {
				lines = append(lines, x)
			}
		}
	}
	slices.Sort(lines)
	return p.sorted(), lines
}

// heads are the texts at the beginnings of the pieces. Where the time since the beginning has too few digits to show
// how much was folded, that is the text.
func (a *axis) heads() []string {
	heads := make([]string, len(a.pieces))
	last := "0"
	for i, p := range a.pieces[1:] {
		heads[i+1] = lasting(time.Duration(p.from - a.start))
		if heads[i+1] == last {
			heads[i+1] = "+" + lasting(time.Duration(p.from-a.pieces[i].from))
		} else {
			last = heads[i+1]
		}
	}
	return heads
}

// bySize are the numbers of the pieces, the widest first.
func (a *axis) bySize() []int {
	order := make([]int, len(a.pieces))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		return cmp.Compare(a.pieces[j].x1-a.pieces[j].x0, a.pieces[i].x1-a.pieces[i].x0)
	})
	return order
}

// nice is the next number of 1, 2 and 5 times a power of ten that is not below v.
func nice(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= v*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// niceTime is the next usual step of a time axis that is not below v nanoseconds.
func niceTime(v float64) int64 {
	const s, m, h, d = 1e9, 60e9, 3600e9, 86400e9
	if v <= 30*s {
		return max(int64(math.Round(nice(v))), 1)
	}
	for _, step := range []float64{30 * s, m, 2 * m, 5 * m, 10 * m, 30 * m, h, 2 * h, 6 * h, 12 * h, d, 2 * d, 5 * d, 10 * d} {
		if step >= v {
			return int64(step)
		}
	}
	return int64(nice(v/d) * d)
}

// mark is a label at a vertical axis, and the place of its line, both in pixels from the top.
type mark struct {
	Y    float64
	Text string
}

// marks are at most five nice numbers from 0 up, and the number at the top of a picture that is so many pixels high.
func marks(most, pixels float64, text func(float64) string, whole bool) (all []mark, top float64) {
	top = most
	if top <= 0 {
		top = 1
	}
	step := nice(top / 4)
	if whole {
		step = max(step, 1)
	}
	top = math.Ceil(top/step-1e-9) * step
	for v := 0.0; v <= top*(1+1e-9); v += step {
		all = append(all, mark{pixels * (1 - v/top), text(v)})
	}
	return all, top
}
