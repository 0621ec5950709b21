package traffic

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// TCP flags.
const (
	fin = 1 << iota
	syn
	rst
	psh
	ack
)

const (
	client = iota
	server
)

// step is one packet of a conversation. Positions count from the sender's SYN, which is at 0.
type step struct {
	at, acked uint32 // of its first byte; of the other side's next byte
	size      uint16 // of payload
	side      uint8  // who sends it
	flags     uint8
}

// kind is what the conversations of a mix have in common.
type kind struct {
	udp  bool
	gap  time.Duration
	warm int // passes until the mix is in its stride
	// scripts makes the variants, with at most size bytes of payload in a packet.
	scripts func(size int, rng *rand.Rand) [][]step
}

func (k *kind) headers() int {
	if k.udp {
		return headersUDP
	}
	return headersTCP
}

func kindOf(m Mix) *kind {
	const often = 10 * time.Millisecond
	switch m {
	case Web:
		return &kind{gap: often, warm: 7, scripts: web}
	case Bulk:
		return &kind{gap: often, warm: 7, scripts: bulk}
	case DNS:
		return &kind{udp: true, gap: 50 * time.Second, warm: 3, scripts: dns}
	case Scan:
		return &kind{gap: often, warm: 3, scripts: scan}
	case Flood:
		return &kind{gap: 100 * time.Second, warm: 1, scripts: flood}
	case Rough:
		return &kind{gap: often, warm: 7, scripts: rough}
	}
	return nil
}

// writer writes a script: what each side has sent so far, and what it confirms.
type writer struct {
	steps       []step
	sent, acked [2]uint32
}

// say sends the next size bytes of a side, and confirms all of the other's.
func (w *writer) say(side, flags uint8, size int) {
	w.acked[side] = w.sent[side^1]
	w.put(side, flags, w.sent[side], size)
	w.sent[side] += uint32(size)
	if flags&(syn|fin) != 0 {
		w.sent[side]++
	}
}

// put sends any bytes of a side.
func (w *writer) put(side, flags uint8, at uint32, size int) {
	w.steps = append(w.steps, step{at: at, acked: w.acked[side], size: uint16(size), side: side, flags: flags})
}

func (w *writer) open() {
	w.say(client, syn, 0)
	w.say(server, syn|ack, 0)
	w.say(client, ack, 0)
}

func (w *writer) close() {
	w.say(server, fin|ack, 0)
	w.say(client, fin|ack, 0)
	w.say(server, ack, 0)
}

// download is a connection with one request and a response of n full segments, of which every second is confirmed.
func download(n, size int) []step {
	var w writer
	w.open()
	w.say(client, psh|ack, min(400, size))
	for i := range n {
		w.say(server, ack, size)
		if i%2 == 1 {
			w.say(client, ack, 0)
		}
	}
	w.close()
	return w.steps
}

func web(size int, _ *rand.Rand) (all [][]step) {
	for n := range 24 {
		all = append(all, download(n, size))
	}
	return all
}

// The lengths of a download differ, so that they do not end all at once.
func bulk(size int, _ *rand.Rand) (all [][]step) {
	for i := range 16 {
		all = append(all, download(256+64*i, size))
	}
	return all
}

func dns(size int, _ *rand.Rand) (all [][]step) {
	question := step{side: client, size: uint16(min(40, size))}
	for i := range 8 {
		answer := step{side: server, size: uint16(min(60+50*i, size))}
		switch i {
		case 0:
			all = append(all, []step{question})
		case 1:
			all = append(all, []step{question, question, answer})
		default:
			all = append(all, []step{question, answer})
		}
	}
	return all
}

func scan(int, *rand.Rand) (all [][]step) {
	for i := range 8 {
		var w writer
		w.say(client, syn, 0)
		if i > 0 {
			w.say(server, rst|ack, 0)
		}
		all = append(all, w.steps)
	}
	return all
}

func flood(int, *rand.Rand) [][]step {
	var w writer
	w.say(client, syn, 0)
	return [][]step{w.steps}
}

func rough(size int, rng *rand.Rand) (all [][]step) {
	for i := range 16 {
		all = append(all, impaired(128+32*i, size, rng))
	}
	return all
}

// impaired is a download of n segments as a capture near the receiver shows it. Of 1,000 segments about
//
//	10 are lost before they come here, and come again 12 to 43 packets later
//	30 come 1 to 6 packets late
//	 5 come twice
//	 1 is not captured, though the receiver has it: its confirmation tells of a hole that will not be filled
func impaired(n, size int, rng *rand.Rand) []step {
	type arrival struct {
		when, segment int
		unseen        bool
	}
	var all []arrival
	for i := range n {
		a := arrival{when: 2 * i, segment: i}
		switch luck := rng.IntN(1000); {
		case luck < 10:
			a.when += 2*(12+rng.IntN(32)) + 1
		case luck < 40:
			a.when += 2*(1+rng.IntN(6)) + 1
		case luck < 45:
			all = append(all, arrival{when: 2*(i+20+rng.IntN(20)) + 1, segment: i})
		case luck < 46:
			a.unseen = true
		}
		all = append(all, a)
	}
	slices.SortStableFunc(all, func(a, b arrival) int { return cmp.Compare(a.when, b.when) })

	var w writer
	w.open()
	w.say(client, psh|ack, min(400, size))
	w.acked[server] = w.sent[client]
	first := w.sent[server]
	has, next, quiet := make([]bool, n+1), 0, 0
	for _, a := range all {
		inOrder := a.segment == next
		for has[a.segment] = true; has[next]; {
			next++
		}
		w.acked[client] = first + uint32(next*size)
		if a.unseen {
			continue
		}
		w.put(server, ack, first+uint32(a.segment*size), size)
		if quiet++; quiet == 2 || !inOrder { // as RFC 5681 section 4.2 has it
			w.put(client, ack, w.sent[client], 0)
			quiet = 0
		}
	}
	w.sent[server] = first + uint32(n*size)
	w.close()
	return w.steps
}
