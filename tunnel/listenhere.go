package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"time"
)

// holderWait bounds the search for who holds a port.
const holderWait = 3 * time.Second

// portTries is how often a free port is looked for that is free on all addresses.
const portTries = 16

// listenHere makes the local listeners of an endpoint: one, or one for each address that its host stands for. bound is the endpoint with the
// port that they got.
func listenHere(ctx context.Context, e Endpoint, opts ForwardOptions) (list []net.Listener, bound Endpoint, err error) {
	if e.Path != "" {
		l, err := listenSocket(ctx, e.Path, opts)
		if err != nil {
			return nil, e, err
		}
		return []net.Listener{l}, e, nil
	}
	hosts, shown, err := bindHosts(ctx, e.Host, opts.GatewayPorts)
	if err != nil {
		return nil, e, err
	}
	for range portTries {
		list, bound, err = listenAll(ctx, hosts, e.Port)
		if e.Port != 0 || !errors.Is(err, syscall.EADDRINUSE) {
			break // else the port that one address had free is taken on another
		}
	}
	if err != nil {
		return nil, e, bindError(ctx, bound, err)
	}
	bound.Host = shown
	return list, bound, nil
}

// bindHosts tells on which addresses a bind address means to listen (channels.c, channel_fwd_bind_addr), and how that is shown. "" is all.
func bindHosts(ctx context.Context, host string, gateway bool) (hosts []string, shown string, err error) {
	switch {
	case host == "*" || host == "" && gateway:
		return []string{""}, "*", nil
	case host == "" || host == "localhost":
		return []string{"127.0.0.1", "::1"}, "127.0.0.1", nil
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return []string{host}, host, nil
	}
	asking, cancel := context.WithTimeout(ctx, nearWait)
	defer cancel()
	if hosts, err = net.DefaultResolver.LookupHost(asking, host); err != nil {
		return nil, "", hinted(fmt.Errorf("listen on %s: %w", host, err), "the bind address is a name or an address of this machine")
	}
	return hosts, host, nil
}

// listenAll listens on all hosts with the same port. An address of a family that this machine has not is left out, as long as another is
// there. One that is taken is an error, though others be free: clients would be led to whoever holds it.
func listenAll(ctx context.Context, hosts []string, port int) (list []net.Listener, bound Endpoint, err error) {
	var missing error
	for _, host := range hosts {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		switch {
		case err == nil:
			list = append(list, l)
			port = l.Addr().(*net.TCPAddr).Port
		case len(hosts) > 1 && (errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)):
			missing = err
		default:
			for _, l := range list {
				_ = l.Close()
			}
			return nil, Endpoint{Host: host, Port: port}, err
		}
	}
	if len(list) == 0 {
		return nil, Endpoint{Host: hosts[0], Port: port}, missing
	}
	return list, Endpoint{Port: port}, nil
}

// bindError says why an address cannot be listened on, and who is to blame.
func bindError(ctx context.Context, e Endpoint, err error) error {
	op := fmt.Sprintf("listen on %s", e)
	if e.Host == "" {
		op = fmt.Sprintf("listen on port %d", e.Port)
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		who := portHolder(ctx, e)
		if who == "" {
			return hinted(fmt.Errorf("%s: %w", op, bare(err)), "another program listens there: give another port, or 0 for a free one")
		}
		return hinted(fmt.Errorf("%s: %w: %s listens there", op, bare(err), who), "give another port, or 0 for a free one")
	case errors.Is(err, syscall.EACCES):
		return hinted(fmt.Errorf("%s: %w", op, bare(err)), "the system keeps low ports for root (below 1024 unless it says otherwise): give a higher one")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return hinted(fmt.Errorf("%s: %w", op, bare(err)), "the bind address is one of this machine's own; * is all of them")
	}
	return fmt.Errorf("%s: %w", op, bare(err))
}

