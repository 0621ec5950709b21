// Package session is what the session layer needs beside parsers: what a flow knows of the parser
// that reads it, the division of a budget among parsers, and the memory that is lent with messages.
package session
