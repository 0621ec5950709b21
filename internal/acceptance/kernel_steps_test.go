//go:build linux

package acceptance

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// plan is a conversation to be played: settings, and steps between honest exchanges. The same plan makes the same
// capture each time.
type plan struct {
	client  bool // the kernel sends the SYN
	v6      bool
	options int
	wrap    bool   // the numbers of the peer wrap early
	limited bool   // see limitChallenges
	lazy    bool   // the application reads late
	before  int    // honest exchanges before the steps
	early   []step // while the connection opens
	steps   []step
	later   bool // and again 35 s of packet time later
}

// The options of the SYNs.
const (
	optionsNone = iota
	optionsSACK // and window scale
	optionsStamps
)

func (p *plan) String() string {
	role := map[bool]string{false: "the kernel is the server", true: "the kernel is the client"}[p.client]
	words := []string{role, map[bool]string{false: "IPv4", true: "IPv6"}[p.v6]}
	words = append(words, [...]string{"no options", "SACK and scale", "SACK, scale, timestamps"}[p.options])
	for _, w := range []struct {
		name string
		on   bool
	}{
		{"numbers wrap", p.wrap}, {"challenges limited", p.limited}, {"the application reads late", p.lazy},
		{fmt.Sprintf("%d exchanges before", p.before), p.before > 0}, {"again after 35 s", p.later},
	} {
		if w.on {
			words = append(words, w.name)
		}
	}
	text := strings.Join(words, ", ") + ":"
	for _, s := range p.early {
		text += " (opening) " + s.String()
	}
	for _, s := range p.steps {
		text += " " + s.String()
	}
	return text
}

// distance is a number of bytes, or of windows of the kernel and bytes.
type distance struct{ windows, bytes int64 }

func (d distance) String() string {
	switch {
	case d.windows == 0:
		return fmt.Sprint(d.bytes)
	case d.bytes == 0:
		return fmt.Sprintf("%dw", d.windows)
	}
	return fmt.Sprintf("%dw%+d", d.windows, d.bytes)
}

// step is something that the attacker does, or an end out of the usual order. Positions are relative to where the kernel
// stands, so that leaving one step out leaves the others what they are.
type step struct {
	kind    string
	at, ack distance
	n       int
}

func (s step) String() string {
	var args []string
	if s.at != (distance{}) {
		args = append(args, s.at.String())
	}
	if s.ack != (distance{}) {
		args = append(args, "ack "+s.ack.String())
	}
	if s.n != 0 {
		args = append(args, fmt.Sprint("n ", s.n))
	}
	return s.kind + "(" + strings.Join(args, ", ") + ")"
}

// far is what a distance is now, in the direction to the kernel or, forged in its name, to the peer.
func (c *talk) far(d distance) int64 { return d.windows*c.window + d.bytes }

const peerWindow = 65535

func peerFar(d distance) int64 { return d.windows*peerWindow + d.bytes }

const (
	optionMD5 = 19
	optionAO  = 29
)

// data is a segment with payload that is right but for what the caller changes.
func (c *talk) data(pos int64, payload []byte) segment {
	return segment{flags: ack | psh, pos: pos, ack: c.acked, payload: payload}
}

func capitals(pos int64, n int) []byte { return bytes.ToUpper(letters(0, pos, n)) }

func (c *talk) control(flags uint8, pos int64) segment {
	return segment{flags: flags, pos: pos, ack: c.acked}
}

// kindOfStep is how a step is done, and made at random.
type kindOfStep struct {
	weight int
	// peaceful kinds are those of plain data: half of all steps are.
	peaceful bool
	make     func(r *rand.Rand) step
	do       func(c *talk, s step)
}

