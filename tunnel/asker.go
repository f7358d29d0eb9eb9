package tunnel

import (
	"context"
	"errors"
	"strings"
)

const (
	maxPromptNote = 2 << 10 // bytes of what stands above a question
	maxPromptText = 400     // bytes of a question
)

// errNobody says that there is nobody who could be asked.
var errNobody = errors.New("nobody is there to be asked")

// asker reaches whoever waits for a dial.
type asker struct {
	ask     Ask
	present func() bool // somebody can be asked now
}

// askerOf is the asker of one caller, which may have none to ask.
func askerOf(caller Caller) asker {
	return asker{ask: caller.Ask, present: func() bool { return caller.Ask != nil }}
}

// questions are what one hop's handshake asks a person, and the time that they take.
type questions struct {
	put     func(Prompt) (string, error)   // asks; errNobody where nobody is there
	tell    func(Prompt) (withdraw func()) // tells, and does not wait
	present func() bool
}

// about makes the questions of one handshake. They end with ctx, which ends with the connection, too: a server that hangs up wants no answer.
func (a *attempt) about(ctx context.Context, hop *Hop, clock *patience) questions {
	ask := func(ctx context.Context, p Prompt) (string, error) {
		p.Hop = hop.name()
		return a.asker.ask(ctx, p)
	}
	put := func(p Prompt) (string, error) {
		if !a.asker.present() {
			return "", errNobody
		}
		defer clock.ask()()
		a.progress("waiting for an answer to what " + hop.name() + " asks")
		return ask(ctx, p)
	}
	tell := func(p Prompt) func() {
		a.progress("waiting for a security key to be touched, for " + hop.name())
		if !a.asker.present() {
			return func() {}
		}
		answered := clock.ask()
		ctx, cancel := context.WithCancel(ctx)
		told := make(chan struct{})
		go func() {
			defer close(told)
			_, _ = ask(ctx, p) // there is no answer to it
		}()
		return func() { cancel(); <-told; answered() }
	}
	return questions{put: put, tell: tell, present: a.asker.present}
}

// promptTexts makes what a server says fit for a Prompt: the last line of question is the question, and what is before it stands above.
func promptTexts(question string, above ...string) (note, text string) {
	lines := cleanLines(question)
	if n := len(lines); n > 0 {
		text, lines = lines[n-1], lines[:n-1]
	}
	var notes []string
	for _, s := range above {
		notes = append(notes, cleanLines(s)...)
	}
	note = strings.Join(append(notes, lines...), "\n")
	if len(note) > maxPromptNote {
		note = strings.ToValidUTF8(note[:maxPromptNote], "") + "…"
	}
	return note, cleanText(text, maxPromptText)
}

// cleanLines are the lines of a text that have something printable, bounded and clean.
func cleanLines(s string) []string {
	const limit = 4 * maxPromptNote // controls among it are dropped
	var lines []string
	for line := range strings.Lines(s[:min(len(s), limit)]) {
		if line = cleanText(line, maxPromptNote); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
