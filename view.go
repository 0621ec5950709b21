package flowscope

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/google/gopacket"

	"github.com/flowscope-go/flowscope/internal/capfile"
	"github.com/flowscope-go/flowscope/internal/clock"
	"github.com/flowscope-go/flowscope/internal/decode"
	"github.com/flowscope-go/flowscope/internal/invariants"
)

// Timestamp is a time in nanoseconds since the Unix epoch: that of a packet, never of the machine.
// It spans the years 1678 to 2262; conversions of times outside give the nearest limit. The zero
// Timestamp is the epoch itself.
type Timestamp int64

// NewTimestamp makes a Timestamp of seconds and nanoseconds, which may be any
// numbers: excess nanoseconds carry into the seconds.
func NewTimestamp(sec, nsec int64) Timestamp {
	const second = int64(time.Second)
	carry := nsec / second
	if nsec %= second; nsec < 0 {
		carry, nsec = carry-1, nsec+second
	}
	switch sec = clock.Add(sec, carry); {
	case sec > math.MaxInt64/second:
		return math.MaxInt64
	case sec >= 0:
		return Timestamp(clock.Add(sec*second, nsec))
	case sec < math.MinInt64/second-1:
		return math.MinInt64
	default:
		// One second nearer to the epoch first, so that the product fits.
		return Timestamp(clock.Add((sec+1)*second, nsec-second))
	}
}

// TimestampOf converts a time.Time.
func TimestampOf(t time.Time) Timestamp {
	return NewTimestamp(t.Unix(), int64(t.Nanosecond()))
}

// Time converts to a time.Time in UTC.
func (t Timestamp) Time() time.Time { return time.Unix(0, int64(t)).UTC() }

// Sub is the time from u to t, held at the limits of time.Duration.
func (t Timestamp) Sub(u Timestamp) time.Duration {
	return time.Duration(clock.Sub(int64(t), int64(u)))
}

// Add is the moment d after t, held at the limits of Timestamp.
func (t Timestamp) Add(d time.Duration) Timestamp {
	return Timestamp(clock.Add(int64(t), int64(d)))
}

// AppendText appends the time as RFC 3339 has it, in UTC with up to nine digits after the dot, as
// time.Time does: "1970-01-01T00:20:34.000000001Z". Unlike a number of nanoseconds it survives
// readers of JSON that take every number for a floating-point one. String is another form, that of
// seconds.
func (t Timestamp) AppendText(b []byte) ([]byte, error) {
	return t.Time().AppendFormat(b, time.RFC3339Nano), nil
}

// MarshalText is what AppendText gives.
func (t Timestamp) MarshalText() ([]byte, error) { return t.AppendText(nil) }

// UnmarshalText takes any time in the form of RFC 3339, of any offset from UTC. One that lies outside
// what a Timestamp spans is an error.
func (t *Timestamp) UnmarshalText(text []byte) error {
	var at time.Time
	if at.UnmarshalText(text) != nil || !TimestampOf(at).Time().Equal(at) {
		return notText("Timestamp", text)
	}
	*t = TimestampOf(at)
	return nil
}

// String is the time in seconds with nine digits after the dot, as in "1234.000000001".
func (t Timestamp) String() string {
	sec, nsec := int64(t)/1e9, int64(t)%1e9
	minus := ""
	if t < 0 {
		minus, sec, nsec = "-", -sec, -nsec
	}
	return fmt.Sprintf("%s%d.%09d", minus, sec, nsec)
}

// LinkType is the type of a frame's first header. The constants are the numbers of the
// tcpdump link-type registry, except that the zero value is Ethernet, so that a
// view that says nothing about its link is an Ethernet frame; the registry's 0,
// BSD loopback, is LinkTypeNull. LinkTypeOf makes the translation.
//
// The constants and their texts; go doc flowscope.LinkTypeEthernet says more of them:
//
//	LinkTypeEthernet   ethernet     LinkTypePrism      prism
//	LinkTypePPP        ppp          LinkTypeRadiotap   radiotap
//	LinkTypePPPHDLC    ppp_hdlc     LinkTypeAVS        avs
//	LinkTypePPPoE      pppoe        LinkTypeIPv4       ipv4
//	LinkTypeRaw        raw          LinkTypeIPv6       ipv6
//	LinkTypeCiscoHDLC  cisco_hdlc   LinkTypeNFLOG      nflog
//	LinkTypeWiFi       wifi         LinkTypeInfiniBand infiniband
//	LinkTypeLoop       loop         LinkTypeLinuxSLL2  linux_sll2
//	LinkTypeLinuxSLL   linux_sll    LinkTypeNull       null
//	LinkTypePFLOG      pflog
type LinkType uint16

