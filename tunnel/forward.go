package tunnel

import (
	"errors"
	"fmt"
	"net"
	"strconv"

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
	err = fmt.Errorf("%w: %w", ErrFarDial, said)
	if network == "unix" {
		// sshd says the same where there is no such socket and where it forbids sockets (serverloop.c,
		// server_request_direct_streamlocal, leaves the reason as it was).
		return hinted(err, "is the socket there? If it is, AllowStreamLocalForwarding is off in the server's sshd_config")
	}
	return err
}
