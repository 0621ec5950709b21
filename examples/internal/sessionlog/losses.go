package sessionlog

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// Losses counts by protocol and reason what could not be read.
type Losses map[string]int

// Add counts a message if it is one about a loss.
func (l Losses) Add(ev *flowscope.Event) {
	switch m := ev.Message.(type) {
	case *http1.Lost:
		if !m.Found { // with Found it is the second message about one loss
			l.count("HTTP", m.Why)
		}
	case *tls.Lost:
		l.count("TLS", m.Why)
	case *dns.Lost:
		l.count("DNS", m.Why)
	}
}

func (l Losses) count(protocol string, why fmt.Stringer) { l[fmt.Sprint(protocol, " ", why)]++ }

// String is such as "1 HTTP gap, 3 TLS framing"; it is "" if there are none.
func (l Losses) String() string {
	var all []string
	for _, why := range slices.Sorted(maps.Keys(l)) {
		all = append(all, fmt.Sprint(l[why], " ", why))
	}
	return strings.Join(all, ", ")
}
