package tunnel

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Finding is one thing that Diagnose has looked at. Its texts are one line each, and clean.
type Finding struct {
	Check  string // "host key"; of a jump host "bastion: host key"
	OK     bool
	Detail string // what was found
	Hint   string // what to do about it; "" where nothing need be done
}

// askBound is how long each question to the server may take.
const askBound = 10 * time.Second

// Diagnose goes the way to target on connections of its own, hop by hop and with the same code as Dial, and reports each thing that
// must hold. Then it looks at what the server allows on the last connection, and returns a Host on it for whoever wants to know more;
// its Release closes the connection. report is called on this goroutine.
//
// The error is why there is no Host. It has been reported, unless ctx has ended.
func (d *Dialer) Diagnose(ctx context.Context, name string, target Target, caller Caller, report func(Finding)) (Host, error) {
	exam := &examination{report: report, hops: len(target.hops)}
	conn, err := d.dialAs(ctx, target, &attempt{agents: []string{caller.AuthSock}, environ: caller.Environ, asker: askerOf(Caller{}), exam: exam})
	if err != nil {
		if !exam.failed && ctx.Err() == nil {
			exam.fail("ssh config", err)
		}
		return nil, err
	}
	h := newShellHost(name, connCarrier{conn}, slices.Concat(target.Warnings(), conn.limits()), func() { _ = conn.Close() })
	look := connLook{exam, conn, h}
	if err := look.all(ctx); err != nil {
		h.Release()
		return nil, err
	}
	return h, nil
}

// examination is one run of Diagnose. A nil one looks at nothing.
type examination struct {
	report func(Finding)
	hops   int
	at     int // how many hops were begun
	failed bool
}

func (e *examination) found(f Finding) {
	e.failed = e.failed || !f.OK
	f.Detail, f.Hint = cleanText(f.Detail, maxErrorText), cleanText(f.Hint, maxErrorText)
	e.report(f)
}

// fail reports an error, with its hint where it has one.
func (e *examination) fail(check string, err error) {
	e.found(Finding{Check: check, Detail: err.Error(), Hint: hintOf(err)})
}

// rode tells of a ControlMaster, where one is there.
func (e *examination) rode(ctx context.Context, hop *Hop, err error) {
	const check = "control master"
	switch {
	case e == nil || errors.Is(err, errNoMaster) || ctx.Err() != nil:
	case err == nil:
		e.found(Finding{Check: check, OK: true, Detail: "an ssh of yours has a connection there, which is used: the one at " + hop.ControlPath})
	default:
		e.found(Finding{Check: check, OK: true, Detail: "the one at " + hop.ControlPath + " is not used: " + err.Error(),
			Hint: "a connection of our own is made instead"})
	}
}

// hop begins to look at a hop; nil where nobody looks.
func (e *examination) hop(ctx context.Context, hop *Hop, via *Conn, timeout time.Duration) *hopLook {
	if e == nil {
		return nil
	}
	e.at++
	l := &hopLook{exam: e, conf: hop, via: via}
	if e.at < e.hops {
		l.prefix = hop.name() + ": "
	}
	l.resolve(ctx, timeout)
	return l
}
