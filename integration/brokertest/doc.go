// Package brokertest runs the built brokerd and brokerctl as a user would: as processes, with a state directory, a configuration
// and an ssh configuration of their own, next to whatever broker the developer runs.
//
// A test package calls Main from its TestMain; the binaries are built at the first New, with -race if the tests run with it. A Broker's
// daemon is started by brokerctl itself and ended when the test ends, with its log printed if the test failed.
//
// Everything that a Broker starts, here or over an sshd.Server, inherits a mark in its environment (package sandbox). Leftovers
// finds processes by it, so that what else the machine runs at the time is not mistaken for ours.
//
// The package starts no goroutines. It needs /proc, so tests with it run on Linux only.
package brokertest
