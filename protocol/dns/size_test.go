package dns

import (
	"testing"
	"unsafe"
)

func TestAnEntryCountsForWhatItTakes(t *testing.T) {
	if n := unsafe.Sizeof(pending{}) + 2; n > pendingSize || n+8 < pendingSize {
		t.Errorf("an entry and its number take %d bytes, counted as %d", n, pendingSize)
	}
}
