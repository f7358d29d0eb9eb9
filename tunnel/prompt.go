package tunnel

import (
	"context"
	"errors"
)

// ErrNeedsAuth says that a host wants something that only a person can give, and that nobody was there to be asked, or that the answers were
// wrong. It comes along with ErrAuth or ErrHostKey. Whoever dials by itself must not dial again before a person has come: servers lock out
// who keeps failing.
var ErrNeedsAuth = errors.New("a person must answer")

// PromptKind is what a question is about.
type PromptKind string

// The kinds of prompts.
const (
	PromptPassword   PromptKind = "password"
	PromptPassphrase PromptKind = "passphrase" // of a key file
	PromptCode       PromptKind = "code"       // keyboard-interactive: whatever the server asks
	PromptHostKey    PromptKind = "host-key"   // the answer is "yes", or the key's fingerprint; all else is no
	PromptTouch      PromptKind = "touch"      // told, not asked: a security key waits for its user
)

// Prompt is one question to a person. Its texts are clean: what a server says is bounded and stripped of control characters.
type Prompt struct {
	Hop  string // whom it is about, as the user names it
	Kind PromptKind
	Note string // what stands above the question: a server's instruction, a fingerprint; "" is nothing
	Text string // the question itself
	Echo bool   // the answer may be seen while it is typed
}

// Ask puts a question to a person and returns the answer. It returns ctx's error where ctx ends first.
type Ask func(ctx context.Context, p Prompt) (string, error)
