// Package adapters knows the debug servers: one small set of files a language, and the list of them in Builtin.
//
// An adapter is pure functions. Check refuses what can never work; Probe says what to ask of the host, as POSIX sh that changes
// nothing there; Plan turns the answers into data: a command line, how its readiness is told, which address it has, what its output
// means. The broker carries them out over whatever reaches the host. What cannot be data, because it is a conversation (let a program
// go when its front end has left, learn of its end), is a function of the plan over connections that the broker opens.
//
// # Goroutines
//
// None is started here but by context.AfterFunc, which the exchange that asked for it takes back before it returns.
//
// # Invariants
//
//   - Probe and Plan do no I/O, keep no state, and give the same answer to the same request.
//   - What a host prints is not trusted: it is bounded, parsed by line, and never run.
//   - Scripts get words only through quote. No value of Request.Env is in an error or a warning.
//   - Every exchange ends by its context, at the latest after its own bound.
//   - No TCP probe: debugpy's adapter never accepts again after a connection that was closed at once.
//
// # Python
//
// debugpy is started through debugpy_bootstrap.py, which runs `python -m debugpy` in its own process, so that the program sees what
// it would see then (arguments, sys.path, __main__, environment, descriptors), with TCP_NODELAY between pydevd and debugpy's adapter
// process, a paused thread that is woken when it is asked something, and an adapter that outlives clients which drop at a bad
// moment. It checks what it hooks into; where that is not as known it runs unhooked and says so (Plan.Notices), or ends before the
// program began and is planned again without it (Failure.Retry).
//
// # Running programs
//
// Into a running python each front end's own adapter (debugpy_attach.py, on standard input and output) has gdb put debugpy, in a
// namespace of its own and without the patches that would leave the program's children waiting. gdb is tried on a process of our own
// before: some programs would not survive one that is too old for the host's processor. Python's standin.sh only waits for the program's
// end. A running node opens its inspector at SIGUSR1; node_guard.js sends it, where the program takes it and would listen on loopback only, and
// closes the inspector at the end, though a front end holds the program. What belongs to another user is never run, as root least of all.
//
// A program is (pid, start time). On the host the start time is compared in the process that then takes the pid, as its last step before: it becomes Delve
// (tracer.sh), runs gdb or jcmd, sends the signal. What is left is the moment from there until the pid is held, which none of these tools lets
// us close: some 10 ms for a signal, 100 ms for gdb and Delve, some more for jcmd, in which the program would have to end, be reaped, and the kernel come round to its
// pid again. The other process is then stopped for an instant by gdb, which loads pydevd's library into it and calls code that does nothing there; or
// stopped by Delve until the broker has looked again, and let go; or gets node's SIGUSR1, or a JVM's SIGQUIT.
//
// # What it does not do
//
// It opens no connection by itself, starts no process, writes no file, and does not look into what front ends send.
package adapters
