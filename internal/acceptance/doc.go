// Package acceptance holds the tests that see the library from outside and take their time: the acceptance tests A1 to
// A40 of SECURITY.md, the tests of random calls and damaged frames with their fuzz targets, and those that play scripts
// and captures.
package acceptance
