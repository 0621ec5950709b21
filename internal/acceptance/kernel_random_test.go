//go:build linux

package acceptance

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// allowed are the rules in which the library may differ from Linux, each with its reason. A rule is about what is left of
// a plan when all is left out that is not needed for the disagreement: it has a step of the kinds in need, all others are
// of kinds, and the differences are those that the rule names.
var allowed = []struct {
	why   string
	need  []string
	kinds []string           // besides need; nil: any
	when  func(t *talk) bool // nil: always
	diffs difference
}{{
	why: "payload with an ACK number below what is acceptable: Linux refuses it on its slow path and takes it on its fast " +
		"one, so both are right (SECURITY.md, 14)",
	need:  []string{"ACK behind"},
	diffs: wrongBytes | gapped | missing | invented | otherEnd,
}, {
	why: "overlap with other contents: Linux joins neighbours before it compares, which no rule about pairs can say " +
		"(SECURITY.md, 1)",
	need: []string{"again", "straddle", "keep-alive", "beyond", "below the first"}, kinds: ofData,
	diffs: wrongBytes,
}, {
	why: "bytes at the place of an early FIN, or right behind it: Linux joins the two while it holds them, so that the " +
		"bytes are off by one, or some of them are gone; no sender has bytes behind its FIN (SECURITY.md, 13)",
	need: []string{"FIN", "FIN with data"}, when: (*talk).bytesAtFIN,
	diffs: wrongBytes | gapped | missing | invented | otherEnd,
}, {
	why: "TCP-AO without its option in the SYNs: such payload waits for the receiver's word, and other copies displace it " +
		"(SECURITY.md, 10)",
	need: []string{"option"}, kinds: append([]string{"FIN", "FIN with data"}, ofData...),
	diffs: wrongBytes,
}}

// ofData are the kinds of plain data.
var ofData = append([]string{"beyond", "below"}, kindNames[0]...)

// difference is a set of ways to disagree about one conversation.
type difference uint

const (
	wrongBytes difference = 1 << iota // a byte that the application read is another
	gapped                            // or is said to be missing
	missing                           // or was not delivered
	invented                          // a byte was delivered that the application did not read
	unjoined                          // offsets leave something out, or repeat it
	otherEnd                          // another end of the stream, or none
	split                             // bytes in more than one flow
	ofKernel                          // the same of what the kernel sent; the names above are shifted by it
)

const kernelShift = 8

var differenceNames = []string{"wrong bytes", "gap", "missing", "invented", "offsets", "end", "split"}

func (d difference) String() string {
	var words []string
	for i, name := range differenceNames {
		if d>>i&1 != 0 {
			words = append(words, name)
		}
		if d>>(i+kernelShift)&1 != 0 {
			words = append(words, "the kernel's "+name)
		}
	}
	return strings.Join(words, ", ")
}

// heardSide is what the driver said of one direction.
type heardSide struct {
	items  []heardItem
	closed int64 // -1: it is not
	reason flowscope.EndReason
}

// heardItem is data, or a gap of a size.
type heardItem struct {
	at    int64
	bytes []byte
	gap   int64
}

func (i *heardItem) end() int64 { return i.at + int64(len(i.bytes)) + i.gap }

func (s *heardSide) String() string {
	var b strings.Builder
	for _, i := range s.items {
		if i.gap != 0 {
			fmt.Fprintf(&b, "<%d missing>", i.gap)
		}
		b.Write(i.bytes)
	}
	return b.String()
}

// differs compares with what was read. Behind a gap that lies beyond all that was read is what is held in the end, and
// the application would have read that later.
func (s *heardSide) differs(read []byte) (d difference) {
	n, at, held := int64(len(read)), int64(0), false
	for _, i := range s.items {
		if i.at != at {
			d |= unjoined
		}
		if at = i.end(); i.gap != 0 {
			if i.at < n {
				d |= gapped
			}
			held = held || at > n
			continue
		}
		for k, b := range i.bytes {
			switch pos := i.at + int64(k); {
			case pos < n && read[pos] != b:
				d |= wrongBytes
			case pos >= n && !held:
				d |= invented
			}
		}
	}
	if at < n {
		d |= missing
	}
	return d
}

