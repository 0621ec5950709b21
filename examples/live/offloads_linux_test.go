package main

import (
	"fmt"
	"syscall"
	"unsafe"
)

// offloadsOff switches off the segmentation offloads and GRO of an interface, as
// "ethtool -K NAME tso off gso off gro off" does.
func offloadsOff(name string) error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	// linux/sockios.h and linux/ethtool.h
	const (
		siocEthtool = 0x8946
		setTSO      = 0x1f
		setGSO      = 0x24
		setGRO      = 0x2c
	)
	type value struct{ command, _ uint32 } // ethtool_value; data 0 turns off
	for _, command := range []uint32{setTSO, setGSO, setGRO} {
		request := struct { // ifreq
			name [syscall.IFNAMSIZ]byte
			data *value
			_    [16]byte
		}{data: &value{command: command}}
		copy(request.name[:syscall.IFNAMSIZ-1], name)
		if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), siocEthtool, uintptr(unsafe.Pointer(&request))); e != 0 {
			return fmt.Errorf("ethtool command %#x on %s: %w", command, name, e)
		}
	}
	return nil
}
