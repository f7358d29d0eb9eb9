package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/configs"
	"github.com/debugbroker/debugbroker/tunnel"
)

// plainHost is a name that hardly any configuration has a block for: what holds for it holds for all hosts.
const plainHost = "localhost"

// here examines this machine's side of things.
func (d *doctor) here(ctx context.Context) {
	info := d.b.info
	d.ok("brokerd", "%s, pid %d, up for %s", info.Version, info.PID, time.Since(info.Started).Round(time.Second))
	for _, look := range []func(context.Context){d.stateDir, d.configFile, d.sshConfig, d.sshProgram, d.agent, d.knownHosts, d.localPort} {
		bounded, cancel := context.WithTimeout(ctx, checkTimeout)
		look(bounded)
		cancel()
	}
}

func (d *doctor) stateDir(context.Context) {
	const check = "state directory"
	dir := d.b.info.StateDir
	fi, err := os.Stat(dir)
	if err != nil {
		d.fail(check, err, "brokerctl stop; the next command makes it anew")
		return
	}
	c := api.Check{Check: check, OK: true, Detail: fmt.Sprintf("%s, mode %04o", dir, fi.Mode().Perm())}
	if fi.Mode().Perm()&0o077 != 0 {
		c.OK, c.Hint = false, "others can enter it: chmod 700 "+dir
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err == nil {
		free := int64(st.Bavail) * int64(st.Bsize)
		c.Detail += ", " + size(free) + " free"
		if free < 16<<20 && c.OK {
			c.OK, c.Hint = false, "make room: sessions are refused when the ledger cannot be written"
		}
	}
	d.found(c)
}

// configFile reads the configuration again: it may have changed since brokerd started.
func (d *doctor) configFile(context.Context) {
	const check = "config"
	file := d.b.info.Config
	if file == "" {
		d.ok(check, "no file; everything has its default")
		return
	}
	fi, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		d.ok(check, "no file at %s; everything has its default", file)
		return
	}
	if _, err := configs.Load(file, true); err != nil {
		d.found(api.Check{
			Check: check, Detail: strings.ReplaceAll(err.Error(), "\n", "; "),
			Hint: "mend it: brokerd, which read the file when it started, cannot be started again with it",
		})
		return
	}
	if fi != nil && fi.ModTime().After(d.b.info.Started) {
		d.found(api.Check{Check: check, OK: true, Detail: file + " is valid, and younger than brokerd, which reads it when it starts", Hint: "to use it: brokerctl stop"})
		return
	}
	d.ok(check, "%s is valid", file)
}

func (d *doctor) sshConfig(ctx context.Context) {
	const check = "ssh config"
	file := d.b.info.SSHConfig
	if file == "" {
		file = "the user's and the system's"
	}
	list, _, err := d.b.hosts.List(ctx)
	if err != nil {
		d.fail(check, err, "`ssh -G "+plainHost+"` shows what ssh makes of it")
		return
	}
	target, _, err := d.b.hosts.resolve(ctx, plainHost, d.req.Caller)
	if err != nil {
		d.fail(check, err, "`ssh -G "+plainHost+"` shows what ssh makes of it")
		return
	}
	c := api.Check{Check: check, OK: true, Detail: fmt.Sprintf("%s: %s", file, count(len(list), "host"))}
	if w := target.Warnings(); len(w) > 0 {
		c.Detail += "; for all hosts: " + strings.Join(w, "; ")
		c.Hint = "what ssh does with these options is not done here"
	}
	d.found(c)
}

func (d *doctor) sshProgram(ctx context.Context) {
	const check = "ssh program"
	path, err := exec.LookPath("ssh")
	if err != nil {
		d.found(api.Check{
			Check: check, Detail: "there is none on brokerd's PATH",
			Hint: "install the OpenSSH client: it is asked what the ssh configuration means (ssh -G). Without it brokerd reads that itself, and a few things otherwise",
		})
		return
	}
	cmd := exec.CommandContext(ctx, path, "-V")
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		d.fail(check, fmt.Errorf("%s -V: %w", path, err), "install the OpenSSH client anew")
		return
	}
	d.ok(check, "%s, %s", path, oneLine(strings.TrimSpace(string(out))))
}

func (d *doctor) agent(ctx context.Context) {
	const check = "agent"
	sock := d.req.Caller.SSHAuthSock
	if sock == "" {
		d.found(api.Check{
			Check: check, OK: true, Detail: "SSH_AUTH_SOCK of this shell names none",
			Hint: "keys without a passphrase do without; others need one: eval $(ssh-agent), ssh-add",
		})
		return
	}
	keys, err := tunnel.AgentKeys(ctx, sock)
	switch {
	case err != nil:
		d.found(api.Check{
			Check: check, Detail: fmt.Sprintf("%s (SSH_AUTH_SOCK): %s", sock, err),
			Hint: "the agent has gone: log in anew, or eval $(ssh-agent) and ssh-add, in the shell that runs brokerctl",
		})
	case len(keys) == 0:
		d.found(api.Check{Check: check, OK: true, Detail: sock + " holds no key", Hint: "ssh-add loads one"})
	default:
		d.ok(check, "%s holds %s", sock, listed(keys))
	}
}

func (d *doctor) knownHosts(ctx context.Context) {
	const check = "known hosts"
	target, _, err := d.b.hosts.resolve(ctx, plainHost, d.req.Caller)
	if err != nil {
		return // the ssh config's check has said it
	}
	hop := target.Last()
	var said []string
	for _, file := range append(hop.UserKnownHostsFiles, hop.GlobalKnownHostsFiles...) {
		lines, err := countLines(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			d.fail(check, err, "its keys count as unknown: ls -l "+file)
			return
		}
		said = append(said, fmt.Sprintf("%s (%d lines)", file, lines))
	}
	if len(said) == 0 {
		d.found(api.Check{Check: check, OK: true, Detail: "no file yet: every host's key is unknown", Hint: "connect once with ssh to each host, and accept its key there"})
		return
	}
	d.ok(check, "%s", strings.Join(said, ", "))
}

// countLines counts those that say something.
func countLines(file string) (int, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 32<<20))
	if err != nil {
		return 0, err
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			n++
		}
	}
	return n, nil
}

// localPort binds a port as a session does, and connects to it as a front end does.
func (d *doctor) localPort(ctx context.Context) {
	const check = "local port"
	const hint = "front ends attach to a port on 127.0.0.1: is the loopback interface up, or does a firewall or sandbox forbid it?"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		d.found(api.Check{Check: check, Detail: err.Error(), Hint: hint})
		return
	}
	defer l.Close()
	conn, err := (&net.Dialer{Timeout: 3 * time.Second}).DialContext(ctx, "tcp", l.Addr().String())
	if err != nil {
		d.found(api.Check{Check: check, Detail: err.Error(), Hint: hint})
		return
	}
	conn.Close()
	d.ok(check, "127.0.0.1 can be bound and reached")
}
