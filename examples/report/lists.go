package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flowscope-go/flowscope"
)

// list is a list of names with a bar for each.
type list struct {
	Title, Cut string
	Items      []item
}

// item is a name, a number, and a bar of one or two parts in percent.
type item struct {
	Name, Value string
	Parts       []part
}

type part struct {
	X, W  float64
	Class string
}

// cutTo tells how many of all entries are shown, unless all are.
func (l *list) cutTo(shown int, all uint64, isAbout bool) {
	if uint64(shown) < all {
		of := count(all)
		if isAbout {
			of = "about " + of // one that was forgotten and came again counts twice
		}
		l.Cut = fmt.Sprintf("%d of %s", shown, of)
	}
}

// single makes the bars of entries by one number.
func single(title string, names []string, numbers []uint64, classes []string) *list {
	if len(names) == 0 {
		return nil
	}
	l := &list{Title: title}
	most := uint64(1)
	for _, n := range numbers {
		most = max(most, n)
	}
	for i, name := range names {
		class := "a"
		if classes != nil {
			class = classes[i]
		}
		w := 0.0
		if numbers[i] > 0 {
			w = max(100*float64(numbers[i])/float64(most), 0.5)
		}
		l.Items = append(l.Items, item{name, count(numbers[i]), []part{{0, w, class}}})
	}
	return l
}

// top is a list of the names that came most often; what went wrong of each is in another colour.
func top(title string, h *heavy[string], class string, rows int) *list {
	all := h.ranked()
	if len(all) == 0 {
		return nil
	}
	l := &list{Title: title}
	most := float64(max(all[0].n, 1))
	for _, e := range all[:min(len(all), rows)] {
		value := count(e.n)
		good, bad := 100*float64(e.n-e.bad)/most, 100*float64(e.bad)/most
		it := item{Name: e.key, Parts: []part{{0, good, class}}}
		if e.bad > 0 {
			value += ", " + count(e.bad) + " failed"
			it.Parts = append(it.Parts, part{good, bad, "bad"})
		}
		it.Value = value
		l.Items = append(l.Items, it)
	}
	l.cutTo(len(l.Items), uint64(len(all))+h.forgotten, h.forgotten > 0)
	return l
}

// talkers are the conversations with the most bytes.
func talkers(h *heavy[string]) *list {
	all := h.ranked()
	if len(all) == 0 {
		return nil
	}
	l := &list{Title: "Top talkers"}
	most := float64(max(byBytes(all[0].sums), 1))
	for _, e := range all[:min(len(all), listRows)] {
		up, down := 100*float64(e.bytes[0])/most, 100*float64(e.bytes[1])/most
		value := size(e.bytes[0]) + " up, " + size(e.bytes[1]) + " down"
		if e.n > 1 {
			value = some(e.n, "flow") + ", " + value
		}
		l.Items = append(l.Items, item{e.key, value, []part{{0, up, "a"}, {up, down, "b"}}})
	}
	l.cutTo(len(l.Items), uint64(len(all))+h.forgotten, h.forgotten > 0)
	return l
}

// endings is how many flows ended in which way.
func endings(by map[ending]uint64) *list {
	type line struct {
		name, class string
		n           uint64
	}
	merged := map[string]*line{}
	for e, n := range by {
		how := howEnded(e.proto, e.reason, e.refused)
		name := e.proto.String() + " " + how.text
		if e.state != 0 && e.proto == flowscope.L4TCP {
			name += ", in state " + words(e.state.String())
		}
		if merged[name] == nil {
			merged[name] = &line{name: name, class: how.class}
		}
		merged[name].n += n
	}
	lines := slices.SortedFunc(maps.Values(merged), func(a, b *line) int {
		return cmp.Or(cmp.Compare(b.n, a.n), strings.Compare(a.name, b.name))
	})
	const most = 14
	var names, classes []string
	var numbers []uint64
	for i, one := range lines {
		if i >= most {
			numbers[most-1] += one.n
			names[most-1], classes[most-1] = "other ways", "idle"
			continue
		}
		names, classes, numbers = append(names, one.name), append(classes, one.class), append(numbers, one.n)
	}
	return single("How flows ended", names, numbers, classes)
}

// words is a name of the library as words.
func words(s string) string { return strings.ReplaceAll(s, "_", " ") }