// heardFlow is what the driver said of a flow; sides are those of the peer and of the kernel.
type heardFlow struct {
	sides  [2]heardSide
	reason flowscope.EndReason
	ended  bool // by a packet, before Finish
}

// tell plays what was captured to a driver.
func (c *talk) tell(t *testing.T) (flows []*heardFlow) {
	t.Helper()
	d := testkit.NewDriver(t, nil, flowscope.Config{MaxFlows: 64, Overlap: flowscope.OverlapLinux, MaxAnomalies: 1000})
	byID := map[flowscope.FlowID]*heardFlow{}
	hear := func(events []testkit.Event, last bool) {
		for i := range events {
			ev := &events[i]
			if ev.Flow == 0 {
				continue
			}
			f := byID[ev.Flow]
			if f == nil {
				f = &heardFlow{}
				f.sides[0].closed, f.sides[1].closed = -1, -1
				byID[ev.Flow] = f
				flows = append(flows, f)
			}
			from, _ := ev.Key.Ends(ev.Orientation)
			s := &f.sides[0]
			if from.Addr() == kernelAddr[c.family()] {
				s = &f.sides[1]
			}
			switch ev.Kind {
			case flowscope.EventData:
				s.items = append(s.items, heardItem{at: ev.Offset, bytes: slices.Clone(ev.Bytes)})
			case flowscope.EventGap:
				s.items = append(s.items, heardItem{at: ev.Offset, gap: ev.Len})
			case flowscope.EventSideClosed:
				s.closed, s.reason = ev.Offset, ev.Reason
			case flowscope.EventEnded:
				f.reason, f.ended = ev.Reason, !last
			}
		}
	}
	for _, v := range c.captured {
		hear(d.Track(v), false)
	}
	hear(d.Finish(), true)
	return flows
}

// judgement is what was found out about a plan.
type judgement struct {
	talk         *talk
	diffs        difference
	kernel, ours string // what they say
	opened       bool
}

// judge plays a plan to the kernel and to a driver, and compares.
func (k *kernel) judge(t *testing.T, p *plan) (j judgement) {
	t.Helper()
	c, err := k.play(p)
	flows := c.tell(t)
	j.talk = c
	j.kernel = fmt.Sprintf("%q %s", c.read, c.end)
	if len(flows) == 0 {
		t.Fatalf("no flow of %d packets: %s", len(c.captured), strings.Join(c.script, " "))
	}
	f := flows[0]
	j.diffs = f.sides[0].differs(c.read) | f.sides[1].differs(c.written)<<kernelShift
	end := "open"
	switch s := &f.sides[0]; {
	case s.closed >= 0 && s.reason == 0:
		end = "eof"
	case f.reason == flowscope.EndRST:
		end = "reset"
	}
	if err == nil {
		j.opened = true
		if end != c.end || end == "eof" && f.sides[0].closed != int64(len(c.read)) {
			j.diffs |= otherEnd
		}
		if c.end == "eof" && !c.dead && f.reason == flowscope.EndRST {
			j.diffs |= otherEnd // the other direction could go on
		}
	}
	if len(flows) > 1 && !c.dead && err == nil {
		for _, other := range flows[1:] {
			if len(other.sides[0].items)+len(other.sides[1].items) > 0 || f.reason != flowscope.EndRST {
				j.diffs |= split
			}
		}
	}
	j.ours = fmt.Sprintf("%q %s", f.sides[0].String(), end)
	if j.diffs>>kernelShift != 0 {
		j.kernel += fmt.Sprintf(", said %q", c.written)
		j.ours += fmt.Sprintf(", heard %q", f.sides[1].String())
	}
	if len(flows) > 1 {
		j.ours += fmt.Sprintf(" (%d flows)", len(flows))
	}
	return j
}

