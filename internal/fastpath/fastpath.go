// Package fastpath turns off the fast paths of a tracker and of a driver, so that tests can compare
// them with the slow paths: both must give the same events.
package fastpath

// Off makes trackers and drivers take their slow paths everywhere. It is read once, by their
// constructors, and copied; only tests set it, and never while another test makes a tracker.
var Off bool
