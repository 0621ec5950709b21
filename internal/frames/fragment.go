package frames

import "encoding/binary"

// Fragments cuts an IP packet without options or extension headers into fragments of at most size bytes of
// payload each (size is rounded down to a multiple of 8), in order, with the identification given.
func Fragments(ip []byte, size int, id uint32) [][]byte {
	hl, size := 20, size&^7
	if ip[0]>>4 == 6 {
		hl = 40
	}
	var out [][]byte
	for off, body := 0, ip[hl:]; off < len(body); off += size {
		end := min(off+size, len(body))
		if hl == 20 {
			out = append(out, fragment4(ip[:hl], body[off:end], off, end < len(body), id))
		} else {
			out = append(out, fragment6(ip[:hl], body[off:end], off, end < len(body), id))
		}
	}
	return out
}

func fragment4(header, body []byte, off int, more bool, id uint32) []byte {
	f := append(append([]byte(nil), header...), body...)
	place := uint16(off / 8)
	if more {
		place |= 0x2000
	}
	binary.BigEndian.PutUint16(f[2:], uint16(len(f)))
	binary.BigEndian.PutUint16(f[4:], uint16(id))
	binary.BigEndian.PutUint16(f[6:], place)
	binary.BigEndian.PutUint16(f[10:], 0)
	sum := uint32(0)
	for i := 0; i < len(header); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(f[i:]))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(f[10:], ^uint16(sum))
	return f
}

func fragment6(header, body []byte, off int, more bool, id uint32) []byte {
	f := append([]byte(nil), header...)
	place := uint16(off)
	if more {
		place |= 1
	}
	f = append(f, f[6], 0)
	f = binary.BigEndian.AppendUint16(f, place)
	f = binary.BigEndian.AppendUint32(f, id)
	f = append(f, body...)
	f[6] = 44
	binary.BigEndian.PutUint16(f[4:], uint16(len(f)-40))
	return f
}
