package flowtest

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
)

// Scripted is a tracker or a driver that scripts are played to. Its keys are those of FiveTuple. The steps
// "flows" and "count" of a script ask for its methods Flows and Stats, which differ in their types.
type Scripted interface {
	Replayer[flowscope.FiveTupleKey]
	Sweep(now flowscope.Timestamp) []flowscope.Event
	ForceClose(key flowscope.FiveTupleKey) bool
	SetMaxFlows(n int) bool
}

// Scripts plays each file that matches a pattern of filepath.Glob, as a subtest with the file's name. See
// Script. That no file matches fails the test.
func Scripts(t *testing.T, pattern string, cfg flowscope.Config, newDriver func(flowscope.Config) (Scripted, error)) {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no scripts %s: %v", pattern, err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)), func(t *testing.T) {
			t.Helper()
			Script(t, name, cfg, newDriver)
		})
	}
}

// Script plays a file in which each packet is followed by the events that it must cause, to a tracker or
// driver that newDriver makes for the configuration: cfg, with what the script changes in it. If other events
// come, the test fails with the lines that differ; with -flowtest.update the file gets them, see Golden. A
// script that cannot be read fails the test with its name and line.
//
//	# What the script is there for.
//	config UDPTimeout=10s Events=-packet,-side_closed
//	@0     A>N S 100
//	  1 started tcp A>N
//	  1 active -> syn_sent
//	@0.01  N>A SA 300/101
//	  1 syn_sent -> syn_received
//	@0.02  A>N A 101/301
//	  1 established
//	@0.03  A>N PA 101/301 "hello"    # in a driver
//	  1 data initiator 0..5 "hello"
//	@60    finish
//	  1 ended finished established 3+1 payload 5+0 ShAD at 0.030000000
//
// # Lines
//
// A line is a configuration, a step, or an event, which is indented. From "#" on a line is a comment; it may
// stand alone. Events are replaced when the file is renewed, all else stays as it is.
//
//	config NAME=VALUE ...   sets fields of flowscope.Config, before the first step: a number, a duration
//	                        such as 1.5s, or never, or the text of the field's type. In Events, +KIND and
//	                        -KIND with commas between them change what cfg has
//	@TIME STEP              takes a step. The time is in seconds, with up to nine decimals, or min or max;
//	                        it is the timestamp of a packet
//
// # Steps
//
//	FROM>TO FLAGS SEQ/ACK   a TCP segment. The flags are any of F S R P A U E C, or "." for none; numbers
//	                        that are left out are 0
//	FROM>TO udp             a UDP datagram
//	FROM>TO icmp ID [reply] an echo request, or the reply to one
//	FROM>TO ip PROTO        a packet of another protocol
//	raw HEX                 an Ethernet frame
//	sweep                   Sweep, at the time of the step
//	finish                  Finish
//	close FROM>TO ...       ForceClose for the flow of such a packet; "tcp" is a segment without flags
//	limit N                 SetMaxFlows
//	flows                   shows the live flows, by number
//	count                   shows the counters of Stats that are not 0
//
// FROM and TO are letters from A to Z, which stand for 10.0.0.1 to 10.0.0.26, with a port behind where it is
// not the usual one: A:1001>N. That is 1000 from A to M and 80 from N to Z, so that A>N looks like a client
// and a server. Other ends are written as 192.0.2.1:443 or [2001:db8::1]:443.
//
// Behind a packet these may stand, in any order:
//
//	+N      N zero bytes of payload
//	"text"  the payload, quoted as in Go
//	wN      the window; it is 8192 otherwise
//	wsN     the window scale option
//	cut=N   the snap length: only the first N bytes are captured
//
// Packets are numbered from 1.
//
// # Events
//
// An event begins with the number of its flow, 0 if it is of none, and its kind; a state change is FROM -> TO.
// What follows depends on the kind:
//
//	started      the protocol, and who sends to whom: the initiator comes first
//	packet, late the side, and the bytes of payload
//	data         the side, the first offset and that behind the last byte, and the bytes as in a step; of
//	             text the first 64
//	gap          the side, the offsets, and the cause
//	side_closed  the side, its length, and the reason if it is not its FIN
//	urgent       the side, and the offset
//	anomaly      which
//	icmp_error   the side, and type/code
//	message      the side, and what the method String of the message gives; without one its type
//	ended, released, report
//	             the reason, the state, packets of both sides as 5+3, payload and late packets likewise,
//	             "midstream", and the history
//
// The time stands at the end, as "at 0.5", where it is not that of the step. Only events that the
// configuration asks for are shown, whatever the driver emits.
func Script(t testing.TB, name string, cfg flowscope.Config, newDriver func(flowscope.Config) (Scripted, error)) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	s := &script{cfg: cfg, newDriver: newDriver}
	s.cfg.Events = cmp.Or(cfg.Events, flowscope.DefaultEvents)
	played := false
	defer func() {
		if !played {
			t.Logf("%s:%d: here the test was stopped", name, s.line)
		}
	}()
	err = s.play(string(text))
	played = true
	if err != nil {
		t.Fatalf("%s:%d: %v", name, s.line, err)
	}
	Golden(t, name, s.out.String())
}

