package export_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/export"
)

// What other decoders read in the messages, internal/difftest compares with the records. Here is what they do
// not look at: sizes, sequence numbers, when templates come, and what happens to reports.

// ipfixMessage is a message cut into its sets.
type ipfixMessage struct {
	size      int
	time, seq uint32
	sets      []ipfixSet
}

type ipfixSet struct {
	id   uint16
	body []byte
}

func (m *ipfixMessage) templates() (n int) {
	for _, s := range m.sets {
		if s.id < 256 {
			n++
		}
	}
	return n
}

// collected keeps messages, as they were written, unless it fails.
type collected struct {
	t        *testing.T
	messages []ipfixMessage
	fails    error
}

func (c *collected) Write(b []byte) (int, error) {
	if c.fails != nil {
		return 0, c.fails
	}
	m := ipfixMessage{size: len(b), time: binary.BigEndian.Uint32(b[4:]), seq: binary.BigEndian.Uint32(b[8:])}
	require.Equal(c.t, uint16(10), binary.BigEndian.Uint16(b))
	require.Equal(c.t, len(b), int(binary.BigEndian.Uint16(b[2:])))
	require.Equal(c.t, uint32(7), binary.BigEndian.Uint32(b[12:]))
	for rest := b[16:]; len(rest) > 0; {
		n := int(binary.BigEndian.Uint16(rest[2:]))
		require.Greater(c.t, n, 4, "no set is empty")
		m.sets = append(m.sets, ipfixSet{binary.BigEndian.Uint16(rest), bytes.Clone(rest[4:n])})
		rest = rest[n:]
	}
	c.messages = append(c.messages, m)
	return len(b), nil
}

func (c *collected) writer(o export.IPFIXOptions) *export.IPFIXWriter {
	o.Domain = 7
	x, err := export.NewIPFIXWriter(c, o)
	require.NoError(c.t, err)
	return x
}

// sizesOf are the sizes of the data records of each template that came so far.
type sizesOf map[uint16]int

// read learns templates, and counts the data records of the message.
func (sizes sizesOf) read(t *testing.T, m *ipfixMessage) (records int) {
	for _, s := range m.sets {
		if s.id >= 256 {
			n, ok := sizes[s.id]
			require.True(t, ok, "a template comes before its data")
			require.Zero(t, len(s.body)%n)
			records += len(s.body) / n
			continue
		}
		for b := s.body; len(b) > 0; {
			id, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
			if b = b[4:]; s.id == 3 {
				b = b[2:]
			}
			size := 0
			for range n {
				element := binary.BigEndian.Uint16(b)
				size += int(binary.BigEndian.Uint16(b[2:]))
				if b = b[4:]; element&0x8000 != 0 {
					require.Equal(t, uint32(29305), binary.BigEndian.Uint32(b))
					b = b[4:]
				}
			}
			if before, ok := sizes[id]; ok {
				require.Equal(t, before, size, "a template stays as it is")
			}
			sizes[id] = size
		}
	}
	return records
}

// Messages are never longer than they may be, and their sequence numbers count the records before.
func TestIPFIXMessagesFitAndAreCounted(t *testing.T) {
	some := records(t)
	r := rand.New(rand.NewPCG(7, 8))
	for range 500 {
		some = append(some, randomRecord(r, some[:20]))
	}
	for _, limit := range []int{512, 600, 1400, 65535} {
		c := &collected{t: t}
		x := c.writer(export.IPFIXOptions{MaxMessage: limit, TemplateMessages: 3})
		for i := range some {
			some[i].Final = true
			require.NoError(t, x.Write(&some[i]))
			if i%100 == 50 {
				require.NoError(t, x.WriteStats(some[i].End, &flowscope.TrackerStats{}))
			}
			if i%77 == 0 {
				require.NoError(t, x.Flush())
			}
		}
		require.NoError(t, x.Flush())
		require.NoError(t, x.Flush(), "there is nothing left")
		sizes, sequence, octets := sizesOf{}, 0, 0
		for i := range c.messages {
			m := &c.messages[i]
			require.LessOrEqual(t, m.size, limit)
			require.Equal(t, sequence, int(m.seq))
			sequence += sizes.read(t, m)
			octets += m.size
		}
		require.Equal(t, len(some)+2*len(some)/100, sequence)
		stats := x.Stats()
		require.Equal(t, export.IPFIXStats{Messages: uint64(len(c.messages)), Octets: uint64(octets), Flows: uint64(len(some))}, stats)
	}
}

