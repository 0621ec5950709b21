package main

import (
	"cmp"
	"slices"

	"github.com/flowscope-go/flowscope"
)

// order keeps records until the end of a capture, to print them in another order, or the first of them
// only. With top it holds no more than twice as many.
type order struct {
	by      string // "" is that of their ends
	top     int    // 0 is all
	records []flowscope.Record
}

// orders are the values of -sort: bytes, packets and duration have the most first.
var orders = []string{"bytes", "packets", "start", "duration"}

func (o *order) keeps() bool { return o.by != "" || o.top != 0 }

func (o *order) add(r *flowscope.Record) {
	o.records = append(o.records, *r)
	if o.top != 0 && len(o.records) >= 2*o.top {
		o.cut()
	}
}

func (o *order) cut() {
	if o.by != "" {
		slices.SortStableFunc(o.records, o.compare)
	}
	if o.top != 0 && len(o.records) > o.top {
		clear(o.records[o.top:])
		o.records = o.records[:o.top]
	}
}

func (o *order) compare(a, b flowscope.Record) int {
	switch o.by {
	case "bytes":
		return cmp.Compare(b.WireBytes[0]+b.WireBytes[1], a.WireBytes[0]+a.WireBytes[1])
	case "packets":
		return cmp.Compare(b.Packets[0]+b.Packets[1], a.Packets[0]+a.Packets[1])
	case "duration":
		return cmp.Compare(b.End.Sub(b.Start), a.End.Sub(a.Start))
	}
	return cmp.Compare(a.Start, b.Start)
}

// flush gives the records that are left, in order.
func (o *order) flush(yield func(*flowscope.Record)) {
	o.cut()
	for i := range o.records {
		yield(&o.records[i])
	}
	o.records = o.records[:0]
}
