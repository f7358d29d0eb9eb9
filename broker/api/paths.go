package api

import (
	"fmt"
	"path/filepath"
	"runtime"
)

// Names of what lies in the state directory.
const (
	SocketName = "broker.sock"
	LogName    = "brokerd.log"
)

// StateDir is the directory of state, log and socket: BROKER_STATE_DIR, else debugbroker in XDG_STATE_HOME or ~/.local/state. The
// path is absolute. getenv is os.Getenv, or stands for it.
func StateDir(getenv func(string) string) (string, error) {
	if dir := getenv("BROKER_STATE_DIR"); dir != "" {
		return absolute("BROKER_STATE_DIR", dir)
	}
	return userDir(getenv, "XDG_STATE_HOME", ".local/state", "BROKER_STATE_DIR")
}

// Socket is the daemon's socket: flag (the value of --socket), else BROKER_SOCKET, else in the StateDir. The path is absolute, and
// one that the system cannot bind is an error.
func Socket(flag string, getenv func(string) string) (string, error) {
	path, origin := flag, "--socket"
	if path == "" {
		path, origin = getenv("BROKER_SOCKET"), "BROKER_SOCKET"
	}
	if path == "" {
		dir, err := StateDir(getenv)
		if err != nil {
			return "", err
		}
		path = filepath.Join(dir, SocketName)
	}
	path, err := absolute(origin, path)
	if err != nil {
		return "", err
	}
	// The limit counts a zero byte at the end (sun_path in unix(7) and, on macOS, sys/un.h).
	if limit := socketLimit(runtime.GOOS); len(path) >= limit {
		return "", &Error{
			Code:    CodeConfig,
			Message: fmt.Sprintf("the socket's path is too long for this system: %d bytes, and %d is the limit: %s", len(path), limit-1, path),
			Hint:    "name a shorter one: BROKER_SOCKET=/path/to/broker.sock, or --socket",
		}
	}
	return path, nil
}

func socketLimit(goos string) int {
	if goos == "darwin" {
		return 104
	}
	return 108
}

// ConfigFile is the configuration: flag (the value of --config), else BROKER_CONFIG, else config.toml in debugbroker in
// XDG_CONFIG_HOME or ~/.config. The path is absolute, or "" where no home directory tells one. explicit says that the user named
// the file, so that it must be there.
func ConfigFile(flag string, getenv func(string) string) (path string, explicit bool, err error) {
	if flag != "" {
		path, err = absolute("--config", flag)
		return path, true, err
	}
	if v := getenv("BROKER_CONFIG"); v != "" {
		path, err = absolute("BROKER_CONFIG", v)
		return path, true, err
	}
	dir, err := userDir(getenv, "XDG_CONFIG_HOME", ".config", "BROKER_CONFIG")
	if err != nil {
		return "", false, nil // nothing to read, and nothing that the user asked for
	}
	return filepath.Join(dir, "config.toml"), false, nil
}

// SSHConfig is the ssh configuration as `ssh -F` takes it: flag (the value of --ssh-config), else BROKER_SSH_CONFIG, else "", which
// is the user's own. The path is absolute; "none" is no file at all.
func SSHConfig(flag string, getenv func(string) string) (string, error) {
	path, origin := flag, "--ssh-config"
	if path == "" {
		path, origin = getenv("BROKER_SSH_CONFIG"), "BROKER_SSH_CONFIG"
	}
	if path == "" || path == "none" {
		return path, nil
	}
	return absolute(origin, path)
}

// userDir follows the XDG base directory specification: a relative value is ignored.
func userDir(getenv func(string) string, xdg, below, instead string) (string, error) {
	if base := getenv(xdg); filepath.IsAbs(base) {
		return filepath.Join(base, "debugbroker"), nil
	}
	home := getenv("HOME")
	if !filepath.IsAbs(home) {
		return "", &Error{Code: CodeConfig, Message: "HOME is not set to an absolute path", Hint: "set HOME, or " + instead}
	}
	return filepath.Join(home, below, "debugbroker"), nil
}

// absolute: brokerd runs in another directory than the brokerctl that starts it, and both must mean the same file.
func absolute(origin, path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", &Error{Code: CodeConfig, Message: fmt.Sprintf("%s: %s is relative to a directory that is gone", origin, path), Hint: "name an absolute path"}
	}
	return abs, nil
}
