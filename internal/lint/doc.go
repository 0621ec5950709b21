// Package lint holds the tests of the tree itself: which package may import which, what library code does without, and that the
// documents name what exists.
package lint
