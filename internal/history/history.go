// Package history keeps the life of a TCP connection as up to 16 letters in 80 bits.
//
//	> SYN        S          history   S H A D a d F f
//	< SYN+ACK    h          packed    5 bits a letter, the first one lowest
//
// A letter is its place in an alphabet of 15, and 16 more if the responder sent the segment. No
// letter is 0, so the highest bit that is set says how many letters there are.
//
// Some letters stand once for each side; Set holds which of them a side has. The others stand again
// whenever their count is a power of ten.
package history

import (
	"math/bits"
	"strings"
)

// Set is a set of the letters that stand once for each side. Within a packet they are added in the
// order of their bits.
type Set uint8

// The letters that stand once for each side.
const (
	SYN          Set = 1 << iota // S: a SYN without ACK
	SYNACK                       // H: a SYN with ACK
	ACK                          // A: an ACK without payload, SYN, FIN and RST
	Data                         // D: payload
	FIN                          // F
	RST                          // R
	Inconsistent                 // I: more than one of SYN, FIN and RST
	BadChecksum                  // C

	onceLetters = "SHADFRIC"
)

// Other letters, for Add and AddRepeated.
const (
	Retransmission = 'T' // payload sent again, or out of order
	ZeroWindow     = 'W'
	Gap            = 'G'
	AnswerFirst    = '^' // the answer was captured before the SYN; it has no side
)

// alphabet has a letter at each code.
const alphabet = "." + onceLetters + "TWG^"

const (
	letterBits = 5
	responder  = 16 // in a code: the responder's letter
	maxLetters = 16
)

// Letters is a history. Its two words may be kept apart, where they fit. The zero value is empty.
type Letters struct {
	Lo uint64
	Hi uint16
}

// Add appends one letter, of that side: 0 for the initiator, 1 for the responder. Without room, it
// does nothing.
func (l *Letters) Add(letter byte, side uint8) {
	code := uint64(strings.IndexByte(alphabet, letter))
	if side != 0 && letter != AnswerFirst {
		code |= responder
	}
	l.append(code)
}

// AddSet appends the letters of a set.
func (l *Letters) AddSet(set Set, side uint8) {
	for ; set != 0; set &= set - 1 {
		l.append(uint64(bits.TrailingZeros8(uint8(set))+1) | uint64(side)*responder)
	}
}

// AddTo is AddSet for a set of one letter, as long as all letters fit the low word: nearly always while a connection
// opens. With more letters, or without room, it does nothing and reports false. The set must not be empty.
func AddTo(lo *uint64, set Set, side uint8) bool {
	used := bits.Len64(*lo)
	if set&(set-1) != 0 || used > 55 {
		return false
	}
	code := uint64(bits.TrailingZeros8(uint8(set))+1) | uint64(side)*responder
	*lo |= code << (uint(used+letterBits-1) / letterBits * letterBits)
	return true
}

// AddRepeated appends a letter if its count, which includes the present occurrence, is a power of
// ten.
func (l *Letters) AddRepeated(letter byte, count uint16, side uint8) {
	switch count {
	case 1, 10, 100, 1000, 10000:
		l.Add(letter, side)
	}
}

// append puts a code behind the last one.
func (l *Letters) append(code uint64) {
	used := bits.Len64(l.Lo)
	if l.Hi != 0 {
		used = 64 + bits.Len16(l.Hi)
	}
	at := (used + letterBits - 1) / letterBits * letterBits
	l.Lo |= code << at // what is shifted out of the word is in Hi, or behind the end
	if at >= 60 {
		l.Hi |= uint16(code << (at - 60) >> 4)
	}
}

// code is the code of the letter that begins at a bit, 0 behind the last one.
func (l *Letters) code(at int) uint64 {
	if at < 60 {
		return l.Lo >> at & 31
	}
	return (l.Lo>>60 | uint64(l.Hi)<<4) >> (at - 60) & 31
}

// Unpack writes the letters into to, those of the responder in lower case, with zeros behind.
func (l *Letters) Unpack(to *[maxLetters]byte) {
	*to = [maxLetters]byte{}
	for i := range to {
		code := l.code(letterBits * i)
		if code == 0 {
			break
		}
		to[i] = alphabet[code&15] | byte(code>>4)*('a'-'A')
	}
}

// AppendTo appends the letters, as Unpack writes them.
func (l *Letters) AppendTo(b []byte) []byte {
	var letters [maxLetters]byte
	l.Unpack(&letters)
	for _, letter := range letters {
		if letter == 0 {
			break
		}
		b = append(b, letter)
	}
	return b
}

// Pack is the inverse of AppendTo. ok is false if that gives no such text.
func Pack(text []byte) (l Letters, ok bool) {
	if len(text) > maxLetters {
		return Letters{}, false
	}
	for _, letter := range text {
		side := uint8(0)
		if letter >= 'a' && letter <= 'z' {
			letter, side = letter-'a'+'A', 1
		}
		if strings.IndexByte(alphabet, letter) < 1 {
			return Letters{}, false
		}
		l.Add(letter, side)
	}
	return l, true
}

// Flags of a TCP header (RFC 9293 section 3.1).
const (
	flagFIN = 1 << iota
	flagSYN
	flagRST
	flagPSH
	flagACK
)

// LettersOf gives the letters of a segment. Which they are cannot be predicted, so they are looked
// up in a table instead of found by branches.
func LettersOf(flags uint8, payload bool) Set {
	i := flags & (flagFIN | flagSYN | flagRST | flagACK)
	if payload {
		i |= flagPSH // which decides nothing, so its bit is free
	}
	return letterSets[i]
}

var letterSets = func() (sets [flagACK * 2]Set) {
	for i := range sets {
		sets[i] = lettersOf(uint8(i)&^flagPSH, i&flagPSH != 0)
	}
	return sets
}()

// lettersOf is the rule behind the table of LettersOf.
func lettersOf(flags uint8, payload bool) Set {
	switch flags & (flagSYN | flagFIN | flagRST) {
	case 0:
		if payload {
			return Data
		}
		if flags&flagACK != 0 {
			return ACK
		}
		return 0
	case flagRST:
		return RST // payload of a RST is no data
	case flagSYN, flagFIN:
	default:
		return Inconsistent
	}
	set := Set(0)
	if payload {
		set = Data
	}
	switch {
	case flags&flagFIN != 0:
		set |= FIN
	case flags&flagACK != 0:
		set |= SYNACK
	default:
		set |= SYN
	}
	return set
}
