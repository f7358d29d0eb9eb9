// Package pty gives tests a terminal (pty(7)) and the person in front of it: New makes one, At runs a command there, and the Screen tells what
// it shows and takes what is typed. Linux only.
//
// Goroutines: one for each terminal, which reads what is shown; it ends with the test.
//
// What it does not do: it interprets nothing of what is shown.
package pty
