package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
)

// TestCopiesAreTheSamePacketAtOnce: what differs in what a router leaves alone, or comes later, was sent again.
func TestCopiesAreTheSamePacketAtOnce(t *testing.T) {
	first := extracted{Payload: []byte("text"), HasTCP: true, TCP: flowscope.TCPInfo{Seq: 1, Ack: 2, Window: 3, Timestamp: 4, TimestampEcho: 5}}
	for name, change := range map[string]func(*extracted){
		"seq": func(x *extracted) { x.TCP.Seq++ }, "ack": func(x *extracted) { x.TCP.Ack++ }, "window": func(x *extracted) { x.TCP.Window++ },
		"timestamp": func(x *extracted) { x.TCP.Timestamp++ }, "echo": func(x *extracted) { x.TCP.TimestampEcho++ },
		"flags": func(x *extracted) { x.TCP.Flags++ }, "payload": func(x *extracted) { x.Payload = []byte("texT") },
		"missing": func(x *extracted) { x.Missing++ }, "side": func(x *extracted) { x.Orientation++ },
	} {
		c, again := newCopies(), first
		require.False(t, c.is(0, &first))
		change(&again)
		require.False(t, c.is(1, &again), name)
		require.True(t, c.is(2, &again), name)
	}
	c, within := newCopies(), flowscope.Timestamp(copyWithin/time.Nanosecond)
	require.False(t, c.is(0, &first))
	require.True(t, c.is(within, &first))
	require.False(t, c.is(2*within+1, &first), "too late")
	require.False(t, c.is(within, &first), "earlier than the one before")
}
