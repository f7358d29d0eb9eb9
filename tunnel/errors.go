package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// ErrForbidden says that the server is up and knows us but is configured not to do what was asked: a command, or a
// forwarded connection.
var ErrForbidden = errors.New("forbidden by the server's configuration")

// ErrFarDial says that the far side allowed a forwarded connection and could not make it: nothing listens there, or no such
// socket. The link is well.
var ErrFarDial = errors.New("no answer at the address on the far side")

// ErrBusy says that the server is there and takes no new connections just now (MaxStartups, or a penalty for earlier ones). It comes along with
// ErrUnreachable.
var ErrBusy = errors.New("the server takes no new connections just now")

// ErrFull says that the server runs as many commands for us as it allows on our connections, and that no further connection can be made. The
// link is well.
var ErrFull = errors.New("no room for a further command")

// ErrPoolClosed says that the Pool has ended, or is about to.
var ErrPoolClosed = errors.New("pool closed")

func hinted(err error, hint string) error { return &HintedError{Err: err, Hint: hint} }

// hintOf is the hint that an error brings along, or "".
func hintOf(err error) string {
	var h *HintedError
	if errors.As(err, &h) {
		return h.Hint
	}
	return ""
}

// classified makes an error that reads as err and is also class, one of this package's Err values.
func classified(class, err error) error { return &classifiedError{class: class, err: err} }

type classifiedError struct{ class, err error }

func (e *classifiedError) Error() string   { return e.err.Error() }
func (e *classifiedError) Unwrap() []error { return []error{e.class, e.err} }

// classifyDial says in this package's words why no TCP connection to a hop came about.
func classifyDial(hop *Hop, err error) error {
	var dns *net.DNSError
	addr := hop.addr()
	switch {
	case errors.As(err, &dns):
		return hinted(classified(ErrHostUnresolvable, fmt.Errorf("resolve %s: %s", hop.HostName, dns.Err)),
			fmt.Sprintf("check the name, or set HostName for %s in the ssh configuration", hop.name()))
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("dial %s: %w", addr, err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return hinted(classified(ErrUnreachable, fmt.Errorf("dial %s: %w", addr, bare(err))),
			"the machine answers but nothing listens on this port: is sshd running there, and is the Port right?")
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return hinted(classified(ErrUnreachable, fmt.Errorf("dial %s: %w", addr, bare(err))),
			"there is no route from here: is the network or the VPN up?")
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return hinted(classified(ErrUnreachable, fmt.Errorf("dial %s: no answer in time", addr)),
			"the machine does not answer: is it up, is the VPN up, does a firewall drop the connection?")
	default:
		return classified(ErrUnreachable, fmt.Errorf("dial %s: %w", addr, bare(err)))
	}
}

// bare takes off what package net puts around the reason: "read tcp 10.0.0.2:41526->192.0.2.1:22: read:" repeats what we say.
func bare(err error) error {
	var op *net.OpError
	if errors.Is(err, io.EOF) {
		return errors.New("the other side hung up")
	}
	if errors.As(err, &op) {
		err = op.Err
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		err = call.Err
	}
	return err
}
