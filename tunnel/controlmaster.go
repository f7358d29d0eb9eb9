package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/tailscale/peercred"
	"golang.org/x/crypto/ssh"
)

// masterTimeout bounds what a ControlMaster may take to let us in. One that asks its user first (ControlMaster ask) mostly takes longer, and is
// not waited for.
const masterTimeout = 5 * time.Second

// errNoMaster says that no ControlMaster is there, which is the usual case.
var errNoMaster = errors.New("no ControlMaster there")

// ride makes a Conn of the connection that an ssh of the user's has to the last hop (ControlMaster, ControlPath). It returns errNoMaster where there is
// none, and another error where there is one that is not to be used.
func (a *attempt) ride(ctx context.Context, hop *Hop) (*Conn, error) {
	if hop.ControlPath == "" {
		return nil, errNoMaster
	}
	ctx, cancel := context.WithTimeout(ctx, masterTimeout)
	defer cancel()
	nc, err := dialMaster(ctx, hop.ControlPath)
	if err != nil {
		return nil, err
	}
	w := newWire(nc)
	stop := context.AfterFunc(ctx, func() { _ = w.Close() })
	conn, err := a.greetMaster(ctx, hop, w)
	if !stop() && err == nil {
		_ = conn.Close()
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = w.Close()
		if ctx.Err() != nil {
			err = fmt.Errorf("no answer in time: %w", context.Cause(ctx))
		}
		return nil, err
	}
	return conn, nil
}

// dialMaster connects to a ControlMaster of ours.
func dialMaster(ctx context.Context, path string) (*net.UnixConn, error) {
	if err := controlSocket(path); err != nil {
		return nil, err
	}
	nc, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil, errNoMaster // one that was killed leaves its socket behind
	}
	if err != nil {
		return nil, fmt.Errorf("connect: %w", bare(err))
	}
	creds, err := peercred.Get(nc)
	if err == nil {
		if !sameUser(creds) {
			err = errors.New("another user serves it")
		}
	}
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	return nc.(*net.UnixConn), nil
}

// greetMaster says hello, and sees that the server behind the master is there.
func (a *attempt) greetMaster(ctx context.Context, hop *Hop, w *wire) (*Conn, error) {
	master, err := newMasterConn(hop.ControlPath, w, a.sockets)
	if err != nil {
		return nil, spoken(bare(err))
	}
	requests := make(chan *ssh.Request)
	close(requests) // a master passes on nothing that the server asks for
	conn := newConn(hop, w, master, master.incoming, requests, a.log)
	conn.master, conn.how = hop.ControlPath, "the ControlMaster at "+hop.ControlPath
	conn.group.spawn(func() {
		<-conn.done
		master.tidy()
	})
	if _, err := conn.Ping(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("the server behind it does not answer: %w", err)
	}
	sweepForwards(ctx, a.sockets, hop.ControlPath)
	return conn, nil
}

// controlSocket refuses a socket that is not ours alone: whoever serves it sees all that we send, and has its way with what we do there.
func controlSocket(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return errNoMaster
	}
	if err != nil {
		return errors.New(reason(err))
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("it is no socket")
	}
	if !ownedByUs(info) {
		return errors.New("the socket belongs to another user")
	}
	dir, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return errors.New(reason(err))
	}
	if stat, ok := dir.Sys().(*syscall.Stat_t); !ok || stat.Uid != 0 && int(stat.Uid) != os.Geteuid() {
		return errors.New("its directory belongs to another user")
	}
	if dir.Mode().Perm()&0o022 != 0 && dir.Mode()&fs.ModeSticky == 0 {
		return errors.New("others may write to its directory")
	}
	return nil
}

// limits are warnings of what a connection cannot do.
func (c *Conn) limits() []string {
	if c.master == "" {
		return nil
	}
	return []string{"reached over the ControlMaster at " + c.master + ": commands beyond MaxSessions of its one connection wait for the end of others"}
}
