package attack

import "fmt"

// Chaff is a kind of packet that should not be and that changes nothing: the noise under which an attacker hides, and
// a flood for whoever writes a line about each.
type Chaff uint8

const (
	ResetBeyondWindow Chaff = iota // a RST that no receiver believes
	SYNInside                      // a SYN+ACK inside an established connection
	ACKOfNothing                   // acknowledges what was never sent
	BeyondWindow                   // payload far beyond the window
	WithoutACK                     // payload without the ACK flag
	BeforeTheFIN                   // payload beyond the FIN of its side
	FINElsewhere                   // a FIN at another place than the first
	OtherCopy                      // bytes that are held, sent again with other contents
	Again                          // bytes that were delivered, with other contents: no anomaly, but work

	NumChaff
)

// String is a name for tests.
func (k Chaff) String() string {
	if k >= NumChaff {
		return fmt.Sprintf("chaff %d", uint8(k))
	}
	return [...]string{
		"reset beyond the window", "SYN inside", "ACK of nothing", "beyond the window", "without ACK", "beyond the FIN",
		"FIN elsewhere", "other copy of held bytes", "other copy of delivered bytes",
	}[k]
}

// Prelude opens connection i and brings it where chaff of the kind is anomalous: some data either way, for some
// kinds an early byte or a FIN.
func (k Chaff) Prelude(i uint32) Frames {
	return func(yield func([]byte) bool) {
		c := connection{unscaled: true}
		c.become(i)
		if !c.opens(yield) || !yield(c.at(0, PSH|ACK, 0, 0, []byte("abcd"))) || !yield(c.at(1, PSH|ACK, 0, 4, []byte("wxyz"))) {
			return
		}
		switch k {
		case BeforeTheFIN, FINElsewhere:
			yield(c.at(0, FIN|ACK, 4, 4, nil))
		case OtherCopy:
			yield(c.at(0, PSH|ACK, 10, 4, []byte("early")))
		}
	}
}

// Honest is an ACK that fits, on connection i behind its Prelude. A tracker may come to believe what does not fit if
// nothing else comes for long enough.
func (k Chaff) Honest(i uint32) Frames {
	return func(yield func([]byte) bool) {
		var c connection
		c.become(i)
		yield(c.at(1, ACK, 4, 4, nil))
	}
}

// Frames sends n packets of the kind on connection i, behind its Prelude.
func (k Chaff) Frames(i uint32, n int) Frames {
	return func(yield func([]byte) bool) {
		var c connection
		c.become(i)
		for m := range int64(n) {
			var f []byte
			switch k {
			case ResetBeyondWindow:
				f = c.at(0, RST, 1<<31-1-m%1000, 0, nil)
			case SYNInside:
				f = c.at(1, SYN|ACK, 1000+m%100, 4, nil)
			case ACKOfNothing:
				f = c.at(0, ACK, 4, 1<<31-1-m%1000, nil)
			case BeyondWindow:
				f = c.at(0, PSH|ACK, 5_000_000+m%1000, 4, []byte("far"))
			case WithoutACK:
				f = c.at(0, PSH, 4, 0, []byte("who?"))
			case BeforeTheFIN:
				f = c.at(0, PSH|ACK, 4+m%100, 4, []byte("late"))
			case FINElsewhere:
				f = c.at(0, FIN|ACK, 5+m%100, 4, nil)
			case OtherCopy:
				f = c.at(0, PSH|ACK, 10, 4, []byte("EARLY"))
			default:
				f = c.at(0, PSH|ACK, 0, 4, []byte("ABCD"))
			}
			if !yield(f) {
				return
			}
		}
	}
}
