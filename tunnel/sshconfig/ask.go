package sshconfig

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/debugbroker/debugbroker/tunnel"
)

const (
	askTimeout   = 10 * time.Second
	maxAskOutput = 1 << 20 // bytes of each stream
	// dynamicFor is how long an answer is kept that depends on more than files (Match exec, localnetwork).
	dynamicFor = 5 * time.Second
	// systemConfig is where ssh reads the machine's settings.
	systemConfig = "/etc/ssh/ssh_config"
)

// answer is what ssh, or the reader that stands in for it, made of the configuration for one destination.
type answer struct {
	values settings
	notes  []string // what could not be read, in words

	files stamps    // that it came from
	until time.Time // zero: as long as the files stay the same
}

// ask returns the settings of a destination, or those from before where nothing has changed since.
func (r *Resolver) ask(ctx context.Context, d destination, env []string) (answer, error) {
	return r.kept(ctx, r.from, d, env)
}

func (r *Resolver) evaluate(ctx context.Context, from sources, d destination, env []string) (answer, error) {
	if r.binary == "" {
		return r.read(ctx, from, d, env)
	}
	values, err := r.run(ctx, from.file, d, env)
	return answer{values: values}, err
}

// kept makes an answer and keeps it for as long as the files stay what they were before it was made.
func (r *Resolver) kept(ctx context.Context, from sources, d destination, env []string) (answer, error) {
	key := strings.Join([]string{from.file, d.String(), digest(env)}, "\x00")
	files := stampConfig(from)
	r.mu.Lock()
	known, ok := r.answers[key]
	r.mu.Unlock()
	if ok && known.files.equal(files) && (known.until.IsZero() || time.Now().Before(known.until)) {
		return known, nil
	}
	now := time.Now()
	fresh, err := r.evaluate(ctx, from, d, env)
	if err != nil {
		return answer{}, explain(err, files.broken)
	}
	for _, why := range files.broken {
		if r.binary != "" && errors.Is(why, fs.ErrPermission) { // ssh does without its main file then, and says nothing
			fresh.notes = append(fresh.notes, "a file of the ssh configuration is not read: "+why.Error())
		}
	}
	fresh.files = files
	switch {
	case files.young(now):
		fresh.until = now.Add(tick)
	case files.dynamic:
		fresh.until = now.Add(dynamicFor)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.answers) >= maxCached {
		clear(r.answers)
	}
	r.answers[key] = fresh
	return fresh, nil
}

func digest(env []string) string {
	sorted := slices.Sorted(slices.Values(env))
	sum := sha256.Sum256([]byte(strings.Join(sorted, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// run runs `ssh -G [-F file] [-l user] [-p port] -- host` with a time limit.
func (r *Resolver) run(ctx context.Context, file string, d destination, env []string) (settings, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	args := []string{"-G"}
	if file != "" {
		args = append(args, "-F", file)
	}
	if d.user != "" {
		args = append(args, "-l", d.user)
	}
	if d.port != 0 {
		args = append(args, "-p", strconv.Itoa(d.port))
	}
	cmd := exec.CommandContext(ctx, r.binary, append(args, "--", d.host)...)
	cmd.Env = env
	var stdout, stderr bounded
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	// A program of Match exec is in ssh's process group, and goes with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("ssh -G %s: %w", d.host, late(ctx))
	case err != nil:
		return nil, fmt.Errorf("%w: ssh -G %s: %w: %s", errRefused, d.host, err, lastLines(stderr.buf.String()))
	case stdout.over:
		return nil, fmt.Errorf("ssh -G %s: it prints more than %d MiB", d.host, maxAskOutput>>20)
	}
	values := parseSettings(stdout.buf.String())
	dropFalseDynamic(values)
	return values, nil
}

// errRefused says that ssh takes the configuration not at all.
var errRefused = errors.New("ssh refuses the configuration")

// explain says why the configuration is refused where its files show it: what ssh prints is for people, and names no way out.
func explain(err error, broken []error) error {
	var hinted *tunnel.HintedError
	for _, why := range broken {
		if errors.Is(err, errRefused) && errors.As(why, &hinted) {
			return why
		}
	}
	return err
}

// late says in words why a configuration has not been read in time.
func late(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %s (a Match exec or a name server that hangs?)", askTimeout)
	}
	return ctx.Err()
}

// parseSettings reads the output of `ssh -G`: a name and a value on each line.
func parseSettings(text string) settings {
	values := make(settings)
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		if name != "" {
			name = strings.ToLower(name) // 9.2 prints canonicalizePermittedcnames
			if now, ok := renamed[name]; ok {
				name = now
			}
			values[name] = append(values[name], value)
		}
	}
	return values
}

// lastLines are where ssh says what it did not like, and that it ends for it. Quoting keeps what a file may hold from the terminal.
func lastLines(text string) string {
	const most = 200 // bytes of each
	lines := strings.Split(strings.TrimSpace(text), "\n")
	lines = slices.Clone(lines[max(0, len(lines)-2):])
	for i, line := range lines {
		line = strings.TrimSpace(line)
		quoted := strconv.Quote(line[:min(len(line), most)])
		lines[i] = quoted[1 : len(quoted)-1]
	}
	return strings.Join(lines, "; ")
}

// bounded keeps the first maxAskOutput bytes.
type bounded struct {
	buf  bytes.Buffer
	over bool // there were more
}

func (b *bounded) Write(p []byte) (int, error) {
	room := maxAskOutput - b.buf.Len()
	b.over = b.over || room < len(p)
	b.buf.Write(p[:min(max(room, 0), len(p))])
	return len(p), nil
}

// baseline is what ssh does without any setting of the user's: what differs from it was asked for.
type baseline struct{ values settings }

// baseline tells what holds by default on this machine.
func (r *Resolver) baseline(ctx context.Context, env []string) (*baseline, error) {
	from := sources{file: "none"}
	if r.from.file == "" && exists(r.from.system) {
		// What a distribution sets for everybody (SendEnv LANG, a crypto policy) is no news to its users.
		from.file = r.from.system
	}
	nobody := destination{host: "default.invalid"}
	found, err := r.kept(ctx, from, nobody, env)
	if err != nil && ctx.Err() == nil {
		from.file = "none"
		found, err = r.kept(ctx, from, nobody, env)
	}
	return &baseline{found.values}, err
}
