package api

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func env(kv ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(kv); i += 2 {
			if kv[i] == name {
				return kv[i+1]
			}
		}
		return ""
	}
}

func TestStateDirAndSocket(t *testing.T) {
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name          string
		flag          string
		env           func(string) string
		state, socket string
	}{
		{"home", "", env("HOME", "/h"), "/h/.local/state/debugbroker", "/h/.local/state/debugbroker/broker.sock"},
		{"xdg", "", env("HOME", "/h", "XDG_STATE_HOME", "/x"), "/x/debugbroker", "/x/debugbroker/broker.sock"},
		{"xdg without home", "", env("XDG_STATE_HOME", "/x"), "/x/debugbroker", "/x/debugbroker/broker.sock"},
		{"relative xdg is ignored", "", env("HOME", "/h", "XDG_STATE_HOME", "x"), "/h/.local/state/debugbroker", "/h/.local/state/debugbroker/broker.sock"},
		{"state dir", "", env("HOME", "/h", "XDG_STATE_HOME", "/x", "BROKER_STATE_DIR", "/s"), "/s", "/s/broker.sock"},
		{"state dir alone", "", env("BROKER_STATE_DIR", "/s/"), "/s", "/s/broker.sock"},
		{"relative state dir", "", env("BROKER_STATE_DIR", "s"), filepath.Join(cwd, "s"), filepath.Join(cwd, "s/broker.sock")},
		{"socket", "", env("HOME", "/h", "BROKER_STATE_DIR", "/s", "BROKER_SOCKET", "/b.sock"), "/s", "/b.sock"},
		{"flag", "/f.sock", env("HOME", "/h", "BROKER_SOCKET", "/b.sock"), "/h/.local/state/debugbroker", "/f.sock"},
		{"relative flag", "f.sock", env("HOME", "/h"), "/h/.local/state/debugbroker", filepath.Join(cwd, "f.sock")},
	} {
		state, err := StateDir(tt.env)
		if err != nil || state != tt.state {
			t.Errorf("%s: state %q, %v, want %q", tt.name, state, err, tt.state)
		}
		socket, err := Socket(tt.flag, tt.env)
		if err != nil || socket != tt.socket {
			t.Errorf("%s: socket %q, %v, want %q", tt.name, socket, err, tt.socket)
		}
	}
}

func TestNoHome(t *testing.T) {
	for _, e := range []func(string) string{env(), env("HOME", "relative")} {
		_, err1 := StateDir(e)
		_, err2 := Socket("", e)
		if path, explicit, err := ConfigFile("", e); path != "" || explicit || err != nil {
			t.Errorf("config file: %q, %v, %v", path, explicit, err)
		}
		for _, err := range []error{err1, err2} {
			var api *Error
			if !errors.As(err, &api) || !strings.Contains(api.Hint, "BROKER_") {
				t.Errorf("error: %v", err)
			}
		}
	}
}

func TestSocketTooLong(t *testing.T) {
	limit := socketLimit("linux")
	if socketLimit("darwin") != 104 || limit != 108 {
		t.Fatal("limits")
	}
	fits := "/" + strings.Repeat("x", 102) // darwin's 104 with the zero byte
	if _, err := Socket(fits, env()); err != nil {
		t.Errorf("%d bytes: %v", len(fits), err)
	}
	long := "/" + strings.Repeat("x", 107)
	var api *Error
	if _, err := Socket("", env("BROKER_SOCKET", long)); !errors.As(err, &api) {
		t.Fatalf("%d bytes: %v", len(long), err)
	}
	if !strings.Contains(api.Message, long) || !strings.Contains(api.Hint, "BROKER_SOCKET") || api.Code != CodeConfig {
		t.Errorf("%q, hint %q", api.Message, api.Hint)
	}
	if _, err := Socket("/short", env("BROKER_SOCKET", long)); err != nil {
		t.Errorf("a flag before the variable: %v", err)
	}
}

func TestConfigFile(t *testing.T) {
	for _, tt := range []struct {
		name, flag string
		env        func(string) string
		path       string
		explicit   bool
	}{
		{"home", "", env("HOME", "/h"), "/h/.config/debugbroker/config.toml", false},
		{"xdg", "", env("HOME", "/h", "XDG_CONFIG_HOME", "/x"), "/x/debugbroker/config.toml", false},
		{"relative xdg is ignored", "", env("HOME", "/h", "XDG_CONFIG_HOME", "./x"), "/h/.config/debugbroker/config.toml", false},
		{"variable", "", env("HOME", "/h", "BROKER_CONFIG", "/c.toml"), "/c.toml", true},
		{"flag", "/f.toml", env("BROKER_CONFIG", "/c.toml"), "/f.toml", true},
	} {
		path, explicit, err := ConfigFile(tt.flag, tt.env)
		if err != nil || path != tt.path || explicit != tt.explicit {
			t.Errorf("%s: %q %v %v", tt.name, path, explicit, err)
		}
	}
}

func TestSSHConfig(t *testing.T) {
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		flag, variable, want string
	}{
		{"", "", ""}, {"", "/v", "/v"}, {"/f", "/v", "/f"}, {"f", "", filepath.Join(cwd, "f")}, {"none", "/v", "none"}, {"", "none", "none"},
	} {
		if got, err := SSHConfig(tt.flag, env("BROKER_SSH_CONFIG", tt.variable)); err != nil || got != tt.want {
			t.Errorf("%q, %q: %q, %v", tt.flag, tt.variable, got, err)
		}
	}
}
