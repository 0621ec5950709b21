// Package traffic makes packets for measuring: conversations of many kinds, any number of them alive at a time,
// with right lengths and checksums. It is not for sending.
//
//	g := traffic.New(traffic.Config{Mix: traffic.Web, Flows: 100_000})
//	r := traffic.NewRing(g, 4096)
//	for {
//		packets := r.Next() // in the memory of the last ones: make them outside of what is timed
//	}
//
// Every conversation follows a script, a list of steps made once for its mix; what is kept of a conversation is its
// number and its place in the script, twelve bytes, so that a million of them fit anywhere. The conversations are
// visited in a fixed order that is random to a cache, each once in a pass, and the timestamps put passes at equal
// distances. A script that ends gives its place to a new conversation with addresses of its own. The same Config
// makes the same packets.
package traffic

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Mix is a kind of traffic.
type Mix uint8

// The mixes. What their conversations do is in script.go.
const (
	Web   Mix = iota + 1 // handshake, request, a response of 0 to 23 segments, FINs
	Bulk                 // a download of hundreds of full segments
	DNS                  // a question and its answer over UDP; some ask twice, some get none
	Scan                 // a SYN to a host, a RST back; some hosts say nothing
	Flood                // a SYN from a random source, never anything more
	Rough                // Bulk as seen behind a path with loss and reordering
)

// Mixes are all of them.
func Mixes() []Mix { return []Mix{Web, Bulk, DNS, Scan, Flood, Rough} }

// String is a short name, such as "web".
func (m Mix) String() string {
	names := [...]string{Web: "web", Bulk: "bulk", DNS: "dns", Scan: "scan", Flood: "flood", Rough: "rough"}
	if int(m) < len(names) && names[m] != "" {
		return names[m]
	}
	return fmt.Sprintf("Mix(%d)", m)
}

// The smallest and the largest Config.Frame.
const (
	MinFrame = 64
	MaxFrame = 64 << 10
)

// Config says what traffic there is.
type Config struct {
	Mix Mix
	// Flows is how many conversations are under way at a time; 0 is 1.
	Flows int
	// Frame is the largest frame in bytes, MinFrame to MaxFrame; 0 is 1,514.
	Frame int
	// Seed decides the order of visits, the variants and the numbers.
	Seed uint64
	// Gap is the packet time between two packets of a conversation, which is that of a pass. 0 is 10 ms, except that
	// DNS takes 50 s and Flood 100 s: flows that nobody ends are then about as many in a table with the default
	// timeouts as there are conversations under way.
	Gap time.Duration
}

// Packet is a frame and its time in nanoseconds since the epoch.
type Packet struct {
	Frame []byte
	Stamp int64
}

// Generator makes the packets of a Config. Make one with New.
type Generator struct {
	cfg     Config
	kind    *kind
	scripts [][]step
	flows   []place
	order   []uint32
	at      int
	next    uint32 // number of the next conversation
	passes  int64
}

// place is how far a conversation has come. Before its first packet it may wait for some passes: step is below 0.
type place struct {
	number uint32
	script uint32
	step   int32
}

// New makes a generator. A Config that makes no sense panics, since only the author of a benchmark can fix it.
func New(cfg Config) *Generator {
	k := kindOf(cfg.Mix)
	if k == nil {
		panic("traffic: no such mix: " + cfg.Mix.String())
	}
	cfg.Flows = max(cfg.Flows, 1)
	if cfg.Frame == 0 {
		cfg.Frame = 1514
	}
	if cfg.Frame < MinFrame || cfg.Frame > MaxFrame {
		panic(fmt.Sprintf("traffic: frames of %d bytes", cfg.Frame))
	}
	if cfg.Gap == 0 {
		cfg.Gap = k.gap
	}
	rng := rand.New(rand.NewPCG(cfg.Seed, 1))
	g := &Generator{cfg: cfg, kind: k, scripts: k.scripts(cfg.Frame-k.headers(), rng), flows: make([]place, cfg.Flows)}
	g.order = make([]uint32, cfg.Flows)
	for i := range g.order {
		j := rng.IntN(i + 1)
		g.order[i], g.order[j] = g.order[j], uint32(i)
	}
	g.begin(rng)
	return g
}

// begin places the first conversations so that, once warm, a slice of a pass shows what whole passes show. If all
// began at once and at the same step, it would show nothing but SYNs, then nothing but SYN+ACKs, and so on.
//
// It draws a step at random from those of all scripts, for a conversation to be at once warm. If it can have come that
// far by then it begins in time for it. Otherwise it follows a shorter script, of which as much will be left; begun in
// one of three passes, since that is the period of a download.
func (g *Generator) begin(rng *rand.Rand) {
	warm := g.kind.warm
	type moment struct{ script, step int }
	var moments []moment
	byLength := map[int]uint32{}
	for i, s := range g.scripts {
		byLength[len(s)] = uint32(i)
		for step := range s {
			moments = append(moments, moment{i, step})
		}
	}
	for i := range g.flows {
		g.flows[i] = g.fresh()
		p := &g.flows[i]
		m := moments[rng.IntN(len(moments))]
		if m.step <= warm {
			p.script, p.step = uint32(m.script), int32(m.step-warm)
			continue
		}
		p.step = -int32(m.step % 3)
		if short, ok := byLength[warm+int(p.step)+len(g.scripts[m.script])-m.step]; ok {
			p.script = short
		}
	}
}

// fresh is the place of a new conversation.
func (g *Generator) fresh() place {
	p := place{number: g.next, script: uint32(mixed(uint64(g.next)^g.cfg.Seed<<32) % uint64(len(g.scripts)))}
	g.next++
	return p
}

// WarmUp is how many packets it takes until every kind of packet comes in its share: conversations have begun, and
// are not all at the same step any more.
func (g *Generator) WarmUp() int { return max(g.kind.warm*g.cfg.Flows, 1<<14) }

// MaxFlows is a limit for a table that has room for the conversations under way and some that are over. Where flows
// linger, it is full all the time.
func (g *Generator) MaxFlows() int { return g.cfg.Flows + g.cfg.Flows/2 + 64 }

// MaxFrame is the largest frame there will be.
func (g *Generator) MaxFrame() int { return g.cfg.Frame }

// put writes the next packet over frame, which must be as long as MaxFrame and hold nothing but filler behind the
// headers of an earlier packet, and returns its length and timestamp.
func (g *Generator) put(frame []byte) (n int, stamp int64) {
	for {
		p := &g.flows[g.order[g.at]]
		stamp = epoch + g.passes*int64(g.cfg.Gap) + int64(float64(g.at)*float64(g.cfg.Gap)/float64(len(g.order)))
		if g.at++; g.at == len(g.order) {
			g.at = 0
			g.passes++
		}
		if p.step < 0 {
			p.step++
			continue
		}
		script := g.scripts[p.script]
		n = g.write(frame, p.number, &script[p.step])
		if p.step++; int(p.step) == len(script) {
			*p = g.fresh()
		}
		return n, stamp
	}
}

// epoch is the first timestamp: 2026-01-01.
const epoch = 1767225600e9

// mixed makes a number that looks random of any other; it is a bijection.
func mixed(x uint64) uint64 {
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	return x ^ x>>32
}
