package main

import (
	"os"
	"os/exec"
	"testing"
)

// Windows needs no C compiler for it, so that it can be vetted from everywhere.
func TestTheProgramForOtherSystemsCompiles(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the standard library for Windows")
	}
	vet := exec.Command("go", "vet", "./pcap")
	vet.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=windows", "GOARCH=amd64")
	if out, err := vet.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
