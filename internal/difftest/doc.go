// Package difftest compares flowscope's parsers with independent readers of the same protocols, the EVE
// records of package export with what Suricata's project expects of them, and its IPFIX messages with what
// goflow2 and tshark read in them. It is a module of its own, since the library does not depend on the readers.
package difftest
