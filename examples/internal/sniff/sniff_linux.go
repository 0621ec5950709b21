// Package sniff reads the packets of an interface, for examples that are about what is done with them; examples/live is the
// one to copy. It is a module of its own, so that the library does not depend on a packet socket's.
package sniff

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gopacket/gopacket/afpacket"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/flowscope-go/flowscope"
)

// Socket reads the packets of an interface. The kernel fills a ring of blocks that is shared with the process; a block is handed
// over when it is full, or after blockTimeout.
type Socket struct {
	link   flowscope.LinkType
	socket *afpacket.TPacket
	empty  atomic.Int64  // when the ring was last empty
	lost   atomic.Uint64 // by the kernel
	// counted is what afpacket counted last.
	counted uint32
}

const (
	blockSize    = 1 << 20
	ringBlocks   = 32
	blockTimeout = 50 * time.Millisecond
	pollTimeout  = 100 * time.Millisecond
	// settle is how far packet time stays behind the clock on a silent interface: a packet has its timestamp before it
	// is in the ring, and a block waits for blockTimeout.
	settle = 4 * blockTimeout
)

// Open opens a packet socket on an interface. It needs CAP_NET_RAW.
func Open(device string) (*Socket, error) {
	link, loopback, err := linkOf(device)
	if err != nil {
		return nil, err
	}
	socket, err := afpacket.NewTPacket(afpacket.OptInterface(device), afpacket.TPacketVersion3,
		afpacket.OptFrameSize(blockSize), afpacket.OptBlockSize(blockSize), afpacket.OptNumBlocks(ringBlocks),
		afpacket.OptBlockTimeout(blockTimeout), afpacket.OptPollTimeout(pollTimeout))
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return nil, errors.New("no right to open packet sockets: start it as root, or once do " +
			"setcap cap_net_raw+ep on the program")
	case err != nil:
		return nil, fmt.Errorf("%s: %w", device, err)
	}
	if loopback {
		if err := once(socket); err != nil {
			socket.Close()
			return nil, fmt.Errorf("%s: %w", device, err)
		}
	}
	return &Socket{link: link, socket: socket}, nil
}

// linkOf says with which header the frames of an interface begin, by its ARP hardware type.
func linkOf(device string) (link flowscope.LinkType, loopback bool, err error) {
	if device != filepath.Base(device) {
		return 0, false, fmt.Errorf("%s: no interface has such a name", device)
	}
	text, err := os.ReadFile(filepath.Join("/sys/class/net", device, "type"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, fmt.Errorf("%s: there is no such interface", device)
	} else if err != nil {
		return 0, false, err
	}
	switch kind := strings.TrimSpace(string(text)); kind {
	case "1":
		return flowscope.LinkTypeEthernet, false, nil
	case "772": // its frames have an Ethernet header
		return flowscope.LinkTypeEthernet, true, nil
	case "65534": // a tunnel without a link header
		return flowscope.LinkTypeRaw, false, nil
	default:
		return 0, false, fmt.Errorf("%s: links of the type %s are not read", device, kind)
	}
}

// once leaves out the outgoing copies of packets: on the loopback interface each packet is seen going out and coming in.
func once(socket *afpacket.TPacket) error {
	program, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PACKET_OUTGOING, SkipFalse: 1},
		bpf.RetConstant{Val: 0},
		bpf.RetConstant{Val: 1 << 20},
	})
	if err != nil {
		return err
	}
	return socket.SetBPF(program)
}

// Packets are those of the interface until ctx is done, or it goes down. A frame is valid until the loop asks for the next one. Dropped
// and Silent can be asked meanwhile by others.
func (s *Socket) Packets(ctx context.Context) iter.Seq2[flowscope.PacketView, error] {
	return func(yield func(flowscope.PacketView, error) bool) {
		n := 0
		for view, err := range flowscope.FromZeroCopySource(ctx, s.socket, s.link) {
			if errors.Is(err, afpacket.ErrTimeout) || errors.Is(err, unix.EINTR) {
				s.empty.Store(time.Now().UnixNano())
				s.count()
				continue
			}
			if n++; n%10_000 == 0 {
				s.count()
			}
			if !yield(view, err) || err != nil {
				return
			}
		}
	}
}

// count reads the drops. The kernel sets its counter to zero with each reading, and afpacket adds them up in 32 bits,
// which days may fill.
func (s *Socket) count() {
	if _, stats, err := s.socket.SocketStats(); err == nil {
		all := uint32(stats.Drops())
		s.lost.Add(uint64(all - s.counted))
		s.counted = all
	}
}

// Silent is a time before which all packets have been given: a while before the ring was found empty last. It is false if that was
// never so.
func (s *Socket) Silent() (flowscope.Timestamp, bool) {
	empty := s.empty.Load()
	return flowscope.Timestamp(empty - int64(settle)), empty != 0
}

// Dropped is how many packets the kernel has dropped, because the ring was full.
func (s *Socket) Dropped() uint64 { return s.lost.Load() }

// Close closes the socket. No loop over Packets may go on.
func (s *Socket) Close() { s.socket.Close() }