func one[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func upTo(r *rand.Rand, n int) distance { return distance{bytes: int64(1 + r.IntN(n))} }

// outside is a distance at an edge of what a receiver accepts: its window, twice that for who takes some slack, a window
// that is not scaled, and a quarter and the half of all numbers.
func outside(r *rand.Rand) distance {
	return one(r, distance{1, 0}, distance{1, 1}, distance{2, 0}, distance{2, 1}, distance{0, 131070}, distance{0, 131071},
		distance{0, 1 << 20}, distance{0, 1<<30 - 200}, distance{0, 1<<30 + 1}, distance{0, 1<<31 - 200}, distance{0, 1<<31 - 1})
}

// withFlags sends payload in order with the flags of the step.
func (c *talk) withFlags(s step) {
	g := c.data(c.expected(), []byte("XYZ"))
	g.flags = uint8(s.n)
	c.put(g)
}

// kindNames are the names of the kinds, those of plain data first. Their order is fixed: it is part of what a seed says.
var kinds, kindNames = allKinds()

func allKinds() (map[string]*kindOfStep, [2][]string) {
	all := map[string]*kindOfStep{
		// Data of the peer.
		"in order": {34, true, func(r *rand.Rand) step { return step{n: 1 + r.IntN(6)} }, func(c *talk, s step) {
			pos := c.expected()
			c.put(c.data(pos, letters(0, pos, s.n)))
		}},
		"early": {22, true, func(r *rand.Rand) step { return step{at: upTo(r, 6), n: 1 + r.IntN(6)} },
			func(c *talk, s step) {
				pos := c.expected() + c.far(s.at)
				c.put(c.data(pos, letters(0, pos, s.n)))
			}},
		"again": {14, true, func(r *rand.Rand) step { return step{at: upTo(r, 8), n: 1 + r.IntN(6)} },
			func(c *talk, s step) {
				pos := c.expected() - c.far(s.at)
				c.put(c.data(pos, capitals(pos, min(s.n, int(s.at.bytes)))))
			}},
		"straddle": {9, true, func(r *rand.Rand) step { return step{at: upTo(r, 4), n: 1 + r.IntN(5)} },
			func(c *talk, s step) {
				next := c.expected()
				pos := next - c.far(s.at)
				c.put(c.data(pos, append(capitals(pos, int(s.at.bytes)), letters(0, next, s.n)...)))
			}},
		"keep-alive": {9, true, func(r *rand.Rand) step { return step{n: r.IntN(3) / 2} }, func(c *talk, s step) {
			c.put(c.data(c.expected()-1, []byte("Z")[:s.n]))
		}},
		"below the first": {5, true, func(r *rand.Rand) step { return step{at: upTo(r, 4), n: 1 + r.IntN(5)} },
			func(c *talk, s step) {
				pos := -c.far(s.at)
				c.put(c.data(pos, capitals(pos, s.n)))
			}},
		"urgent": {4, true, func(r *rand.Rand) step { return step{at: distance{bytes: int64(r.IntN(9))}, n: 1 + r.IntN(5)} },
			func(c *talk, s step) {
				pos := c.expected()
				g := c.data(pos, letters(0, pos, s.n))
				g.flags, g.urgent = g.flags|urg, uint16(s.at.bytes)
				c.put(g)
			}},
		"ACK": {3, true, func(r *rand.Rand) step { return step{at: distance{bytes: int64(r.IntN(10) - 3)}} },
			func(c *talk, s step) {
				c.put(c.control(ack, c.expected()+c.far(s.at)))
			}},
		"the kernel says": {6, true, func(r *rand.Rand) step { return step{n: (1 + r.IntN(9)) * one(r, 1, -1)} },
			func(c *talk, s step) {
				if c.open && c.sock >= 0 {
					c.say(max(s.n, -s.n), s.n > 0)
				}
			}},
		"the application reads": {2, true, func(*rand.Rand) step { return step{} }, func(c *talk, _ step) {
			lazy := c.paused
			c.paused = false
			c.attend()
			c.paused = lazy
		}},

		// Data outside.
		"beyond": {6, false, func(r *rand.Rand) step {
			return step{at: one(r, outside(r), distance{bytes: 1000}, distance{bytes: 30000}), n: one(r, 1, 5, 100)}
		}, func(c *talk, s step) { c.put(c.data(c.expected()+c.far(s.at), bytes.Repeat([]byte("X"), s.n))) }},
		"below": {2, false, func(r *rand.Rand) step {
			return step{at: one(r, outside(r), distance{bytes: 1}, distance{bytes: 100}), n: 3}
		},
			func(c *talk, s step) { c.put(c.data(c.expected()-c.far(s.at), bytes.Repeat([]byte("X"), s.n))) }},

		// FIN.
		"FIN": {5, false, func(r *rand.Rand) step { return step{at: one(r, distance{}, upTo(r, 6))} },
			func(c *talk, s step) { c.put(c.control(fin|ack, c.expected()+c.far(s.at))) }},
		"late FIN": {2, false, func(r *rand.Rand) step { return step{at: upTo(r, 4)} },
			func(c *talk, s step) { c.put(c.control(fin|ack, c.expected()-c.far(s.at))) }},
		"far FIN": {3, false, func(r *rand.Rand) step { return step{at: outside(r)} },
			func(c *talk, s step) { c.put(c.control(fin|ack, c.expected()+c.far(s.at))) }},
		"FIN with lying ACK": {2, false, func(r *rand.Rand) step { return step{ack: distance{bytes: one[int64](r, 1, 1000, 77777)}} },
			func(c *talk, s step) {
				g := c.control(fin|ack, c.expected())
				g.ack = c.sent + c.far(s.ack)
				c.put(g)
			}},
		"FIN with data": {3, false, func(r *rand.Rand) step { return step{at: distance{bytes: int64(r.IntN(4))}, n: 1 + r.IntN(5)} },
			func(c *talk, s step) {
				pos := c.expected() + c.far(s.at)
				g := c.data(pos, letters(0, pos, s.n))
				g.flags |= fin
				c.put(g)
			}},

		// RST.
		"RST": {6, false, func(r *rand.Rand) step {
			return step{at: distance{bytes: one[int64](r, 0, 1, 2, 5, 1000, 30000)}}
		}, func(c *talk, s step) { c.put(c.control(rst, c.expected()+c.far(s.at))) }},
		"far RST": {3, false, func(r *rand.Rand) step { return step{at: outside(r)} },
			func(c *talk, s step) { c.put(c.control(rst, c.expected()+c.far(s.at))) }},
		"old RST": {2, false, func(r *rand.Rand) step { return step{at: upTo(r, 4)} },
			func(c *talk, s step) { c.put(c.control(rst, c.expected()-c.far(s.at))) }},
		"RST+ACK": {2, false, func(r *rand.Rand) step { return step{at: distance{bytes: one[int64](r, 1, 3, 1000)}} },
			func(c *talk, s step) { c.put(c.control(rst|ack, c.expected()+c.far(s.at))) }},
		"RST with data": {1, false, func(r *rand.Rand) step { return step{at: distance{bytes: int64(r.IntN(2))}} },
			func(c *talk, s step) {
				g := c.control(rst, c.expected()+c.far(s.at))
				g.payload = []byte("XYZ")
				c.put(g)
			}},

		// SYN.
		"SYN again": {2, false, func(r *rand.Rand) step { return step{n: one(r, 0, 0, 3)} }, func(c *talk, s step) {
			c.put(segment{flags: syn, pos: -1, payload: []byte("XYZ")[:s.n]})
		}},
		"SYN in the window": {3, false, func(r *rand.Rand) step {
			return step{at: distance{bytes: one[int64](r, 0, 1, 1000)}, n: one(r, 0, 0, 3)}
		}, func(c *talk, s step) {
			c.put(segment{flags: syn, pos: c.expected() + c.far(s.at), payload: []byte("XYZ")[:s.n]})
		}},
		"far SYN": {3, false, func(r *rand.Rand) step {
			return step{at: one(r, outside(r), distance{bytes: -100}, distance{bytes: 1e9}), n: one(r, 0, 0, 3)}
		}, func(c *talk, s step) {
			c.put(segment{flags: syn, pos: c.expected() + c.far(s.at), payload: []byte("XYZ")[:s.n]})
		}},
		"SYN+ACK": {3, false, func(r *rand.Rand) step {
			return step{at: distance{bytes: one[int64](r, 0, 500, 1e9)}, ack: distance{bytes: one[int64](r, 0, 1, 77777)}}
		}, func(c *talk, s step) { c.put(segment{flags: syn | ack, pos: -1 + c.far(s.at), ack: c.far(s.ack)}) }},

		// ACK numbers, and none.
		"ACK ahead": {6, false, func(r *rand.Rand) step {
			return step{ack: distance{bytes: one[int64](r, 1, 1000, 50000, 1<<30, 1<<31-1)}, n: one(r, 3, 3, 0)}
		}, func(c *talk, s step) {
			g := c.data(c.expected(), []byte("XYZ")[:s.n])
			g.ack = c.sent + c.far(s.ack)
			c.put(g)
		}},
		"ACK behind": {4, false, func(r *rand.Rand) step {
			return step{ack: distance{bytes: one[int64](r, 1, 1000, 70000, 200000, 1<<30)}, n: one(r, 3, 3, 0)}
		}, func(c *talk, s step) {
			g := c.data(c.expected(), []byte("XYZ")[:s.n])
			g.ack = c.acked - c.far(s.ack)
			c.put(g)
		}},
		"no ACK": {4, false, func(r *rand.Rand) step {
			return step{n: one(r, 0, psh, urg, fin, fin|psh|urg)}
		}, (*talk).withFlags},
		"odd flags": {3, false, func(r *rand.Rand) step {
			return step{n: one(r, syn|ack, syn|psh|ack, syn|fin|psh|ack, syn, syn|fin, 63)}
		}, (*talk).withFlags},
		"window closed": {2, false, func(*rand.Rand) step { return step{} }, func(c *talk, _ step) {
			g := c.control(ack, c.expected())
			g.shut = true
			c.put(g)
		}},

		// Options and lengths.
		"option": {2, false, func(r *rand.Rand) step { return step{n: one(r, optionMD5, optionAO)} },
			func(c *talk, s step) {
				g := c.data(c.expected(), []byte("XYZ"))
				g.options = append([]byte{byte(s.n), 18}, "qqqqqqqqqqqqqqqq\x01\x01"...)
				c.put(g)
			}},
		"old timestamp": {4, false, func(r *rand.Rand) step { return step{at: distance{bytes: one[int64](r, 2, 1000, 1<<30)}} },
			func(c *talk, s step) {
				g := c.data(c.expected(), []byte("XYZ"))
				if c.plan.options == optionsStamps {
					g.stamped = c.far(s.at)
					c.put(g)
				}
			}},
		"IP length beyond": {2, false, func(r *rand.Rand) step { return step{n: one(r, 1, 100)} },
			func(c *talk, s step) {
				g := c.data(c.expected(), []byte("XYZ"))
				g.beyond = s.n
				c.put(g)
			}},

		// Bursts of somebody who knows nothing but the ends.
		"blind": {2, false, func(r *rand.Rand) step {
			return step{at: distance{bytes: one[int64](r, 2e9, 9e8, 1<<30)}, ack: distance{bytes: one[int64](r, 0, 2e9)}, n: one(r, 1, 8, 9)}
		}, func(c *talk, s step) {
			for i := range s.n {
				g := c.data(c.expected()+c.far(s.at)+int64(i), []byte("X"))
				g.ack = c.sent + c.far(s.ack)
				c.put(g)
			}
		}},
		"blind, both names": {1, false, func(r *rand.Rand) step {
			return step{at: distance{bytes: one[int64](r, 9e8, 2e9)}, n: one(r, 1, 8, 9)}
		}, func(c *talk, s step) {
			for range s.n {
				g := c.control(ack, c.expected()+c.far(s.at))
				g.ack = c.sent + c.far(s.at) + 7
				c.put(g)
				c.forge(segment{flags: ack, pos: int64(len(c.written)) + c.far(s.at) + 7, ack: c.expected() + c.far(s.at)}, true)
			}
		}},
		"SYN and SYN+ACK, both names": {2, false, func(r *rand.Rand) step {
			return step{at: distance{bytes: one[int64](r, 1e9, 5000, 2e9)}, n: r.IntN(2)}
		}, func(c *talk, s step) {
			x, y := c.far(s.at), int64(0x12345678)
			opener := func(g segment) {
				if c.plan.client {
					c.forge(g, true)
				} else {
					c.put(g)
				}
			}
			opener(segment{flags: syn, pos: x - 1})
			if answer := (segment{flags: syn | ack, pos: y - 1, ack: x}); c.plan.client {
				c.put(answer)
			} else {
				c.forge(answer, true)
			}
			if s.n == 1 {
				opener(segment{flags: ack, pos: x, ack: y})
			}
		}},

		// Forged in the kernel's own name: only the library sees these.
		"own data": {2, false, func(r *rand.Rand) step { return step{at: outside(r), n: 1} }, func(c *talk, s step) {
			pos := int64(len(c.written)) + peerFar(s.at) + 1
			c.forge(segment{flags: ack | psh, pos: pos, ack: c.expected(), payload: bytes.Repeat([]byte("X"), s.n)}, true)
		}},
		"own ACK ahead": {2, false, func(r *rand.Rand) step { return step{ack: distance{bytes: one[int64](r, 1, 1000, 50000, 1<<30)}} },
			func(c *talk, s step) {
				c.forge(segment{flags: ack, pos: int64(len(c.written)), ack: c.expected() + c.far(s.ack)}, true)
			}},
		"own RST": {2, false, func(r *rand.Rand) step {
			return step{at: one(r, outside(r), distance{bytes: 1}, distance{bytes: 1000})}
		}, func(c *talk, s step) {
			pos := int64(len(c.written)) + peerFar(s.at)
			c.forge(segment{flags: rst, pos: pos}, pos-c.acked < peerWindow) // outside the window it is dropped in silence
		}},
		"own FIN": {2, false, func(r *rand.Rand) step { return step{at: outside(r)} }, func(c *talk, s step) {
			c.forge(segment{flags: fin | ack, pos: int64(len(c.written)) + peerFar(s.at) + 1, ack: c.expected()}, true)
		}},
		"own SYN": {1, false, func(r *rand.Rand) step { return step{at: distance{bytes: one[int64](r, 500, 1e9)}} },
			func(c *talk, s step) {
				c.forge(segment{flags: syn, pos: -1 + c.far(s.at)}, true)
			}},
		"own SYN+ACK": {2, false, func(r *rand.Rand) step {
			return step{at: distance{bytes: one[int64](r, 500, 1e9)}, ack: distance{bytes: one[int64](r, 0, 1000, 1e9)}}
		}, func(c *talk, s step) {
			c.forge(segment{flags: syn | ack, pos: -1 + c.far(s.at), ack: c.far(s.ack)}, true)
		}},
		"own blind": {1, false, func(r *rand.Rand) step {
			return step{at: distance{bytes: one[int64](r, 2e9, 9e8)}, n: one(r, 1, 8, 9)}
		}, func(c *talk, s step) {
			for i := range s.n {
				pos := int64(len(c.written)) + c.far(s.at) + int64(i)
				c.forge(segment{flags: ack, pos: pos, ack: c.expected() + 2e9, payload: []byte("X")}, true)
			}
		}},

		"time": {1, false, func(r *rand.Rand) step { return step{n: one(r, 1, 35)} },
			func(c *talk, s step) { c.wait(time.Duration(s.n) * time.Second) }},
	}
	var names [2][]string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		i := 1
		if all[name].peaceful {
			i = 0
		}
		names[i] = append(names[i], name)
	}
	return all, names
}

