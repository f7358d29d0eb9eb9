// Command brokerctl opens, shows and closes debug sessions. It is a client of brokerd's API and nothing more: it knows no SSH, no
// debugger and no database, and what it prints is what the daemon answered.
//
// Goroutines: the main one runs the verb; one waits for signals (run.go); open has one that rewrites the progress line
// (progress.go); list --watch has one that reads the stream (watch.go); close has one a session; a question
// at the terminal has one (prompt.go). Each is waited for by who
// started it.
//
// Invariants:
//   - With --json, stdout holds JSON and nothing else; words for people go to stderr.
//   - Nothing that came from the daemon reaches a terminal but through clean or cleanText (term.go).
//   - What is typed as an answer is shown only where the question says so, and goes to the daemon and nowhere else (prompt.go).
//   - Nothing is sent to a socket whose owner or listener is neither us nor root (connect.go).
//   - Completion never starts a daemon, connects to no host and offers only what the command line could take (complete.go).
//   - The one file outside the state directory that it writes is the service's, and never over one that it has not written (servicefile.go).
//   - Arguments are judged before a daemon is looked for: wrong usage never starts one.
//   - Every wait is bounded, but for those that the user asked for (--watch, -f) and those for a host or a person, which the daemon bounds.
package main
