package main

import (
	"context"
	"errors"
	"strings"

	"github.com/debugbroker/debugbroker/broker/api"
)

// maxOutputLines is how much of a program's output is shown with an error. The daemon bounds its bytes.
const maxOutputLines = 40

// done is returned by a verb that has printed everything there is to say, the failure too, and only the exit status is left.
type done struct{ status int }

func (done) Error() string { return "done" }

// finish prints err, if any, and returns the exit status.
func (a *app) finish(ctx context.Context, err error) int {
	var d done
	switch {
	case err == nil:
		return 0
	case errors.As(err, &d):
		return d.status
	}
	e := classify(ctx, err)
	if a.json {
		if a.printJSON(failure{e}) != nil {
			a.complain(e)
		}
	} else {
		a.complain(e)
	}
	return e.Code.Exit()
}

// failure is an error as --json prints it.
type failure struct {
	Error *api.Error `json:"error"`
}

// complain prints e for people.
func (a *app) complain(e *api.Error) {
	// A message may have several lines: the mistakes of a configuration file.
	lines := strings.Split(strings.TrimSpace(e.Message), "\n")
	a.say("%s %s", a.stderr.paint(red, "error:"), clean(lines[0]))
	for _, l := range lines[1:] {
		a.say("       %s", clean(l))
	}
	if out := strings.TrimSpace(cleanText(e.Output)); out != "" {
		lines := strings.Split(out, "\n")
		for _, l := range lines[max(0, len(lines)-maxOutputLines):] {
			a.say("  | %s", l)
		}
	}
	if e.Hint != "" {
		a.hint(e.Hint)
	}
}

// hint says what to do about what was said before.
func (a *app) hint(text string) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	a.say("%s %s", a.stderr.paint(green, "hint:"), clean(lines[0]))
	for _, l := range lines[1:] {
		a.say("      %s", clean(l))
	}
}

// classify finds the code for err.
func classify(ctx context.Context, err error) *api.Error {
	var e, cause *api.Error
	switch {
	case ctx.Err() != nil && errors.As(context.Cause(ctx), &cause) && !errors.As(err, &e):
		return cause // whatever the cancelled call says about it
	case errors.As(err, &e):
		return e
	case errors.Is(err, api.ErrNotRunning):
		return &api.Error{Code: api.CodeDaemon, Message: err.Error(), Hint: "it ended meanwhile; brokerd.log in the state directory says why"}
	case errors.Is(err, context.DeadlineExceeded):
		return &api.Error{Code: api.CodeDaemon, Message: "brokerd did not answer in time", Hint: "brokerctl stop ends it; brokerd.log in the state directory says what it does"}
	default:
		return &api.Error{Code: api.CodeDaemon, Message: err.Error(), Hint: "brokerd.log in the state directory may say more"}
	}
}
