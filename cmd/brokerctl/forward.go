package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/debugbroker/debugbroker/broker/api"
)

// forwardTimeout bounds the wait for forwards: the daemon itself waits some ten seconds for a host.
const forwardTimeout = time.Minute

// forwardFlags are the flags of forward.
type forwardFlags struct {
	local, remote, socks []string
	name, restart        string
	sameUser             bool
}

func (a *app) forwardCommand() *cobra.Command {
	var f forwardFlags
	cmd := &cobra.Command{
		Use:   "forward HOST [-L SPEC]... [-R SPEC]... [-D SPEC]... | --restart NAME",
		Short: "Forward ports and unix sockets through a host, for good",
		Long: `Forward ports and unix sockets through HOST, as "ssh -L", "-R" and "-D" do, with the same syntax:
  -L [BIND:]PORT:HOST:PORT   listens here, and connects from HOST
  -R [BIND:]PORT:HOST:PORT   listens on HOST, and connects from here; -R PORT alone is a SOCKS proxy there
  -D [BIND:]PORT             a SOCKS proxy here, which connects from HOST
On either side a unix socket's path may stand for a port. Port 0 asks for a free one, which the forward then keeps. Without BIND it
listens on loopback; * is all addresses. On HOST its sshd has the last word on that.

A forward is kept until unforward removes it: when the link is lost, when brokerd is restarted, when the machine has slept. Its port
here stays open meanwhile, and a connection to it waits, for at most 30 seconds, until the host answers again; what listens on HOST does
so again then. Asking for the same forward again changes nothing. [[forward]] in the configuration asks for one for good.

A host that cannot be reached now is waited for. One that asks for something asks you, at a terminal. One that refuses us is an error,
and nothing is kept. Of several forwards those that cannot listen are left out, and the exit status is 1; none is kept then where the
ssh configuration has ExitOnForwardFailure.

Every user of this machine can connect to a port here; --same-user refuses others than you and root. A unix socket is yours alone.`,
		Example: `  brokerctl forward web1 -L 5432:db.internal:5432 --name pg
  brokerctl forward web1 -L 0:localhost:8080          # on a free port, which is printed
  brokerctl forward web1 -R 9000:localhost:3000       # web1's port 9000 leads to port 3000 here
  brokerctl forward bastion -D 1080                   # a SOCKS proxy
  brokerctl forward web1 -L /tmp/docker.sock:/var/run/docker.sock
  brokerctl forward --restart pg                      # drop its connections and begin anew`,
		ValidArgsFunction: a.completeHosts,
		Args:              cobra.ArbitraryArgs, // request judges them
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("restart") {
				if err := f.onlyRestart(cmd, args); err != nil {
					return err
				}
				return a.restartForward(cmd.Context(), f.restart)
			}
			req, err := f.request(cmd, args, a.env)
			if err != nil {
				return err
			}
			return a.forward(cmd.Context(), req)
		},
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringArrayVarP(&f.local, "local", "L", nil, "listen here, connect from HOST: `SPEC` as ssh -L has it; may be repeated")
	fl.StringArrayVarP(&f.remote, "remote", "R", nil, "listen on HOST, connect from here: `SPEC` as ssh -R has it; may be repeated")
	fl.StringArrayVarP(&f.socks, "dynamic", "D", nil, "a SOCKS proxy here, connect from HOST: `SPEC` as ssh -D has it; may be repeated")
	fl.StringVar(&f.name, "name", "", "`NAME` of the forward; of several NAME, NAME-2, ... (default: the host and the port)")
	fl.BoolVar(&f.sameUser, "same-user", false, "refuse connections of other users of this machine; for -L and -D")
	fl.StringVar(&f.restart, "restart", "", "drop the connections of the forward `NAME` and begin anew, with the same port here")
	for _, name := range []string{"local", "remote", "dynamic", "name"} {
		_ = cmd.RegisterFlagCompletionFunc(name, completeNothing) // the flags are there
	}
	_ = cmd.RegisterFlagCompletionFunc("restart", a.completeForwards)
	return cmd
}

// onlyRestart refuses what --restart would ignore.
func (f *forwardFlags) onlyRestart(cmd *cobra.Command, args []string) error {
	for _, name := range []string{"local", "remote", "dynamic", "name", "same-user"} {
		if cmd.Flags().Changed(name) {
			return usage(cmd, "--restart takes a forward's name and nothing else, and got --%s", name)
		}
	}
	if len(args) > 0 {
		return usage(cmd, "--restart takes a forward's name and nothing else, and got %q", args[0])
	}
	return validForward(cmd, f.restart)
}

