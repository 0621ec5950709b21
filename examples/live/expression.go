package main

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// An expression is a filter in tcpdump's words, those that are used most (pcap-filter(7)):
//
//	expression = operand { ("and" | "or") operand }
//	operand    = ["not"] ( primitive | "(" expression ")" )
//	primitive  = "ip" | "ip6" | "arp" | "tcp" | "udp" | "sctp" | "icmp" | "icmp6" | "vlan" [NUMBER]
//	           | ["ip" | "ip6"] [direction] ("host" ADDRESS | "net" PREFIX)
//	           | ["tcp" | "udp" | "sctp"] [direction] ("port" PORT | "portrange" PORT-PORT)
//	direction  = "src" | "dst"
//
// As there, "and" and "or" bind equally and from the left, and &&, || and ! are other words for them. Unlike there, a
// VLAN tag is no part of the frame, so "port 80" finds tagged packets too, and "vlan 5 and port 80" those of one VLAN;
// every primitive is written in full, as in "port 80 or port 443"; and packets of BIG TCP count as TCP.
type parser struct {
	words []string
	depth int
}

// errWords is the end of every error about an expression.
const errWords = `known are ip, ip6, arp, tcp, udp, sctp, icmp, icmp6, vlan N, [src|dst] host A, net A/N, port P and portrange P-P,` +
	` with and, or, not and brackets; for any other filter give the output of tcpdump -ddd to -ddd`

// parseExpression makes a condition of an expression.
func parseExpression(text string) (condition, error) {
	for _, mark := range []string{"(", ")", "&&", "||"} {
		text = strings.ReplaceAll(text, mark, " "+mark+" ")
	}
	// "!" stands before its operand.
	p := parser{words: strings.Fields(strings.ReplaceAll(text, "!", " ! "))}
	c, err := p.expression()
	if err == nil && len(p.words) > 0 {
		err = fmt.Errorf("%q is not expected here", p.words[0])
	}
	if err != nil {
		return nil, fmt.Errorf("filter: %w; %s", err, errWords)
	}
	return c, nil
}

func (p *parser) next() string {
	if len(p.words) == 0 {
		return ""
	}
	word := p.words[0]
	p.words = p.words[1:]
	return word
}

// accept takes the next word if it is one of these.
func (p *parser) accept(words ...string) string {
	for _, w := range words {
		if len(p.words) > 0 && p.words[0] == w {
			return p.next()
		}
	}
	return ""
}

func (p *parser) expression() (condition, error) {
	if p.depth++; p.depth > 100 {
		return nil, fmt.Errorf("too many brackets")
	}
	defer func() { p.depth-- }()
	c, err := p.operand()
	for err == nil {
		switch p.accept("and", "&&", "or", "||") {
		case "and", "&&":
			var right condition
			right, err = p.operand()
			c = and{c, right}
		case "or", "||":
			var right condition
			right, err = p.operand()
			c = or{c, right}
		default:
			return c, nil
		}
	}
	return nil, err
}

func (p *parser) operand() (condition, error) {
	negated := false
	for p.accept("not", "!") != "" {
		negated = !negated
	}
	var c condition
	var err error
	if p.accept("(") != "" {
		if c, err = p.expression(); err == nil && p.accept(")") == "" {
			err = fmt.Errorf("a bracket is not closed")
		}
	} else {
		c, err = p.primitive()
	}
	if err != nil {
		return nil, err
	}
	if negated {
		c = not{c}
	}
	return c, nil
}

func (p *parser) primitive() (condition, error) {
	switch p.accept("arp", "icmp", "icmp6", "vlan") {
	case "arp":
		return etherType(typeARP), nil
	case "icmp":
		return and{etherType(typeIPv4), protocol4(1)}, nil
	case "icmp6":
		return and{etherType(typeIPv6), protocol6(58)}, nil
	case "vlan":
		if len(p.words) > 0 {
			if id, err := strconv.ParseUint(p.words[0], 0, 12); err == nil {
				p.next()
				return vlan{int(id)}, nil
			}
		}
		return vlan{-1}, nil
	}
	family, transport := p.accept("ip", "ip6"), ""
	if family == "" {
		transport = p.accept("tcp", "udp", "sctp")
	}
	direction := p.accept("src", "dst")
	switch word := p.accept("host", "net", "port", "portrange"); {
	case word == "" && direction == "" && (family != "" || transport != ""):
		return transportOf(family, transport), nil
	case (word == "host" || word == "net") && transport == "":
		return addressOf(family, direction, word, p.next())
	case (word == "port" || word == "portrange") && family == "":
		return portOf(transport, direction, word, p.next())
	case word != "":
		return nil, fmt.Errorf("%s and %s do not go together", family+transport, word)
	}
	if len(p.words) == 0 {
		return nil, fmt.Errorf("it ends early")
	}
	return nil, fmt.Errorf("%q is not known here", p.words[0])
}