// script is one that is being played.
type script struct {
	cfg       flowscope.Config
	newDriver func(flowscope.Config) (Scripted, error)
	driver    Scripted // nil before the first step
	line      int
	at        flowscope.Timestamp
	packets   uint64
	out       strings.Builder // the script, with the events that came
}

// play takes the steps of a script. After an error, line says where it is.
func (s *script) play(text string) error {
	for line := range strings.Lines(text) {
		s.line++
		if line[0] == ' ' || line[0] == '\t' {
			continue // an event of the last playing
		}
		s.out.WriteString(line)
		if !strings.HasSuffix(line, "\n") {
			s.out.WriteByte('\n')
		}
		words, err := split(line)
		if err == nil && len(words) > 0 {
			err = s.take(words)
		}
		if err != nil {
			return err
		}
	}
	if s.driver == nil {
		return fmt.Errorf("there is no step")
	}
	return nil
}

// split gives the words of a line without its comment. A text in quotes is one word, with its quotes.
func split(line string) (words []string, err error) {
	for {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
			return words, nil
		case line[0] == '"':
			text, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, fmt.Errorf("%s is no text in quotes", line)
			}
			words, line = append(words, text), line[len(text):]
		default:
			n := strings.IndexAny(line, " \t")
			if n < 0 {
				n = len(line)
			}
			words, line = append(words, line[:n]), line[n:]
		}
	}
}

func (s *script) take(words []string) (err error) {
	switch {
	case words[0] == "config":
		if s.driver != nil {
			return fmt.Errorf("config comes before the first step")
		}
		for _, w := range words[1:] {
			if err := configure(&s.cfg, w); err != nil {
				return err
			}
		}
		return nil
	case words[0][0] != '@' || len(words) == 1:
		return fmt.Errorf("%q is neither config, nor @TIME and a step", words)
	}
	if s.at, err = timestamp(words[0][1:]); err != nil {
		return err
	}
	if s.driver == nil {
		if s.driver, err = s.newDriver(s.cfg); err != nil {
			return err
		}
	}
	return s.step(words[1], words[2:])
}

// configure sets a field of a Config, as in "UDPTimeout=10s".
func configure(cfg *flowscope.Config, word string) error {
	name, value, _ := strings.Cut(word, "=")
	field := reflect.ValueOf(cfg).Elem().FieldByName(name)
	if !field.IsValid() {
		return fmt.Errorf("no field %q in Config", name)
	}
	switch p := field.Addr().Interface().(type) {
	case *time.Duration:
		if value == "never" {
			*p = flowscope.Never
			return nil
		}
		d, err := time.ParseDuration(value)
		*p = d
		return err
	case *flowscope.EventMask:
		return choose(p, value)
	case interface{ UnmarshalText([]byte) error }:
		return p.UnmarshalText([]byte(value))
	}
	n, err := strconv.ParseInt(value, 10, field.Type().Bits())
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	field.SetInt(n)
	return nil
}

