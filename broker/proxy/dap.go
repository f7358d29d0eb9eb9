package proxy

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/debugbroker/debugbroker/adapters/dap"
)

// serveDAP serves one DAP front end.
func (c *client) serveDAP(run, ctx context.Context, br *bufio.Reader) {
	r := dap.NewReader(br, maxFirst)
	first, err := r.Next()
	if err != nil {
		if !nothing(err) {
			c.p.events.refused(describe(err))
		}
		return
	}
	env, err := dap.Scan(first.Body())
	if err != nil || env.Type != "request" || env.Command == "" {
		c.p.events.refused("the first message is not a DAP request")
		return
	}
	c.identified()
	r.SetMax(dap.MaxBody)
	refuse := func(reason error) {
		c.p.events.refused(reason.Error())
		c.dismiss(dap.ErrorResponse(env.Seq, env.Command, reason.Error()).Raw)
	}
	d := &dapRelay{c: c, left: make(chan struct{})}
	if c.p.cfg.OneClient {
		if d.seat, err = c.p.seats.take(ctx); err != nil {
			refuse(err)
			return
		}
		defer d.seat.release()
	}
	err = c.withServer(run, ctx, c.p.cfg.Dial, func(far net.Conn) string {
		d.far = far
		c.lend(d)
		var parting func(<-chan struct{})
		if d.seat != nil {
			parting = d.part
		}
		return c.duplex(far, func() error { return d.up(ctx, r, first, env) }, d.down, parting)
	})
	if err != nil {
		refuse(err)
	}
}

// describe names what a front end sent for the record.
func describe(err error) string {
	if errors.Is(err, dap.ErrHTTP) {
		return "a browser or other HTTP client: this port speaks DAP"
	}
	return err.Error()
}

// dapRelay is the two directions of one attached DAP connection.
type dapRelay struct {
	c    *client
	far  net.Conn
	seat *seat // nil where the server serves many

	lastSeq   int  // up's: the front end's highest seq
	parted    bool // up's: the front end sent disconnect
	frontGone atomic.Bool
	left      chan struct{} // closed by down once the server has answered a disconnect

	// guarded by the client's pen
	greeted bool // the server has answered initialize: before that, nothing may be said
	over    bool // the front end knows that the session is over
}

// up forwards from the front end to the server.
func (d *dapRelay) up(ctx context.Context, r *dap.Reader, m dap.Message, env dap.Envelope) (err error) {
	for {
		if err := d.check(ctx, m, env); err != nil {
			_ = d.write(dap.ErrorResponse(env.Seq, env.Command, err.Error()), dap.Envelope{})
			return refusal{err}
		}
		if reason := d.c.p.refuses(env); reason != nil {
			_ = d.write(dap.ErrorResponse(env.Seq, env.Command, reason.Error()), dap.Envelope{})
		} else if _, err := d.far.Write(d.c.p.adapt(m, env).Raw); err != nil {
			return err
		}
		if m, err = r.Next(); err != nil {
			if nothing(err) {
				return err
			}
			return refusal{errors.New(describe(err))}
		}
		if env, err = dap.Scan(m.Body()); err != nil {
			return refusal{err}
		}
	}
}

// check looks at a message of the front end before it is forwarded.
func (d *dapRelay) check(ctx context.Context, m dap.Message, env dap.Envelope) error {
	d.lastSeq = max(d.lastSeq, env.Seq)
	if env.Type != "request" || d.seat == nil {
		return nil
	}
	switch env.Command {
	case "disconnect":
		d.parted = true
	case "attach", "launch":
		v, _ := dap.Find(m.Body(), "arguments", "subProcessId")
		pid, _ := dap.Int(v)
		return d.seat.attach(ctx, pid)
	}
	return nil
}