// rule is the reason why the differences of a small plan are allowed, or "".
func (j *judgement) rule() string {
	steps := slices.Concat(j.talk.plan.early, j.talk.plan.steps)
	for i := range allowed {
		r := &allowed[i]
		needed := func(s step) bool { return slices.Contains(r.need, s.kind) }
		if j.diffs&^r.diffs != 0 || r.when != nil && !r.when(j.talk) || !slices.ContainsFunc(steps, needed) {
			continue
		}
		if r.kinds == nil || !slices.ContainsFunc(steps, func(s step) bool { return !needed(s) && !slices.Contains(r.kinds, s.kind) }) {
			return r.why
		}
	}
	return ""
}

// smaller leaves out of a plan all that is not needed for a disagreement of that kind: about bytes, or about the end
// alone. The honest exchanges after the steps stay: without them nothing contradicts a lie.
func (k *kernel) smaller(t *testing.T, p *plan, d difference) *plan {
	t.Helper()
	if d&^otherEnd != 0 {
		d &^= otherEnd
	}
	for again := true; again; {
		again = false
		try := func(change func(*plan)) bool {
			q := *p
			q.early, q.steps = slices.Clone(p.early), slices.Clone(p.steps)
			if change(&q); q.String() == p.String() || k.judge(t, &q).diffs&d == 0 {
				return false
			}
			p, again = &q, true
			return true
		}
		for i := 0; i < len(p.steps); {
			if !try(func(q *plan) { q.steps = slices.Delete(q.steps, i, i+1) }) {
				i++
			}
		}
		for i := 0; i < len(p.early); {
			if !try(func(q *plan) { q.early = slices.Delete(q.early, i, i+1) }) {
				i++
			}
		}
		for i, s := range p.steps {
			if strings.Contains(s.kind, "blind") && s.n > 1 {
				try(func(q *plan) { q.steps[i].n-- })
			}
		}
		for _, change := range []func(*plan){
			func(q *plan) { q.later = false }, func(q *plan) { q.before = 0 }, func(q *plan) { q.before = 1 },
			func(q *plan) { q.client = false }, func(q *plan) { q.v6 = false },
			func(q *plan) { q.options = 0 }, func(q *plan) { q.options = min(q.options, optionsSACK) },
			func(q *plan) { q.wrap = false }, func(q *plan) { q.limited = false }, func(q *plan) { q.lazy = false },
		} {
			if p.before == 0 {
				before := *p
				if change(&before); before.before == 1 {
					continue // that is no less
				}
			}
			try(change)
		}
	}
	return p
}

// randomTime is how long sequences are played, and the seed of the first.
//
//	FLOWSCOPE_KERNEL=10m                           ten minutes
//	FLOWSCOPE_KERNEL_SEED=123                      only the sequence of this seed
//	FLOWSCOPE_KERNEL=1m FLOWSCOPE_KERNEL_SEED=123  a minute from there on
func randomTime(t *testing.T) (d time.Duration, seed uint64) {
	t.Helper()
	d = time.Duration(sized(2, 12, 60)) * time.Second
	seed = 1 // every change is judged by the same sequences
	var err error
	if text := os.Getenv("FLOWSCOPE_KERNEL_SEED"); text != "" {
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("FLOWSCOPE_KERNEL_SEED: %v", err)
		}
		d = 0
	}
	if text := os.Getenv("FLOWSCOPE_KERNEL"); text != "" {
		if d, err = time.ParseDuration(text); err != nil {
			t.Fatalf("FLOWSCOPE_KERNEL: %v", err)
		}
		if seed == 1 {
			seed = uint64(time.Now().UnixNano()) % 1e12 // and a longer run looks for new ones
		}
	}
	return d, seed
}

