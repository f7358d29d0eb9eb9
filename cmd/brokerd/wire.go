package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sync/errgroup"

	"github.com/debugbroker/debugbroker/adapters"
	"github.com/debugbroker/debugbroker/broker"
	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/configs"
	"github.com/debugbroker/debugbroker/store"
	"github.com/debugbroker/debugbroker/tunnel"
	"github.com/debugbroker/debugbroker/tunnel/sshconfig"
)

// serveGrace is how long requests under way may take to end after everything else has.
const serveGrace = 5 * time.Second

// run is the daemon's life: each thing that it needs is followed by its deferred release.
func run(ctx context.Context, o options) error {
	manager, err := takeNotifier()
	if err != nil {
		return err
	}
	cfg, err := configs.Load(o.config, o.configExplicit)
	if err != nil {
		return err
	}
	if err := broker.CheckForwards(cfg, o.config); err != nil {
		return err
	}
	if o.sshConfig == "" {
		o.sshConfig = cfg.SSHConfig
	}
	if err := openStateDir(o.stateDir); err != nil {
		return err
	}
	unlock, err := takeLock(o.stateDir)
	if err != nil {
		return err
	}
	defer unlock()

	log, logFile, err := newLogger(logOptions{StateDir: o.stateDir, Level: cfg.LogLevel, Foreground: o.foreground, Service: o.service != "", Stderr: os.Stderr, Getenv: os.Getenv})
	if err != nil {
		return err
	}
	defer logFile.Close()

	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find our own program: %w", err)
	}
	st, err := store.Open(ctx, o.database(), store.Options{Verify: store.ChildVerifier(exe, verifyCommand)})
	if err != nil {
		return err
	}
	defer st.Close()

	resolver := sshconfig.NewResolver(sshconfig.Options{File: o.sshConfig, Log: log.Named("sshconfig")})
	pool := tunnel.NewPool(tunnel.PoolOptions{Log: log.Named("tunnel"), Sockets: filepath.Join(o.stateDir, "masters")})
	hosts := broker.NewHosts(resolver, pool, func() tunnel.Host { return tunnel.NewLocal(tunnel.LocalOptions{}) })
	b := broker.New(broker.Options{
		Config: cfg, Store: st, Hosts: hosts, Adapters: adapters.Builtin(), Log: log,
		Info: api.DaemonInfo{
			API: api.Version, Version: version(), PID: os.Getpid(), Started: time.Now().UTC(),
			Config: o.shownConfig(), SSHConfig: o.sshConfig, StateDir: o.stateDir, Service: o.service,
		},
	})
	if err := b.Recover(); err != nil {
		return err
	}
	l, err := listen(o.socket)
	if err != nil {
		return err
	}
	defer l.Close()
	log.Info("ready", "socket", o.socket, "pid", os.Getpid(), "version", version())
	// It would take us for one that hangs, and end us: better now than in the midst of a session.
	if err := manager.tell(daemon.SdNotifyReady); err != nil {
		return err
	}
	wakes := tunnel.NewWakes(pool, log.Named("tunnel"))
	err = live(ctx, b, pool, wakes, l, func() {
		if err := manager.tell(daemon.SdNotifyStopping); err != nil {
			log.Warn("ending, and systemd does not know", "error", err)
		}
	})
	log.Info("ended", "error", err)
	return err
}

// live runs the parts until ctx is done or somebody asked the broker to stop. They end in order, however the end begins: sessions, then
// the API, so that whoever waits for a session hears of its end, then the links, which the sessions need to clean up. ending is called
// when the end begins.
func live(ctx context.Context, b *broker.Broker, pool *tunnel.Pool, wakes *tunnel.Wakes, l net.Listener, ending func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	apiCtx, stopAPI := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAPI()
	poolCtx, stopPool := context.WithCancel(context.WithoutCancel(ctx))
	defer stopPool()

	var links, parts errgroup.Group
	links.Go(func() error { return pool.Run(poolCtx) })
	links.Go(func() error { return wakes.Run(poolCtx) })
	links.Go(func() error { return newGCPacer().Run(poolCtx) })
	parts.Go(func() error {
		defer stopAPI()
		return b.Run(ctx)
	})
	parts.Go(func() error {
		defer cancel()
		return b.Serve(apiCtx, l, serveGrace)
	})
	parts.Go(func() error {
		select {
		case <-b.Stopping():
		case <-ctx.Done():
		}
		ending()
		cancel()
		return nil
	})
	err := parts.Wait()
	stopPool()
	return errors.Join(err, links.Wait())
}
