package adapters

import (
	"testing"

	"github.com/google/go-dap"

	"github.com/debugbroker/debugbroker/integration/frontend/expect"
)

type dict = map[string]any

// front is a DAP front end.
type front struct {
	expect.DAP
	t testing.TB
}

// front opens a front end on a server.
func (s *server) front() front {
	s.t.Helper()
	conn, err := s.dial(s.t.Context())
	must(s.t, "dial", err)
	return front{expect.NewDAP(s.t, conn), s.t}
}

// attached opens a front end that has a breakpoint at each line of file and lets the program run.
func (s *server) attached(file string, lines ...int) front {
	s.t.Helper()
	f := s.front()
	f.attach(nil, file, lines...)
	return f
}

// attach goes through the whole handshake. What it asks for is understood by debugpy and by Delve alike.
func (f front) attach(extra dict, file string, lines ...int) {
	f.t.Helper()
	f.Begin(attachArguments(extra), file, lines...)
}

func attachArguments(extra dict) dict {
	args := dict{"justMyCode": true, "mode": "remote", "stopOnEntry": false}
	for k, v := range extra {
		args[k] = v
	}
	return args
}

// stop is where the program stopped.
type stop struct {
	thread int
	reason string
	frame  dap.StackFrame
	locals map[string]string
}

// stopped awaits a stop and asks what a front end asks then, one after the other.
func (f front) stopped() stop { f.t.Helper(); return f.look(f.WaitStopped("")) }

// next steps over a line, or runs into a breakpoint on the way, and looks around.
func (f front) next(s stop) stop {
	f.t.Helper()
	f.send("next", dict{"threadId": s.thread})
	return f.stopped()
}

func (f front) look(at dap.StoppedEventBody) stop {
	f.t.Helper()
	s := stop{thread: at.ThreadId, reason: at.Reason}
	f.Threads()
	s.frame, s.locals = f.Locals(s.thread)
	return s
}

// send sends a request whose answer nobody waits for.
func (f front) send(command string, arguments any) {
	f.t.Helper()
	_, err := f.Send(command, arguments)
	must(f.t, command, err)
}
