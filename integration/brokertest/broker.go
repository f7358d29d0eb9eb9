package brokertest

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/sandbox"
	"github.com/debugbroker/debugbroker/integration/sshd"
)

const (
	// runTimeout bounds one brokerctl: the slowest, a cold `open` of a Go program, compiles on the way.
	runTimeout = 3 * time.Minute
	// stopTimeout is more than a daemon takes to close its sessions; strayTimeout is for programs that were asked to end.
	stopTimeout  = 30 * time.Second
	strayTimeout = 2 * time.Second
)

// Options say how a Broker is set up. The zero value knows no hosts and has an empty configuration.
type Options struct {
	// Server is the sshd whose ssh_config the broker uses.
	Server *sshd.Server
	// SSHConfig is another ssh_config; it wins over Server's.
	SSHConfig string
	// Config is the text of config.toml.
	Config string
	// Within is a command line before each of ours, which becomes it by exec: nsenter(1) into a network namespace.
	Within []string
	// Env is added to the environment, K=V.
	Env []string
}

// Broker is a daemon that may run, and the way to talk to it.
type Broker struct {
	t    testing.TB
	dir  string // of its own; short, for the sockets below it
	bin  string
	mark string
	temp string // TMPDIR of what it starts
	env  []string
	// within stands before each command line.
	within []string
}

// Result is what one run of brokerctl gave.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// New makes a Broker; no daemon runs until a command starts one. Its daemon is ended when the test ends.
func New(t testing.TB, opts Options) *Broker {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "bt-")
	if err != nil {
		t.Fatal(err)
	}
	b := &Broker{t: t, dir: dir, bin: Bin(t), mark: filepath.Base(dir), temp: filepath.Join(dir, "t"), within: opts.Within}
	if s := opts.Server; s != nil {
		b.mark, b.temp = s.Mark(), s.TempDir()
		if opts.SSHConfig == "" {
			opts.SSHConfig = s.ConfigFile()
		}
	}
	if opts.SSHConfig == "" {
		opts.SSHConfig = filepath.Join(dir, "ssh_config")
		b.write("ssh_config", "")
	}
	if err := os.MkdirAll(b.temp, 0o700); err != nil {
		t.Fatal(err)
	}
	b.write("config.toml", opts.Config)
	b.env, err = sandbox.Environ(context.Background(), os.Environ(), sandbox.Paths{
		StateDir: b.StateDir(), Config: b.ConfigFile(), SSHConfig: opts.SSHConfig,
		XDG: filepath.Join(dir, "xdg"), Temp: b.temp, Mark: b.mark,
	})
	if err != nil {
		t.Fatal(err)
	}
	b.env = append(append(b.env, b.raceSettings()), opts.Env...)
	t.Cleanup(b.end)
	return b
}

// StateDir is the broker's BROKER_STATE_DIR.
func (b *Broker) StateDir() string { return filepath.Join(b.dir, "state") }

// Socket is the daemon's socket.
func (b *Broker) Socket() string { return filepath.Join(b.StateDir(), "broker.sock") }

// ConfigFile is the broker's config.toml.
func (b *Broker) ConfigFile() string { return filepath.Join(b.dir, "config.toml") }

// Command prepares a brokerctl, in a process group of its own, for tests that need more than Run gives.
func (b *Broker) Command(ctx context.Context, args ...string) *exec.Cmd {
	return b.command(ctx, "brokerctl", args)
}

// Daemon prepares a brokerd, for tests that start it themselves.
func (b *Broker) Daemon(ctx context.Context, args ...string) *exec.Cmd {
	return b.command(ctx, "brokerd", args)
}

func (b *Broker) command(ctx context.Context, name string, args []string) *exec.Cmd {
	argv := slices.Concat(b.within, []string{filepath.Join(b.bin, name)}, args)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = b.env
	cmd.Dir = b.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// A daemon that holds on to the command's output would keep Wait from returning: that is an error worth seeing.
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// Run runs brokerctl to its end, whatever that is.
func (b *Broker) Run(args ...string) Result {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), runTimeout)
	defer cancel()
	cmd := b.Command(ctx, args...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ee := new(exec.ExitError); err != nil && (!errors.As(err, &ee) || ctx.Err() != nil) {
		b.t.Fatalf("brokerctl %q: %v (%v)\n%s%s", args, err, ctx.Err(), &stdout, &stderr)
	}
	return Result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// OK runs brokerctl and demands exit code 0.
func (b *Broker) OK(args ...string) Result {
	b.t.Helper()
	r := b.Run(args...)
	if r.Code != 0 {
		b.t.Fatalf("brokerctl %q: exit code %d\n%s%s", args, r.Code, r.Stdout, r.Stderr)
	}
	return r
}

// JSON runs brokerctl with --json, demands exit code 0, and decodes the document that it prints.
func JSON[T any](b *Broker, args ...string) T {
	b.t.Helper()
	r := b.OK(withJSON(args)...)
	var v T
	decode(b.t, r.Stdout, &v)
	return v
}

// Lines runs a command whose --json is one object a line, and returns them.
func Lines[T any](b *Broker, args ...string) []T {
	b.t.Helper()
	r := b.OK(withJSON(args)...)
	var out []T
	for line := range strings.Lines(r.Stdout) {
		var v T
		decode(b.t, line, &v)
		out = append(out, v)
	}
	return out
}

// Fails runs brokerctl with --json, demands the exit code, and returns the error that it prints.
func (b *Broker) Fails(code int, args ...string) api.Error {
	b.t.Helper()
	args = withJSON(args)
	r := b.Run(args...)
	if r.Code != code {
		b.t.Fatalf("brokerctl %q: exit code %d, want %d\n%s%s", args, r.Code, code, r.Stdout, r.Stderr)
	}
	var answer struct {
		Error *api.Error `json:"error"`
	}
	decode(b.t, r.Stdout, &answer)
	if answer.Error == nil || answer.Error.Code == "" || answer.Error.Message == "" {
		b.t.Fatalf("brokerctl %q: an error without code or message: %s", args, r.Stdout)
	}
	if exit := answer.Error.Code.Exit(); exit != code {
		b.t.Errorf("brokerctl %q: code %q goes with exit code %d, not %d", args, answer.Error.Code, exit, code)
	}
	return *answer.Error
}

// withJSON puts --json where it is a flag of brokerctl and not of the program to debug.
func withJSON(args []string) []string {
	i := slices.Index(args, "--")
	if i < 0 {
		i = len(args)
	}
	return slices.Insert(slices.Clone(args), i, "--json")
}

func decode(t testing.TB, text string, into any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	if err := d.Decode(into); err != nil {
		t.Fatalf("brokerctl's JSON: %v\n%s", err, text)
	}
	if d.More() {
		t.Fatalf("brokerctl printed more than one JSON document:\n%s", text)
	}
}

func (b *Broker) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}
