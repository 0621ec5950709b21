package browser

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// tshark gives a column of a capture, of the packets that a filter lets through.
func tshark(t *testing.T, capture, filter, field string) (values []string) {
	t.Helper()
	out, err := exec.Command("tshark", "-n", "-r", capture, "-Y", filter, "-o", "http.desegment_body:FALSE", "-T", "fields", "-E", "occurrence=a", "-e", field).Output()
	require.NoError(t, err)
	for _, line := range strings.Fields(string(out)) {
		values = append(values, strings.Split(line, ",")...)
	}
	return values
}

// counted is how often each value comes.
func counted(values []string) map[string]string {
	n := map[string]int{}
	for _, v := range values {
		n[v]++
	}
	texts := map[string]string{}
	for v, n := range n {
		texts[v] = fmt.Sprint(n)
	}
	return texts
}

const lists = `Object.fromEntries([...document.querySelectorAll('h2, h3')].map(h => {
	const items = h.parentElement.querySelectorAll('.item');
	return [h.firstChild.data.trim(), Object.fromEntries([...items].map(i => [i.children[0].textContent, i.children[1].textContent]))];
}))`

// TestNumbersAreThoseOfTshark reads what the browser shows.
func TestNumbersAreThoseOfTshark(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed")
	}
	ctx := chromium(t)
	for _, name := range []string{"testdata/captures/sessions.pcap", "testdata/captures/http.pcap", "testdata/captures/lossy.pcap", "examples/internal/sample/sample.pcapng"} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			capture := filepath.Join("../../..", name)
			show(t, ctx, report(t, capture), views[0])
			cards := do(t, ctx, chromedp.Evaluate[[][2]string](`[...document.querySelectorAll('.card')].map(c => [c.children[0].textContent, c.children[1].textContent])`))
			shown := do(t, ctx, chromedp.Evaluate[map[string]map[string]string](lists))
			lengths := tshark(t, capture, "frame", "frame.len")
			require.Equal(t, fmt.Sprint(len(lengths)), cards[0][0], "packets")
			bytes := 0
			for _, text := range lengths {
				n, err := strconv.Atoi(text)
				require.NoError(t, err)
				bytes += n
			}
			require.Equal(t, fmt.Sprintf("%.3g kB", float64(bytes)/1000), cards[1][0], "bytes")
			streams := counted(tshark(t, capture, "tcp", "tcp.stream"))
			require.Contains(t, cards[2][1], fmt.Sprintf("%d of TCP", len(streams)), "connections")

			statuses := shown["Responses by status"]
			delete(statuses, "no response") // tshark counts responses
			require.Equal(t, counted(tshark(t, capture, "http.response && !icmp", "http.response.code")), orEmpty(statuses))
			answers := map[string]string{}
			for code, n := range counted(tshark(t, capture, "dns.flags.response == 1 && !icmp", "dns.flags.rcode")) {
				answers[map[string]string{"0": "NOERROR", "3": "NXDOMAIN"}[code]] = n
			}
			results := shown["Answers"]
			delete(results, "no response")
			require.Equal(t, answers, orEmpty(results))
			// A handshake with a HelloRetryRequest has two ClientHellos.
			require.Equal(t, len(tshark(t, capture, "tls.handshake.type == 1", "frame.number"))-
				len(tshark(t, capture, "tls.handshake.random == cf:21:ad:74:e5:9a:61:11:be:1d:8c:02:1e:65:b8:91:c2:a2:11:16:7a:bb:8c:5e:07:9e:09:e2:c8:a8:33:9c", "frame.number")),
				handshakes(shown["Versions"]))
		})
	}
}

// handshakes are the numbers of a list, together.
func handshakes(list map[string]string) (sum int) {
	for _, text := range list {
		n, _ := strconv.Atoi(text)
		sum += n
	}
	return sum
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
