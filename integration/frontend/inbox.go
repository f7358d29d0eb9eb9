package frontend

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// inbox holds what one goroutine reads until others take it, in any order.
type inbox[T any] struct {
	mu    sync.Mutex
	items []T
	more  chan struct{} // closed and replaced at each change
	err   error         // why nothing more will come
}

func newInbox[T any]() *inbox[T] { return &inbox[T]{more: make(chan struct{})} }

func (b *inbox[T]) put(v T) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.items = append(b.items, v)
	b.wake()
}

func (b *inbox[T]) end(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
	b.wake()
}

func (b *inbox[T]) wake() {
	close(b.more)
	b.more = make(chan struct{})
}

// take waits for the first item that matches and removes it. what names it in errors.
func (b *inbox[T]) take(ctx context.Context, what string, match func(T) bool) (T, error) {
	var zero T
	for {
		b.mu.Lock()
		i := slices.IndexFunc(b.items, match)
		if i >= 0 {
			v := b.items[i]
			b.items = slices.Delete(b.items, i, i+1)
			b.mu.Unlock()
			return v, nil
		}
		err, more := b.err, b.more
		b.mu.Unlock()
		if err != nil {
			return zero, fmt.Errorf("wait for %s: %w", what, err)
		}
		select {
		case <-more:
		case <-ctx.Done():
			return zero, fmt.Errorf("wait for %s: %w", what, ctx.Err())
		}
	}
}

// transcript records what was said. It is bounded: the middle of a long conversation is of no use.
type transcript struct {
	mu    sync.Mutex
	lines []string
}

const (
	transcriptLines = 400
	transcriptWidth = 600
)

func (t *transcript) add(direction, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(text) > transcriptWidth {
		text = text[:transcriptWidth] + "…"
	}
	if len(t.lines) == transcriptLines {
		t.lines = slices.Delete(t.lines, transcriptLines/4, transcriptLines/4+1)
	}
	t.lines = append(t.lines, direction+" "+text)
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var s string
	for _, l := range t.lines {
		s += l + "\n"
	}
	return s
}
