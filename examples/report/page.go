package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"slices"
	"time"

	"github.com/flowscope-go/flowscope"
)

//go:embed page.html
var pageText string

//go:embed style.css
var styleText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"style": func() template.CSS { return template.CSS(styleText) },
}).Parse(pageText))

// page is what the template shows.
type page struct {
	Name, When string
	Warnings   []string
	Empty      bool
	Cards      []card

	Throughput, Begun      *plot
	Rows                   []row
	RowAxis                *plot // labels and folds of the rows
	RowsCut, Folded        string
	RowKinds               []kindOfRow
	Talkers, Endings       *list
	RoundTrips             *plot
	RoundTripText          string
	HTTP, TLS, DNS         *protocol
	Trouble                *plot
	TroubleTitle, TroubleS string
	TroubleKinds           []kindOfRow
	Tables                 []table
	Limits                 []string
}

// card is a number with a word on it.
type card struct{ Number, Text, Class string }

// protocol is what sessions of one protocol add.
type protocol struct {
	Title, Text string
	Lists       []*list
	Latency     *plot
	LatencyText string
	Two         bool // the latencies are of two kinds
	Tables      []table
}

// write writes the page.
func (f *facts) write(w io.Writer) error {
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, f.page()); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (f *facts) page() *page {
	p := &page{Name: clean(f.name), Warnings: f.warnings(), Empty: f.packets == 0}
	if p.Empty {
		return p
	}
	p.When = fmt.Sprintf("From %s, for %s", f.from.Time().Format("2006-01-02 15:04:05.000 UTC"), lasting(f.to.Sub(f.from)))
	p.Cards = f.cards()
	t := newTimeline(f.bins)
	p.Throughput, p.Folded = t.throughput(), t.folded()
	fl := f.flows
	if fl.n > flowRows {
		p.Begun = t.begun()
		p.RowsCut = fmt.Sprintf("The %d heaviest of %s flows, by start.", len(fl.heaviest.items), count(fl.n))
	}
	p.Rows = t.rows(fl.heaviest.items)
	p.RowKinds = rowKinds(p.Rows)
	p.RowAxis = &plot{Folds: t.axis.folds}
	p.RowAxis.Labels, p.RowAxis.Lines = t.axis.labels(rowPixels)
	p.Talkers = talkers(fl.conversations)
	p.Endings = endings(fl.endings)
	p.RoundTrips = durationPlot("Round trip of the handshake", []string{"a", "b"}, &fl.toServer, &fl.toClient)
	p.RoundTripText = "Median " + median(&fl.toServer) + " to the server, " + median(&fl.toClient) + " to the client."
	p.HTTP, p.TLS, p.DNS = f.messages.http.page(), f.messages.tls.page(), f.messages.dns.page()
	f.setTrouble(p)
	p.Tables = f.tables()
	p.Limits = f.limits()
	return p
}

// median is a text such as "1.2 ms (of 17)".
func median(d *durations) string {
	if d.n == 0 {
		return "not seen"
	}
	return fmt.Sprintf("%s (of %s)", about(d.quantile(0.5)), count(d.n))
}

// about is a time with two digits.
func about(d time.Duration) string {
	unit := time.Duration(1)
	for d/unit >= 100 {
		unit *= 10
	}
	return lasting((d + unit/2) / unit * unit)
}

func (f *facts) cards() []card {
	fl := f.flows
	again, isTwice := fl.again, f.isTwice()
	cards := []card{
		{count(f.packets), "packets", ""},
		{size(f.bytes), "bytes on the wire", ""},
		{count(fl.n), "flows, " + count(fl.tcp) + " of TCP", ""},
	}
	sent := card{count(again), "segments sent again", ""}
	if isTwice {
		sent = card{count(f.copies), "packets that are copies of others", "warn"}
	} else if again > 0 {
		sent.Text, sent.Class = sent.Text+", "+size(fl.againBytes), "warn"
	}
	never := card{size(fl.gapBytes), "never seen", ""}
	if fl.gaps > 0 {
		never.Text, never.Class = "never seen, in "+some(fl.gaps, "hole"), "bad"
	}
	reset := card{count(fl.resets), "cut by a reset", ""}
	if fl.refused > 0 {
		reset.Text += ", " + count(fl.refused) + " refused"
	}
	if fl.resets > 0 {
		reset.Class = "bad"
	}
	return append(cards, sent, never, reset)
}

// isTwice reports whether so many packets are copies that the capture must have been made at two places.
func (f *facts) isTwice() bool { return f.copies*4 >= f.packets && f.copies > 0 }

