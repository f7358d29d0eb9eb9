package main

import (
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/debugbroker/debugbroker/broker/api"
)

func TestWatchForwards(t *testing.T) {
	f, brokerctl := inProcess(t)
	for _, c := range []struct {
		json  string
		lines []string
	}{
		{"--json=true", []string{`{"name":"pg",`, `"state":"waiting"`, `"state":"removed"`}},
		{"--json=false", []string{
			" pg up 127.0.0.1:5432 -> db:5432 through web1 (2 open)", " pg waiting 127.0.0.1:5432 -> db:5432 through web1: no route", " pg removed ",
		}},
	} {
		v := api.Forward{Name: "pg", Host: "web1", Kind: "local", Listen: "127.0.0.1:5432", Target: "db:5432", State: api.ForwardUp, Connections: 2}
		f.setForward(v)
		cmd := brokerctl("forwards", "--watch", c.json)
		lines := startLines(t, cmd)
		next := func(want string) {
			t.Helper()
			if l := <-lines; !strings.Contains(l, want) {
				t.Errorf("%q lacks %q", l, want)
			}
		}
		next(c.lines[0])
		v.State, v.Connections, v.Error = api.ForwardWaiting, 0, &api.Error{Code: api.CodeUnreachable, Message: "no route"}
		f.setForward(v)
		next(c.lines[1])
		v.State, v.Error = api.ForwardRemoved, nil
		f.setForward(v)
		next(c.lines[2])
		cmd.Process.Signal(syscall.SIGINT)
		for range lines {
		}
		if got := status(t, cmd); got != 130 {
			t.Errorf("exit status %d", got)
		}
	}
}

func TestForwardTableFits(t *testing.T) {
	list := []api.Forward{
		{Name: "pg", Host: "web1", Kind: "local", Listen: "127.0.0.1:5432", Target: "db.internal:5432", State: api.ForwardUp, Connections: 12, BytesIn: 1234567, BytesOut: 999},
		{Name: "web1-socks", Host: "web1", Kind: "socks", Listen: "127.0.0.1:1080", State: api.ForwardWaiting, Error: &api.Error{Message: "dial 10.0.0.9:22: no answer in time"}},
	}
	for _, width := range []int{80, 120, 0} {
		for _, line := range forwardTable(list, width) {
			if n := utf8.RuneCountInString(line); width > 0 && n > width {
				t.Errorf("%d columns of %d: %s", n, width, line)
			}
		}
	}
	text := strings.Join(forwardTable(list, 80), "\n")
	for _, want := range []string{"pg", "127.0.0.1:5432", "db.internal:5432", "waiting", "dial 10.0.0.9"} {
		if !strings.Contains(text, want) {
			t.Errorf("80 columns lack %q:\n%s", want, text)
		}
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 9949: "9.9 kB", 9950: "10 kB", 999499: "999 kB", 999500: "1.0 MB", 34_000_000_000: "34 GB", 1<<64 - 1: "18 EB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %q, not %q", n, got, want)
		}
	}
}
