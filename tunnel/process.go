package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// releaseBound is how long Release waits for a channel to end: the far side waits for the end of the input to work, for 5 s, and for a
// gdb, for 5 s; it asks for 3 s, and kills for 3 s more.
const releaseBound = 18 * time.Second

// maxArguments is what argv and environment may hold together. Systems take less (Linux 2 MiB by default, and 128 KiB a word)
// and say so when the program is started; this keeps us from sending in vain.
const maxArguments = 4 << 20

var errArguments = errors.New("argument list too long")

// process is a program at the far end of a channel.
type process struct {
	id   ProcessID
	t    *talk
	in   *processInput // nil without Spec.Stdin
	late bool          // its input was gone before it could be opened: it had ended
	done chan struct{} // closed when exit and err are set
	exit Exit
	err  error
	once sync.Once
}

// Start is as in Host. Errors of its own are ErrNoSuchFile for a missing program or working directory. What only the exec itself
// finds out (a missing interpreter, too long an argument) is an early end with code 126 or 127 and the shell's words on Stderr.
//
// The variables' names must be such as a shell can assign to. Through env(1) others could pass, but its command line would show
// their values to everybody for a moment.
func (h *shellHost) Start(ctx context.Context, spec Spec) (Process, error) {
	if len(spec.Argv) == 0 || !path.IsAbs(spec.Argv[0]) {
		return nil, errors.New("start program: no absolute path")
	}
	p, err := h.start(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", cleanText(spec.Argv[0], maxErrorText), err)
	}
	return p, nil
}

func (h *shellHost) start(ctx context.Context, spec Spec) (*process, error) {
	body, err := startScript(spec)
	if err != nil {
		return nil, err
	}
	t, err := h.talk(ctx, body, newMarker(), true)
	var early *earlyEnd
	if err != nil && !errors.As(err, &early) {
		return nil, err
	}
	line, lineErr := t.statusLine(ctx)
	id, ok := parseStarted(line)
	if !ok || early != nil || lineErr != nil {
		t.ch.Close()
		if word, found := strings.CutPrefix(line, "E "); found {
			return nil, startError(word, spec)
		}
		if early != nil && early.text != "" {
			return nil, fmt.Errorf("prepare environment: %w", early)
		}
		if lineErr == nil {
			lineErr = fmt.Errorf("unexpected answer %q", cleanText(line, maxErrorText))
		}
		return nil, lineErr
	}
	p := &process{id: id, t: t, done: make(chan struct{})}
	if spec.Stdin {
		feed, err := h.feed(ctx, spec.Workspace, id.PID)
		switch {
		case err == nil:
			p.in = &processInput{feed: feed, to: feed.ch.Stdin(), p: p}
		case errors.Is(err, errInputGone):
			p.late = true
		default:
			t.ch.Close()
			return nil, fmt.Errorf("open its input: %w", err)
		}
	}
	go func() {
		defer close(p.done)
		p.exit, p.err = t.ch.Wait()
		if p.in != nil {
			p.in.feed.ch.Close()
		}
	}()
	if p.late {
		bound := time.NewTimer(inputGrace)
		defer bound.Stop()
		select {
		case <-p.done: // it was quicker than we: its lifeline has taken its input away
		case <-bound.C:
			t.ch.Close()
			return nil, fmt.Errorf("open its input: %w", errInputGone)
		case <-ctx.Done():
			t.ch.Close()
			return nil, fmt.Errorf("open its input: %w", ctx.Err())
		}
	}
	return p, nil
}

