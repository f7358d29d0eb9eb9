package adapters

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"path"
	"strconv"
	"time"

	"github.com/debugbroker/debugbroker/adapters/dlvrpc"
)

//go:embed tracer.sh
var tracer []byte

const tracerFile = "tracer.sh"

// delveAttachProbe asks for dlv, and whether it may trace the program.
func delveAttachProbe(req Request) string {
	return factFunction + homeFunction + "home=" + quote(orRoot(req.Host.Home)) + "\n" + findTool(req) + "found=\n" +
		"find_tool dlv " + toolCandidates(req, "dlv", "$GOBIN/dlv", "~/go/bin/dlv", "$GOPATH/bin/dlv") + "\n" +
		ptraceScript(req.Target.PID, `"$found"`)
}

// planAttach puts a program that runs already under Delve, which lets it run on at once (--continue), whoever comes later.
func (d delve) planAttach(req Request) (Plan, error) {
	t := req.Target
	found, ok := d.Recognise(t)
	switch {
	case !ok || found.Server:
		return Plan{}, &Error{Foreign, fmt.Sprintf("process %d is no Go program", t.PID), "brokerctl ps lists what can be debugged"}
	case req.Host.OS != "linux":
		return Plan{}, &Error{Foreign, "running Go programs can be debugged on Linux only", "start it with dlv exec --headless there, and take --port"}
	}
	f := parseFacts(req.Facts[delveProbe])
	if err := ptraceRefusal(req, f, "Delve"); err != nil {
		return Plan{}, err
	}
	dlv := f.first("dlv")
	if dlv == "" {
		return Plan{}, delveMissing(req)
	}
	network, address, listen := "tcp", "", "127.0.0.1:0"
	sock := path.Join(req.Workspace, "dlv.sock")
	switch {
	case req.Host.StreamLocal && req.Attempt == 0 && len(sock) <= maxSocketPath:
		network, address, listen = "unix", sock, "unix:"+sock
	case req.Sudo:
		// On TCP Delve turns away every other user, us included; told not to, it would serve root's rights to everybody.
		return Plan{}, &Error{Denied, "Delve as root can only be reached over a unix socket, which the SSH server does not forward", "AllowStreamLocalForwarding yes (or local) in its sshd_config"}
	}
	talk := newDelveTalk(false)
	talk.attached = true
	return Plan{
		Server: "Delve", Spare: true, Program: t.Argv, Cwd: t.Cwd, ServerCwd: "/",
		Argv: []string{
			"/bin/sh", path.Join(req.Workspace, tracerFile), strconv.Itoa(t.PID), t.Start, req.nonce(),
			dlv, "attach", strconv.Itoa(t.PID), "--headless", "--accept-multiclient", "--continue", "--api-version=2", "--listen=" + listen,
		},
		Files: []File{{Name: tracerFile, Data: tracer}},
		// Reading a large program's symbols takes its time, before the announcement and after it.
		Ready: Ready{Line: delveReady, Timeout: time.Minute}, Network: network, Address: address,
		Protocol: DAP, RPC: true, OneClient: true, NeverTerminate: true,
		Started: talk.started, BeforeFirst: talk.beforeFirst, AfterLast: talk.afterLast, Watch: talk.watch, Stop: talk.detach,
		ServerLine: delveServerLine,
		Failures:   append(append(delveAttachFailures(t.PID), targetGone(req)), delveFailures(network, false)...),
	}, nil
}

// running waits until the program runs after Delve has attached: `--continue` comes after the announcement. A second continue would
// be queued, and carried out at a front end's first stop.
func (d *delveTalk) running(ctx context.Context, c *dlvrpc.Client) error {
	const looks, pause = 250, 20 * time.Millisecond
	for range looks {
		s, err := c.State(ctx, false)
		if err != nil || s.Running || s.Exited {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return runOn(ctx, c)
}

// detach lets Delve go and the program run on, with no breakpoint in it.
func (d *delveTalk) detach(ctx context.Context, dial Dial) error {
	return d.exchange(ctx, dial, delveExchange, func(ctx context.Context, c *dlvrpc.Client) error {
		d.unattended = false
		if _, _, err := quiet(ctx, c); err != nil {
			return err
		}
		err := c.Detach(ctx, false)
		var refused *dlvrpc.ServerError
		if errors.As(err, &refused) || errors.Is(err, net.ErrClosed) {
			return nil
		}
		return err
	})
}