// portHolder names the process that listens where e would, as far as this user may know; "" where nothing is known.
func portHolder(ctx context.Context, e Endpoint) string {
	looking, cancel := context.WithTimeout(ctx, holderWait)
	defer cancel()
	here := NewLocal(LocalOptions{})
	defer here.Release()
	listeners, err := here.Listeners(looking)
	if err != nil {
		return ""
	}
	for _, l := range listeners {
		if l.Port != e.Port || !overlaps(l.Addr, e.Host) {
			continue
		}
		if l.PID == os.Getpid() {
			return "this very process (another forward, or a session)"
		}
		if l.PID != 0 {
			if name, err := os.ReadFile("/proc/" + strconv.Itoa(l.PID) + "/comm"); err == nil {
				return fmt.Sprintf("process %d (%s)", l.PID, cleanText(string(name), 64))
			}
			return fmt.Sprintf("process %d", l.PID)
		}
		if u, err := user.LookupId(strconv.Itoa(l.UID)); err == nil {
			return "a process of user " + cleanText(u.Username, 64)
		}
	}
	return ""
}

// overlaps tells whether a listener on one address keeps another from the same port.
func overlaps(taken, wanted string) bool {
	a, err := netip.ParseAddr(taken)
	b, err2 := netip.ParseAddr(wanted)
	return err != nil || err2 != nil || a.IsUnspecified() || b.IsUnspecified() || a == b.WithZone("")
}

// socketListener removes its own socket when it is closed, and nothing that has taken the place since.
type socketListener struct {
	*net.UnixListener
	path string
	made fs.FileInfo
}

func (l *socketListener) Close() error {
	if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.made) {
		_ = os.Remove(l.path)
	}
	return l.UnixListener.Close()
}

// maxSunPath is what a sockaddr_un of this system takes, with the zero byte at its end left out.
const maxSunPath = len(syscall.RawSockaddrUnix{}.Path) - 1

func listenSocket(ctx context.Context, path string, opts ForwardOptions) (net.Listener, error) {
	if len(path) > maxSunPath {
		return nil, hinted(fmt.Errorf("listen on %s: %w: %d bytes, at most %d", path, syscall.ENAMETOOLONG, len(path), maxSunPath),
			"the system bounds the path of a unix socket: take a shorter one")
	}
	if opts.Unlink {
		if err := removeStale(ctx, path); err != nil {
			return nil, err
		}
	}
	mask := opts.BindMask
	if mask == 0 {
		mask = 0o177
	}
	mode := 0o777 &^ mask.Perm()
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		// Linux makes the file with the socket's own mode, so that nobody gets in before the chmod below (unix_bind, net/unix/af_unix.c).
		// Other systems refuse this, and have the umask.
		return raw.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), uint32(mode)) })
	}}
	nl, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, socketError(ctx, path, err)
	}
	l := &socketListener{UnixListener: nl.(*net.UnixListener), path: path}
	l.SetUnlinkOnClose(false)
	if l.made, err = os.Lstat(path); err == nil {
		err = os.Chmod(path, mode)
	}
	if err != nil {
		_ = l.UnixListener.Close()
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return l, nil
}

// removeStale removes a socket of ours that nobody listens on.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != fs.ModeSocket || !ownedByUs(info) || !deserted(ctx, path) {
		return nil // the bind tells what is wrong with it
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove stale socket: %w", err)
	}
	return nil
}

// deserted tells whether nobody listens on a socket, for certain.
func deserted(ctx context.Context, path string) bool {
	c, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err == nil {
		_ = c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

func socketError(ctx context.Context, path string, err error) error {
	wrapped := fmt.Errorf("listen on %s: %w", path, bare(err))
	if !errors.Is(err, syscall.EADDRINUSE) {
		return wrapped
	}
	info, statErr := os.Lstat(path)
	switch {
	case statErr != nil:
		return wrapped
	case info.Mode().Type() != fs.ModeSocket:
		return hinted(fmt.Errorf("%w: a file is there that is no socket", wrapped), "give another path")
	case !deserted(ctx, path):
		return hinted(fmt.Errorf("%w: another program listens there", wrapped), "give another path")
	}
	return hinted(fmt.Errorf("%w: a socket is there that nobody listens on", wrapped), "remove it, or set StreamLocalBindUnlink yes")
}
