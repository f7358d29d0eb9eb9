package main

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
)

// The rules are package api's, and tested there; this is what they are asked.
func TestLocate(t *testing.T) {
	t.Chdir("/")
	env := map[string]string{"HOME": "/h", "BROKER_SOCKET": "/b.sock", "BROKER_CONFIG": "d.toml", "BROKER_SSH_CONFIG": "e"}
	for name, c := range map[string]struct {
		socket, config string
		env            map[string]string
		want           place
	}{
		"default": {env: map[string]string{"HOME": "/h"},
			want: place{stateDir: "/h/.local/state/debugbroker", socket: "/h/.local/state/debugbroker/broker.sock", config: "/h/.config/debugbroker/config.toml"}},
		"state dir, no home": {env: map[string]string{"BROKER_STATE_DIR": "s"}, want: place{stateDir: "/s", socket: "/s/broker.sock"}},
		"variables":          {env: env, want: place{stateDir: "/h/.local/state/debugbroker", socket: "/b.sock", config: "/d.toml", configGiven: true, sshConfig: "/e"}},
		"flags":              {socket: "/a.sock", config: "c.toml", env: env, want: place{stateDir: "/h/.local/state/debugbroker", socket: "/a.sock", config: "/c.toml", configGiven: true, sshConfig: "/e"}},
	} {
		got, err := locate(c.socket, c.config, func(k string) string { return c.env[k] })
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestLocateRefuses(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"no home":         {},
		"a relative home": {"HOME": "h"},
		"too long":        {"HOME": "/h", "BROKER_SOCKET": "/" + strings.Repeat("x", 107)},
	} {
		_, err := locate("", "", func(k string) string { return env[k] })
		var e *api.Error
		if !errors.As(err, &e) || e.Code.Exit() != 2 || e.Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSamePath(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		a, b string
		want bool
	}{{"", "", true}, {"", dir, false}, {dir, "", false}, {"/no/../no/x", "/no/x", true}, {"/no/x", "/no/y", false}, {dir, filepath.Join(dir, "..", filepath.Base(dir)), true}} {
		if got := samePath(c.a, c.b); got != c.want {
			t.Errorf("samePath(%q, %q) = %v", c.a, c.b, got)
		}
	}
}