func startScript(spec Spec) (string, error) {
	if err := checkWorkspace(spec.Workspace); err != nil {
		return "", err
	}
	if spec.Cwd != "" && !path.IsAbs(spec.Cwd) {
		return "", errors.New("working directory is no absolute path")
	}
	size := 0
	for _, list := range [][]string{spec.Argv, spec.Env} {
		for _, word := range list {
			size += len(word) + 1
		}
	}
	if size > maxArguments {
		return "", errArguments
	}
	role := "-"
	if spec.Spare {
		role = "spare"
	}
	stdin, redirect := "", " 3<&-\n"
	if spec.Stdin {
		stdin, redirect = "yes", " 3<&- <&6 5>&- 6<&-\n"
	}
	var s script
	s.set("dbk_ws", spec.Workspace).set("dbk_role", role).set("dbk_stdin", stdin).set("dbk_cwd", spec.Cwd).set("dbk_prog", spec.Argv[0])
	s.include("identity", "reap", "start")
	// Behind the lifeline, which is to have the login's environment, and before the answer, so that what cannot be set is an error.
	for _, entry := range spec.Env {
		name, value, ok := strings.Cut(entry, "=")
		if !ok {
			return "", errors.New("set a variable: no '='") // all of it may be a secret
		}
		if !isName(name) {
			return "", fmt.Errorf("set %q: not a name that a shell can set", name)
		}
		s.words("export "+name+"=", value)
	}
	s.words("dbk_begin_err")
	s.words(`printf 'I %s %s %s\n' "$dbk_b" $$ "$dbk_start"`)
	s.words("exec $dbk_setsid ", spec.Argv...)
	text, err := s.done()
	if err != nil {
		return "", err
	}
	// The redirection belongs to the exec line: the program must not hold the channel's input.
	return strings.TrimSuffix(text, "\n") + redirect, nil
}

// idPattern is what boot ids and start times look like; they travel back into scripts and into the store.
var idPattern = regexp.MustCompile(`^[0-9A-Za-z:_-]{1,64}$`)

func (id ProcessID) valid() bool {
	return id.PID > 1 && idPattern.MatchString(id.Boot) && idPattern.MatchString(id.Start)
}

func parseID(line string) (ProcessID, bool) {
	f := strings.Fields(line)
	if len(f) != 3 {
		return ProcessID{}, false
	}
	pid, err := strconv.Atoi(f[1])
	id := ProcessID{Boot: f[0], PID: pid, Start: f[2]}
	return id, err == nil && id.valid()
}

func parseStarted(line string) (ProcessID, bool) {
	rest, ok := strings.CutPrefix(line, "I ")
	if !ok {
		return ProcessID{}, false
	}
	return parseID(rest)
}

func startError(word string, spec Spec) error {
	switch word {
	case "workspace":
		return fmt.Errorf("workspace %s: %w", spec.Workspace, ErrNoSuchFile)
	case "program-missing":
		return ErrNoSuchFile
	case "program-not-executable":
		return fmt.Errorf("not an executable file: %w", os.ErrPermission)
	case "cwd-missing":
		return fmt.Errorf("working directory %s: %w", cleanText(spec.Cwd, maxErrorText), ErrNoSuchFile)
	case "cwd":
		return fmt.Errorf("working directory %s: %w", cleanText(spec.Cwd, maxErrorText), os.ErrPermission)
	case "stdin":
		return fmt.Errorf("make a FIFO in %s", spec.Workspace)
	case "record":
		return fmt.Errorf("write record in %s", spec.Workspace)
	}
	return fmt.Errorf("far side says %q", cleanText(word, maxErrorText))
}

func (p *process) ID() ProcessID     { return p.id }
func (p *process) Stdout() io.Reader { return p.t.stdout }
func (p *process) Stderr() io.Reader { return p.t.stderr }

func (p *process) Stdin() io.WriteCloser {
	switch {
	case p.late:
		return overInput{}
	case p.in == nil:
		return nil
	}
	return p.in
}

func (p *process) Wait(ctx context.Context) (Exit, error) {
	select {
	case <-p.done:
		return p.exit, p.err
	case <-ctx.Done():
		return Exit{}, ctx.Err()
	}
}

// Release is as in Process. It waits for the channel's end, which over SSH comes at once and on this machine with the program's,
// for at most releaseBound.
func (p *process) Release() {
	p.once.Do(func() {
		if p.in != nil {
			p.in.feed.ch.Close()
		}
		p.t.ch.Close()
	})
	bound := time.NewTimer(releaseBound)
	defer bound.Stop()
	select {
	case <-p.done:
	case <-bound.C:
	}
}
