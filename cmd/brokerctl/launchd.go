package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/configs/service"
)

// launchd is the user's graphical session on macOS, gui/UID.
type launchd struct {
	env func(string) string
	uid int
}

func (l launchd) kind() service.Manager { return service.Launchd }

func (l launchd) file() (string, error) {
	return homeFile(l.env, "", "Library/LaunchAgents", service.Agent)
}

func (l launchd) domain() string { return "gui/" + strconv.Itoa(l.uid) }

func (l launchd) target() string { return l.domain() + "/" + service.Label }

func (l launchd) ctl(ctx context.Context, timeout time.Duration, args ...string) (string, error) {
	return tell(ctx, timeout, nil, "launchctl", args...)
}

// reach: over ssh, without anybody at the screen, there is no such domain.
func (l launchd) reach(ctx context.Context) error {
	if _, err := l.ctl(ctx, managerTimeout, "print", l.domain()); err != nil {
		return unmanaged("launchd", err)
	}
	return nil
}

// state reads what `launchctl print` says of the job, which it does not promise to keep: what is not found there is not known.
func (l launchd) state(ctx context.Context) (managed, error) {
	if err := l.reach(ctx); err != nil {
		return managed{}, err
	}
	out, err := l.ctl(ctx, managerTimeout, "print", l.target())
	if err != nil {
		return managed{active: "inactive"}, nil // no such job
	}
	m := managed{enabled: true, active: "inactive"}
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " = ")
		switch key {
		case "state":
			if value == "running" {
				m.active = "active"
			}
		case "pid":
			if pid, err := strconv.Atoi(value); err == nil && pid > 1 {
				m.pid = pid
			}
		}
	}
	return m, nil
}

func (l launchd) load(ctx context.Context, file string) error {
	if err := l.bootout(ctx); err != nil {
		return err
	}
	if _, err := l.ctl(ctx, managerTimeout, "enable", l.target()); err != nil {
		return err
	}
	if _, err := l.ctl(ctx, changeTimeout, "bootstrap", l.domain(), file); err != nil {
		return &api.Error{Code: api.CodeDaemon, Message: err.Error(), Hint: "it is installed, and does not start: plutil -lint " + filepath.Base(file) + "; brokerd.stderr in the state directory"}
	}
	return nil
}

// bootout ends the job and waits until it is gone: until then bootstrap would be refused.
func (l launchd) bootout(ctx context.Context) error {
	if _, err := l.ctl(ctx, managerTimeout, "print", l.target()); err != nil {
		return nil
	}
	if _, err := l.ctl(ctx, changeTimeout, "bootout", l.target()); err != nil && ctx.Err() != nil {
		return err // else it says "in progress" (36) where it is: what counts is whether the job goes
	}
	bounded, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := l.ctl(bounded, managerTimeout, "print", l.target()); err != nil && bounded.Err() == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-bounded.Done():
			return fmt.Errorf("launchctl bootout %s: the job does not end: %w", l.target(), context.Cause(bounded))
		}
	}
}

func (l launchd) start(ctx context.Context) error {
	_, err := l.ctl(ctx, changeTimeout, "kickstart", l.target())
	return err
}

func (l launchd) unload(ctx context.Context, remove func() error) error {
	if l.reach(ctx) == nil {
		if err := l.bootout(ctx); err != nil {
			return err
		}
	}
	return remove()
}

// linger: an agent ends with the session at the screen, and there is no choice.
func (l launchd) linger(context.Context) *bool { return nil }
