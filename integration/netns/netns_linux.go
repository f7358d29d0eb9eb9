// Package netns makes networks for tests: Linux network namespaces, joined by cables. What runs in them reaches nothing else, and nothing of the
// machine's own network changes. It needs root.
package netns

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Space is a network namespace: a machine, as far as networks go.
type Space struct {
	t    testing.TB
	name string
}

// New makes a namespace with a loopback interface that is up. It is removed when the test ends, after what runs in it must have ended. A test
// that is not run by root is skipped.
func New(t testing.TB, name string) *Space {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	// The name is the machine's: others' tests may run beside this one.
	s := &Space{t: t, name: fmt.Sprintf("dbk-%08x-%s", rand.Uint32(), name)}
	run(t, "ip", "netns", "add", s.name)
	t.Cleanup(func() { run(t, "ip", "netns", "delete", s.name) })
	s.IP("link", "set", "lo", "up")
	return s
}

// Argv makes a command line run in the namespace: nsenter(1) becomes the program, so that its pid and signals are the program's.
func (s *Space) Argv(argv ...string) []string {
	return append([]string{"nsenter", "--net=" + s.path()}, argv...)
}

func (s *Space) path() string { return "/run/netns/" + s.name }

// IP runs ip(8) in the namespace.
func (s *Space) IP(args ...string) {
	s.t.Helper()
	run(s.t, "ip", append([]string{"-netns", s.name}, args...)...)
}

// Join lays a cable between two namespaces: an interface in each, named for the other, with an address each.
func Join(a, b *Space, nameInA, nameInB string, inA, inB netip.Prefix) {
	a.t.Helper()
	run(a.t, "ip", "-netns", a.name, "link", "add", nameInA, "type", "veth", "peer", "name", nameInB, "netns", b.name)
	a.Address(nameInA, inA)
	b.Address(nameInB, inB)
	a.IP("link", "set", nameInA, "up")
	b.IP("link", "set", nameInB, "up")
}

// Address gives an interface a further address. An IPv6 address is used at once, without a search for others that have it.
func (s *Space) Address(dev string, addr netip.Prefix) {
	s.t.Helper()
	args := []string{"address", "add", addr.String(), "dev", dev}
	if addr.Addr().Is6() {
		args = append(args, "nodad")
	}
	s.IP(args...)
}

// Do runs f with its thread in the namespace: sockets that f itself makes are there, also after it has returned. What f starts with go is not.
func (s *Space) Do(f func() error) error {
	result := make(chan error, 1)
	go onItsOwnThread(func() { result <- s.enter(f) })
	return <-result
}

// onItsOwnThread runs f on a thread that nothing else ever runs on: it ends with the goroutine, which never unlocks it. The process's first
// thread is none such. It never ends, and /proc/self/net and /proc/net are its network's, for the whole process.
func onItsOwnThread(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		f()
		return
	}
	defer runtime.UnlockOSThread()
	done := make(chan struct{})
	go func() { // not here, while this goroutine has the first thread
		defer close(done)
		onItsOwnThread(f)
	}()
	<-done
}

func (s *Space) enter(f func() error) error {
	ns, err := os.Open(s.path())
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter %s: %w", s.name, err)
	}
	return f()
}

func run(t testing.TB, argv0 string, args ...string) {
	t.Helper()
	if out, err := exec.Command(argv0, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", argv0, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
}
