package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tailscale/peercred"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/configs/service"
)

// The waits for what a daemon answers from memory, and for what it asks a host.
const (
	infoTimeout  = 5 * time.Second
	askTries     = 50 // pollInterval apart: for a daemon that is killed the system takes no longer
	quickTimeout = 30 * time.Second
	closeTimeout = 2 * time.Minute
)

// connect returns a client of a daemon that is ours, of our API version, and has the configuration asked for. It starts the daemon
// where none answers, unless --no-autostart forbids it.
func (a *app) connect(ctx context.Context) (*api.Client, error) {
	p, err := a.place()
	if err != nil {
		return nil, err
	}
	c, _ := p.client()
	info, err := ask(ctx, c)
	if notRunning(err) {
		if a.noAutostart {
			return nil, &api.Error{Code: api.CodeDaemon, Message: "brokerd is not running", Hint: "without --no-autostart it is started when it is needed"}
		}
		info, err = p.start(ctx, c, a.env)
	}
	if err == nil {
		err = p.fits(info)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// talk calls f with a client of the daemon, which is closed after it.
func (a *app) talk(ctx context.Context, f func(*api.Client) error) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return f(c)
}

// place finds where the daemon lives, and refuses a place that another user has prepared.
func (a *app) place() (place, error) {
	p, err := locate(a.socket, a.config, a.env)
	if err != nil {
		return place{}, err
	}
	if p.configGiven {
		if _, err := os.Stat(p.config); err != nil {
			return place{}, &api.Error{Code: api.CodeConfig, Message: unreadable("open", p.config, err), Hint: "leave out --config and BROKER_CONFIG to run without one"}
		}
	}
	for _, path := range []string{p.stateDir, p.socket} {
		if err := ownedByUs(path); err != nil {
			return place{}, err
		}
	}
	return p, nil
}

// ownedByUs refuses a path that belongs to neither us nor root: in a shared directory another user may have been there first, with
// a daemon of their own that would be told of our agents and programs. A path that does not exist is fine.
func ownedByUs(path string) error {
	// Of a link both count, itself and what it leads to.
	for _, stat := range []func(string) (os.FileInfo, error){os.Lstat, os.Stat} {
		fi, err := stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return &api.Error{Code: api.CodeDaemon, Message: err.Error(), Hint: "set BROKER_STATE_DIR to a directory of yours"}
		}
		if uid := owner(fi); uid != os.Geteuid() && uid != 0 {
			return &api.Error{
				Code:    api.CodeDaemon,
				Message: fmt.Sprintf("%s belongs to another user (uid %d)", path, uid),
				Hint:    "set BROKER_STATE_DIR to a directory of yours",
			}
		}
	}
	return nil
}

func owner(fi os.FileInfo) int { return int(fi.Sys().(*syscall.Stat_t).Uid) }

// client returns a client whose connections are judged before anything is sent, and the pid of who listens, 0 until it is known.
func (p place) client() (*api.Client, *atomic.Int64) {
	pid := new(atomic.Int64)
	dial := func(ctx context.Context, path string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", path)
		if err != nil {
			return nil, err
		}
		creds, err := peercred.Get(conn)
		if err == nil {
			err = trusted(creds, os.Geteuid())
		}
		if err != nil {
			conn.Close()
			return nil, &api.Error{Code: api.CodeDaemon, Message: fmt.Sprintf("%s: %v", path, err), Hint: "nothing was sent; set BROKER_STATE_DIR to a directory of yours"}
		}
		if n, ok := creds.PID(); ok {
			pid.Store(int64(n))
		}
		return conn, nil
	}
	return api.NewClient(p.socket, api.WithDialer(dial)), pid
}

// trusted tells whether the process at the other end of the socket is ours or root's. What is not known is not trusted.
func trusted(creds interface{ UserID() (string, bool) }, us int) error {
	s, ok := creds.UserID()
	uid, err := strconv.Atoi(s)
	if !ok || err != nil {
		return errors.New("the system does not tell who listens")
	}
	if uid != us && uid != 0 {
		return fmt.Errorf("another user's process listens (uid %d)", uid)
	}
	return nil
}

// ask asks who the daemon is, bounded. One that is just ending takes the question and hangs up: then it is asked again who is there by now.
func ask(ctx context.Context, c *api.Client) (api.DaemonInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, infoTimeout)
	defer cancel()
	for try := 1; ; try++ {
		info, err := c.Info(ctx)
		var answered *api.Error
		if err == nil || errors.Is(err, api.ErrNotRunning) || errors.As(err, &answered) || try == askTries {
			return info, err
		}
		select {
		case <-time.After(pollInterval):
		case <-ctx.Done():
			return info, err
		}
	}
}

// notRunning tells "nobody listens" from "it cannot be reached", which starting another daemon would not help.
func notRunning(err error) bool {
	return errors.Is(err, api.ErrNotRunning) && (errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED))
}

// fits refuses a daemon that would not do what was asked for: one of another API version or another configuration.
func (p place) fits(info api.DaemonInfo) error {
	if info.API != api.Version {
		return &api.Error{
			Code:    api.CodeVersion,
			Message: fmt.Sprintf("brokerd %s speaks version %d of the API, brokerctl %d", info.Version, info.API, api.Version),
			Hint:    restartHint(info),
		}
	}
	switch {
	case p.configGiven && !samePath(p.config, info.Config):
		return otherConfig("the configuration", info.Config, p.config)
	case p.sshConfig != "" && !samePath(p.sshConfig, info.SSHConfig):
		return otherConfig("the ssh configuration", info.SSHConfig, p.sshConfig)
	}
	return nil
}

// restartHint tells how the right daemon comes to run.
func restartHint(info api.DaemonInfo) string {
	switch service.Manager(info.Service) {
	case service.Systemd:
		return "restart the service, which closes the sessions: systemctl --user restart debugbroker; if it is an old one, brokerctl service install --force"
	case service.Launchd:
		return fmt.Sprintf("restart the service, which closes the sessions: launchctl kickstart -k gui/%d/%s; if it is an old one, brokerctl service install --force", os.Getuid(), service.Label)
	default:
		return "end it, and the next command starts the right one: brokerctl stop"
	}
}

func otherConfig(what, has, want string) error {
	if has == "" {
		has = "the default"
	}
	return &api.Error{
		Code:    api.CodeConfig,
		Message: fmt.Sprintf("brokerd runs with another file as %s: %s, not %s", what, has, want),
		Hint:    "end it with brokerctl stop, or run a second one with a BROKER_STATE_DIR of its own",
	}
}

// samePath compares what the paths lead to, and themselves where they lead nowhere.
func samePath(a, b string) bool {
	if a == "" || b == "" {
		return a == b
	}
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	fa, errA := os.Stat(a)
	fb, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(fa, fb)
}
