package main

import (
	"cmp"
	"slices"
	"time"
)

// span is a time from and to, in nanoseconds.
type span struct{ from, to int64 }

const (
	maxFolds  = 8
	foldShare = 1.6 // width of a fold in percent
	minShare  = 1.5 // and the least of a piece between folds
)

// axis is a time axis without long silences: each is folded to a grey band.
type axis struct {
	start  int64 // what labels count from
	pieces []piece
	folds  []band
	silent time.Duration // in all folds
	most   time.Duration // in the longest
}

// piece is a part of the axis between folds. x are percent of its width.
type piece struct {
	span
	x0, x1 float64
}

// band is a part of the width, in percent.
type band struct{ X, W float64 }

// newAxis makes the axis of times that are in order. The longest silences are folded first, as long as each is a
// good part of what is left and much longer than the usual pause.
func newAxis(spans []span) *axis {
	if len(spans) == 0 {
		spans = []span{{0, 1}}
	}
	a := &axis{start: spans[0].from}
	cuts := a.choose(spans)
	from := spans[0].from
	for _, i := range cuts {
		a.pieces = append(a.pieces, piece{span: span{from, spans[i].to}})
		from = spans[i+1].from
	}
	a.pieces = append(a.pieces, piece{span: span{from, spans[len(spans)-1].to}})
	a.layOut()
	return a
}

// choose gives the numbers of the spans behind which silence is folded, in order.
func (a *axis) choose(spans []span) []int {
	type gap struct {
		after int
		size  int64
	}
	var gaps []gap
	reach := spans[0].to
	for i, s := range spans[1:] {
		gaps = append(gaps, gap{i, max(0, s.from-reach)})
		reach = max(reach, s.to)
	}
	if len(gaps) == 0 {
		return nil
	}
	slices.SortStableFunc(gaps, func(a, b gap) int { return cmp.Compare(b.size, a.size) })
	usual := gaps[len(gaps)/2].size
	if len(gaps) == 2 {
		usual = gaps[1].size
	}
	left := reach - spans[0].from
	var cuts []int
	for _, g := range gaps[:min(len(gaps), maxFolds)] {
		if g.size < left/5 || g.size/10 < usual || g.size < int64(len(gaps)) {
			break
		}
		left -= g.size
		cuts = append(cuts, g.after)
		a.silent += time.Duration(g.size)
		a.most = max(a.most, time.Duration(g.size))
	}
	slices.Sort(cuts)
	return cuts
}

// shown is the time that is not folded.
func (a *axis) shown() int64 {
	sum := int64(0)
	for _, p := range a.pieces {
		sum += p.to - p.from
	}
	return sum
}

// snap makes the edges of the pieces multiples of a width.
func (a *axis) snap(width int64) {
	for i := range a.pieces {
		p := &a.pieces[i]
		p.from = floorDiv(p.from, width) * width
		p.to = max(floorDiv(p.to-1, width)+1, floorDiv(p.from, width)+1) * width
		if i > 0 { // silence may be shorter than the width
			p.from = max(p.from, a.pieces[i-1].to)
			p.to = max(p.to, p.from+width)
		}
	}
	a.layOut()
}

// layOut gives each piece its part of the width.
func (a *axis) layOut() {
	a.folds = nil
	n := float64(len(a.pieces))
	free := 100 - foldShare*(n-1) - minShare*n
	sum := float64(max(a.shown(), 1))
	x := 0.0
	for i := range a.pieces {
		p := &a.pieces[i]
		if i > 0 {
			a.folds = append(a.folds, band{x, foldShare})
			x += foldShare
		}
		p.x0 = x
		x += minShare + free*float64(p.to-p.from)/sum
		p.x1 = x
	}
}

// x is where a time stands, in percent. Times in a fold stand at its beginning.
func (a *axis) x(t int64) float64 {
	for i := range a.pieces {
		p := &a.pieces[i]
		switch {
		case t < p.from && i == 0:
			return 0
		case t < p.from:
			return a.pieces[i-1].x1
		case t <= p.to:
			return p.x0 + (p.x1-p.x0)*float64(t-p.from)/float64(max(p.to-p.from, 1))
		}
	}
	return 100
}
