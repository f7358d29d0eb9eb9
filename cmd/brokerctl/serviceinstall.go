package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/configs/service"
)

func (a *app) installService(ctx context.Context, force bool) error {
	p, m, err := a.managed()
	if err != nil {
		return err
	}
	return a.install(ctx, p, m, force)
}

// install brings the service to what it should be. Who runs for this place already is ended first: two cannot hold its lock.
func (a *app) install(ctx context.Context, p place, m manager, force bool) error {
	want, err := p.rendered(m, a.env)
	if err != nil {
		return err
	}
	file, have, err := installed(m)
	if err != nil {
		return err
	}
	if err := m.reach(ctx); err != nil {
		return err
	}
	state, err := m.state(ctx)
	if err != nil {
		return err
	}
	c, _ := p.client()
	defer c.Close()
	info, err := ask(ctx, c)
	running := err == nil
	if err != nil && !notRunning(err) {
		return err
	}
	serving := running && state.pid != 0 && state.pid == info.PID
	if serving && state.enabled && bytes.Equal(have, want) && info.API == api.Version && p.runsProgram(info) {
		a.say("nothing has changed since it was installed")
		return a.tellServiceOf(ctx, p, m)
	}
	if !force {
		if err := mayEnd(ctx, p, m, have, state); err != nil {
			return err
		}
	}
	if err := makePrivate(p.stateDir); err != nil {
		return err
	}
	if running && !serving {
		a.say("brokerd (pid %d) runs without the service: it is ended", info.PID)
		if _, err := a.end(ctx, p); err != nil {
			return err
		}
	}
	if !bytes.Equal(have, want) {
		if err := writeServiceFile(file, want); err != nil {
			return err
		}
	}
	if err := m.load(ctx, file); err != nil {
		return err
	}
	if info, err = p.answers(ctx, c, m); err != nil {
		return err
	}
	if err := p.fits(info); err != nil {
		return err
	}
	return a.tellServiceOf(ctx, p, m)
}

// runsProgram tells whether the daemon is the program that would be started now. An upgrade puts another file in its place; where
// there is no /proc, it has another version.
func (p place) runsProgram(info api.DaemonInfo) bool {
	program, err := p.brokerd()
	if err != nil {
		return false
	}
	now, err := os.Stat(program)
	if err != nil {
		return false
	}
	if runs, err := os.Stat("/proc/" + strconv.Itoa(info.PID) + "/exe"); err == nil {
		return os.SameFile(runs, now)
	}
	return info.Version == ownVersion()
}

// mayEnd refuses to end a daemon that has sessions: the one of this place, and the installed service's, which may have another.
func mayEnd(ctx context.Context, p place, m manager, have []byte, state managed) error {
	sockets := []string{p.socket}
	if s, ok := service.Socket(m.kind(), have); ok && s != p.socket && state.pid != 0 {
		sockets = append(sockets, s)
	}
	for _, socket := range sockets {
		ids, err := place{socket: socket}.openSessions(ctx)
		const hint = "brokerctl close --all, or brokerctl service install --force"
		switch e := new(api.Error); {
		case notRunning(err):
		case errors.As(err, &e) && e.Code == api.CodeVersion:
			return &api.Error{Code: api.CodeVersion, Message: "brokerd of another version runs, and may have sessions: " + e.Message, Hint: "brokerctl stop, which closes them, or brokerctl service install --force"}
		case err != nil:
			return err
		case len(ids) == 1:
			return &api.Error{Code: api.CodeDaemon, Message: "brokerd must be started anew, and a session is open: " + ids[0], Hint: hint}
		case len(ids) > 1:
			return &api.Error{Code: api.CodeDaemon, Message: fmt.Sprintf("brokerd must be started anew, and %d sessions are open", len(ids)), Hint: hint}
		}
	}
	return nil
}

func (p place) openSessions(ctx context.Context) ([]string, error) {
	if err := ownedByUs(p.socket); err != nil {
		return nil, err
	}
	c, _ := p.client()
	defer c.Close()
	return openIDs(ctx, c)
}

// answers waits until the service's daemon does. systemd tells us only when it does, launchd at once.
func (p place) answers(ctx context.Context, c *api.Client, m manager) (api.DaemonInfo, error) {
	bounded, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		if info, err := ask(bounded, c); err == nil || !notRunning(err) && bounded.Err() == nil {
			return info, err
		}
		select {
		case <-tick.C:
		case <-bounded.Done():
			if ctx.Err() != nil {
				return api.DaemonInfo{}, context.Cause(ctx)
			}
			return api.DaemonInfo{}, startError(fmt.Sprintf("%s has started brokerd, and it does not answer", m.kind()), p)
		}
	}
}

func (a *app) uninstallService(ctx context.Context) error {
	p, m, err := a.managed()
	if err != nil {
		return err
	}
	return a.uninstall(ctx, p, m)
}

func (a *app) uninstall(ctx context.Context, p place, m manager) error {
	file, have, err := installed(m)
	if err != nil {
		return err
	}
	if have == nil {
		a.say("no service is installed")
	} else {
		remove := func() error {
			if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove the service: %w", err)
			}
			return nil
		}
		if err := m.unload(ctx, remove); err != nil {
			return err
		}
		if !a.json {
			return a.print("removed " + clean(filepath.Clean(file)) + "\n")
		}
	}
	if a.json {
		return a.tellServiceOf(ctx, p, m)
	}
	return nil
}
