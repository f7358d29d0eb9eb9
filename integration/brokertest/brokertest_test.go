package brokertest

import (
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/executable"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// withStub puts a shell script in the place of brokerctl.
func withStub(t *testing.T, script string) *Broker {
	t.Helper()
	dir := t.TempDir()
	executable.Write(t, filepath.Join(dir, "brokerctl"), []byte("#!/bin/sh\n"+script))
	t.Setenv(binVariable, dir)
	t.Setenv("SSH_AUTH_SOCK", "/the/developers/own")
	return New(t, Options{Env: []string{"EXTRA=1"}})
}

func TestRunGivesOutputAndCode(t *testing.T) {
	b := withStub(t, `echo "$@ $EXTRA"; echo "agent=$SSH_AUTH_SOCK state=$BROKER_STATE_DIR" >&2; exit 3`)
	r := b.Run("show", "x")
	want := Result{"show x 1\n", "agent= state=" + b.StateDir() + "\n", 3}
	if r != want {
		t.Errorf("got %+v, want %+v", r, want)
	}
	if len(b.Socket()) > 100 {
		t.Errorf("socket path %s is too long for some systems", b.Socket())
	}
}

func TestJSONStandsBeforeTheProgram(t *testing.T) {
	b := withStub(t, `case "$*" in "open box:go --json -- p --x") echo '{"id":"a","local":"127.0.0.1:1","phase":"ready"}';; *) echo "$*";; esac`)
	if s := b.Open("box:go", "--", "p", "--x"); s.ID != "a" {
		t.Errorf("got %+v", s)
	}
}

func TestFailsReadsTheError(t *testing.T) {
	b := withStub(t, `echo '{"error":{"code":"auth","message":"m","hint":"h"}}'; exit 4`)
	if e := b.Fails(4, "list"); e.Code != api.CodeAuth || e.Message != "m" || e.Hint != "h" {
		t.Errorf("got %+v", e)
	}
}