// transportOf is the condition of "ip" or "tcp".
func transportOf(family, transport string) condition {
	four, six := condition(etherType(typeIPv4)), condition(etherType(typeIPv6))
	if n, ok := transports[transport]; ok {
		four, six = and{four, protocol4(n)}, and{six, or{protocol6(n), transport6(n)}}
	}
	return ofFamily(family, four, six)
}

var transports = map[string]uint32{"tcp": 6, "udp": 17, "sctp": 132}

// ofFamily chooses the conditions of the two versions of IP.
func ofFamily(family string, four, six condition) condition {
	switch family {
	case "ip":
		return four
	case "ip6":
		return six
	}
	return or{four, six}
}

func addressOf(family, direction, word, text string) (condition, error) {
	var of netip.Prefix
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		of = netip.PrefixFrom(addr, addr.BitLen())
	} else if of, err = netip.ParsePrefix(text); err != nil || word == "host" {
		return nil, fmt.Errorf("%q is no %s; names are not looked up", text, map[string]string{"host": "address", "net": "network, such as 192.0.2.0/24"}[word])
	}
	if of.Masked() != of {
		return nil, fmt.Errorf("%v has bits beyond its length; %v has not", of, of.Masked())
	}
	if of.Addr().Is4() {
		if family == "ip6" {
			return nil, fmt.Errorf("ip6 and %s do not go together", text)
		}
		four := and{etherType(typeIPv4), either(direction, prefix(12, of), prefix(16, of))}
		if family == "ip" {
			return four, nil
		}
		// Without "ip" it is also the address in ARP and RARP.
		asked := and{or{etherType(typeARP), etherType(typeRARP)}, either(direction, prefix(14, of), prefix(24, of))}
		return or{four, asked}, nil
	}
	if family == "ip" {
		return nil, fmt.Errorf("ip and %s do not go together", text)
	}
	return and{etherType(typeIPv6), either(direction, prefix(8, of), prefix(24, of))}, nil
}

func portOf(transport, direction, word, text string) (condition, error) {
	first, last, err := ports(word, transport, text)
	if err != nil {
		return nil, err
	}
	var has4, has6 condition
	for _, name := range []string{"tcp", "udp", "sctp"} {
		if transport == "" || transport == name {
			has4, has6 = join(has4, protocol4(transports[name])), join(has6, transport6(transports[name]))
		}
	}
	four := and{and{etherType(typeIPv4), has4}, and{firstFragment(), either(direction, port4(0, first, last), port4(2, first, last))}}
	six := and{and{etherType(typeIPv6), has6}, either(direction, port6(0, first, last), port6(2, first, last))}
	return or{four, six}, nil
}

func ports(word, transport, text string) (first, last int, err error) {
	from, to, isRange := strings.Cut(text, "-")
	if isRange != (word == "portrange") {
		return 0, 0, fmt.Errorf("%q is no %s", text, word)
	}
	if !isRange {
		to = from
	}
	network := "udp"
	if transport != "udp" {
		network = "tcp"
	}
	look := func(name string) int {
		n, e := net.LookupPort(network, name) // a number, or one of the names of /etc/services
		if e != nil || name == "" {
			err = fmt.Errorf("%q is no port", name)
		}
		return n
	}
	if first, last = look(from), look(to); err == nil && first > last {
		err = fmt.Errorf("%q: the first port is not the lower one", text)
	}
	return first, last, err
}

// either is the condition of a direction, where no direction is both.
func either(direction string, src, dst condition) condition {
	switch direction {
	case "src":
		return src
	case "dst":
		return dst
	}
	return or{src, dst}
}

func join(a, b condition) condition {
	if a == nil {
		return b
	}
	return or{a, b}
}
