// Package difftest compares flowscope's parsers with independent readers of the same protocols. It
// is a module of its own, since the library does not depend on them.
package difftest
