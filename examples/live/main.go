//go:build !linux

// Command live prints the flows of a network interface. This one is for Linux.
package main

import "fmt"

func main() { fmt.Println("live: packet sockets without cgo are for Linux only") }