// down forwards from the server to the front end. When the front end has gone it reads on for the answer to our disconnect.
func (d *dapRelay) down() error {
	if d.seat != nil {
		defer d.seat.leave()
	}
	r := dap.NewReader(d.far, dap.MaxBody)
	answered := false
	for {
		m, err := r.Next()
		if err != nil {
			if !nothing(err) {
				d.c.p.cfg.Log.Warn("read debug server", "error", err)
			}
			return err
		}
		env, err := dap.Scan(m.Body())
		switch {
		case err == nil:
			err = forbidden(m, env)
		case looksObject(m.Body()):
			err = errBroken
		default:
			err = nil // for the front end to judge
		}
		if err != nil {
			d.deny(env, err)
			continue
		}
		m = d.c.p.modest(d.redirect(m, env), env)
		if !d.frontGone.Load() {
			if err := d.write(m, env); err != nil {
				if d.seat == nil {
					return err
				}
				d.frontGone.Store(true)
				_ = d.c.front.SetReadDeadline(time.Now()) // up sees it too
			}
		}
		if env.Type == "response" && env.Command == "disconnect" && !answered {
			answered = true
			close(d.left)
		}
	}
}

// part lets a server that serves one front end know that this one has gone, and waits until it has taken note. debugpy closes
// its connection before it has let go of the process, and refuses who comes in between (measured with 1.6.3); its answer to disconnect
// comes after.
func (d *dapRelay) part(downDone <-chan struct{}) {
	d.frontGone.Store(true)
	d.seat.leave()
	if !d.parted {
		if _, err := d.far.Write(dap.DisconnectRequest(d.lastSeq + 1).Raw); err != nil {
			return
		}
	}
	t := time.NewTimer(farewellTime)
	defer t.Stop()
	select {
	case <-d.left:
	case <-downDone:
	case <-t.C:
		d.c.p.cfg.Log.Warn("debug server did not answer disconnect")
	}
}

// redirect, which comes after forbidden, makes a message that sends the front end to a subprocess name our port, and notes the subprocess. debugpy has two such
// messages: the event debugpyAttach, and the request startDebugging for front ends that know it. They carry what the front end itself
// said at attach, or the adapter's own port on the remote.
func (d *dapRelay) redirect(m dap.Message, env dap.Envelope) dap.Message {
	var at []string
	switch {
	case env.Type == "event" && env.Event == "debugpyAttach":
		at = []string{"body"}
	case env.Type == "request" && env.Command == "startDebugging":
		at = []string{"arguments", "configuration"}
	default:
		return m
	}
	below := func(names ...string) []string { return append(at[:len(at):len(at)], names...) }
	v, ok := dap.Find(m.Body(), below("subProcessId")...)
	pid, isInt := dap.Int(v)
	if !ok || !isInt || pid <= 0 {
		return m
	}
	if d.seat != nil && !d.seat.all.announce(pid) {
		d.c.p.cfg.Log.Warn("too many subprocesses", "known", maxAnnounced)
	}
	host, port := strconv.AppendQuote(nil, d.c.p.host), strconv.AppendInt(nil, int64(d.c.p.port), 10)
	for _, parent := range [][]string{below(), below("connect")} {
		m, _ = dap.Replace(m, host, append(parent[:len(parent):len(parent)], "host")...)
		m, _ = dap.Replace(m, port, append(parent[:len(parent):len(parent)], "port")...)
	}
	return m
}

// write writes one message to the front end.
func (d *dapRelay) write(m dap.Message, env dap.Envelope) error {
	d.c.pen.hold()
	defer d.c.pen.drop()
	_, err := d.c.front.Write(m.Raw)
	switch {
	case env.Type == "response" && env.Command == "initialize":
		d.greeted = true
	case env.Type == "event" && env.Event == "terminated":
		d.over = true
	}
	return err
}

func (d *dapRelay) line(text string) []byte {
	if !d.greeted || d.over {
		return nil
	}
	return dap.OutputEvent(text).Raw
}

// farewell ends the session in the front end. What the server says meanwhile is still passed on, its answer to the front end's disconnect
// above all.
func (d *dapRelay) farewell(reason string) []byte {
	if !d.greeted || d.over {
		return nil
	}
	d.over = true
	return append(dap.OutputEvent(reason).Raw, dap.TerminatedEvent().Raw...)
}
