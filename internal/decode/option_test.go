package decode

import (
	"testing"

	"github.com/flowscope-go/flowscope/flowtest/frames"
)

func segment(flags string, options ...byte) []byte {
	b := frames.TCP{Src: "10.0.0.1:1234", Dst: "10.0.0.2:80", Flags: flags}.IP()
	for len(options)%4 != 0 {
		options = append(options, 0)
	}
	b = append(b, options...)
	b[3], b[32] = byte(len(b)), byte(5+len(options)/4)<<4
	return b
}

func TestWindowScaleIsReadFromWhateverOptionsThereAre(t *testing.T) {
	for _, c := range []struct {
		name    string
		flags   string
		options []byte
		has     bool
		scale   uint8
	}{
		{"none", "S", nil, false, 0},
		{"alone", "S", []byte{3, 3, 7}, true, 7},
		{"shift 0 is there", "S", []byte{3, 3, 0}, true, 0},
		{"of a SYN+ACK", "SA", []byte{2, 4, 5, 180, 3, 3, 9}, true, 9},
		{"after no-operations", "S", []byte{1, 1, 1, 1, 1, 3, 3, 8}, true, 8},
		{"above 14 counts as 14", "S", []byte{3, 3, 200}, true, 14},
		{"not on a segment without SYN", "A", []byte{3, 3, 7}, false, 0},
		{"not after the end of the list", "S", []byte{0, 2, 3, 3, 7}, false, 0},
		{"not after an option of length 0", "S", []byte{2, 0, 3, 3, 7}, false, 0},
		{"not after an option of length 1", "S", []byte{2, 1, 3, 3, 7}, false, 0},
		{"not after an option past the end", "S", []byte{2, 9, 3, 3, 7}, false, 0},
		{"not of another length", "S", []byte{3, 4, 7, 7}, false, 0},
		{"not without room for a length", "S", []byte{1, 1, 1, 3}, false, 0},
		{"not without room for a shift", "S", []byte{1, 1, 3, 3}, false, 0},
		{"the last of two", "S", []byte{3, 3, 7, 3, 3, 5}, true, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, status := check(t, segment(c.flags, c.options...), LinkIPv4, 0)
			if status != OK || p.HasWindowScale != c.has || p.WindowScale != c.scale || len(p.Payload) != 0 {
				t.Fatalf("%v, %v %d, want %v %d", status, p.HasWindowScale, p.WindowScale, c.has, c.scale)
			}
		})
	}
}

func TestOptionsCutByTheSnapLengthAreMissingAndNoMore(t *testing.T) {
	whole := segment("S", 2, 4, 5, 180, 3, 3, 7, 0)
	for n := 40; n < len(whole); n++ {
		p, status := check(t, whole[:n], LinkIPv4, len(whole))
		if status != OK || p.HasWindowScale != (n >= 47) || p.Missing != 0 {
			t.Errorf("%d bytes: %v, %+v", n, status, p)
		}
	}
}

// What a receiver makes of a segment turns on these (RFC 2018, RFC 7323, RFC 2385, RFC 5925), on a SYN
// and on any other segment.
func TestTheOptionsThatAReceiverJudgesByAreRead(t *testing.T) {
	stamps := []byte{8, 10, 0, 0, 1, 2, 0, 0, 3, 4}
	padded := append([]byte{1, 1}, stamps...)
	md5, ao := append([]byte{19, 18}, make([]byte, 16)...), []byte{29, 4, 1, 1}
	for _, c := range []struct {
		name        string
		options     []byte
		want        uint8
		value, echo uint32
	}{
		{"none", nil, 0, 0, 0},
		{"timestamps, padded as nearly all are", padded, OptTimestamps, 0x102, 0x304},
		{"timestamps in front", stamps, OptTimestamps, 0x102, 0x304},
		{"timestamps of another length", []byte{8, 9, 0, 0, 1, 2, 0, 0, 3}, 0, 0, 0},
		{"timestamps past the end", stamps[:8], 0, 0, 0},
		{"padded, of another length", append([]byte{1, 1, 8, 9}, padded[4:]...), 0, 0, 0},
		{"the last of two timestamps", append([]byte{8, 10, 9, 9, 9, 9, 9, 9, 9, 9}, stamps...), OptTimestamps, 0x102, 0x304},
		{"SACK permitted", []byte{4, 2}, OptSACKPermitted, 0, 0},
		{"SACK permitted of another length", []byte{4, 3, 0}, 0, 0, 0},
		{"MD5", md5, OptMD5, 0, 0},
		{"MD5 of another length", append([]byte{19, 17}, make([]byte, 15)...), 0, 0, 0},
		{"AO", ao, OptAO, 0, 0},
		{"AO without its two numbers", []byte{29, 3, 1}, 0, 0, 0},
		{"all", append(append(append([]byte{4, 2}, padded...), ao...), md5...), OptSACKPermitted | OptTimestamps | OptMD5 | OptAO, 0x102, 0x304},
	} {
		for _, flags := range []string{"S", "A", "R"} {
			t.Run(c.name+"/"+flags, func(t *testing.T) {
				p, status := check(t, segment(flags, c.options...), LinkIPv4, 0)
				echo := c.echo
				if flags == "A" {
					echo = 0 // nobody asks
				}
				if status != OK || p.Options != c.want || p.Timestamp != c.value || p.TimestampEcho != echo {
					t.Errorf("%v, %#x %#x %#x", status, p.Options, p.Timestamp, p.TimestampEcho)
				}
			})
		}
	}
}

// A receiver throws a packet away whose IP length goes beyond the end of its frame. A capture that cuts
// frames off does not make one of it.
func TestAnIPLengthBeyondAWholeFrameIsNoted(t *testing.T) {
	segment4 := frames.TCP{Src: "10.0.0.1:1234", Dst: "10.0.0.2:80", Flags: "A", Payload: []byte("abcd")}.IP()
	segment6 := frames.TCP{Src: "[fd00::1]:1234", Dst: "[fd00::2]:80", Flags: "A", Payload: []byte("abcd")}.IP()
	for _, c := range []struct {
		name  string
		frame []byte
		link  Link
		at    int // the low byte of the length
	}{{"IPv4", segment4, LinkIPv4, 3}, {"IPv6", segment6, LinkIPv6, 5}} {
		size := len(c.frame)
		for _, k := range []struct {
			name            string
			more, cut, wire int // length beyond the frame, bytes cut off, length on the wire
			want            uint8
		}{
			{"exact", 0, 0, 0, 0},
			{"one beyond", 1, 0, 0, OptBadLength},
			{"one below", -1, 0, 0, 0},
			{"cut off", 0, 2, size, 0},
			{"cut off, and one beyond", 1, 2, size + 1, 0},
			{"cut off, and one beyond all there was", 1, 2, size, OptBadLength},
		} {
			t.Run(c.name+"/"+k.name, func(t *testing.T) {
				frame := append([]byte(nil), c.frame[:size-k.cut]...)
				frame[c.at] += byte(k.more)
				want := min(4+k.more, max(len(frame), k.wire)-(size-4)) // no more than were on the wire
				p, status := check(t, frame, c.link, k.wire)
				if status != OK || p.Options != k.want || len(p.Payload)+p.Missing != want {
					t.Errorf("%v, options %#x, payload %q and %d missing", status, p.Options, p.Payload, p.Missing)
				}
			})
		}
	}
}