// lastSeed ends a run that begins with the first: rare combinations beyond it are for longer runs.
const lastSeed = 30000

// findings are what came out of many plans.
type findings struct {
	played, opened int
	unsure         int            // disagreements that did not come again: this machine was too slow for the kernel's timers
	rules          map[string]int // disagreements that are allowed, by reason
	classes        map[string]*class
}

// class is a kind of disagreement: small plans with steps of the same kinds and the same differences.
type class struct {
	times int
	first string
}

// add plays a plan. What is allowed is left out, and the rest played again, so that it hides nothing.
func (f *findings) add(t *testing.T, k *kernel, p *plan, seed uint64) {
	t.Helper()
	j := k.judge(t, p)
	f.played++
	if j.opened {
		f.opened++
	}
	for j.diffs != 0 {
		small := k.judge(t, k.smaller(t, p, j.diffs))
		if small.diffs == 0 || k.judge(t, p).diffs == 0 {
			f.unsure++
			return
		}
		why := small.rule()
		if why == "" {
			f.addClass(&small, seed)
			return
		}
		f.rules[why]++
		if p = p.without(small.talk.plan); p == nil {
			return
		}
		j = k.judge(t, p)
	}
}

// without is a plan without the first step of a small plan that was made of it; nil if that has none.
func (p *plan) without(small *plan) *plan {
	q := *p
	if len(small.steps) > 0 {
		i := slices.Index(p.steps, small.steps[0])
		q.steps = slices.Delete(slices.Clone(p.steps), i, i+1)
		return &q
	}
	if len(small.early) > 0 {
		i := slices.Index(p.early, small.early[0])
		q.early = slices.Delete(slices.Clone(p.early), i, i+1)
		return &q
	}
	return nil
}

func (f *findings) addClass(j *judgement, seed uint64) {
	p, kinds := j.talk.plan, []string{}
	for _, s := range slices.Concat(p.early, p.steps) {
		kinds = append(kinds, s.kind)
	}
	slices.Sort(kinds)
	name := fmt.Sprintf("%s: %s", strings.Join(slices.Compact(kinds), " + "), j.diffs)
	c := f.classes[name]
	if c == nil {
		c = &class{first: fmt.Sprintf("seed %d: %s\n%v\n%s\nLinux %s\nours  %s",
			seed, j.diffs, p, strings.Join(j.talk.script, " "), j.kernel, j.ours)}
		f.classes[name] = c
	}
	c.times++
}

// A16. Random sequences of segments, right ones and wrong ones: what the driver delivers, gaps and ends is what the
// application of a Linux receiver reads, and what becomes of its connection. A disagreement is made smaller, and shown
// as a plan and as the script of what was captured, in the notation of testkit.Play.
func TestA16RandomSequencesAreThoseOfTheKernel(t *testing.T) {
	k := newKernel(t)
	limit, seed := randomTime(t)
	t.Logf("the first seed is %d", seed)
	f := &findings{rules: map[string]int{}, classes: map[string]*class{}}
	for began := time.Now(); ; seed++ {
		f.add(t, k, newPlan(seed), seed)
		if time.Since(began) >= limit || len(f.classes) >= 100 || seed == lastSeed {
			break
		}
	}
	t.Logf("%d sequences, %d of them opened a connection, %d disagreements did not come again", f.played, f.opened, f.unsure)
	for why, n := range f.rules {
		t.Logf("%d differ as allowed: %s", n, why)
	}
	for _, c := range slices.SortedFunc(maps.Values(f.classes), func(a, b *class) int { return b.times - a.times }) {
		t.Errorf("%d of this kind, the first is %s", c.times, c.first)
	}
	if f.opened < f.played*3/4 || f.unsure > 2+f.played/100 {
		t.Errorf("%d of %d opened, %d did not come again: the test itself does not work well here", f.opened, f.played, f.unsure)
	}
}