func TestIPFIXTemplatesComeAgain(t *testing.T) {
	flow := records(t, "../testdata/captures/http.pcap")[1]
	// write has a message of one record a second, and says which of them have templates.
	write := func(o export.IPFIXOptions, messages int) (with []int) {
		c := &collected{t: t}
		x := c.writer(o)
		for i := range messages {
			r := flow
			r.End = r.End.Add(time.Duration(i) * time.Second)
			require.NoError(t, x.Write(&r))
			require.NoError(t, x.Flush())
			m := &c.messages[i]
			require.Equal(t, uint32(r.End/1e9), m.time)
			if m.templates() != 0 {
				with = append(with, i)
			}
		}
		return with
	}
	assert.Equal(t, []int{0, 32, 64}, write(export.IPFIXOptions{}, 70))
	assert.Equal(t, []int{0, 5, 10}, write(export.IPFIXOptions{TemplateMessages: 5}, 12))
	assert.Equal(t, []int{0, 60}, write(export.IPFIXOptions{TemplateMessages: 1000}, 70)[:2])
	assert.Equal(t, []int{0, 1, 2}, write(export.IPFIXOptions{TemplateMessages: 1}, 3))
	var now flowscope.Timestamp
	c := &collected{t: t}
	x := c.writer(export.IPFIXOptions{Now: func() flowscope.Timestamp { return now }})
	for i := range 3 {
		now = flowscope.NewTimestamp(int64(1000+20*i), 0)
		require.NoError(t, x.Write(&flow))
		require.NoError(t, x.Flush())
		assert.Equal(t, uint32(1000+20*i), c.messages[i].time)
	}
	assert.Zero(t, c.messages[2].templates())
	now = flowscope.NewTimestamp(1060, 0)
	require.NoError(t, x.Write(&flow))
	require.NoError(t, x.Flush())
	assert.NotZero(t, c.messages[3].templates(), "a minute has passed")
}

// Templates that need several messages come once a turn all the same.
func TestIPFIXTemplatesOfManyKindsAreNotSentForEver(t *testing.T) {
	c := &collected{t: t}
	x := c.writer(export.IPFIXOptions{MaxMessage: 512, TemplateMessages: 20})
	some := records(t)
	flow := some[1]
	for i := range 6 {
		r := flow
		r.VLAN, r.Proto = uint16(i%2), flowscope.L4Proto(6+i)
		if i%3 == 0 {
			r.IPBytes, r.LateIPBytes = [2]uint64{}, [2]uint64{}
		}
		require.NoError(t, x.Write(&r))
	}
	for range 300 {
		require.NoError(t, x.Write(&flow))
	}
	with := 0
	for i := range c.messages {
		if c.messages[i].templates() > 0 {
			with++
		}
	}
	require.Greater(t, len(c.messages), 50)
	require.Less(t, with, len(c.messages)/5, "of %d messages", len(c.messages))
}

