package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/flowscope-go/flowscope"
)

// device is an interface to listen on.
type device struct {
	name  string
	index int
	link  flowscope.LinkType
	// datagram is set if the kernel has to take the link header off, since the library does not know it.
	datagram bool
}

// devices are the interfaces of these names. They must be of one link type, as the packets of a pcap file are. "any"
// is none of them.
func devices(names []string) (all []device, err error) {
	if len(names) == 1 && names[0] == "any" {
		return nil, nil
	}
	for _, name := range names {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return nil, fmt.Errorf("there is no interface %s; live without -i lists them", name)
		}
		if i.Flags&net.FlagUp == 0 {
			return nil, fmt.Errorf("%s is down; ip link set %s up", name, name)
		}
		d := device{name: name, index: i.Index}
		if d.link, d.datagram, err = linkOf(name); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if len(all) > 0 && (d.link != all[0].link || d.datagram != all[0].datagram) {
			return nil, fmt.Errorf("%s has frames of %v and %s of %v: take a program for each", all[0].name, all[0].link, name, d.link)
		}
		all = append(all, d)
	}
	return all, nil
}

// linkOf asks the kernel for the type of an interface's frames.
func linkOf(name string) (link flowscope.LinkType, datagram bool, err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, false, err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(name)
	if err != nil {
		return 0, false, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFHWADDR, request); err != nil {
		return 0, false, err
	}
	switch request.Uint16() {
	case unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK:
		return flowscope.LinkTypeEthernet, false, nil
	case unix.ARPHRD_NONE, unix.ARPHRD_RAWIP, unix.ARPHRD_TUNNEL, unix.ARPHRD_TUNNEL6, unix.ARPHRD_SIT:
		return flowscope.LinkTypeRaw, false, nil
	case unix.ARPHRD_IEEE80211:
		return flowscope.LinkTypeWiFi, false, nil
	case unix.ARPHRD_IEEE80211_PRISM:
		return flowscope.LinkTypePrism, false, nil
	case unix.ARPHRD_IEEE80211_RADIOTAP:
		return flowscope.LinkTypeRadiotap, false, nil
	}
	return flowscope.LinkTypeRaw, true, nil
}

// list prints the interfaces, and what is missing to listen on them.
func list(stdout, stderr io.Writer) int {
	all, err := net.Interfaces()
	if err != nil {
		fmt.Fprintln(stderr, "live:", err)
		return 1
	}
	fmt.Fprintf(stdout, "%s\nThe interfaces are:\n", usage)
	for _, i := range all {
		fmt.Fprintf(stdout, "  %-16s %v\n", i.Name, strings.ReplaceAll(i.Flags.String(), "|", ", "))
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
		return 0
	}
	fmt.Fprintf(stdout, "\n%v\n", withHelp(err))
	return 0
}

// withHelp says what to do about a packet socket that the kernel refused.
func withHelp(err error) error {
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) {
		return err
	}
	path, e := os.Executable()
	if e != nil {
		path = "live"
	}
	text := "Packet sockets need the capability CAP_NET_RAW, and this process has not got it. One of these gives it:\n"
	if os.Geteuid() != 0 {
		text += fmt.Sprintf("  sudo %s -i eth0\n      as root, for once (a go run needs a go build before)\n"+
			"  sudo setcap cap_net_raw=ep %s\n      this file, for every user, until it is built anew; not on a file system mounted nosuid\n", path, path)
	}
	text += "  docker run --cap-add NET_RAW --network host ...\n      in a container, on the host's interfaces\n" +
		"  securityContext: {capabilities: {add: [NET_RAW]}} and hostNetwork: true\n      in Kubernetes\n" +
		"  AmbientCapabilities=CAP_NET_RAW\n      in a unit of systemd"
	return fmt.Errorf("%s\n(%w)", text, err)
}
