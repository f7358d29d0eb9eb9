package tunnel

import (
	"context"
	"slices"
)

// drop takes a waiter off. The pool's mu is held.
func (e *entry) drop(w *waiter) {
	e.waiters = slices.DeleteFunc(e.waiters, func(o *waiter) bool { return o == w })
	e.turned()
}

// turned tells whoever asks that the waiters are others now. The pool's mu is held.
func (e *entry) turned() {
	close(e.turn)
	e.turn = make(chan struct{})
}

// newest is the waiter to ask, nil where nobody can be asked, and what is closed when it may be another one.
func (e *entry) newest() (w *waiter, turn <-chan struct{}) {
	e.pool.mu.Lock()
	defer e.pool.mu.Unlock()
	for _, w := range slices.Backward(e.waiters) {
		if w.ask != nil {
			return w, e.turn
		}
	}
	return nil, e.turn
}

func (e *entry) present() bool {
	w, _ := e.newest()
	return w != nil
}

// ask puts a question of the dial to the newest waiter that can be asked. When a newer one comes, or that one leaves, the question is
// withdrawn and put to another.
func (e *entry) ask(ctx context.Context, p Prompt) (string, error) {
	for {
		w, turn := e.newest()
		if w == nil {
			return "", errNobody
		}
		answer, done, err := e.askOne(ctx, w, turn, p)
		if done {
			return answer, err
		}
	}
}

// askOne asks one waiter. done is false where another one is to be asked.
func (e *entry) askOne(ctx context.Context, w *waiter, turn <-chan struct{}, p Prompt) (answer string, done bool, err error) {
	e.pool.mu.Lock()
	ask := w.ask
	w.asked = true
	e.pool.mu.Unlock()
	asking, withdraw := context.WithCancel(ctx)
	defer withdraw()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		answer, err = ask(asking, p)
	}()
	for {
		select {
		case <-answered:
			switch {
			case err == nil:
				return answer, true, nil
			case ctx.Err() != nil:
				return "", true, ctx.Err()
			}
			e.pool.mu.Lock()
			w.ask = nil // it does not answer
			e.pool.mu.Unlock()
			return "", false, nil
		case <-turn:
			var now *waiter
			if now, turn = e.newest(); now == w {
				continue
			}
			withdraw()
			<-answered
			return answer, err == nil, nil // it may just have been answered
		}
	}
}

// couldAnswer tells whether a waiter has somebody to ask whom nobody has asked.
func (w *waiter) couldAnswer(p *Pool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return w.ask != nil && !w.asked
}