// warnings are what a reader must know before the numbers.
func (f *facts) warnings() (all []string) {
	if f.err != nil {
		var damage *flowscope.CaptureError
		if errors.As(f.err, &damage) && f.packets > 0 {
			all = append(all, fmt.Sprintf("The file is damaged: %s. The page shows all of the %s before that place.",
				cleanTo(damage.Err.Error(), 400, len(damage.Err.Error())), some(f.packets, "packet")))
		} else {
			all = append(all, "The capture could not be read: "+cleanTo(f.err.Error(), 400, len(f.err.Error()))+".")
		}
	}
	if f.isTwice() {
		all = append(all, fmt.Sprintf("%s of %s are copies of others: it seems that the traffic was captured at two places at once. "+
			"Bytes and packets count both; where segments were sent again, copies are left out.", count(f.copies), some(f.packets, "packet")))
	}
	if f.cut > 0 {
		all = append(all, fmt.Sprintf("Of %s the capture has only the beginning. What it lacks of their payload counts as never seen.", some(f.cut, "packet")))
	}
	if n := f.stats.FlowsEvicted; n > 0 {
		all = append(all, fmt.Sprintf("The table of flows was full, so that %s ended early, and may be here as several.", some(n, "flow")))
	}
	if n := f.stats.ClockSuspects; n > 0 {
		all = append(all, fmt.Sprintf("Nothing confirms %s far ahead of the others.", some(n, "timestamp")))
	}
	return all
}

func (f *facts) setTrouble(p *page) {
	s := f.trouble
	if s == nil || len(s.segments) < 3 && trouble(&s.flow) == 0 || len(s.segments) == 0 {
		return
	}
	p.Trouble = s.plot()
	p.TroubleTitle = "The connection with the most trouble"
	if trouble(&s.flow) == 0 {
		p.TroubleTitle = "The connection with the most payload"
	}
	i := int(s.side)
	from, to := end(s.Initiator), end(s.Responder)
	if s.side == flowscope.Responder {
		from, to = to, from
	}
	p.TroubleS = fmt.Sprintf("What %s sent to %s: %s of payload, %s sent again, %s.", from, to,
		size(s.PayloadBytes[i]), some(s.repeats(i), "segment"), some(s.Gaps[i], "hole"))
	p.TroubleKinds = []kindOfRow{{"a", "segment"}, {"ok", "acknowledged up to here"}}
	if slices.ContainsFunc(s.segments, func(g segment) bool { return g.again }) {
		p.TroubleKinds = append(p.TroubleKinds, kindOfRow{"bad", "sent again, or late"})
	}
	if s.Gaps[i] > 0 {
		p.TroubleKinds = append(p.TroubleKinds, kindOfRow{"hole", "bytes that were never seen"})
	}
	if s.joined > 0 {
		p.TroubleS += " Segments that are nearer than " + lasting(time.Duration(s.joined)) + " are joined."
	}
	if s.moreHole > 0 {
		p.TroubleS += " " + some(s.moreHole, "further hole") + " are not drawn."
	}
}

// limits say what of the capture is not on the page, and why.
func (f *facts) limits() (all []string) {
	none := f.stats.PacketsUnmatched + f.stats.ICMPErrorsMatched + f.stats.Fragments.Unused
	if none > 0 {
		text := some(none, "packet") + " belong to no flow: "
		if none == 1 {
			text = "1 packet belongs to no flow: "
		}
		for r, n := range f.stats.Refused {
			if n > 0 {
				text += fmt.Sprintf("%s %s, ", count(n), words(flowscope.Refusal(r).String()))
			}
		}
		for _, more := range []struct {
			n    uint64
			what string
		}{{f.stats.ICMPErrorsMatched, "ICMP errors about a flow"}, {f.stats.Fragments.Unused, "fragments of incomplete datagrams"}} {
			if more.n > 0 {
				text += count(more.n) + " " + more.what + ", "
			}
		}
		all = append(all, text[:len(text)-2]+".")
	}
	if n := f.flows.late; n > 0 {
		all = append(all, some(n, "packet")+" came after the end of their flow.")
	}
	if f.stats.AnomaliesSuppressed > 0 {
		all = append(all, some(f.stats.AnomaliesSuppressed, "anomaly")+" more than a call may tell have no example.")
	}
	if h := f.flows.conversations; h.forgotten > 0 {
		all = append(all, fmt.Sprintf("Of the conversations the lightest %s were forgotten while reading; sums of those shown may lack %s at most.",
			count(h.forgotten), size(h.missed)))
	}
	m := f.messages
	for _, h := range []struct {
		what string
		*heavy[string]
	}{{"hosts of HTTP", m.http.hosts}, {"failed requests", m.http.failed}, {"names of TLS", m.tls.names}, {"names of DNS", m.dns.names}, {"failed names of DNS", m.dns.failed}} {
		if h.forgotten > 0 {
			all = append(all, fmt.Sprintf("Of the %s the rarest %s were forgotten while reading; numbers of those shown may lack %s at most.", h.what, count(h.forgotten), count(h.missed)))
		}
	}
	return all
}
