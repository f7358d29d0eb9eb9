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

	"github.com/hashicorp/go-hclog"
	"github.com/tailscale/peercred"
	"golang.org/x/crypto/ssh"
)

// masterTimeout bounds what a ControlMaster may take to let us in. One that asks its user first (ControlMaster ask) mostly takes longer, and is
// not waited for.
const masterTimeout = 5 * time.Second

// masterPingChannel is the type of channel by which Ping asks for an answer over a master, with Conn.slot held. Such a connection takes no global request
// for that (channels.c, channel_proxy_downstream), and it never forgets a channel that the server refused, so that this is to be one that is not.
const masterPingChannel = "session"

// errNoMaster says that no ControlMaster is there, which is the usual case.
var errNoMaster = errors.New("no ControlMaster there")

// ride makes a Conn of the connection that an ssh of the user's has to the last hop (ControlMaster, ControlPath), in the proxy mode of OpenSSH's
// PROTOCOL.mux: our channels are beside its own on one connection. It returns errNoMaster where there is none, and another error where there is
// one that is not to be used.
func (a *attempt) ride(ctx context.Context, hop *Hop) (*Conn, error) {
	if hop.ControlPath == "" {
		return nil, errNoMaster
	}
	if err := controlSocket(hop.ControlPath); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, masterTimeout)
	defer cancel()
	nc, err := new(net.Dialer).DialContext(ctx, "unix", hop.ControlPath)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil, errNoMaster // one that was killed leaves its socket behind
	}
	if err != nil {
		return nil, fmt.Errorf("connect: %w", bare(err))
	}
	w := newWire(nc)
	stop := context.AfterFunc(ctx, func() { _ = w.Close() })
	conn, err := greetMaster(ctx, hop, w, a.log)
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

// greetMaster says hello, and sees that the server behind the master is there.
func greetMaster(ctx context.Context, hop *Hop, w *wire, log hclog.Logger) (*Conn, error) {
	creds, err := peercred.Get(w.Conn)
	if err != nil {
		return nil, fmt.Errorf("ask whose it is: %w", err)
	}
	if uid, ok := creds.UserID(); !ok || uid != fmt.Sprint(os.Geteuid()) {
		return nil, errors.New("another user serves it")
	}
	client, channels, requests, err := ssh.NewControlClientConn(w)
	if err != nil {
		return nil, spoken(err)
	}
	conn := newConn(hop, w, client, channels, requests, log)
	conn.master, conn.how = hop.ControlPath, "the ControlMaster at "+hop.ControlPath
	if _, err := conn.Ping(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("the server behind it does not answer: %w", err)
	}
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

// ownRequests tells whether the connection passes on global requests and their answers. A ControlMaster hangs up at all but tcpip-forward, and does
// not pass on the answer to that.
func (c *Conn) ownRequests() error {
	if c.master == "" {
		return nil
	}
	return hinted(fmt.Errorf("%w: %s is reached over the ControlMaster at %s, which lets others have no listener on the far side", ErrForbidden, c.hop.name(), c.master),
		"set ControlPath none for "+c.hop.name()+" in the ssh configuration, or end the master (`ssh -O exit "+c.hop.name()+"`), for a connection of its own")
}

// limits are warnings of what a connection cannot do.
func (c *Conn) limits() []string {
	if c.master == "" {
		return nil
	}
	return []string{"reached over the ControlMaster at " + c.master + ": remote forwards are off, and commands beyond MaxSessions of its one connection wait for the end of others"}
}
