// Package sandbox sets a broker under test, and all that it starts, apart from the rest of the machine: an environment that leads to nothing
// of the developer's own, a mark in it by which processes are found again, and a look at what is left of them.
//
// It does not confine anything: what runs in the sandbox runs with all rights of who started it. A process that wipes its environment loses
// the mark and is not found. The package starts no goroutines.
package sandbox