// The link types that the built-in extractors read. Frames of others are
// refused as RefusedUnknownLink and counted.
const (
	LinkTypeEthernet   LinkType = 1
	LinkTypePPP        LinkType = 9
	LinkTypePPPHDLC    LinkType = 50
	LinkTypePPPoE      LinkType = 51
	LinkTypeRaw        LinkType = 101
	LinkTypeCiscoHDLC  LinkType = 104
	LinkTypeWiFi       LinkType = 105 // 802.11 without a monitor's header
	LinkTypeLoop       LinkType = 108
	LinkTypeLinuxSLL   LinkType = 113
	LinkTypePFLOG      LinkType = 117
	LinkTypePrism      LinkType = 119 // 802.11 behind a Prism header
	LinkTypeRadiotap   LinkType = 127 // 802.11 behind a radiotap header
	LinkTypeAVS        LinkType = 163 // 802.11 behind an AVS header
	LinkTypeIPv4       LinkType = 228
	LinkTypeIPv6       LinkType = 229
	LinkTypeNFLOG      LinkType = 239
	LinkTypeInfiniBand LinkType = 242 // IP over InfiniBand
	LinkTypeLinuxSLL2  LinkType = 276
	LinkTypeNull       LinkType = 65535
)

// linkTypes are in the order of the constants. 0 is Ethernet too, and comes last, as the name leads
// back to LinkTypeEthernet.
var linkTypes = &names{
	of: "LinkType",
	values: []uint16{
		uint16(LinkTypeEthernet), uint16(LinkTypePPP), uint16(LinkTypePPPHDLC), uint16(LinkTypePPPoE), uint16(LinkTypeRaw),
		uint16(LinkTypeCiscoHDLC), uint16(LinkTypeWiFi), uint16(LinkTypeLoop), uint16(LinkTypeLinuxSLL),
		uint16(LinkTypePFLOG), uint16(LinkTypePrism), uint16(LinkTypeRadiotap), uint16(LinkTypeAVS), uint16(LinkTypeIPv4),
		uint16(LinkTypeIPv6), uint16(LinkTypeNFLOG), uint16(LinkTypeInfiniBand), uint16(LinkTypeLinuxSLL2),
		uint16(LinkTypeNull), 0,
	},
	text: []string{
		"ethernet", "ppp", "ppp_hdlc", "pppoe", "raw", "cisco_hdlc", "wifi", "loop", "linux_sll", "pflog", "prism", "radiotap",
		"avs", "ipv4", "ipv6", "nflog", "infiniband", "linux_sll2", "null", "ethernet",
	},
}

// String is a short name, such as "ethernet", or a number, as in "LinkType(147)". 0 is "ethernet"
// too.
func (t LinkType) String() string { return linkTypes.string(uint16(t)) }

// AppendText appends what String gives.
func (t LinkType) AppendText(b []byte) ([]byte, error) { return linkTypes.append(b, uint16(t)), nil }

// MarshalText is what String gives.
func (t LinkType) MarshalText() ([]byte, error) { return t.AppendText(nil) }

// UnmarshalText takes what String gives, and a number of the tcpdump link-type registry, as LinkTypeOf
// does: "1" is Ethernet, "0" is BSD loopback.
func (t *LinkType) UnmarshalText(text []byte) error {
	if n, err := strconv.ParseUint(string(text), 10, 16); err == nil {
		*t = LinkTypeOf(uint16(n))
		return nil
	}
	return unmarshal(linkTypes, t, text)
}

// LinkTypeOf translates a number of the tcpdump link-type registry, as found in
// capture files and given by gopacket's readers.
func LinkTypeOf(number uint16) LinkType {
	if number == 0 {
		return LinkTypeNull
	}
	return LinkType(number)
}

// PacketView is one captured packet, lent to the library. The frame is never written to or kept. It
// must not change until the events that the call returned have been handled, since their Bytes are
// a part of it.
type PacketView struct {
	// Frame is the packet from its link header on, as far as it was captured. A Linux packet socket
	// gives the outer VLAN tag beside the frame: put it back for FiveTuple{VLAN: true}.
	Frame []byte
	// Timestamp is the time of capture.
	Timestamp Timestamp
	// WireLen is the length of the packet on the wire, in bytes. 0, and anything below len(Frame),
	// stands for len(Frame).
	WireLen int
	// LinkType is the type of the first header of Frame; 0 is Ethernet.
	LinkType LinkType
	// Interface is the number of the capturing interface, as the source counts them: from 0 in a
	// pcapng file, of the operating system in a live capture. 0 too if there is only one, or none is
	// known. It changes nothing but FlowStats.Interface.
	Interface uint32
	// ID is the caller's own number for the packet. Events give it back. Parsers may compare it, to tell which of two
	// packets came first: so give numbers that rise, or 0 to all without parsers.
	ID uint64

	decoder *decoder // nil: frame, with no tunnel peeled off
}

