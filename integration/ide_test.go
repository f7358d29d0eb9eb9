package integration_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/programs"
	"github.com/debugbroker/debugbroker/integration/sshd"
)

// elsewhere is a program whose source lies in one directory on the host and in another here, so that nothing works without path mappings.
type elsewhere struct {
	world
	t             *testing.T
	local, remote string // directories
	file          string // the source's name in both
	line          int    // of its breakpoint
}

func newElsewhere(t *testing.T, program string, o sshd.Options) elsewhere {
	t.Helper()
	source := programs.Path(t, program)
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	e := elsewhere{newWorld(t, o), t, filepath.Join(t.TempDir(), "my shop"), filepath.Join(t.TempDir(), "srv", "app"), filepath.Base(source), programs.BreakLine(t, source)}
	for _, dir := range []string{e.local, e.remote} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, e.file), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// in is e for a subtest.
func (e elsewhere) in(t *testing.T) elsewhere {
	e.t, e.world.Broker = t, e.In(t)
	return e
}

// source is the copy of the program's source that is here.
func (e elsewhere) source() string { return filepath.Join(e.local, e.file) }

// brokerctl runs a command in the local directory and returns what it prints.
func (e elsewhere) brokerctl(args ...string) string {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := e.Command(ctx, args...)
	cmd.Dir = e.local
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		e.t.Fatalf("brokerctl %q: %v\n%s%s", args, err, out, &stderr)
	}
	return string(out)
}

// launch opens a session on the program in the remote directory; flags and program are what open is told further.
func (e elsewhere) launch(lang string, flags []string, program ...string) api.Session {
	e.t.Helper()
	args := append([]string{"open", "box:" + lang, "--json", "--cwd", e.remote, "--map", e.local + "=" + e.remote}, flags...)
	return brokertest.Decode[api.Session](e.t, e.brokerctl(append(append(args, "--"), program...)...))
}

// port opens a session on a debug server that listens on the host already.
func (e elsewhere) port(lang string, port int) api.Session {
	e.t.Helper()
	return brokertest.Decode[api.Session](e.t, e.brokerctl("open", "box:"+lang, "--json", "--port", strconv.Itoa(port), "--map", e.local+"="+e.remote))
}

// pid opens a session on a program that runs on the host already.
func (e elsewhere) pid(lang, interpreter string, pid int) api.Session {
	e.t.Helper()
	return brokertest.Decode[api.Session](e.t, e.brokerctl("open", "box:"+lang, "--json", "--interpreter", interpreter, "--pid", strconv.Itoa(pid), "--map", e.local+"="+e.remote))
}

// config is what ide --json tells for a front end.
type config struct {
	File, Text, Name string
	Config           map[string]any
	Notes            []string
	Written          bool
}

func (e elsewhere) config(s api.Session, frontEnd string, flags ...string) config {
	e.t.Helper()
	return brokertest.Decode[config](e.t, e.brokerctl(append([]string{"ide", s.ID, "--for", frontEnd, "--json"}, flags...)...))
}

// inFile is the one entry of the list in a file that --write has made: standard JSON.
func (e elsewhere) inFile(c config, list string) map[string]any {
	e.t.Helper()
	text, err := os.ReadFile(filepath.Join(e.local, c.File))
	if err != nil {
		e.t.Fatal(err)
	}
	var entries []map[string]any
	if list == "" {
		err = json.Unmarshal(text, &entries)
	} else {
		var file map[string]json.RawMessage
		if err = json.Unmarshal(text, &file); err == nil {
			err = json.Unmarshal(file[list], &entries)
		}
	}
	if err != nil || len(entries) != 1 || !c.Written {
		e.t.Fatalf("%s: %v\n%s", c.File, err, text)
	}
	return entries[0]
}
