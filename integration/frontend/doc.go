// Package frontend holds debugger front ends for tests and the demo: DAP (as VS Code and Neovim speak it), CDP over a websocket (as
// Chrome's DevTools speak it), and two real programs, jdb and `dlv connect`, driven over pipes.
//
// Methods take a context and return errors, which carry no transcript: Transcript has what was said. Package frontend/expect wraps
// them for tests. Every wait ends with its context.
//
// Goroutines: one a front end reads until its connection or process ends (two for a process: one waits for its end). Close waits for them.
//
// The clients are tolerant on purpose: unknown events and fields are kept and passed over, because servers send them.
package frontend