// decoder is how the built-in extractors read the headers of a view whose tunnels are peeled off,
// or that is a reassembled datagram. A combinator sets it for the extractor inside, and the tracker
// for a datagram.
type decoder struct {
	peeler *decode.Peeler // which tunnels may be peeled off; nil for none
	// Of a reassembled datagram: the headers of its first fragment, and the bytes behind them.
	first *decode.Packet
	data  []byte
}

// bytes are the frame, or the reassembled datagram, that the headers were read from.
func (v *PacketView) bytes() []byte {
	if d := v.decoder; d != nil && d.first != nil {
		return d.data
	}
	return v.Frame
}

// decode reads the headers of a view. A nil decoder reads those of the frame.
func (d *decoder) decode(v *PacketView, p *decode.Packet) decode.Status {
	switch {
	case d == nil:
		return decode.Decode(p, v.Frame, decode.Link(v.LinkType), v.WireLen)
	case d.first == nil:
		return decode.DecodeWith(p, v.Frame, decode.Link(v.LinkType), v.WireLen, d.peeler)
	}
	*p = *d.first
	return decode.Reassembled(p, d.data, d.peeler)
}

// ErrNotCapture, ErrTruncated and ErrCorrupt are the faults of a capture file; test with errors.Is.
// The CaptureError around them has the offset at which the damage begins.
var (
	ErrNotCapture = capfile.ErrFormat    // no capture file: unknown or missing first bytes
	ErrTruncated  = capfile.ErrTruncated // the file ends inside a record, or one claims to be longer than it is
	ErrCorrupt    = capfile.ErrCorrupt   // lengths or fields contradict each other, or a record has over 16 MiB
)

// CaptureError is the place where reading a capture file stopped, and the reason. Every whole packet
// before Offset was delivered.
type CaptureError struct {
	// Name is the file's, as it was given to OpenCapture; "" with ReadCapture.
	Name string
	// Offset is where the damaged record begins, in bytes from the beginning
	// of the file, after decompression.
	Offset int64
	// Err is ErrNotCapture, ErrTruncated, ErrCorrupt or the reader's own error.
	Err error
}

// Error is Name, if there is one, and the text of Err, which contains the offset.
func (e *CaptureError) Error() string {
	if e.Name == "" {
		return e.Err.Error()
	}
	return e.Name + ": " + e.Err.Error()
}

// Unwrap gives Err.
func (e *CaptureError) Unwrap() error { return e.Err }

// ReadCapture reads a capture file: classic pcap or pcapng, of any byte order and time resolution,
// uncompressed or gzip, recognised by the first bytes. It never waits for more than the next packet
// needs, and allocates nothing for lengths that a file merely claims. A gzip stream that unpacks to
// 256 MiB without a packet ends with ErrCorrupt, since the loop has no say until there is one. To stop it
// sooner, have r return an error, as when a context is done.
//
// The frame of a view is valid until the loop asks for the next one. IDs count the packets from 1.
// If the file is damaged, every whole packet before the damage comes first and then one pair with a
// *CaptureError ends the sequence. The sequence can be ranged over once.
func ReadCapture(r io.Reader) iter.Seq2[PacketView, error] { return readCapture(r, "") }

func readCapture(r io.Reader, name string) iter.Seq2[PacketView, error] {
	return func(yield func(PacketView, error) bool) {
		file := capfile.NewReader(r)
		var p capfile.Packet
		for id := uint64(1); ; id++ {
			if err := file.Next(&p); err != nil {
				if err != io.EOF {
					yield(PacketView{}, captureError(name, err))
				}
				return
			}
			v := PacketView{
				Frame:     p.Data,
				Timestamp: Timestamp(p.Time),
				WireLen:   p.WireLen,
				LinkType:  LinkTypeOf(p.Link),
				Interface: uint32(p.Interface),
				ID:        id,
			}
			more := yield(v, nil)
			if invariants.Enabled {
				invariants.Trample(p.Data)
			}
			if !more {
				return
			}
		}
	}
}

func captureError(name string, err error) error {
	e := &CaptureError{Name: name, Err: err}
	var at *capfile.Error
	if errors.As(err, &at) {
		e.Offset = at.Offset
	}
	return e
}

// OpenCapture is ReadCapture on the file of that name, which is in its errors; "-" is standard
// input. The file is opened each time the sequence is ranged over and closed at its end.
func OpenCapture(name string) iter.Seq2[PacketView, error] {
	return func(yield func(PacketView, error) bool) {
		file := os.Stdin
		if name != "-" {
			var err error
			if file, err = os.Open(name); err != nil {
				yield(PacketView{}, err)
				return
			}
			defer file.Close()
		}
		readCapture(file, name)(yield)
	}
}

