package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"

	"github.com/debugbroker/debugbroker/broker/api"
)

// place is where the daemon lives that this command line means.
type place struct {
	stateDir    string
	socket      string
	config      string // "" where no home directory tells one
	configGiven bool   // by --config or BROKER_CONFIG: it must exist, and be the running daemon's
	sshConfig   string // BROKER_SSH_CONFIG, as ssh -F takes it; "" is the user's own
}

// locate applies the rules of CLI.md, "Common": --socket > BROKER_SOCKET > BROKER_STATE_DIR > XDG_STATE_HOME > ~/.local/state.
func locate(socket, config string, env func(string) string) (place, error) {
	var p place
	var err error
	if p.stateDir = env("BROKER_STATE_DIR"); p.stateDir == "" {
		base, berr := base(env, "XDG_STATE_HOME", ".local/state")
		if berr != nil {
			return place{}, &api.Error{Code: api.CodeConfig, Message: berr.Error(), Hint: "set HOME or BROKER_STATE_DIR"}
		}
		p.stateDir = filepath.Join(base, "debugbroker")
	}
	if p.socket = first(socket, env("BROKER_SOCKET")); p.socket == "" {
		p.socket = filepath.Join(p.stateDir, "broker.sock")
	}
	if p.config = first(config, env("BROKER_CONFIG")); p.config != "" {
		p.configGiven = true
	} else if base, err := base(env, "XDG_CONFIG_HOME", ".config"); err == nil {
		p.config = filepath.Join(base, "debugbroker", "config.toml")
	}
	p.sshConfig = env("BROKER_SSH_CONFIG")
	for _, path := range []*string{&p.stateDir, &p.socket, &p.config, &p.sshConfig} {
		if *path == "" || path == &p.sshConfig && *path == "none" { // ssh -F none: no file at all
			continue
		}
		// The daemon's working directory is another one.
		if *path, err = filepath.Abs(*path); err != nil {
			return place{}, fmt.Errorf("resolve %s: %w", *path, err)
		}
	}
	if limit := socketLimit(); len(p.socket) > limit {
		return place{}, &api.Error{
			Code:    api.CodeConfig,
			Message: fmt.Sprintf("the socket's path is too long for this system: %d bytes, and %d is the limit: %s", len(p.socket), limit, p.socket),
			Hint:    "set BROKER_STATE_DIR or BROKER_SOCKET to a shorter path",
		}
	}
	return p, nil
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// base is the directory of an XDG variable, which counts only where it is absolute (XDG Base Directory Specification).
func base(env func(string) string, name, fallback string) (string, error) {
	if dir := env(name); filepath.IsAbs(dir) {
		return dir, nil
	}
	home := env("HOME")
	if !filepath.IsAbs(home) {
		return "", errors.New("HOME is not set to an absolute path")
	}
	return filepath.Join(home, fallback), nil
}

// socketLimit is the size of sun_path without the zero byte at its end (unix(7); sys/un.h on darwin).
func socketLimit() int {
	if runtime.GOOS == "linux" {
		return 107
	}
	return 103
}
