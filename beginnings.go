package flowscope

// beginnings says which factories have to be asked about a stream, by its first two bytes. Those that say
// No to these alone say No to all that begins with them (see ParserFactory), so they are asked once.
//
// Two bytes fall into a row, and are learned when they come there a second time in succession: streams
// that begin with random bytes cost a look at the row.
type beginnings struct {
	rows   [256]beginning
	hints  []portHint
	hashes uint64  // of the ports of hints, so that few other ports are looked up
	shown  [2]byte // to the factories, to learn what they say
}

type beginning struct {
	wanted uint64 // factories, by bit; valid if learned
	bytes  uint16
	state  beginningState
}

type beginningState uint8

const (
	beginningUnseen beginningState = iota
	beginningSeen
	beginningLearned
)

// portHint is a port at which a factory has to be asked, whatever the first bytes are.
type portHint struct {
	port    uint16
	factory uint8
}

// addHints notes the ports at which the answer of a factory may be another one.
func (t *beginnings) addHints(number int, ports []uint16) {
	for _, port := range ports {
		t.hints = append(t.hints, portHint{port, uint8(number)})
		t.hashes |= 1 << (port & 63)
	}
}

// hinted is the set of factories that look at these ports.
func (t *beginnings) hinted(ports [2]uint16) (set uint64) {
	if (t.hashes>>(ports[0]&63)|t.hashes>>(ports[1]&63))&1 == 0 {
		return 0 // as nearly always
	}
	for _, h := range t.hints {
		if h.port == ports[0] || h.port == ports[1] {
			set |= 1 << h.factory
		}
	}
	return set
}

// wantedBy is the set of factories that have to be asked about a stream that begins with b, whatever its ports are.
func (ps *parsers) wantedBy(b []byte) uint64 {
	if len(b) < 2 {
		return ps.streams
	}
	first := uint16(b[0])<<8 | uint16(b[1])
	row := &ps.beginnings.rows[b[0]^b[1]<<3^b[1]>>5]
	if row.bytes == first && row.state == beginningLearned {
		return row.wanted
	}
	return ps.firstSeen(row, first)
}

// firstSeen is wantedBy for bytes that are not learned yet.
func (ps *parsers) firstSeen(row *beginning, first uint16) uint64 {
	if row.bytes != first || row.state == beginningUnseen {
		*row = beginning{bytes: first, state: beginningSeen}
		return ps.streams
	}
	ps.learn(row)
	return row.wanted
}

// learn asks the factories about the two bytes of a row.
func (ps *parsers) learn(row *beginning) {
	shown := ps.beginnings.shown[:]
	shown[0], shown[1] = byte(row.bytes>>8), byte(row.bytes)
	set := ps.streams
	for i := range ps.factories {
		if f := &ps.factories[i]; f.stream != nil && f.saysPorts && !mayBegin(f, shown) {
			set &^= 1 << i
		}
	}
	row.wanted, row.state = set, beginningLearned
}

// mayBegin reports whether a stream of a factory's protocol may begin with b, on a side and at a place
// of any kind.
func mayBegin(f ParserFactory, b []byte) bool {
	p := Probe{L4: L4TCP, First: b}
	for n := range 4 {
		p.Side, p.Handover = FlowSide(n&1), n > 1
		if f.Probe(p) != VerdictNo {
			return true
		}
	}
	return false
}