// The sums of what a flow's records say are its counters, however often it was reported and whatever was left out.
func TestIPFIXReportsAddUp(t *testing.T) {
	flow := records(t, "../testdata/captures/http.pcap")[1]
	const flows = 5
	for _, room := range []int{0, 3, 1} {
		c := &collected{t: t}
		x := c.writer(export.IPFIXOptions{MaxReported: room})
		written := 0
		for step := range 4 {
			for i := range flows {
				r := flow
				require.NoError(t, r.UID.UnmarshalText([]byte("C000000000000000"+string(rune('0'+i))+"1")))
				r.Final = step == 3
				r.Packets, r.Late = [2]uint64{uint64(10 * (step + 1)), uint64(step)}, [2]uint64{uint64(step), 0}
				require.NoError(t, x.Write(&r))
				written++
			}
		}
		require.NoError(t, x.Flush())
		leftOut := x.Stats().LeftOut
		if room == 0 {
			room = flows
		}
		assert.Equal(t, 3*(flows-room), int(leftOut))
		assert.Equal(t, written-int(leftOut), int(x.Stats().Flows))
		var sum [2]uint64
		sizes := sizesOf{}
		for i := range c.messages {
			sizes.read(t, &c.messages[i])
			for _, s := range c.messages[i].sets {
				if s.id >= 256 {
					for n := sizes[s.id]; len(s.body) > 0; s.body = s.body[n:] {
						const at = 4 + 4 + 2 + 2 + 1 + 8 + 8 + 8 // packetDeltaCount
						sum[0] += binary.BigEndian.Uint64(s.body[at:])
						sum[1] += binary.BigEndian.Uint64(s.body[at+8:])
					}
				}
			}
		}
		assert.Equal(t, [2]uint64{flows * (40 + 3), flows * 3}, sum)
	}
}

// A socket that fails loses a message, and says so; the next one shows it.
func TestIPFIXMessagesThatWereNotSentAreCounted(t *testing.T) {
	flow := records(t, "../testdata/captures/http.pcap")[1]
	c := &collected{t: t}
	x := c.writer(export.IPFIXOptions{})
	write := func() error {
		require.NoError(t, x.Write(&flow))
		require.NoError(t, x.Write(&flow))
		return x.Flush()
	}
	require.NoError(t, write())
	c.fails = errors.New("no route")
	require.ErrorIs(t, write(), c.fails)
	c.fails = nil
	require.NoError(t, write())
	require.Len(t, c.messages, 2)
	assert.Equal(t, uint32(4), c.messages[1].seq)
	stats := x.Stats()
	assert.Equal(t, [2]uint64{4, 2}, [2]uint64{stats.Flows, stats.NotSent})

	// Where a message is sent since the next record does not fit, that record is not lost.
	c = &collected{t: t}
	x = c.writer(export.IPFIXOptions{MaxMessage: 512})
	written, failed := 0, 0
	for range 100 {
		written++
		c.fails = nil
		if written%7 < 3 {
			c.fails = errors.New("no route")
		}
		if x.Write(&flow) != nil {
			failed++
		}
	}
	c.fails = nil
	require.NoError(t, x.Flush())
	stats = x.Stats()
	require.NotZero(t, failed)
	assert.Equal(t, written, int(stats.Flows+stats.NotSent))
	assert.NotZero(t, stats.NotSent)
}

func TestIPFIXOptionsOutOfRange(t *testing.T) {
	for _, o := range []export.IPFIXOptions{
		{MaxMessage: 511}, {MaxMessage: 65536}, {MaxMessage: -1}, {TemplateMessages: -1}, {TemplateEvery: -1}, {MaxReported: -1},
	} {
		_, err := export.NewIPFIXWriter(io.Discard, o)
		require.Error(t, err, "%+v", o)
	}
}

func TestIPFIXAllocatesNothing(t *testing.T) {
	some := records(t)
	x, err := export.NewIPFIXWriter(io.Discard, export.IPFIXOptions{})
	require.NoError(t, err)
	var stats flowscope.TrackerStats
	assert.Zero(t, testing.AllocsPerRun(10, func() {
		for i := range some {
			_ = x.Write(&some[i])
		}
		_ = x.WriteStats(some[0].End, &stats)
		_ = x.Flush()
	}))
}
