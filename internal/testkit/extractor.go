package testkit

import (
	"time"

	"github.com/flowscope-go/flowscope"
)

// PortOnly is a user's extractor with the least a user can write: a key, and no other methods.
type PortOnly struct{}

// PortKey is the key of PortOnly.
type PortKey struct{ Port uint16 }

// Extract makes a key of the lower port.
func (PortOnly) Extract(v flowscope.PacketView, x *flowscope.Extracted[PortKey]) bool {
	var inner flowscope.Extracted[flowscope.FiveTupleKey]
	if !(flowscope.FiveTuple{}).Extract(v, &inner) {
		x.Refused = inner.Refused
		return false
	}
	x.Key = PortKey{Port: min(inner.Key.A().Port(), inner.Key.B().Port())}
	x.L4, x.Payload, x.Missing = inner.L4, inner.Payload, inner.Missing
	return true
}

// Tenants is a user's extractor with everything: a key with a string in it, a hash and timeouts by key.
type Tenants struct {
	Hashed *int
	Seeds  map[uint64]bool
}

// TenantKey is the key of Tenants.
type TenantKey struct {
	Tenant string
	Flow   flowscope.FiveTupleKey
}

// Extract makes a key of the five-tuple and a name by its port.
func (e Tenants) Extract(v flowscope.PacketView, x *flowscope.Extracted[TenantKey]) bool {
	var inner flowscope.Extracted[flowscope.FiveTupleKey]
	if !(flowscope.FiveTuple{}).Extract(v, &inner) {
		x.Refused = inner.Refused
		return false
	}
	x.Key = TenantKey{Tenant: "blue", Flow: inner.Key}
	if inner.Key.A().Port() == 53 || inner.Key.B().Port() == 53 {
		x.Key.Tenant = "dns"
	}
	x.Orientation, x.L4, x.Payload, x.Missing = inner.Orientation, inner.L4, inner.Payload, inner.Missing
	x.TCP, x.HasTCP = inner.TCP, inner.HasTCP
	return true
}

// Hash counts its calls and notes their seeds.
func (e Tenants) Hash(k TenantKey, seed uint64) uint64 {
	*e.Hashed++
	e.Seeds[seed] = true
	return k.Flow.Hash(seed)
}

// IdleTimeout is short for one of the two names.
func (Tenants) IdleTimeout(k TenantKey) time.Duration {
	if k.Tenant == "dns" {
		return 5 * time.Second
	}
	return 0
}
