// Package difftest compares flowscope's parsers with independent readers of the same protocols, and the EVE
// records of package export with what Suricata's project expects of them. It is a module of its own, since the
// library does not depend on the readers.
package difftest
