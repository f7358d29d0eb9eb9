// Package integration holds the tests that run the built binaries against a real OpenSSH sshd and real debug servers, and the
// tests of the repository itself (which package may import which).
//
// What those tests stand on lives below:
//
//	sshd        a real sshd on a free loopback port, as an ordinary child process
//	cutter      a TCP proxy that cuts, delays and black-holes connections
//	sshserver   an SSH server in process, for the demo and for faults that a real one does not produce on demand
//	frontend    debugger front ends: DAP, CDP, jdb, dlv connect
//	brokertest  the built binaries with a state directory of their own, and the search for what they left behind
//	sandbox     an environment set apart, and what is left of what ran in it
//	programs    the programs that tests debug
//	tools       finds sshd, python3 with debugpy, Delve, node and a JDK
//	demo        `make demo`
//	testscan    reads `go test -json` for CI
//
// Nothing outside integration imports anything in it, but for tests: those of other packages use answering, sshd, cutter, executable, freeport, frontend, netns, tools and unignore too.
package integration
