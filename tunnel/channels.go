package tunnel

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

// forwardRequest encodes what a channel open says of a forwarded connection: direct-tcpip (RFC 4254, 7.2), and
// direct-streamlocal@openssh.com (OpenSSH PROTOCOL, 2.4).
func forwardRequest(network, address string) (kind string, extra []byte, err error) {
	switch network {
	case "tcp":
		host, portText, err := net.SplitHostPort(address)
		if err != nil {
			return "", nil, fmt.Errorf("dial %q: %w", address, err)
		}
		port, err := strconv.ParseUint(portText, 10, 16)
		if err != nil {
			return "", nil, fmt.Errorf("dial %q: %w", address, err)
		}
		return "direct-tcpip", ssh.Marshal(&struct {
			Host       string
			Port       uint32
			OriginHost string
			OriginPort uint32
		}{host, uint32(port), "127.0.0.1", 0}), nil
	case "unix":
		return "direct-streamlocal@openssh.com", ssh.Marshal(&struct {
			Path      string
			Reserved  string
			Reserved2 uint32
		}{Path: address}), nil
	default:
		return "", nil, fmt.Errorf("dial %q: no such network %q", address, network)
	}
}

// classifyOpen says in this package's words why the server did not open a forwarded connection. What the server says itself
// is bounded and escaped.
func classifyOpen(network string, err error) error {
	var refused *ssh.OpenChannelError
	if !errors.As(err, &refused) {
		return err
	}
	said := fmt.Errorf("%s: %s", refused.Reason, quoteRemote(refused.Message))
	switch refused.Reason {
	case ssh.Prohibited, ssh.UnknownChannelType:
		hint := "the server forbids it: AllowTcpForwarding, DisableForwarding or PermitOpen in its sshd_config, or the line of the key in authorized_keys"
		if network == "unix" {
			hint = "the server forbids it: AllowStreamLocalForwarding or DisableForwarding in its sshd_config, or the line of the key in authorized_keys"
		}
		return hinted(fmt.Errorf("%w: %w", ErrForbidden, said), hint)
	}
	err = &farDialError{reason: farReasonOf(refused.Message), err: said}
	if network == "unix" {
		// sshd says the same where there is no such socket and where it forbids sockets (serverloop.c,
		// server_request_direct_streamlocal, leaves the reason as it was).
		return hinted(err, "is the socket there? If it is, AllowStreamLocalForwarding is off in the server's sshd_config")
	}
	return err
}

// farDialError is an ErrFarDial with what a SOCKS client wants to know of it.
type farDialError struct {
	reason farReason
	err    error
}

func (e *farDialError) Error() string   { return fmt.Sprintf("%v: %v", ErrFarDial, e.err) }
func (e *farDialError) Unwrap() []error { return []error{ErrFarDial, e.err} }

// farReason is why the far side could not connect, as far as it says so.
type farReason string

const (
	farRefused   farReason = "refused" // or nothing that we know
	farNoNetwork farReason = "no network"
	farNoHost    farReason = "no host"
)

// farReasonOf reads what sshd says beside SSH_OPEN_CONNECT_FAILED, which is all that there is: the text of strerror or of
// gai_strerror (channels.c, channel_post_connecting and connect_to_helper), of glibc, musl or a BSD.
func farReasonOf(message string) farReason {
	said := func(texts ...string) bool {
		return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(strings.ToLower(message), text) })
	}
	switch {
	case said("network is unreachable", "network unreachable"):
		return farNoNetwork
	case said("no route to host", "host is unreachable", "host is down", "timed out", "not known", "name resolution", "name does not resolve", "no address"):
		return farNoHost
	}
	return farRefused
}
