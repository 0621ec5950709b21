// Package lint holds the tests of the tree itself: who may import whom, what library code does without, and that the
// documents name what exists.
package lint
