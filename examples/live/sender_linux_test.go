package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// The datagrams of the test go from the ports from firstPort on to this one. Their payload begins with their number.
const (
	testPort  = 7777
	firstPort = 20_000
	testFlows = 100
)

// datagram is one of them.
func datagram(i int, vlans ...uint16) []byte {
	payload := make([]byte, 32+i%64)
	binary.BigEndian.PutUint64(payload, uint64(i))
	from, to := fmt.Sprintf("192.0.2.1:%d", firstPort+i%testFlows), fmt.Sprintf("192.0.2.2:%d", testPort)
	return frames.UDP{Src: from, Dst: to, Payload: payload, VLANs: vlans}.Ethernet()
}

// send sends datagrams from an interface: its name, how many, how many in a second, and their VLAN or 0.
func send() {
	args := arguments()
	count, err := strconv.Atoi(args[1])
	check(err)
	rate, err := strconv.Atoi(args[2])
	check(err)
	tag, err := strconv.ParseUint(args[3], 10, 12)
	check(err)
	var vlans []uint16
	if tag != 0 {
		vlans = []uint16{uint16(tag)}
	}
	all := make([]sent, count)
	for i := range all {
		all[i] = sent{0, datagram(i, vlans...)}
	}
	transmit(args[:1], all, rate)
}

// sent is a frame, and the number of the interface that it leaves by.
type sent struct {
	by    int
	frame []byte
}

// transmit sends frames at a rate, in bursts of a millisecond.
func transmit(names []string, all []sent, rate int) {
	var to []*unix.SockaddrLinklayer
	for _, name := range names {
		i, err := net.InterfaceByName(name)
		check(err)
		to = append(to, &unix.SockaddrLinklayer{Ifindex: i.Index})
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	check(err)
	fmt.Println("sending")
	began := time.Now()
	for k, s := range all {
		if due := began.Add(time.Duration(k) * time.Second / time.Duration(rate)); k%max(rate/1000, 1) == 0 {
			time.Sleep(time.Until(due))
		}
		check(unix.Sendto(fd, s.frame, 0, to[s.by]))
	}
	fmt.Printf("%d frames in %v\n", len(all), time.Since(began).Round(time.Millisecond))
}

// dialogue is a connection, of which the server's frames leave by another interface.
func dialogue(i int) []sent { return connection(firstPort+i, 7000, "ask", "told") }

func connection(client, server int, request, answer string) (all []sent) {
	ends := [2]string{fmt.Sprintf("192.0.2.1:%d", client), fmt.Sprintf("192.0.2.2:%d", server)}
	seq := [2]uint32{1000, 9000}
	for _, s := range []struct {
		from           int
		flags, payload string
	}{{0, "S", ""}, {1, "SA", ""}, {0, "A", ""}, {0, "PA", request}, {1, "PA", answer}, {0, "FA", ""}, {1, "FA", ""}, {0, "A", ""}} {
		segment := frames.TCP{Src: ends[s.from], Dst: ends[1-s.from], Seq: seq[s.from], Flags: s.flags, Window: 65_535, Payload: []byte(s.payload)}
		if s.flags != "S" {
			segment.Ack = seq[1-s.from]
		}
		seq[s.from] += uint32(len(s.payload) + strings.Count(s.flags, "S") + strings.Count(s.flags, "F"))
		all = append(all, sent{s.from, segment.Ethernet()})
	}
	return all
}

// sendDialogues sends dialogues from two interfaces: their names, and how many.
func sendDialogues() {
	args := arguments()
	count, err := strconv.Atoi(args[2])
	check(err)
	var all []sent
	for i := range count {
		all = append(all, dialogue(i)...)
	}
	transmit(args[:2], all, 20_000)
}

// sendRequests sends a request over HTTP and the response from one interface.
func sendRequests() {
	all := connection(40_000, 80, "GET / HTTP/1.1\r\nHost: www.example.net\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	for i := range all {
		all[i].by = 0
	}
	transmit(arguments(), all, 1000)
}
