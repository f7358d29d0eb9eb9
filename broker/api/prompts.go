package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// Prompt is a question to the person who waits for a request. The answer goes to Client.Answer, once.
type Prompt struct {
	ID   string `json:"id"`
	Host string `json:"host"` // whom it is about: the host, or a jump host before it
	Kind string `json:"kind"` // password, passphrase, code, host-key; touch is told, and takes no answer
	Note string `json:"note"` // what stands above the question, maybe several lines
	Text string `json:"text"`
	Echo bool   `json:"echo"` // the answer may be seen while it is typed
}

// PromptTouch is the Kind of a Prompt that takes no answer: a security key waits to be touched.
const PromptTouch = "touch"

// PromptAnswer answers a Prompt. It is never logged or stored.
type PromptAnswer struct {
	Answer string `json:"answer"`
}

// AuthRequest asks to connect to a host and to put what that asks to whoever reads the answer's stream.
type AuthRequest struct {
	Host      string `json:"host"`
	CanPrompt bool   `json:"can_prompt,omitempty"` // somebody is there to be asked
	Caller    Caller `json:"caller"`
}

// AuthEvent is one line of the answer to AuthRequest. The last carries Result or Error.
type AuthEvent struct {
	Progress  string      `json:"progress,omitempty"`
	Prompt    *Prompt     `json:"prompt,omitempty"`
	Withdrawn string      `json:"withdrawn,omitempty"` // the id of a prompt that needs no answer any more
	Result    *AuthResult `json:"result,omitempty"`
	Error     *Error      `json:"error,omitempty"`
}

// AuthResult says how a host let us in.
type AuthResult struct {
	Host string `json:"host"`
	User string `json:"user"`
	// By is what convinced it: "password", "the key /home/me/.ssh/id_ed25519 and keyboard-interactive"; "" where it asks for nothing.
	By string `json:"by"`
	// Already says that the link was up before.
	Already bool  `json:"already"`
	Link    *Link `json:"link"`
}

// Auth connects to a host. onEvent is called for progress, prompts and their withdrawal. Cancelling ctx ends it.
func (c *Client) Auth(ctx context.Context, r AuthRequest, onEvent func(AuthEvent)) (AuthResult, error) {
	for ev, err := range stream[AuthEvent](ctx, c, http.MethodPost, "/auth", r) {
		switch {
		case err != nil:
			return AuthResult{}, err
		case ev.Error != nil:
			return AuthResult{}, ev.Error
		case ev.Result != nil:
			return *ev.Result, nil
		default:
			onEvent(ev)
		}
	}
	return AuthResult{}, &Error{Code: CodeDaemon, Message: "brokerd ended the answer early", Hint: "see its log: brokerd.log in the state directory"}
}

// Answer answers a prompt. CodeEnded says that it needs no answer any more.
func (c *Client) Answer(ctx context.Context, id, answer string) error {
	if _, err := do[struct{}](ctx, c, http.MethodPost, "/prompts/"+url.PathEscape(id), PromptAnswer{Answer: answer}); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}
