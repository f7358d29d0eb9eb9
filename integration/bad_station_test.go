package integration_test

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/sshd"
)

// station is a broker and the real sshd that it reaches, for tests of what goes wrong.
type station struct {
	*brokertest.Broker
	sshd *sshd.Server
}

// newStation starts an sshd and sets up a broker with a configuration.
func newStation(t *testing.T, o sshd.Options, config string) station {
	t.Helper()
	s := sshd.New(t, o)
	return station{brokertest.New(t, brokertest.Options{Server: s, Config: config}), s}
}

// in is the same station for a subtest.
func (s station) in(t *testing.T) station { return station{s.Broker.In(t), s.sshd} }

// clean demands at the end of the test that nothing is left of what began after the call.
func (s station) clean(t *testing.T) {
	t.Helper()
	left := s.In(t).Leftovers()
	t.Cleanup(left.Check)
}

// complaint is what an error must be: the exit status, the code of --json, and words that stand in message, hint or output.
type complaint struct {
	exit  int
	code  api.Code
	words []string
}

// complains runs brokerctl twice, for people and with --json, and demands the same complaint of both, with a hint.
func (s station) complains(t *testing.T, want complaint, args ...string) api.Error {
	t.Helper()
	e := s.complainsOnce(t, want, args...)
	r := s.In(t).Run(args...)
	if r.Code != want.exit || r.Stdout != "" {
		t.Errorf("brokerctl %q for people: exit code %d, want %d, and on stdout %q", args, r.Code, want.exit, r.Stdout)
	}
	for _, word := range append([]string{"error: ", "hint: "}, want.words...) {
		if !strings.Contains(r.Stderr, word) {
			t.Errorf("brokerctl %q for people does not say %q:\n%s", args, word, r.Stderr)
		}
	}
	return e
}

// complainsOnce is complains with --json only, for what takes long.
func (s station) complainsOnce(t *testing.T, want complaint, args ...string) api.Error {
	t.Helper()
	e := s.In(t).Fails(want.exit, args...)
	want.check(t, e)
	return e
}

func (c complaint) check(t *testing.T, e api.Error) {
	t.Helper()
	if e.Code != c.code {
		t.Errorf("code %q, want %q: %+v", e.Code, c.code, e)
	}
	if e.Hint == "" {
		t.Errorf("no hint: %+v", e)
	}
	all := e.Message + "\n" + e.Hint + "\n" + e.Output
	for _, word := range c.words {
		if !strings.Contains(all, word) {
			t.Errorf("does not say %q: %+v", word, e)
		}
	}
	for _, r := range e.Message + e.Hint {
		if r < ' ' && r != '\n' {
			t.Errorf("holds the control character %q: %+v", r, e)
		}
	}
}

// runWith runs brokerctl with a changed environment and returns its output and exit status.
func (s station) runWith(t *testing.T, env []string, args ...string) brokertest.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := s.Command(ctx, args...)
	cmd.Env = append(cmd.Env, env...)
	return finish(t, cmd)
}

// finish runs a command to its end.
func finish(t *testing.T, cmd *exec.Cmd) brokertest.Result {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ee := new(exec.ExitError); !errors.As(err, &ee) {
			t.Fatalf("%q: %v\n%s%s", cmd.Args, err, &stdout, &stderr)
		}
	}
	return brokertest.Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}
}

// errorOf decodes an error that brokerctl printed with --json.
func errorOf(t *testing.T, r brokertest.Result) api.Error {
	t.Helper()
	var answer struct{ Error *api.Error }
	if err := json.Unmarshal([]byte(r.Stdout), &answer); err != nil || answer.Error == nil {
		t.Fatalf("no error in JSON (%v), exit code %d:\n%s%s", err, r.Code, r.Stdout, r.Stderr)
	}
	return *answer.Error
}

// sessions are what `brokerctl list` shows.
func sessions(t *testing.T, s station, all bool) []api.Session {
	t.Helper()
	args := []string{"list"}
	if all {
		args = append(args, "--all")
	}
	return brokertest.JSON[[]api.Session](s.In(t), args...)
}