// CaptureInfo is the underlying type of gopacket's CaptureInfo. The type of
// github.com/google/gopacket and that of github.com/gopacket/gopacket both fit,
// so sources of either can be used without importing the other.
type CaptureInfo interface {
	~struct {
		Timestamp      time.Time
		CaptureLength  int
		Length         int
		InterfaceIndex int
		AncillaryData  []interface{}
	}
}

// PacketSource is gopacket's PacketDataSource, of any fork: a capture handle or
// file reader that hands out one packet a call.
type PacketSource[C CaptureInfo] interface {
	ReadPacketData() (data []byte, ci C, err error)
}

// ZeroCopyPacketSource is gopacket's ZeroCopyPacketDataSource, of any fork: the
// data of a packet is valid until the next call.
type ZeroCopyPacketSource[C CaptureInfo] interface {
	ZeroCopyReadPacketData() (data []byte, ci C, err error)
}

// FromSource turns a gopacket source into a sequence of views of the given link
// type; write LinkTypeOf(uint16(handle.LinkType())). The LinkType of github.com/google/gopacket has 8 bits:
// of a capture of LinkTypeLinuxSLL2, whose number is 276, it is 20, so there give the constant. If the
// source can also read without copying, that is what is used. See FromZeroCopySource for the rules.
func FromSource[C CaptureInfo](ctx context.Context, src PacketSource[C], link LinkType) iter.Seq2[PacketView, error] {
	if zc, ok := src.(ZeroCopyPacketSource[C]); ok {
		return views(ctx, zc.ZeroCopyReadPacketData, link)
	}
	return views(ctx, src.ReadPacketData, link)
}

// FromZeroCopySource turns a gopacket source that lends its packets into a sequence of views. The
// frame of a view is valid until the loop asks for the next one, and IDs count the packets from 1.
//
// The sequence ends at io.EOF, and with the context's error once ctx is done, which is checked
// between packets: a source that blocks needs a read timeout of its own. Any other error of the
// source is passed on with an empty view, and the sequence reads again if the loop goes on: so the
// read timeouts of a live source are a place to call Sweep, and a loop must break on a final error.
func FromZeroCopySource[C CaptureInfo](ctx context.Context, src ZeroCopyPacketSource[C], link LinkType) iter.Seq2[PacketView, error] {
	return views(ctx, src.ZeroCopyReadPacketData, link)
}

// FromPackets turns the packets of a gopacket.PacketSource into a sequence of views of the given link type,
// for programs that loop over them:
//
//	for view, err := range flowscope.FromPackets(source.Packets(), flowscope.LinkTypeEthernet) {
//
// Only a packet's data and its CaptureInfo are read; the layers that gopacket has decoded are not. Where
// nothing else needs the layers, FromSource is the faster way. IDs count the packets from 1, and there are
// no errors: a channel tells of none. On a live handle a loop over it hears of no time while no packets
// come: use ViewOf beside a ticker there. As to link, see FromSource.
func FromPackets(packets <-chan gopacket.Packet, link LinkType) iter.Seq2[PacketView, error] {
	return func(yield func(PacketView, error) bool) {
		id := uint64(0)
		for p := range packets {
			id++
			v := ViewOf(p, link)
			if v.ID = id; !yield(v, nil) {
				return
			}
		}
	}
}

// ViewOf is the view of a gopacket packet of the given link type, with ID 0, for a loop that has the packet's
// layers too, or that waits for other things beside packets. The frame is the packet's own data.
func ViewOf(p gopacket.Packet, link LinkType) PacketView {
	about := p.Metadata()
	return PacketView{
		Frame: p.Data(), Timestamp: TimestampOf(about.Timestamp), WireLen: about.Length, LinkType: link, Interface: uint32(about.InterfaceIndex),
	}
}

func views[C CaptureInfo](ctx context.Context, read func() ([]byte, C, error), link LinkType) iter.Seq2[PacketView, error] {
	type info struct {
		Timestamp      time.Time
		CaptureLength  int
		Length         int
		InterfaceIndex int
		AncillaryData  []interface{}
	}
	return func(yield func(PacketView, error) bool) {
		for id := uint64(1); ; {
			if err := ctx.Err(); err != nil {
				yield(PacketView{}, err)
				return
			}
			data, ci, err := read()
			if err == io.EOF {
				return
			}
			v := PacketView{}
			if err == nil {
				about := info(ci)
				v = PacketView{Frame: data, Timestamp: TimestampOf(about.Timestamp), WireLen: about.Length, LinkType: link, Interface: uint32(about.InterfaceIndex), ID: id}
				id++
			}
			if !yield(v, err) {
				return
			}
		}
	}
}
