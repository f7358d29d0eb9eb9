// Package usermanager runs a systemd of its own for a test: a real user manager, as user@UID.service is, beside whatever manages this
// machine.
//
// It runs in a mount namespace of its own, since systemd wants to see that it has booted the machine (/run/systemd/system), and in a
// control group of its own, which it takes for the root of all: in another's it would move everybody's processes. So it needs root, and
// a control group file system that can be written to; most containers have neither.
//
// A Manager has one child process, which its test's end ends, together with all that it has started.
package usermanager
