package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/configs/service"
)

// How long a service manager may take to answer, and to start or end brokerd: TimeoutStopSec and then some.
const (
	managerTimeout = 10 * time.Second
	changeTimeout  = 2 * time.Minute
)

// manager keeps services for the user: systemd's user manager, or launchd.
type manager interface {
	kind() service.Manager
	// file is where the service's file goes.
	file() (string, error)
	// reach tells whether there is a manager to talk to.
	reach(ctx context.Context) error
	state(ctx context.Context) (managed, error)
	// load has a written file read and started at each login, and starts the daemon anew.
	load(ctx context.Context, file string) error
	// start starts the daemon of a loaded service where it does not run.
	start(ctx context.Context) error
	// unload ends the daemon, and has it started no more; remove takes the file away. None being there is fine.
	unload(ctx context.Context, remove func() error) error
	// linger tells whether the service outlives the last logout; nil is not known, or not a question here.
	linger(ctx context.Context) *bool
}

// managed is what a manager knows of the service.
type managed struct {
	enabled bool
	active  string // active, inactive, activating, deactivating, failed
	pid     int    // the daemon's, 0 for none
}

// newManager is this system's.
func newManager(env func(string) string) (manager, error) {
	switch runtime.GOOS {
	case "linux":
		return systemd{env: env}, nil
	case "darwin":
		return launchd{env: env, uid: os.Getuid()}, nil
	default:
		return nil, noManager("no service manager is known for " + runtime.GOOS)
	}
}

func noManager(message string) error {
	return &api.Error{
		Code:    api.CodeDaemon,
		Message: message,
		Hint:    "no service is needed: brokerctl starts brokerd when it is needed, and it stays until brokerctl stop",
	}
}

// tell runs a manager's own program and returns what it prints.
func tell(ctx context.Context, timeout time.Duration, environ []string, program string, args ...string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return "", noManager("there is no " + program + " here")
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(append(os.Environ(), environ...), "LC_ALL=C")
	cmd.WaitDelay = time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	if ctx.Err() != nil {
		return "", fmt.Errorf("%s %s: %w", program, strings.Join(args, " "), context.Cause(ctx))
	}
	if err != nil {
		words, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		if words == "" {
			words = err.Error()
		}
		return stdout.String(), fmt.Errorf("%s %s: %s", program, strings.Join(args, " "), words)
	}
	return stdout.String(), nil
}

// homeFile is a path below a base directory, or below HOME.
func homeFile(env func(string) string, base, below, file string) (string, error) {
	if filepath.IsAbs(base) {
		return filepath.Join(base, file), nil
	}
	home := env("HOME")
	if !filepath.IsAbs(home) {
		return "", &api.Error{Code: api.CodeConfig, Message: "HOME is not set to an absolute path", Hint: "set HOME"}
	}
	return filepath.Join(home, below, file), nil
}

// unmanaged is the error where m cannot be reached, with what it says for itself.
func unmanaged(who string, err error) error {
	var e *api.Error
	if errors.As(err, &e) {
		return e
	}
	return noManager(fmt.Sprintf("%s does not answer: %v", who, err))
}
