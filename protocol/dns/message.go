package dns

import (
	"encoding/binary"
	"iter"
)

const headerLen = 12

// Message is one DNS message, as it is on the wire (RFC 1035 section 4.1). It was read through once,
// to find its sections and its damage; records are taken apart when they are asked for. It is a
// value without memory of its own: its bytes are lent as those of the flowscope.Message that it came
// with, unless they are the caller's. The zero Message is none.
type Message struct {
	wire []byte
	layout
}

// layout is the result of reading a message once.
type layout struct {
	starts  [numSections]uint16 // where each section begins
	counts  [numSections]uint16 // its records that can be read
	opt     uint16              // where the OPT record begins; 0 if there is none
	end     uint16              // of what can be read
	missing uint32
	damaged bool
}

type section uint8

const (
	questions section = iota
	answers
	authorities
	additionals

	numSections
)

// ParseMessage reads a message of the caller's, such as one that came by HTTPS (RFC 8484). It
// reports false if there is not even a header. A damaged message is one nevertheless: see Damaged.
func ParseMessage(b []byte) (m Message, ok bool) {
	if len(b) < headerLen {
		return Message{}, false
	}
	m.wire = b[:min(len(b), 1<<16-1)]
	m.read()
	return m, true
}

// read finds the sections. The counts of the header decide nothing but when to stop: what is not
// there is damage, and ends the reading.
func (m *Message) read() {
	at := headerLen
	for s := questions; s < numSections; s++ {
		m.starts[s] = uint16(at)
		for range int(m.declared(s)) {
			next, ok := m.skip(s, at)
			if !ok {
				m.damaged, m.end = true, uint16(at)
				return
			}
			if s == additionals && m.opt == 0 && m.isOPT(at) {
				m.opt = uint16(at)
			}
			m.counts[s]++
			at = next
		}
	}
	m.end = uint16(at)
}

// skip gives the place behind a question or record.
func (m *Message) skip(s section, at int) (next int, ok bool) {
	if next, ok = checkName(m.wire, at); !ok {
		return 0, false
	}
	if s == questions {
		next += 4
	} else if next += 10; next <= len(m.wire) {
		next += int(binary.BigEndian.Uint16(m.wire[next-2:]))
	}
	return next, next <= len(m.wire)
}

// isOPT reports whether the record at a place is EDNS's, whose name is the root (RFC 6891 6.1.2).
func (m *Message) isOPT(at int) bool {
	return m.wire[at] == 0 && Type(binary.BigEndian.Uint16(m.wire[at+1:])) == TypeOPT
}

// declared is the count of a section in the header.
func (m *Message) declared(s section) uint16 { return m.word(4 + 2*int(s)) }

// word is two bytes of the header; 0 of the zero Message.
func (m *Message) word(at int) uint16 {
	if len(m.wire) < headerLen {
		return 0
	}
	return binary.BigEndian.Uint16(m.wire[at:])
}

// IsZero reports whether there is no message.
func (m Message) IsZero() bool { return m.wire == nil }

// Bytes are those of the whole message, as far as they were captured.
func (m Message) Bytes() []byte { return m.wire }

// Missing is how many bytes follow on the wire that are not there: the capture holds only the
// beginning of the packet, or a gap or the end of the connection came within the message, or it is
// a query too long to be kept.
func (m Message) Missing() int { return int(m.missing) }

// Damaged reports whether there are fewer records than the header counts. What came before the first
// one that cannot be read is there. A message of which bytes are missing is damaged too, unless all
// its records are there.
func (m Message) Damaged() bool { return m.damaged }

// Trailing are the bytes behind the last record, or from the damage on.
func (m Message) Trailing() []byte {
	if m.IsZero() {
		return nil
	}
	return m.wire[m.end:]
}

// ID is the number by which a response refers to its query.
func (m Message) ID() uint16 { return m.word(0) }

// IsResponse is the QR bit.
func (m Message) IsResponse() bool { return m.word(2)&(1<<15) != 0 }

// Opcode is the kind of query.
func (m Message) Opcode() Opcode { return Opcode(m.word(2) >> 11 & 15) }

// Authoritative is the AA bit.
func (m Message) Authoritative() bool { return m.word(2)&(1<<10) != 0 }

// Truncated is the TC bit: the message did not fit and the sender has cut it.
func (m Message) Truncated() bool { return m.word(2)&(1<<9) != 0 }

// RecursionDesired is the RD bit.
func (m Message) RecursionDesired() bool { return m.word(2)&(1<<8) != 0 }

// RecursionAvailable is the RA bit.
func (m Message) RecursionAvailable() bool { return m.word(2)&(1<<7) != 0 }

// AuthenticData is the AD bit, RFC 4035 section 3.2.3.
func (m Message) AuthenticData() bool { return m.word(2)&(1<<5) != 0 }

// CheckingDisabled is the CD bit, RFC 4035 section 3.2.2.
func (m Message) CheckingDisabled() bool { return m.word(2)&(1<<4) != 0 }

// Flags are the third and fourth byte of the header: all of the above and the lower bits of Rcode.
func (m Message) Flags() uint16 { return m.word(2) }

// Rcode is the result, with the eight bits of EDNS on top of the header's four (RFC 6891 6.1.3).
func (m Message) Rcode() Rcode {
	r := Rcode(m.word(2) & 15)
	if e, ok := m.EDNS(); ok {
		r |= Rcode(e.extended) << 4
	}
	return r
}

// NumQuestions is how many questions can be read.
func (m Message) NumQuestions() int { return int(m.counts[questions]) }

