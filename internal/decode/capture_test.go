package decode

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const captures = "../../../shared/captures/open"

// Captures of real and of hostile traffic, as they are, and cut.
func TestCapturesAreReadAsTheReferenceReadsThem(t *testing.T) {
	names, _ := filepath.Glob(filepath.Join(captures, "*.pcap*"))
	if len(names) == 0 {
		t.Skip("no captures in " + captures)
	}
	var counts [NumStatus]int
	total := 0
	for _, name := range names {
		err := eachFrame(name, func(frame []byte, link Link, wireLen int) {
			_, status := check(t, frame, link, wireLen)
			check(t, frame[:len(frame)*2/3], link, wireLen)
			check(t, frame[:min(len(frame), 60)], link, wireLen)
			counts[status]++
			total++
		})
		if err != nil {
			t.Logf("%s: %v", filepath.Base(name), err)
		}
	}
	for s, n := range counts {
		t.Logf("%6d %v", n, Status(s))
	}
	if total < 1000 || counts[OK] < total*8/10 {
		t.Errorf("%d frames, of which %d are read", total, counts[OK])
	}
}

func eachFrame(name string, visit func(frame []byte, link Link, wireLen int)) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if strings.HasSuffix(name, "ng") {
		return eachFrameNG(b, visit)
	}
	if len(b) < 24 {
		return errors.New("no file header")
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if b[0] == 0xa1 {
		order = binary.BigEndian
	}
	link := registryLink(int(order.Uint32(b[20:]) & 0xffff))
	for b = b[24:]; len(b) >= 16; {
		n, wireLen := int(order.Uint32(b[8:])), int(order.Uint32(b[12:]))
		if n < 0 || n > len(b)-16 {
			return errors.New("the last record is cut")
		}
		visit(b[16:16+n], link, wireLen)
		b = b[16+n:]
	}
	return nil
}

// eachFrameNG knows the blocks that matter: section, interface, and packet with an interface number.
func eachFrameNG(b []byte, visit func(frame []byte, link Link, wireLen int)) error {
	order := binary.ByteOrder(binary.LittleEndian)
	var links []Link
	for len(b) >= 12 {
		if binary.BigEndian.Uint32(b) == 0x0a0d0d0a { // a palindrome: the section's order is in the magic after it
			order, links = binary.LittleEndian, nil
			if binary.BigEndian.Uint32(b[8:]) == 0x1a2b3c4d {
				order = binary.BigEndian
			}
		}
		size := int(order.Uint32(b[4:]))
		if size < 12 || size > len(b) {
			return errors.New("the last block is cut")
		}
		body, kind := b[8:size-4], order.Uint32(b)
		switch {
		case kind == 1 && len(body) >= 8:
			links = append(links, registryLink(int(order.Uint16(body))))
		case kind == 6 && len(body) >= 20:
			n, id := int(order.Uint32(body[12:])), int(order.Uint32(body))
			if id < 0 || id >= len(links) || n < 0 || n > len(body)-20 {
				return errors.New("a packet block that cannot be")
			}
			visit(body[20:20+n], links[id], int(order.Uint32(body[16:])))
		}
		b = b[size:]
	}
	return nil
}

func registryLink(number int) Link {
	if number == 0 {
		return LinkNull
	}
	return Link(number)
}
