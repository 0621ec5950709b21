//go:build !linux

package main

import "errors"

func listen(string) (source, func(), error) {
	return nil, nil, errors.New("packet sockets without cgo are for Linux only; a capture can be replayed")
}
