// Package freeport finds ports for programs that must be told theirs: those that cannot take port 0 and say which they got.
package freeport

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// The ports lie below those that systems give to outgoing connections and to port 0 (32768 and up on Linux, 49152 on macOS): one of those may
// be taken by anybody between the search and the program's start. They also lie below those that the broker picks for a JVM's agent.
const (
	first = 10000
	count = 10000
)

// On127 is a port of 127.0.0.1 on which nobody listens.
func On127(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := first + rand.IntN(count)
		l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return port
	}
	t.Fatalf("no free port from %d to %d", first, first+count-1)
	return 0
}
