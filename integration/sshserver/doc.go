// Package sshserver is an SSH server in process, on loopback, for the demo (which must work where no sshd is installed) and for faults that
// OpenSSH does not produce on demand: silence, an end in the middle, refused channels.
//
// It accepts one public key, and passwords and keyboard-interactive answers where a test says which (Config); it runs commands as `/bin/sh -c` in a session of their own, and carries direct-tcpip (loopback targets only),
// direct-streamlocal@openssh.com and keepalives. Like OpenSSH it does not kill a command whose connection is lost: the
// command sees the end of its standard input and a broken pipe.
//
// Goroutines: Serve accepts and returns only when every goroutine of every connection has ended. Serve's context ends them all, and
// the commands that still run.
//
// What it does not do: terminals, remote forwards, agents, other users. It is no server for anything but tests and the demo.
package sshserver
