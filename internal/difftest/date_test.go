package difftest

import "time"

// dateOf is a time of RFC 4034 section 3.2.
func dateOf(seconds uint32) string {
	return time.Unix(int64(seconds), 0).UTC().Format("20060102150405")
}