// whileOpening are the kinds for the time before the connection is open: those that do not end it in the kernel.
var whileOpening = [2][]string{
	{"ACK ahead", "early", "in order", "no ACK", "FIN with lying ACK", "own RST", "own SYN+ACK", "SYN+ACK", "beyond",
		"own ACK ahead", "SYN again", "ACK behind"},
	{"in order", "early", "ACK ahead", "no ACK", "far RST", "own ACK ahead", "own RST", "FIN with lying ACK"}, // of the client
}

// newStep makes a step of one of the kinds.
func newStep(r *rand.Rand, names []string) step {
	sum := 0
	for _, name := range names {
		sum += kinds[name].weight
	}
	at := r.IntN(sum)
	for _, name := range names {
		if at -= kinds[name].weight; at < 0 {
			s := kinds[name].make(r)
			s.kind = name
			return s
		}
	}
	panic("weights")
}

// newPlan makes the plan of a seed.
func newPlan(seed uint64) *plan {
	r := rand.New(rand.NewPCG(seed, 16))
	p := &plan{
		client: r.IntN(3) == 0, v6: r.IntN(3) == 0, options: one(r, 0, 0, 1, 1, 2), wrap: r.IntN(7) == 0,
		limited: r.IntN(2) == 0, lazy: r.IntN(4) == 0, before: r.IntN(3), later: true,
	}
	role := 0
	if p.client {
		role = 1
	}
	if r.IntN(8) == 0 {
		for range 1 + r.IntN(2) {
			p.early = append(p.early, newStep(r, whileOpening[role]))
		}
	}
	for range 2 + r.IntN(8) {
		p.steps = append(p.steps, newStep(r, kindNames[r.IntN(2)]))
	}
	return p
}
