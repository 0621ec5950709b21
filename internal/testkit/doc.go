// Package testkit is what the tests of the root, of internal/acceptance and of internal/bench share: packets, trackers
// and drivers made in one line, extractors as a user would write them, and the checks that hold for every sequence of
// calls.
//
//   - [TCP], [UDP], [Segment], [Piece], [ICMPError], [Encapsulations]: packets; more are in package frames
//   - [NewTracker], [NewDriver], [WithoutFastPaths]: what takes them
//   - [Ledger] and [Book]: the promises of a tracker, and of a driver, held to its events
//   - [Play]: a connection in shorthand, [Talk]: a long one, [Calls] and [DriverCalls]: random ones
//   - [Lines], [Blocks], [Guide], [Asks]: application protocols for parsers, of which [Note] is the message
//   - [Captures], [Load], [Path]: files
//
// It knows the root, so the tests of the internal packages cannot use it; they use the packages below it.
package testkit
