package frames

import (
	"encoding/binary"

	"github.com/google/gopacket/layers"
)

// MSS is the maximum segment size option.
func MSS(n uint16) layers.TCPOption {
	return option(layers.TCPOptionKindMSS, binary.BigEndian.AppendUint16(nil, n)...)
}

// WindowScale is the window scale option.
func WindowScale(shift uint8) layers.TCPOption {
	return option(layers.TCPOptionKindWindowScale, shift)
}

// SACKPermitted is the option that allows selective acknowledgements.
func SACKPermitted() layers.TCPOption { return option(layers.TCPOptionKindSACKPermitted) }

// Timestamps is the timestamps option.
func Timestamps(value, echo uint32) layers.TCPOption {
	return option(layers.TCPOptionKindTimestamps, binary.BigEndian.AppendUint64(nil, uint64(value)<<32|uint64(echo))...)
}

func option(kind layers.TCPOptionKind, data ...byte) layers.TCPOption {
	return layers.TCPOption{OptionType: kind, OptionLength: uint8(2 + len(data)), OptionData: data}
}
