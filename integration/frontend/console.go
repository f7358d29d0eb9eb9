package frontend

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
)

// Console is a command-line front end driven over pipes: jdb or `dlv connect`.
type Console struct {
	name    string
	cmd     *exec.Cmd
	stdin   *os.File
	said    transcript
	out     *inbox[[]byte]
	running sync.WaitGroup
	ended   chan struct{} // closed when the process has been waited for

	mu      sync.Mutex
	pending []byte // printed, and not consumed by Expect yet
}

// prompts
var (
	// jdbPrompt is "> " or "main[1] ", without a newline behind it.
	jdbPrompt = regexp.MustCompile(`(?m)^(> |\S+\[\d+\] )`)
	dlvPrompt = regexp.MustCompile(`\(dlv\) `)
)

// StartJdb attaches the jdb at path jdb to a JVM at addr (host:port) and waits for its prompt. sources is where the .java files are.
func StartJdb(ctx context.Context, jdb, addr, sources string) (*Console, error) {
	c, err := startConsole(exec.Command(jdb, "-sourcepath", sources, "-attach", addr))
	if err != nil {
		return nil, err
	}
	return c.ready(ctx, jdbPrompt)
}

// jdbSuspended is the prompt with the thread in which a JVM stands at its start.
var jdbSuspended = regexp.MustCompile(`main\[1\] `)

// AwaitSuspended waits until jdb has taken in that the JVM waits at its start (suspend=y). A command that comes before is lost: jdb
// says "Nothing suspended", or falls over it.
func (c *Console) AwaitSuspended(ctx context.Context) error {
	if jdbSuspended.MatchString(c.Transcript()) {
		return nil
	}
	_, err := c.Expect(ctx, jdbSuspended)
	return err
}

// StartDlv runs `dlv connect addr` and waits for its prompt.
func StartDlv(ctx context.Context, dlv, addr string) (*Console, error) {
	cmd := exec.Command(dlv, "connect", addr)
	// Without a terminal there is no line editor; dumb keeps colours out of the output.
	cmd.Env = append(os.Environ(), "TERM=dumb")
	c, err := startConsole(cmd)
	if err != nil {
		return nil, err
	}
	return c.ready(ctx, dlvPrompt)
}

// StartLine runs a command line in a POSIX shell, with path as its PATH, and waits for the prompt.
func StartLine(ctx context.Context, line, path string, prompt *regexp.Regexp) (*Console, error) {
	cmd := exec.Command("/bin/sh", "-c", "exec "+line)
	cmd.Env = append(os.Environ(), "TERM=dumb", "PATH="+path)
	c, err := startConsole(cmd)
	if err != nil {
		return nil, err
	}
	return c.ready(ctx, prompt)
}

func (c *Console) ready(ctx context.Context, prompt *regexp.Regexp) (*Console, error) {
	if _, err := c.Expect(ctx, prompt); err != nil {
		c.Kill()
		return nil, fmt.Errorf("%w\n%s", err, c.Transcript())
	}
	return c, nil
}

func startConsole(cmd *exec.Cmd) (*Console, error) {
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = inR, outW, outW
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Start()
	inR.Close()
	outW.Close()
	if err != nil {
		inW.Close()
		outR.Close()
		return nil, fmt.Errorf("start front end: %w", err)
	}
	c := &Console{name: cmd.Args[0], cmd: cmd, stdin: inW, out: newInbox[[]byte](), ended: make(chan struct{})}
	c.running.Go(func() { c.read(outR) })
	c.running.Go(func() {
		defer close(c.ended)
		_ = cmd.Wait() // how a front end ends is of no interest: jdb ends with 1 after every lost connection
	})
	return c, nil
}

func (c *Console) read(r *os.File) {
	defer r.Close()
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			c.said.add("<-", string(buf[:n]))
			c.out.put(append([]byte(nil), buf[:n]...))
		}
		if err != nil {
			c.out.end(io.EOF)
			return
		}
	}
}

// Expect waits until the output has a match of re, takes the output up to its end, and returns what it took.
func (c *Console) Expect(ctx context.Context, re *regexp.Regexp) (string, error) {
	for {
		c.mu.Lock()
		if m := re.FindIndex(c.pending); m != nil {
			text := string(c.pending[:m[1]])
			c.pending = c.pending[m[1]:]
			c.mu.Unlock()
			return text, nil
		}
		c.mu.Unlock()
		chunk, err := c.out.take(ctx, fmt.Sprintf("%q from %s", re, c.name), func([]byte) bool { return true })
		if err != nil {
			return "", err
		}
		c.mu.Lock()
		c.pending = append(c.pending, chunk...)
		c.mu.Unlock()
	}
}

// Send types a line.
func (c *Console) Send(line string) error {
	c.said.add("->", line)
	if _, err := io.WriteString(c.stdin, line+"\n"); err != nil {
		return fmt.Errorf("type into %s: %w", c.name, err)
	}
	return nil
}

// Ask types a line and returns the output up to a match of re.
func (c *Console) Ask(ctx context.Context, line string, re *regexp.Regexp) (string, error) {
	if err := c.Send(line); err != nil {
		return "", err
	}
	return c.Expect(ctx, re)
}

// Quit types a last line and waits for the program's end; it kills a program that does not end before ctx is done.
func (c *Console) Quit(ctx context.Context, line string) error {
	sendErr := c.Send(line)
	select {
	case <-c.ended:
		c.Kill()
		return nil // it may have been gone before the line
	case <-ctx.Done():
		c.Kill()
		return fmt.Errorf("wait for %s to end: %w (%v)", c.name, ctx.Err(), sendErr)
	}
}

// Kill ends the front end as a crash does, and waits for its end.
func (c *Console) Kill() {
	_ = c.cmd.Process.Kill() // an error says that it has ended
	c.stdin.Close()
	c.running.Wait()
}

// Transcript is what was said so far.
func (c *Console) Transcript() string { return c.said.String() }
