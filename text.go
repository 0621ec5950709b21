package flowscope

import (
	"encoding"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The texts of values. For all types that have them these rules hold:
//
//   - String, AppendText and MarshalText give the same text. Timestamp is the exception.
//   - AppendText and MarshalText never fail.
//   - A value without a name is its type and its number, as in "FlowState(200)".
//   - UnmarshalText takes the texts that MarshalText gives, and leaves its receiver as it is if it returns an error.
//
// Each type's methods stand in the file of the type; what they share stands here.

// names are the texts of an enumeration.
type names struct {
	of     string   // the type
	text   []string // by value; "" for a value without a name
	values []uint16 // the values of text if they are sparse
	choice bool     // a choice of Config: errors of UnmarshalText wrap ErrConfig
}

// name is the name of a value, or "".
func (n *names) name(v uint16) string {
	i := int(v)
	if n.values != nil {
		i = slices.Index(n.values, v)
	}
	if i < 0 || i >= len(n.text) {
		return ""
	}
	return n.text[i]
}

func (n *names) string(v uint16) string {
	if s := n.name(v); s != "" {
		return s
	}
	return string(n.append(nil, v))
}

func (n *names) append(b []byte, v uint16) []byte {
	if s := n.name(v); s != "" {
		return append(b, s...)
	}
	return appendNumber(b, n.of, uint64(v))
}

// unmarshal sets a value from its text.
func unmarshal[T ~uint8 | ~uint16](n *names, to *T, text []byte) error {
	v, ok := n.parse(text)
	if !ok || v > uint16(^T(0)) {
		return n.notText(text)
	}
	*to = T(v)
	return nil
}

// notText is the error of unmarshal. It lists the names if they are few.
func (n *names) notText(text []byte) error {
	if n.choice {
		return fmt.Errorf("%w: unknown %s %.100q%s", ErrConfig, n.of, text, listed(n.text))
	}
	return fmt.Errorf("%w%s", notText(n.of, text), listed(n.text))
}

// listed is the part of an error that lists names, or "" if they are many.
func listed(names []string) string {
	const few = 16
	if len(names) > few {
		return ""
	}
	return "; it is one of " + strings.Join(names, ", ")
}

func (n *names) parse(text []byte) (uint16, bool) {
	if i := slices.Index(n.text, string(text)); i >= 0 && len(text) > 0 {
		if n.values != nil {
			return n.values[i], true
		}
		return uint16(i), true
	}
	v, ok := parseNumber(string(text), n.of)
	return uint16(v), ok && v <= 0xffff && n.name(uint16(v)) == ""
}

// sets are the texts of a set of flags: the names of its elements with "|" between them.
type sets struct {
	of   string
	text []string // by bit; "" for a bit without a name
	// none is the bit that tells the empty set, "none", from the zero value, "default".
	none uint32
	// all are the bits of "all", a text that parse takes for them.
	all uint32
}

func (s *sets) append(b []byte, v uint32) []byte {
	if v == 0 {
		return append(b, "default"...)
	}
	if v &^= s.none; v == 0 {
		return append(b, "none"...)
	}
	start := len(b)
	for i, name := range s.text {
		if bit := uint32(1) << i; v&bit != 0 && name != "" {
			b = append(append(b, name...), '|')
			v &^= bit
		}
	}
	if v != 0 {
		return appendNumber(b, s.of, uint64(v))
	}
	return b[:max(start, len(b)-1)]
}

// parse takes the elements in any order, with "|" or "," between them.
func (s *sets) parse(text []byte) (v uint32, err error) {
	switch string(text) {
	case "default":
		return 0, nil
	case "none":
		return s.none, nil
	}
	for element := range strings.SplitSeq(strings.ReplaceAll(string(text), ",", "|"), "|") {
		if element == "all" {
			v |= s.all
			continue
		}
		bits, ok := parseNumber(element, s.of)
		if i := slices.Index(s.text, element); i >= 0 && element != "" {
			bits, ok = 1<<i, true
		}
		if !ok || bits == 0 || bits > 1<<32-1 || uint32(bits)&s.none != 0 {
			return 0, fmt.Errorf("%w: it has no element %.40q", notText(s.of, text), element)
		}
		v |= uint32(bits)
	}
	return v, nil
}

// appendNumber is the text of a value without a name.
func appendNumber(b []byte, of string, v uint64) []byte {
	b = append(append(b, of...), '(')
	return append(strconv.AppendUint(b, v, 10), ')')
}

func parseNumber(s, of string) (uint64, bool) {
	digits, ok := strings.CutPrefix(s, of+"(")
	digits, closed := strings.CutSuffix(digits, ")")
	v, err := strconv.ParseUint(digits, 10, 64)
	return v, ok && closed && err == nil && string(appendNumber(nil, of, v)) == s
}

func notText(of string, text []byte) error {
	return fmt.Errorf("flowscope: %.100q is no %s", text, of)
}

// unmarshalKey sets a key from its text. What parse makes of the text must have that text again, so
// that two texts are never one key.
func unmarshalKey[K encoding.TextAppender](to *K, text []byte, of string, parse func(string) (K, bool)) error {
	k, ok := parse(string(text))
	if ok {
		again, err := k.AppendText(make([]byte, 0, 128))
		ok = err == nil && string(again) == string(text)
	}
	if !ok {
		return notText(of, text)
	}
	*to = k
	return nil
}

// goString is a key for %#v, as failing tests show it.
func goString(of string, key fmt.Stringer) string {
	return fmt.Sprintf("flowscope.%s(%q)", of, key.String())
}

// noKey is the text of a zero key that is no key of any packet.
const noKey = "none"

// appendKey appends the text of any key: those of the built-in extractors without an allocation.
func appendKey[K comparable](b []byte, k *K) ([]byte, error) {
	switch k := any(k).(type) {
	case *FiveTupleKey:
		return k.AppendText(b)
	case *IPPairKey:
		return k.AppendText(b)
	case *MACPairKey:
		return k.AppendText(b)
	}
	return appendOtherKey(b, *k)
}

func appendOtherKey[K comparable](b []byte, k K) ([]byte, error) {
	switch k := any(k).(type) {
	case encoding.TextAppender:
		return k.AppendText(b)
	case encoding.TextMarshaler:
		text, err := k.MarshalText()
		return append(b, text...), err
	}
	return fmt.Append(b, k), nil
}

// parseKey is the way back from appendKey, for keys that have one.
func parseKey[K comparable](text string) (k K, ok bool) {
	if u, is := any(&k).(encoding.TextUnmarshaler); is {
		ok = u.UnmarshalText([]byte(text)) == nil
	}
	return k, ok
}
