// Package cutter is a TCP proxy for tests which does to connections what networks do: it resets them, delays them, takes
// them apart into single bytes, and swallows what they carry while their sockets stay open.
//
// Goroutines: one accepts, and four serve each connection (a reader and a writer each way). Close ends them and waits.
//
// What it does not do: pace bytes to a bandwidth, or reproduce TCP's own behaviour over a long line. A proxy acknowledges at once, which
// hides delays that come of Nagle's algorithm and delayed acknowledgements.
package cutter
