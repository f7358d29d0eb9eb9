package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/debugbroker/debugbroker/adapters"
	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/tunnel"
	"github.com/debugbroker/debugbroker/tunnel/sshconfig"
)

const (
	doctorTimeout = 3 * time.Minute
	// checkTimeout bounds each question to a host that is connected.
	checkTimeout = 20 * time.Second
)

// doctor is one examination. What it finds goes to send at once, in an order that is always the same.
type doctor struct {
	b    *Broker
	req  api.DoctorRequest
	send func(api.Check) error
	err  error // of send: nobody listens any more
	stop context.CancelFunc
}

// Doctor examines what req names, and sends each check as it is made. An error is why there is no examination; what is wrong with the
// host is none.
func (b *Broker) Doctor(ctx context.Context, req api.DoctorRequest, send func(api.Check) error) error {
	var a adapters.Adapter
	if req.Lang != "" {
		var ok bool
		if a, ok = adapters.Lookup(b.adapters, req.Lang); !ok {
			return b.unknownLanguage(req.Lang)
		}
	}
	b.hosts.Remember(req.Caller)
	ctx, cancel := context.WithTimeout(ctx, doctorTimeout)
	defer cancel()
	d := &doctor{b: b, req: req, send: send, stop: cancel}
	var err error
	if req.Host == "" && !req.Local && req.Lang == "" {
		d.here(ctx)
	} else {
		err = d.host(ctx, a)
	}
	if d.err != nil {
		return d.err
	}
	return err
}

// found sends a check. Once that fails the examination ends.
func (d *doctor) found(c api.Check) {
	if d.err != nil {
		return
	}
	if d.err = d.send(c); d.err != nil {
		d.stop()
	}
}

func (d *doctor) ok(check, format string, args ...any) {
	d.found(api.Check{Check: check, OK: true, Detail: fmt.Sprintf(format, args...)})
}

// fail sends an error as a check, with the hint that users see of it anywhere else; hint serves where there is none.
func (d *doctor) fail(check string, err error, hint string) {
	e := asAPI(err)
	if e.Hint != "" && (hint == "" || e.Code != api.CodeInternal) {
		hint = e.Hint
	}
	d.found(api.Check{Check: check, Detail: strings.ReplaceAll(e.Message, "\n", "; "), Hint: hint})
}

// host examines a host, by a connection of its own, or this machine as one.
func (d *doctor) host(ctx context.Context, a adapters.Adapter) error {
	host, err := d.connect(ctx)
	if err != nil || host == nil {
		return err
	}
	defer host.Release()
	facts, ok := d.system(ctx, host)
	if !ok {
		d.remaining("it does not say what it is")
		return nil
	}
	d.clock(ctx, host)
	d.workspace(ctx, host, facts)
	d.accounts(facts)
	d.leftovers(ctx, host)
	if a != nil {
		d.language(ctx, host, facts, a)
	}
	if err := host.Err(); err != nil {
		d.fail("connection", err, "")
	}
	return nil
}

// connect goes all the way to the host. It returns no Host where that ended earlier, which has been said.
func (d *doctor) connect(ctx context.Context) (tunnel.Host, error) {
	if d.req.Host == "" {
		return d.b.hosts.Connect(ctx, "", d.req.Caller, func(string) {})
	}
	target, caller, err := d.b.hosts.resolve(ctx, d.req.Host, d.req.Caller)
	switch {
	case errors.Is(err, sshconfig.ErrBadName), errors.Is(err, sshconfig.ErrNoFile):
		return nil, err // no host is meant, or no configuration: the request is at fault
	case err != nil:
		d.fail("ssh config", err, "")
		d.remaining("the ssh configuration does not tell where it is")
		return nil, nil
	}
	d.ok("ssh config", "%s", target.Key()[:strings.LastIndex(target.Key(), " #")])
	if w := target.Warnings(); len(w) > 0 {
		d.found(api.Check{
			Check: "ssh options", OK: true, Detail: strings.Join(w, "; "),
			Hint: "what ssh does with them is not done here; where that matters, see the README's chapter on what is not there yet",
		})
	}
	if missing := d.b.forwards.passedOver(d.req.Host, target.Last().Forwards); len(missing) > 0 {
		d.found(passedOverCheck(d.req.Host, missing))
	}
	var dialer tunnel.Dialer
	host, err := dialer.Diagnose(ctx, d.req.Host, target, tunnel.Caller{AuthSock: caller.SSHAuthSock, Environ: environ(caller)}, func(f tunnel.Finding) {
		d.found(api.Check{Check: f.Check, OK: f.OK, Detail: f.Detail, Hint: d.hint(f)})
	})
	if err == nil {
		return host, nil
	}
	if ctx.Err() != nil {
		if d.err == nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			d.remaining("it took too long")
		}
		return nil, nil
	}
	d.remaining("that ended at the last failure above")
	return nil, nil
}

// mostShown is how many forwards of the ssh configuration are named.
const mostShown = 5

// passedOverCheck says that forwards of the ssh configuration are not made.
func passedOverCheck(host string, specs []tunnel.ForwardSpec) api.Check {
	options := map[tunnel.ForwardKind]struct{ ssh, ours string }{
		tunnel.ForwardLocal: {"LocalForward", "-L"}, tunnel.ForwardRemote: {"RemoteForward", "-R"}, tunnel.ForwardSocks: {"DynamicForward", "-D"},
	}
	var words []string
	for _, s := range specs[:min(len(specs), mostShown)] {
		words = append(words, options[s.Kind].ssh+" "+s.String())
	}
	if more := len(specs) - len(words); more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return api.Check{
		Check: "ssh forwards", OK: true, Detail: strings.Join(words, ", ") + " of the ssh configuration: not made",
		Hint: "ssh_forwards = true in a [[host]] that matches " + host + " keeps them up, false ends this note; or make one: brokerctl forward " + host + " " +
			options[specs[0].Kind].ours + " " + specs[0].String(),
	}
}

// hint is what to do about a finding of the tunnel's: none that fails goes without.
func (d *doctor) hint(f tunnel.Finding) string {
	if f.Hint == "" && !f.OK {
		return "see that `ssh " + d.req.Host + " true` works from here without a question"
	}
	return f.Hint
}

// remaining says that checks are missing, so that their absence is not taken for health.
func (d *doctor) remaining(why string) {
	d.found(api.Check{
		Check: "not looked at", Detail: "everything that comes after: " + why,
		Hint: "mend what failed, and ask again",
	})
}

func (b *Broker) serveDoctor(w http.ResponseWriter, r *http.Request) error {
	var req api.DoctorRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		return apiErrorf(api.CodeUsage, "", "read the request: %v", err)
	}
	var out *lines
	err := b.Doctor(r.Context(), req, func(c api.Check) error {
		if out == nil {
			out = newLines(w)
		}
		return out.send(c)
	})
	if err != nil && out != nil {
		out.send(api.OpenEvent{Error: asAPI(err)}) // the status has been sent: a last line tells
		return nil
	}
	return err
}
