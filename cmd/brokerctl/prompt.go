package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/muesli/cancelreader"
	"golang.org/x/term"

	"github.com/debugbroker/debugbroker/broker/api"
)

// prompter answers at the terminal what hosts ask while a command waits for the daemon. It reads from the terminal itself (/dev/tty), as ssh
// does, so that standard input and output may be something else. One question is there at a time.
//
// Ctrl-C, or the end of input, gives the command up.
type prompter struct {
	tty      *os.File
	client   *api.Client
	progress *progress
	giveUp   context.CancelCauseFunc // ends the command

	asking *asking // nil while nothing is asked
}

// asking is a question that stands on the terminal.
type asking struct {
	id       string
	withdraw context.CancelFunc
	done     chan struct{}
}

// terminal opens the terminal of whoever runs the command; nil where there is nobody to ask: no terminal, or none that shows what we say.
func (a *app) terminal() *os.File {
	if !a.stderr.tty && !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil
	}
	return tty
}

// prompter returns nil where there is nobody to ask. close must be called.
func (a *app) prompter(c *api.Client, p *progress, giveUp context.CancelCauseFunc) *prompter {
	tty := a.terminal()
	if tty == nil {
		return nil
	}
	return &prompter{tty: tty, client: c, progress: p, giveUp: giveUp}
}

// close withdraws what is still asked, and waits for it.
func (p *prompter) close() {
	if p != nil {
		p.end()
		p.tty.Close()
	}
}

func (p *prompter) end() {
	if p.asking != nil {
		p.asking.withdraw()
		<-p.asking.done
		p.asking = nil
	}
}

// handle takes in what the daemon says of questions; it does not wait for answers.
func (p *prompter) handle(ctx context.Context, q *api.Prompt, withdrawn string) {
	if p == nil {
		return // we have said that nobody can be asked
	}
	if p.asking != nil && (q != nil || withdrawn == p.asking.id) {
		p.end()
	}
	if q == nil {
		return
	}
	ctx, withdraw := context.WithCancel(ctx)
	now := &asking{id: q.ID, withdraw: withdraw, done: make(chan struct{})}
	p.asking = now
	go func() {
		defer close(now.done)
		defer withdraw()
		p.progress.pause(true)
		defer p.progress.pause(false)
		p.put(ctx, *q)
	}()
}

// put shows one question and sends the answer.
func (p *prompter) put(ctx context.Context, q api.Prompt) {
	host := clean(q.Host)
	above := ""
	for line := range strings.Lines(q.Note) {
		above += host + ": " + clean(strings.TrimSuffix(line, "\n")) + "\r\n"
	}
	text := host + ": " + strings.TrimSpace(clean(q.Text)) + " "
	if q.Kind == api.PromptTouch {
		fmt.Fprint(p.tty, above+text+"\r\n")
		<-ctx.Done()
		return
	}
	answer, err := readAnswer(ctx, p.tty, above, text, q.Echo)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		p.giveUp(&api.Error{Code: api.CodeCancelled, Message: "cancelled"})
		return
	}
	var gone *api.Error
	if err := p.client.Answer(ctx, q.ID, answer); err != nil && ctx.Err() == nil && !(errors.As(err, &gone) && gone.Code == api.CodeEnded) {
		p.giveUp(err)
	}
}

// readAnswer asks for one line; what is typed is shown only with echo. It returns an error where ctx ends, and at Ctrl-C and Ctrl-D.
func readAnswer(ctx context.Context, tty *os.File, above, text string, echo bool) (string, error) {
	in, err := cancelreader.NewReader(tty)
	if err != nil {
		return "", fmt.Errorf("read from the terminal: %w", err)
	}
	defer in.Close()
	// The terminal's own line editing would show what is typed; with it go its newlines and signals, which package term sees to.
	before, err := term.MakeRaw(int(tty.Fd()))
	if err != nil {
		return "", fmt.Errorf("read from the terminal: %w", err)
	}
	defer term.Restore(int(tty.Fd()), before)
	stop := context.AfterFunc(ctx, func() { in.Cancel() })
	defer stop()
	line := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{in, tty}, text)
	if w, h, err := term.GetSize(int(tty.Fd())); err == nil && w > 0 {
		line.SetSize(w, h)
	}
	fmt.Fprint(tty, above)
	var answer string
	if echo {
		answer, err = line.ReadLine()
	} else {
		answer, err = line.ReadPassword(text)
	}
	if err != nil {
		fmt.Fprint(tty, "\r\n") // what comes next begins on a line of its own
	}
	return answer, err
}
