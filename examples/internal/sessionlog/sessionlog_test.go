package sessionlog

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/dns"
)

func TestTheNameOfTheRootIsEmptyInJSONAndADotInTheTable(t *testing.T) {
	player, err := flowscope.NewSessionPlayer(flowscope.Config{}, dns.Factory{})
	require.NoError(t, err)
	flow := player.UDP(40000, 53)
	flow.Data(flowscope.Initiator, []byte("\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01"), 1)
	all := flow.End(flowscope.EndFinished, 2)
	require.Len(t, all, 1)
	x := newTransaction(&flowscope.Event{}, all[0].Message.(*dns.Transaction))
	require.Empty(t, *x.Name)
	require.Equal(t, "NS .", x.Cells()[0])
}

func TestMessagesOfMDNSAndLLMNRAreRecordsOfTheirOwn(t *testing.T) {
	player, err := flowscope.NewSessionPlayer(flowscope.Config{}, dns.Factory{})
	require.NoError(t, err)
	response := []byte("\x00\x00\x84\x00\x00\x00\x00\x01\x00\x00\x00\x00\x01a\x05local\x00\x00\x01\x80\x01\x00\x00\x00\x78\x00\x04\xc0\x00\x02\x01")
	all := player.UDP(5353, 5353).Data(flowscope.Initiator, response, 1)
	require.Len(t, all, 1)
	x := newMulticast(&flowscope.Event{}, all[0].Message.(*dns.Multicast))
	require.Equal(t, "mdns", x.Kind)
	require.True(t, x.Response)
	require.Equal(t, []string{"", "A a.local 192.0.2.1", "", "35"}, x.Cells())

	query := []byte("\x00\x07\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x1c\x00\x01")
	all = player.UDP(50000, 5355).Data(flowscope.Initiator, query, 1)
	require.Len(t, all, 1)
	x = newMulticast(&flowscope.Event{}, all[0].Message.(*dns.Multicast))
	require.Equal(t, "llmnr", x.Kind)
	require.Equal(t, []string{"AAAA a", "", "", "19"}, x.Cells())
}

func TestTextFromTheNetworkCannotControlATerminal(t *testing.T) {
	require.Equal(t, `GET a\x1b[2J\u009b\xff`, short("GET a\x1b[2J\u009b\xff"))
	long := short(strings.Repeat("a", 1000))
	require.Len(t, long, 72)
	require.True(t, strings.HasSuffix(long, "aaa..."))
}
