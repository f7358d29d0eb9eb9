package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/configs/service"
)

// systemd is the user's manager, user@UID.service.
type systemd struct{ env func(string) string }

func (s systemd) kind() service.Manager { return service.Systemd }

func (s systemd) file() (string, error) {
	return homeFile(s.env, s.env("XDG_CONFIG_HOME"), ".config", filepath.Join("systemd", "user", service.Unit))
}

// ctl runs systemctl. A shell that su or cron has made lacks XDG_RUNTIME_DIR, in which the manager's socket is.
func (s systemd) ctl(ctx context.Context, timeout time.Duration, args ...string) (string, error) {
	var environ []string
	if dir := "/run/user/" + strconv.Itoa(os.Getuid()); s.env("XDG_RUNTIME_DIR") == "" && ownedDirectory(dir) {
		environ = append(environ, "XDG_RUNTIME_DIR="+dir)
	}
	return tell(ctx, timeout, environ, "systemctl", append([]string{"--user"}, args...)...)
}

func ownedDirectory(dir string) bool {
	fi, err := os.Lstat(dir)
	return err == nil && fi.IsDir() && owner(fi) == os.Getuid()
}

func (s systemd) reach(ctx context.Context) error {
	if _, err := s.ctl(ctx, managerTimeout, "show", "--property=Version"); err != nil {
		return unmanaged("your systemd manager", err)
	}
	return nil
}

// show asks for properties of the unit; it answers for one that is not there, too.
func (s systemd) show(ctx context.Context) (map[string]string, error) {
	out, err := s.ctl(ctx, managerTimeout, "show", service.Unit, "--property=LoadState,UnitFileState,ActiveState,MainPID,FragmentPath")
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for line := range strings.Lines(out) {
		if k, v, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
			values[k] = v
		}
	}
	return values, nil
}

func (s systemd) state(ctx context.Context) (managed, error) {
	v, err := s.show(ctx)
	if err != nil {
		return managed{}, err
	}
	pid, err := strconv.Atoi(v["MainPID"])
	if err != nil {
		pid = 0
	}
	return managed{enabled: v["UnitFileState"] == "enabled", active: v["ActiveState"], pid: pid}, nil
}

func (s systemd) load(ctx context.Context, file string) error {
	if _, err := s.ctl(ctx, managerTimeout, "daemon-reload"); err != nil {
		return err
	}
	v, err := s.show(ctx)
	if err != nil {
		return err
	}
	if v["LoadState"] != "loaded" {
		return &api.Error{
			Code:    api.CodeDaemon,
			Message: fmt.Sprintf("systemd does not take %s: it is %q to it", file, v["LoadState"]),
			Hint:    "does the manager have another XDG_CONFIG_HOME? See systemctl --user show --property=UnitPath, and systemd-analyze --user verify FILE",
		}
	}
	if _, err := s.ctl(ctx, managerTimeout, "enable", service.Unit); err != nil {
		return err
	}
	s.forget(ctx)
	if _, err := s.ctl(ctx, changeTimeout, "restart", service.Unit); err != nil {
		return &api.Error{
			Code: api.CodeDaemon, Message: err.Error(),
			Hint: "it is installed, and does not start: journalctl --user -u debugbroker; brokerctl service uninstall takes it away",
		}
	}
	return nil
}

// forget has systemd count failed starts anew. There may be none.
func (s systemd) forget(ctx context.Context) {
	_, _ = s.ctl(ctx, managerTimeout, "reset-failed", service.Unit)
}

// start forgets failures: it may have failed while a daemon of brokerctl's own held the lock.
func (s systemd) start(ctx context.Context) error {
	s.forget(ctx)
	_, err := s.ctl(ctx, changeTimeout, "start", service.Unit)
	return err
}

func (s systemd) unload(ctx context.Context, remove func() error) error {
	file, err := s.file()
	if err != nil {
		return err
	}
	if s.reach(ctx) != nil {
		// Nothing runs there. What enable has made is a link.
		link := filepath.Join(filepath.Dir(file), "default.target.wants", service.Unit)
		if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return remove()
	}
	if v, err := s.show(ctx); err != nil {
		return err
	} else if v["LoadState"] == "loaded" {
		if _, err := s.ctl(ctx, changeTimeout, "disable", "--now", service.Unit); err != nil {
			return err
		}
	}
	if err := remove(); err != nil {
		return err
	}
	if _, err := s.ctl(ctx, managerTimeout, "daemon-reload"); err != nil {
		return err
	}
	s.forget(ctx)
	return nil
}

func (s systemd) linger(ctx context.Context) *bool {
	out, err := tell(ctx, managerTimeout, nil, "loginctl", "show-user", strconv.Itoa(os.Getuid()), "--property=Linger", "--value")
	switch strings.TrimSpace(out) {
	case "yes", "no":
		yes := strings.TrimSpace(out) == "yes"
		if err == nil {
			return &yes
		}
	}
	return nil
}
