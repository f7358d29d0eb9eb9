package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/debugbroker/debugbroker/adapters"
	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/tunnel"
	"github.com/debugbroker/debugbroker/tunnel/sshconfig"
)

// Why a session's context ended. They are causes (context.Cause), so that one cancel serves every way to end.
var (
	errClosed    = errors.New("closed by brokerctl close")
	errExpired   = errors.New("time limit reached")
	errCancelled = errors.New("cancelled")
	errShutdown  = errors.New("brokerd is stopping")
	errPanic     = errors.New("brokerd has a bug")
)

// tunnelCodes says what users see of each of the tunnel's errors. The hint serves where the error brings none of its own.
var tunnelCodes = []struct {
	err  error
	code api.Code
	hint string
}{
	{sshconfig.ErrBadName, api.CodeUsage, "give the host as ssh takes it: an alias, a name or an address, with user@ before it if need be"},
	{sshconfig.ErrNoFile, api.CodeConfig, "BROKER_SSH_CONFIG or ssh_config in the configuration names it; after a change: brokerctl stop"},
	{tunnel.ErrHostKey, api.CodeHostKey, "check the host's key with its administrator, then connect once with ssh to accept it"},
	{tunnel.ErrAuth, api.CodeAuth, "see that `ssh HOST true` works; brokerctl auth HOST answers what the host asks"},
	{tunnel.ErrHostUnresolvable, api.CodeUnresolvable, "check the name's spelling, and HostName in the ssh configuration"},
	{tunnel.ErrForbidden, api.CodeForwarding, "the SSH server must allow forwarding: AllowTcpForwarding local (or yes) in its sshd_config"},
	{tunnel.ErrFull, api.CodeForwarding, "close sessions there, or raise MaxSessions in the server's sshd_config"},
	{tunnel.ErrLinkLost, api.CodeLinkLost, "open it again; what was started on the host is cleaned up at the next connect"},
	{tunnel.ErrUnreachable, api.CodeUnreachable, "see that `ssh HOST` reaches it from here"},
	{tunnel.ErrNoSuchFile, api.CodeNotFound, ""},
	{tunnel.ErrSudo, api.CodeNoPermission, "a NOPASSWD rule in the host's sudoers lets you use --sudo: sudo -n -l there shows what you may"},
	{tunnel.ErrNoProcesses, api.CodeMissingTool, "a Linux host with a readable /proc is needed; --port takes a debug server that listens already"},
}

// adapterCodes translates an adapter's classification.
var adapterCodes = map[adapters.Code]api.Code{
	adapters.Usage:    api.CodeUsage,
	adapters.NotFound: api.CodeNotFound,
	adapters.Missing:  api.CodeMissingTool,
	adapters.Died:     api.CodeProgramEnded,
	adapters.Internal: api.CodeInternal,
	adapters.Denied:   api.CodeNoPermission,
	adapters.Foreign:  api.CodeUnsuitable,
}

// asAPI translates any error into what users see. It never returns nil for a non-nil err.
func asAPI(err error) *api.Error {
	if err == nil {
		return nil
	}
	var out *api.Error
	if errors.As(err, &out) {
		return out
	}
	var ae *adapters.Error
	if errors.As(err, &ae) {
		return &api.Error{Code: adapterCodes[ae.Code], Message: err.Error(), Hint: ae.Hint}
	}
	var hint string
	var he *tunnel.HintedError
	if errors.As(err, &he) {
		hint = he.Hint
	}
	for _, c := range tunnelCodes {
		if errors.Is(err, c.err) {
			if hint == "" {
				hint = c.hint
			}
			return &api.Error{Code: c.code, Message: err.Error(), Hint: hint}
		}
	}
	switch {
	case errors.Is(err, errCancelled):
		return &api.Error{Code: api.CodeCancelled, Message: "cancelled", Hint: "what had been started is being cleaned up"}
	case errors.Is(err, errClosed):
		return &api.Error{Code: api.CodeCancelled, Message: "closed while it was opening", Hint: "open it again"}
	case errors.Is(err, errExpired):
		return &api.Error{Code: api.CodeNotReady, Message: "the time limit was reached", Hint: "give a longer --ttl"}
	case errors.Is(err, errShutdown):
		return &api.Error{Code: api.CodeDaemon, Message: "brokerd is stopping", Hint: "try again"}
	case errors.Is(err, context.DeadlineExceeded):
		return &api.Error{Code: api.CodeUnreachable, Message: err.Error(), Hint: "the host answers too slowly; try again"}
	}
	return &api.Error{Code: api.CodeInternal, Message: err.Error(), Hint: hintLog}
}

// hintPrinted begins hints of errors that come with output; explain has hintSilent in its place where there was none.
const (
	hintPrinted = "what it printed is above"
	hintSilent  = "it printed nothing"
)

const hintLog = "see brokerd.log in the state directory"

func apiErrorf(code api.Code, hint, format string, args ...any) *api.Error {
	return &api.Error{Code: code, Message: fmt.Sprintf(format, args...), Hint: hint}
}
