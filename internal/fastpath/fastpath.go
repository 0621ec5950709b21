// Package fastpath turns off the fast paths of a tracker and of a driver, so that tests can compare
// them with the slow paths: both must give the same events.
package fastpath

// Off makes trackers and drivers take their slow paths everywhere: nothing is read as a simple frame,
// the flow of the last packet is not tried first, the clock is shown every timestamp, the timer wheel
// is asked at every packet, and every segment goes the long way. It is read once, by their constructors
// and those of their parts, and copied; only tests set it, and never while another test makes a tracker.
var Off bool
