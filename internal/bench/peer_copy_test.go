package main_test

import (
	"os"
	"strings"
	"testing"
)

// TestTheForkIsMeasuredLikeThePeers holds the copies in internal/bench/fork to these files.
func TestTheForkIsMeasuredLikeThePeers(t *testing.T) {
	for _, name := range []string{"peer_test.go", "peer_assembly_test.go", "peer_reassembly_test.go"} {
		read := func(name string) string {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		want := strings.NewReplacer("google/gopacket", "gopacket/gopacket", "package main_test\n", "package fork\n").Replace(read(name))
		if read("fork/"+name) != want {
			t.Errorf("%s differs in more than its imports", name)
		}
	}
}
