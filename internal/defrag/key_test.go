package defrag

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFragmentsOfDifferentKeysAreDifferentDatagrams(t *testing.T) {
	base := Key{SrcHi: 1, SrcLo: 2, DstHi: 3, DstLo: 4, ID: 5, Proto: 17, Family: 4, VLAN: 6, Outer: 7}
	for _, tt := range []struct {
		name   string
		change func(*Key)
	}{
		{"id", func(k *Key) { k.ID++ }},
		{"id above 16 bits", func(k *Key) { k.ID += 1 << 16 }},
		{"protocol", func(k *Key) { k.Proto = 6 }},
		{"VLAN", func(k *Key) { k.VLAN++ }},
		{"source, low", func(k *Key) { k.SrcLo++ }},
		{"source, high", func(k *Key) { k.SrcHi++ }},
		{"destination, low", func(k *Key) { k.DstLo++ }},
		{"destination, high", func(k *Key) { k.DstHi++ }},
		{"the other direction", func(k *Key) { k.SrcHi, k.SrcLo, k.DstHi, k.DstLo = k.DstHi, k.DstLo, k.SrcHi, k.SrcLo }},
		{"family", func(k *Key) { k.Family, k.Proto = 6, 0 }},
		{"tunnel", func(k *Key) { k.Outer++ }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table := New[int](Limits{}, 1)
			other := base
			tt.change(&other)
			for i, k := range []Key{base, other} {
				_, out := table.Add(&Fragment{Key: k, Bytes: []byte{'A', 'A', 'A', 'A', 'A', 'A', 'A', byte(i)}, More: true}, nil)
				require.Equal(t, Held, out)
			}
			for i, k := range []Key{base, other} {
				d, out := table.Add(&Fragment{Key: k, Offset: 8, Bytes: []byte{byte(i)}}, nil)
				require.Equal(t, Complete, out)
				require.Equal(t, []byte{'A', 'A', 'A', 'A', 'A', 'A', 'A', byte(i), byte(i)}, d.Data)
			}
		})
	}
}

// I13: RFC 8200 section 4.5 takes the next header of the first fragment, whatever later ones name.
func TestALaterIPv6FragmentMayNameAnotherProtocol(t *testing.T) {
	table := New[uint8](Limits{}, 1)
	udp, tcp := uint8(17), uint8(6)
	_, out := table.Add(&Fragment{Key: Key{Family: 6, Proto: tcp}, Offset: 8, Bytes: make([]byte, 8)}, &tcp)
	require.Equal(t, Held, out)
	d, out := table.Add(&Fragment{Key: Key{Family: 6, Proto: udp}, Bytes: make([]byte, 8), More: true}, &udp)
	require.Equal(t, Complete, out)
	require.Equal(t, udp, *d.First)
}

func TestTheValueIsTheFirstStoredFragmentsAndLeavesWithIt(t *testing.T) {
	table := New[*int](Limits{}, 1)
	one, two := new(int), new(int)
	table.Add(&Fragment{Bytes: make([]byte, 8), More: true}, &one)
	table.Add(&Fragment{Bytes: make([]byte, 8), More: true}, &two)
	d, out := table.Add(&Fragment{Offset: 8, Bytes: make([]byte, 8)}, &two)
	require.Equal(t, Complete, out)
	require.Same(t, one, *d.First)
	first := d.First
	table.Expire(0, math.MaxInt)
	require.Nil(t, *first, "the table keeps nothing of it alive")

	k := Key{ID: 1}
	table.Add(&Fragment{Key: k, Bytes: make([]byte, 8), More: true}, &one)
	table.Add(&Fragment{Key: k, Bytes: make([]byte, 16), More: true}, &two)
	require.Nil(t, table.all.first.value, "nor in a tombstone")
}

// probes is the mean number of steps beyond the first that finding takes.
func probes(keys []Key, seed uint64) float64 {
	table := New[struct{}](Limits{TotalBytes: 1 << 30, Datagrams: len(keys)}, seed)
	for _, k := range keys {
		table.Add(&Fragment{Key: k, Bytes: make([]byte, 8), More: true}, nil)
	}
	x, steps := &table.index, 0
	for i, d := range x.slots {
		if d != nil {
			steps += (i - x.home(d.hash)) & (len(x.slots) - 1)
		}
	}
	return float64(steps) / float64(x.used)
}

func TestKeysThatMeetUnderOneSeedSpreadUnderAnother(t *testing.T) {
	const n = 2000
	known := newSecret(1)
	var plain, hostile []Key
	for id := uint32(0); len(hostile) < n; id++ {
		k := Key{SrcLo: 10, DstLo: 20, Family: 6, ID: id}
		if len(plain) < n {
			plain = append(plain, k)
		}
		if known.hash(&k)&4095 < 40 {
			hostile = append(hostile, k)
		}
	}
	usual, attacked := probes(plain, 2), probes(hostile, 2)
	require.Less(t, usual, 1.0)
	require.Less(t, attacked, 1.0)
	require.Greater(t, probes(hostile, 1), 100.0, "the attack would work with a known seed")
}

func TestNoWordOfTheKeyIsLeftOutOfTheHash(t *testing.T) {
	s := newSecret(3)
	var keys [7 * 64]Key
	for bit := range uint(64) {
		keys[bit].SrcHi = 1 << bit
		keys[64+bit].SrcLo = 1 << bit
		keys[128+bit].DstHi = 1 << bit
		keys[192+bit].DstLo = 1 << bit
		keys[256+bit].Outer = 1 << bit
		keys[320+bit].ID = 1 << (bit % 32)
		keys[384+bit] = Key{VLAN: 1 << (bit % 16), Proto: uint8(bit), Family: 4}
	}
	hashes := map[uint64]Key{}
	for _, k := range keys {
		h := s.hash(&k)
		if other, ok := hashes[h]; ok {
			require.Equal(t, other, k)
		}
		hashes[h] = k
	}
}