// request takes the command line apart. What the texts of forwards say is the daemon's to judge, which knows ssh's syntax.
func (f *forwardFlags) request(cmd *cobra.Command, args []string, env func(string) string) (api.ForwardRequest, error) {
	req := api.ForwardRequest{Name: f.name, SameUser: f.sameUser, Caller: caller(env)}
	if len(args) != 1 {
		return req, usage(cmd, "forward takes one HOST, and got %d arguments", len(args))
	}
	var err error
	if req.Host, err = parseHost(args[0]); err != nil {
		return req, err
	}
	if req.Host == "" {
		return req, usage(cmd, "forward takes a HOST, and got an empty one")
	}
	for _, k := range []struct {
		kind  string
		specs []string
	}{{"local", f.local}, {"remote", f.remote}, {"socks", f.socks}} {
		for _, spec := range k.specs {
			if !fit(spec) {
				return req, usage(cmd, "%q holds a zero byte or is not UTF-8", spec)
			}
			req.Forwards = append(req.Forwards, api.ForwardSpec{Kind: k.kind, Spec: spec})
		}
	}
	switch {
	case len(req.Forwards) == 0:
		return req, usage(cmd, "nothing to forward: give -L, -R or -D, as to ssh")
	case f.sameUser && len(f.remote) > 0:
		return req, usage(cmd, "--same-user is for -L and -D: who connects on %s cannot be told", req.Host)
	case cmd.Flags().Changed("name"):
		return req, validForward(cmd, f.name)
	}
	return req, nil
}

// validForward refuses what cannot be a forward's name before it gets into a URL. The daemon has the last word on it.
func validForward(cmd *cobra.Command, name string) error {
	if name == "" || strings.Trim(name, ".") == "" || strings.HasPrefix(name, "-") || strings.ContainsAny(name, "/ \t\n") || !fit(name) {
		return usage(cmd, "%q is no forward's name", name)
	}
	return nil
}

func (a *app) forward(ctx context.Context, req api.ForwardRequest) error {
	var list []api.Forward
	err := a.answering(ctx, req.Host, func() (err error) {
		if list, err = a.addForwards(ctx, req); err != nil {
			return err
		}
		for _, f := range list {
			if f.Name == "" && f.Error != nil && unasked(f.Error) {
				return f.Error
			}
		}
		return nil
	})
	if err != nil && (len(list) == 0 || !unasked(err)) {
		return err
	}
	return a.forwarded(list)
}

// addForwards asks the daemon for them.
func (a *app) addForwards(ctx context.Context, req api.ForwardRequest) ([]api.Forward, error) {
	p := a.startProgress("looking for brokerd")
	defer p.stop()
	c, err := a.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	p.set("connecting to " + req.Host)
	ctx, cancel := context.WithTimeout(ctx, forwardTimeout)
	defer cancel()
	return c.AddForwards(ctx, req)
}

// forwarded reports what became of a request. The exit status is that of the first that is not kept.
func (a *app) forwarded(list []api.Forward) error {
	var failed []*api.Error
	for _, f := range list {
		if f.Name == "" && f.Error != nil {
			failed = append(failed, f.Error)
		}
	}
	if a.json {
		if err := a.printJSON(list); err != nil {
			return err
		}
	} else {
		for _, f := range list {
			if f.Name == "" {
				continue
			}
			if err := a.print(forwardLine(f)); err != nil {
				return err
			}
			if f.State != api.ForwardUp && f.Error != nil {
				a.warn(f.Name + " is kept, and waits: " + f.Error.Message)
			}
			if f.Note != "" {
				a.warn(f.Name + ": " + f.Note)
			}
		}
		for _, e := range failed {
			a.complain(e)
		}
	}
	if len(failed) > 0 {
		return done{failed[0].Code.Exit()}
	}
	return nil
}

// forwardLine is a forward in one line, clean: "pg  127.0.0.1:5432 -> db:5432 through web1".
func forwardLine(f api.Forward) string {
	return fmt.Sprintf("%s  %s\n", clean(f.Name), route(f))
}

// route tells from where to where a forward leads, clean.
func route(f api.Forward) string {
	listen, target, host := clean(f.Listen), clean(f.Target), clean(f.Host)
	switch {
	case f.Kind == "remote" && target == "":
		return fmt.Sprintf("%s:%s -> SOCKS from here", host, listen)
	case f.Kind == "remote":
		return fmt.Sprintf("%s:%s -> %s from here", host, listen, target)
	case target == "":
		return fmt.Sprintf("%s -> SOCKS through %s", listen, host)
	default:
		return fmt.Sprintf("%s -> %s through %s", listen, target, host)
	}
}

func (a *app) restartForward(ctx context.Context, name string) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, quickTimeout)
	defer cancel()
	f, err := c.RestartForward(ctx, name)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON([]api.Forward{f})
	}
	return a.print("restarted " + forwardLine(f))
}