// NumAnswers is how many records of the answer section can be read.
func (m Message) NumAnswers() int { return int(m.counts[answers]) }

// NumAuthorities is how many records of the authority section can be read.
func (m Message) NumAuthorities() int { return int(m.counts[authorities]) }

// NumAdditionals is how many records of the additional section can be read, EDNS's among them.
func (m Message) NumAdditionals() int { return int(m.counts[additionals]) }

// Question is the first question, if there is one.
func (m Message) Question() (q Question, ok bool) {
	if m.counts[questions] == 0 {
		return Question{}, false
	}
	q, _ = m.question(headerLen)
	return q, true
}

// Questions gives the questions; there is hardly ever more than one.
func (m Message) Questions() iter.Seq[Question] {
	return func(yield func(Question) bool) { m.eachQuestion(yield) }
}

// Answers gives the records of the answer section.
func (m Message) Answers() iter.Seq[Record] {
	return func(yield func(Record) bool) { m.each(answers, yield) }
}

// Authorities gives the records of the authority section.
func (m Message) Authorities() iter.Seq[Record] {
	return func(yield func(Record) bool) { m.each(authorities, yield) }
}

// Additionals gives the records of the additional section, EDNS's among them.
func (m Message) Additionals() iter.Seq[Record] {
	return func(yield func(Record) bool) { m.each(additionals, yield) }
}

func (m Message) eachQuestion(yield func(Question) bool) {
	at := headerLen
	for range m.counts[questions] {
		q, next := m.question(at)
		if next < 0 || !yield(q) {
			return
		}
		at = next
	}
}

func (m Message) each(s section, yield func(Record) bool) {
	at := int(m.starts[s])
	for range m.counts[s] {
		r, next := m.record(at)
		if next < 0 || !yield(r) {
			return
		}
		at = next
	}
}

// question takes the question at a place apart. It was read before, but the bytes may be no longer
// what they were, if who asks has kept them too long; then next is negative.
func (m *Message) question(at int) (q Question, next int) {
	next, ok := int(m.starts[answers]), true
	if m.counts[questions] != 1 || next == 0 || next > len(m.wire) {
		if next, ok = m.skip(questions, at); !ok {
			return Question{}, -1
		}
	}
	q.Name = Name{m.wire, at}
	q.Type = Type(binary.BigEndian.Uint16(m.wire[next-4:]))
	q.Class = Class(binary.BigEndian.Uint16(m.wire[next-2:]))
	return q, next
}

// record takes the record at a place apart; see question.
func (m *Message) record(at int) (r Record, next int) {
	next, ok := m.skip(answers, at)
	if !ok {
		return Record{}, -1
	}
	body, _ := checkName(m.wire, at)
	b := m.wire[body:]
	return Record{
		Name: Name{m.wire, at}, Type: Type(binary.BigEndian.Uint16(b)), Class: Class(binary.BigEndian.Uint16(b[2:])),
		TTL: binary.BigEndian.Uint32(b[4:]), at: body + 10, end: next,
	}, next
}

// clone copies the bytes.
func (m Message) clone() Message {
	if !m.IsZero() {
		m.wire = append(make([]byte, 0, len(m.wire)), m.wire...)
	}
	return m
}

// plausible says of the first bytes of what may be a message of size bytes whether its header is
// one that programs send: what is asked of messages where no port says that they are DNS. It is
// monotone: more bytes make of a maybe a yes or a no, and nothing of the others.
func plausible(b []byte, size int) (maybe, yes bool) {
	if size < headerLen {
		return false, false
	}
	if len(b) < 4 {
		return len(b) < 3 || plausibleOpcode(b[2]), false
	}
	response := b[2]&0x80 != 0
	if !plausibleOpcode(b[2]) || b[3]&0x40 != 0 || !response && b[3]&15 != 0 {
		return false, false
	}
	if len(b) < headerLen {
		return true, false
	}
	counts := [numSections]int{}
	for s := range counts {
		counts[s] = int(binary.BigEndian.Uint16(b[4+2*s:]))
	}
	records := counts[answers] + counts[authorities] + counts[additionals]
	switch {
	case headerLen+5*counts[questions]+11*records > size:
		return false, false // less than one byte for each name
	case counts[questions] > 1, counts[questions] == 0 && (!response || records == 0 && b[3]&15 == 0):
		return false, false
	case !response && counts[answers] > 0 && b[2]>>3&15 == byte(OpcodeQuery):
		return false, false
	}
	return true, true
}

// plausibleOpcode: queries, notifications and updates, that is.
func plausibleOpcode(b byte) bool {
	switch Opcode(b >> 3 & 15) {
	case OpcodeQuery, OpcodeNotify, OpcodeUpdate:
		return true
	}
	return false
}

// isWhole reports whether all bytes are one message in order that says something.
func isWhole(b []byte) bool {
	if _, yes := plausible(b, len(b)); !yes {
		return false
	}
	m, _ := ParseMessage(b)
	// Without a question it is as the later messages of a zone transfer.
	return m.inOrder() && m.NumQuestions()+m.NumAnswers()+m.NumAuthorities() > 0
}

// inOrder reports whether all bytes of a message have been read, after a plausible header. If some
// were not captured the header decides.
func (m *Message) inOrder() bool {
	if _, yes := plausible(m.wire, len(m.wire)+int(m.missing)); !yes || m.missing > 0 {
		return yes
	}
	q, ok := m.Question()
	return !m.damaged && int(m.end) == len(m.wire) && (!ok || q.Class.known() && q.Type != 0)
}
