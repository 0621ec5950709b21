package sessions

import (
	"github.com/flowscope-go/flowscope/export/internal/text"
	"github.com/flowscope-go/flowscope/protocol/dns"
)

// answer writes the data of a record as Zeek does: an address, the name that it leads to, the strings of a text,
// or else all of it as a text.
func (r *row) answer(a dns.Record) {
	var space [512]byte
	if addr, ok := a.Addr(); ok {
		r.value(addr.AppendTo(space[:0]))
		return
	}
	if name, ok := leadsTo(a); ok {
		r.name(name)
		return
	}
	b := space[:0]
	if a.Type == dns.TypeTXT || a.Type == dns.TypeSPF {
		for s := range a.Strings() {
			if len(b) > 0 {
				b = append(b, ' ')
			}
			b = append(text.Int(append(append(b, a.Type.String()...), ' '), len(s)), ' ')
			b = append(b, s...)
		}
	}
	if len(b) == 0 {
		b = a.AppendText(b)
	}
	r.value(b)
}

// leadsTo is the name in a record that is a name, or a name and numbers.
func leadsTo(a dns.Record) (dns.Name, bool) {
	switch a.Type {
	case dns.TypeMX:
		v, ok := a.MX()
		return v.Exchange, ok
	case dns.TypeSRV:
		v, ok := a.SRV()
		return v.Target, ok
	case dns.TypeSOA:
		v, ok := a.SOA()
		return v.Primary, ok
	}
	return a.Target()
}

// answers appends the answers of a message. Each string of a text is an answer of its own, as in Suricata.
func (o *object) answers(m dns.Message) {
	o.name("answers")
	l := objects{append(o.b, '['), true}
	for a := range m.Answers() {
		n := 0
		if a.Type == dns.TypeTXT {
			for s := range a.Strings() {
				one := l.begin(a)
				one.name("rdata")
				one.b = text.JSON(one.b, s)
				l.end(one)
				n++
			}
		}
		if n == 0 {
			one := l.begin(a)
			one.data(a)
			l.end(one)
		}
	}
	o.b = append(l.b, ']')
}

// objects is a list of JSON objects.
type objects struct {
	b     []byte
	first bool
}

// begin begins the object of a record.
func (l *objects) begin(a dns.Record) object {
	if !l.first {
		l.b = append(l.b, ',')
	}
	l.first = false
	o := object{append(l.b, '{'), true}
	o.domain("rrname", a.Name)
	o.text("rrtype", a.Type.String())
	o.number("ttl", uint64(a.TTL))
	return o
}

func (l *objects) end(o object) { l.b = append(o.b, '}') }

// data appends the data of a record: rdata, or an object for the types of which Suricata writes one.
func (o *object) data(a dns.Record) {
	if v, ok := a.SOA(); ok {
		in := o.begin("soa")
		in.domain("mname", v.Primary)
		in.domain("rname", v.Mailbox)
		in.number("serial", uint64(v.Serial))
		in.number("refresh", uint64(v.Refresh))
		in.number("retry", uint64(v.Retry))
		in.number("expire", uint64(v.Expire))
		in.number("minimum", uint64(v.Minimum))
		o.end(in)
		return
	}
	if v, ok := a.SRV(); ok {
		in := o.begin("srv")
		in.number("priority", uint64(v.Priority))
		in.number("weight", uint64(v.Weight))
		in.number("port", uint64(v.Port))
		in.domain("name", v.Target)
		o.end(in)
		return
	}
	if v, ok := a.SSHFP(); ok {
		in := o.begin("sshfp")
		in.name("fingerprint")
		in.octets(v.Fingerprint, "0123456789abcdef")
		in.number("algo", uint64(v.Algorithm))
		in.number("type", uint64(v.FingerprintType))
		o.end(in)
		return
	}
	o.name("rdata")
	r := row{b: o.b, as: asJSON}
	r.answer(a)
	o.b = r.b
}

// begin begins an object as a field; end ends it.
func (o *object) begin(name string) object {
	o.name(name)
	return object{append(o.b, '{'), true}
}

func (o *object) end(in object) { o.b = append(in.b, '}') }
