package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
)

type creds string

func (c creds) UserID() (string, bool) { return string(c), c != "" }

func TestTrusted(t *testing.T) {
	for c, want := range map[creds]bool{"1000": true, "0": true, "1001": false, "": false, "S-1-5": false} {
		if got := trusted(c, 1000) == nil; got != want {
			t.Errorf("uid %q is trusted: %v", c, got)
		}
	}
}

func TestMakePrivate(t *testing.T) {
	mode := func(dir string) os.FileMode {
		fi, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		return fi.Mode().Perm()
	}
	base := t.TempDir()
	made := filepath.Join(base, "a", "b")
	if err := makePrivate(made); err != nil || mode(made) != 0o700 || mode(filepath.Dir(made)) != 0o700 {
		t.Errorf("a new one: %v, %v", err, mode(made))
	}
	for _, c := range []struct {
		name  string
		mode  os.FileMode
		entry bool
		want  os.FileMode // 0: refused
	}{
		{"empty", 0o755, false, 0o700}, {"empty and open", 0o777, false, 0o700}, {"readable", 0o755, true, 0o755},
		{"writable", 0o775, true, 0}, {"sticky", 0o777 | os.ModeSticky, true, 0},
	} {
		dir := filepath.Join(base, c.name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if c.entry {
			if err := os.Mkdir(filepath.Join(dir, "x"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(dir, c.mode); err != nil {
			t.Fatal(err)
		}
		err := makePrivate(dir)
		if (err == nil) != (c.want != 0) || err == nil && mode(dir) != c.want {
			t.Errorf("%s: %v, %v", c.name, err, mode(dir))
		}
	}
}

func TestClassify(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	if e := classify(ctx, context.DeadlineExceeded); e.Code != api.CodeDaemon || e.Hint == "" {
		t.Errorf("a timeout is %+v", e)
	}
	if e := classify(ctx, errors.Join(syscall.EIO)); e.Code != api.CodeDaemon || e.Hint == "" {
		t.Errorf("EIO is %+v", e)
	}
	cancel(&api.Error{Code: api.CodeCancelled})
	if e := classify(ctx, context.Canceled); e.Code != api.CodeCancelled {
		t.Errorf("Ctrl-C is %+v", e)
	}
	if e := classify(ctx, &api.Error{Code: api.CodeAuth}); e.Code != api.CodeAuth {
		t.Errorf("an answer is %+v", e)
	}
}

// dying is a listener whose first connections are hung up on, as by a daemon that is killed: with what was said unread, or read.
type dying struct {
	net.Listener
	left int
}

func (d *dying) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil || d.left == 0 {
			return c, err
		}
		d.left--
		if d.left%2 == 0 {
			_, _ = c.Read(make([]byte, 4<<10))
		}
		c.Close()
	}
}

// Whoever asks a daemon that ends in that moment hears from the next one.
func TestAskWhileTheDaemonEnds(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	stop := newFake(api.DaemonInfo{API: api.Version, PID: 7}).serve(&dying{l, 4})
	defer stop()
	c := api.NewClient(socket)
	defer c.Close()
	if info, err := ask(t.Context(), c); err != nil || info.PID != 7 {
		t.Errorf("ask = %+v, %v", info, err)
	}
	stop()
	if _, err := ask(t.Context(), c); !notRunning(err) {
		t.Errorf("ask = %v once nobody is there", err)
	}
}
