package broker

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"sync"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/tunnel"
)

// maxAnswer bounds an answer, in bytes; no password is longer.
const maxAnswer = 64 << 10

// prompts are the questions that wait for an answer. An answer is handed to whoever waits for it and is kept nowhere.
type prompts struct {
	mu   sync.Mutex
	open map[string]chan<- string // by id; each takes one answer without waiting
}

// ask puts one question into the answer of a request, by send, and waits for POST /v1/prompts/{id}. The question ends with ctx, which ends
// with the request; withdrawn then tells its reader, where there is still one.
func (p *prompts) ask(ctx context.Context, q tunnel.Prompt, send func(api.Prompt) error, withdrawn func(id string)) (string, error) {
	id := rand.Text() // 130 bits: who guesses it could answer for another
	answers := make(chan string, 1)
	p.mu.Lock()
	if p.open == nil {
		p.open = make(map[string]chan<- string)
	}
	if q.Kind != tunnel.PromptTouch {
		p.open[id] = answers
	}
	p.mu.Unlock()
	defer p.take(id)
	if err := send(api.Prompt{ID: id, Host: q.Hop, Kind: string(q.Kind), Note: q.Note, Text: q.Text, Echo: q.Echo}); err != nil {
		return "", err
	}
	select {
	case answer := <-answers:
		return answer, nil
	case <-ctx.Done():
		withdrawn(id)
		return "", ctx.Err()
	}
}

// take returns who waits for the answer to a question, nil where nobody does, and takes the question off: it is answered once.
func (p *prompts) take(id string) chan<- string {
	p.mu.Lock()
	defer p.mu.Unlock()
	answers := p.open[id]
	delete(p.open, id)
	return answers
}

func (b *Broker) serveAnswer(w http.ResponseWriter, r *http.Request) error {
	var a api.PromptAnswer
	r.Body = http.MaxBytesReader(w, r.Body, maxAnswer)
	if json.NewDecoder(r.Body).Decode(&a) != nil {
		return apiErrorf(api.CodeUsage, "", "the answer cannot be read") // the decoder's words may quote it
	}
	answers := b.prompts.take(r.PathValue("id"))
	if answers == nil {
		return apiErrorf(api.CodeEnded, "the command that waits for it tells what is asked now", "this question needs no answer any more")
	}
	answers <- a.Answer
	reply(w, struct{}{})
	return nil
}

// notice is what one request's reader is told beside progress.
type notice struct {
	prompt    *api.Prompt
	withdrawn string
}

// interview brings questions from the goroutine that connects to the one that writes a request's answer.
type interview struct {
	prompts *prompts
	notices chan notice
	gone    chan struct{} // closed when nobody reads notices any more
	leave   func()        // closes it
}

func (b *Broker) newInterview() *interview {
	gone := make(chan struct{})
	return &interview{prompts: &b.prompts, notices: make(chan notice), gone: gone, leave: sync.OnceFunc(func() { close(gone) })}
}

// ask is a tunnel.Ask.
func (i *interview) ask(ctx context.Context, q tunnel.Prompt) (string, error) {
	send := func(p api.Prompt) error {
		select {
		case i.notices <- notice{prompt: &p}:
			return nil
		case <-i.gone:
			return errCancelled
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return i.prompts.ask(ctx, q, send, func(id string) {
		select {
		case i.notices <- notice{withdrawn: id}:
		case <-i.gone:
		}
	})
}
