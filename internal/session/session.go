// Package session has the parts of the session layer that need no type of the root: the reference
// from a flow to its session, the division of a budget among sessions, and the memory that is lent with
// messages.
package session