// choose sets a mask to a text of its own, or changes it, as "+late,-packet" does.
func choose(m *flowscope.EventMask, text string) error {
	if !strings.HasPrefix(text, "+") && !strings.HasPrefix(text, "-") {
		return m.UnmarshalText([]byte(text))
	}
	for part := range strings.SplitSeq(text, ",") {
		var k flowscope.EventKind
		name, added := strings.CutPrefix(part, "+")
		name, removed := strings.CutPrefix(name, "-")
		if err := k.UnmarshalText([]byte(name)); err != nil || added == removed || !flowscope.AllEvents.Has(k) {
			return fmt.Errorf("%q is neither + nor - and a kind of event", part)
		}
		if *m |= flowscope.Events(k); removed {
			*m &^= 1 << k
		}
	}
	return nil
}

// timestamp reads a time in seconds.
func timestamp(text string) (flowscope.Timestamp, error) {
	switch text {
	case "max":
		return math.MaxInt64, nil
	case "min":
		return math.MinInt64, nil
	}
	d, err := time.ParseDuration(text + "s")
	if err != nil || strings.Trim(text, "-.0123456789") != "" {
		return 0, fmt.Errorf("%q is no time in seconds", text)
	}
	return flowscope.Timestamp(d), nil
}

func (s *script) step(what string, words []string) error {
	if n, ok := map[string]int{"sweep": 0, "finish": 0, "flows": 0, "count": 0, "limit": 1, "raw": 1}[what]; ok && n != len(words) {
		return fmt.Errorf("%s has %d words behind it, not %d", what, n, len(words))
	}
	switch what {
	case "sweep":
		s.say(s.driver.Sweep(s.at))
	case "finish":
		s.say(s.driver.Finish())
	case "close":
		v, err := packetOf(words)
		if err != nil {
			return err
		}
		var x flowscope.Extracted[flowscope.FiveTupleKey]
		if !(flowscope.FiveTuple{}).Extract(v, &x) {
			return fmt.Errorf("a packet of no flow: %v", x.Refused)
		}
		s.driver.ForceClose(x.Key)
	case "limit":
		n, err := strconv.Atoi(words[0])
		if err != nil || !s.driver.SetMaxFlows(n) {
			return fmt.Errorf("%q is no limit of flows", words[0])
		}
	case "flows":
		return s.flows()
	case "count":
		v, err := s.ask("Stats")
		if err != nil {
			return err
		}
		s.counters("", v)
	default:
		v, err := packetOf(append([]string{what}, words...))
		if err != nil {
			return err
		}
		s.packets++
		v.Timestamp, v.ID = s.at, s.packets
		s.say(s.driver.Track(v))
	}
	return nil
}

// ask calls a method without arguments whose result depends on the type of the driver.
func (s *script) ask(name string) (v reflect.Value, err error) {
	m := reflect.ValueOf(s.driver).MethodByName(name)
	if !m.IsValid() || m.Type().NumIn() != 0 || m.Type().NumOut() != 1 {
		return v, fmt.Errorf("%T has no method %s", s.driver, name)
	}
	return m.Call(nil)[0], nil
}

// say shows the events of a call that the configuration asks for.
func (s *script) say(events []flowscope.Event) {
	for i := range events {
		ev := &events[i]
		if !s.cfg.Events.Has(ev.Kind) {
			continue
		}
		at := ""
		if ev.Timestamp != s.at {
			at = fmt.Sprintf("at %v", ev.Timestamp)
		}
		s.show(append(eventWords(ev), at)...)
	}
}

// show writes a line of what came.
func (s *script) show(words ...any) {
	text := make([]string, 0, len(words))
	for _, w := range words {
		text = append(text, fmt.Sprint(w))
	}
	text = slices.DeleteFunc(text, func(s string) bool { return s == "" })
	s.out.WriteString("  " + strings.Join(text, " ") + "\n")
}