func (f *httpFacts) page() *protocol {
	if f.n == 0 {
		return nil
	}
	p := &protocol{Title: "HTTP", Text: some(f.n, "exchange") + "."}
	if f.missing > 0 {
		p.Text += " " + size(f.missing) + " of bodies were never seen."
	}
	var names, classes []string
	var numbers []uint64
	for _, code := range slices.Sorted(maps.Keys(f.statuses)) {
		class := "ok"
		switch {
		case code == 0:
			class = "idle"
		case code >= 500:
			class = "bad"
		case code >= 400:
			class = "warn"
		case code >= 300:
			class = "a"
		}
		if len(names) == 24 {
			numbers[23] += f.statuses[code]
			names[23], classes[23] = "other", "idle"
			continue
		}
		names, classes, numbers = append(names, status(code)), append(classes, class), append(numbers, f.statuses[code])
	}
	p.Lists = lists(single("Responses by status", names, numbers, classes), top("Hosts", f.hosts, "a", listRows))
	p.Latency = durationPlot("Latency of HTTP", []string{"a", "bad"}, &f.good, &f.bad)
	p.Two = f.bad.n > 0
	switch {
	case f.bad.n == 0:
		p.LatencyText = "Median " + median(&f.good) + "."
	case f.good.n == 0:
		p.LatencyText = "Median " + median(&f.bad) + "."
	default:
		p.LatencyText = "Median " + median(&f.good) + " of responses below 400, " + median(&f.bad) + " of the others."
	}
	failed := table{Title: "Requests that failed", Heads: []head{{"request and status", false}, {"times", true}}}
	ranked := f.failed.ranked()
	for _, e := range ranked[:min(len(ranked), listRows)] {
		failed.row(e.key, count(e.n))
	}
	failed.cutTo(uint64(len(ranked))+f.failed.forgotten, f.failed.forgotten > 0)
	slowest := table{Title: "The slowest responses", Heads: []head{{"request", false}, {"status", false}, {"latency", true}}}
	for _, s := range f.slowest.items {
		slowest.row(s.value.request, status(s.value.status), s.value.latency)
	}
	slowest.cutTo(f.good.n+f.bad.n, false)
	p.Tables = tables(failed, slowest)
	return p
}

func (f *tlsFacts) page() *protocol {
	if f.n == 0 {
		return nil
	}
	p := &protocol{Title: "TLS", Text: some(f.n, "handshake")}
	for _, c := range []struct {
		n    uint64
		what string
	}{{f.resumed, "resumed"}, {f.retried, "with a second ClientHello"}, {f.ech, "with encrypted_client_hello"}} {
		if c.n > 0 {
			p.Text += ", " + count(c.n) + " " + c.what
		}
	}
	p.Text += "."
	versions := newHeavy[string](byNumber)
	for v, n := range f.versions {
		name := v.String()
		if v == 0 {
			name = "no ServerHello"
		}
		versions.of(name).n += n
	}
	p.Lists = lists(top("Versions", versions, "a", listRows), top("Names", f.names, "a", listRows), top("Protocols chosen", f.protocols, "a", listRows))
	p.Latency = durationPlot("Latency of TLS", []string{"a"}, &f.latency)
	p.LatencyText = "From ClientHello to ServerHello, median " + median(&f.latency) + "."
	p.Tables = tables(times("Handshakes that failed", "name and reason", f.trouble))
	return p
}

func (f *dnsFacts) page() *protocol {
	if f.n+f.multicast == 0 {
		return nil
	}
	p := &protocol{Title: "DNS", Text: some(f.n, "transaction") + "."}
	if f.multicast > 0 {
		p.Text += " " + some(f.multicast, "message") + " of mDNS and LLMNR."
	}
	results := slices.SortedFunc(maps.Keys(f.results), func(a, b string) int {
		return cmp.Or(cmp.Compare(f.results[b], f.results[a]), strings.Compare(a, b))
	})
	var numbers []uint64
	var classes []string
	for _, name := range results {
		numbers = append(numbers, f.results[name])
		class := "warn"
		switch {
		case strings.HasPrefix(name, "NOERROR"):
			class = "ok"
		case strings.HasPrefix(name, "SERVFAIL"), strings.HasPrefix(name, "REFUSED"):
			class = "bad"
		case name == "no response":
			class = "idle"
		}
		classes = append(classes, class)
	}
	shown := min(len(results), 14)
	answers := single("Answers", results[:shown], numbers[:shown], classes)
	if answers != nil {
		answers.cutTo(shown, uint64(len(results)), false)
	}
	p.Lists = lists(answers, top("Names", f.names, "a", listRows), top("Types", f.types, "a", listRows))
	p.Latency = durationPlot("Latency of DNS", []string{"a"}, &f.latency)
	p.LatencyText = "Median " + median(&f.latency) + "."
	p.Tables = tables(times("Questions that failed", "name and result", f.failed))
	return p
}

func lists(all ...*list) []*list {
	return slices.DeleteFunc(all, func(l *list) bool { return l == nil })
}
