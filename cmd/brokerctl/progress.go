package main

import (
	"fmt"
	"sync"
	"time"
)

// progressDelay keeps what is done at once from flickering by.
const progressDelay = 200 * time.Millisecond

// progress tells on stderr what is being waited for and how long so far: one line, rewritten, and gone at the end. Where lines
// cannot be rewritten (TERM=dumb) each text is one line; where stderr is no terminal there is nothing.
type progress struct {
	t      terminal
	start  time.Time
	texts  chan string
	pauses chan bool
	quit   chan struct{}
	once   sync.Once
	ended  sync.WaitGroup
}

// startProgress starts the goroutine that owns the line. stop must be called.
func (a *app) startProgress(text string) *progress {
	p := &progress{t: a.stderr, start: time.Now(), texts: make(chan string), pauses: make(chan bool), quit: make(chan struct{})}
	if p.t.tty {
		p.ended.Go(func() { p.run(text) })
	}
	return p
}

// set says what is being waited for now.
func (p *progress) set(text string) {
	if !p.t.tty {
		return
	}
	select {
	case p.texts <- text:
	case <-p.quit:
	}
}

// pause clears the line, and shows none until it is over: somebody is asked something.
func (p *progress) pause(on bool) {
	if !p.t.tty {
		return
	}
	select {
	case p.pauses <- on:
	case <-p.quit:
	}
}

// stop clears the line and waits for the goroutine. It may be called twice.
func (p *progress) stop() {
	p.once.Do(func() { close(p.quit) })
	p.ended.Wait()
}

func (p *progress) run(text string) {
	if !p.t.cursor {
		p.lines(text)
		return
	}
	tick := time.NewTicker(progressDelay)
	defer tick.Stop()
	shown, paused := false, false
	for {
		select {
		case text = <-p.texts:
		case <-tick.C:
			shown = shown || !paused
		case paused = <-p.pauses:
			if paused && shown {
				fmt.Fprint(p.t, "\r\x1b[K")
			}
			shown = shown && !paused
		case <-p.quit:
			if shown {
				fmt.Fprint(p.t, "\r\x1b[K")
			}
			return
		}
		if shown {
			width, _ := p.t.size()
			// One less than the width: a line that fills the last column wraps on some terminals, and is then not cleared.
			line := cut(fmt.Sprintf("%s… %s", clean(text), age(time.Since(p.start))), max(0, width-1))
			fmt.Fprint(p.t, "\r\x1b[K"+p.t.paint(dim, line))
		}
	}
}

func (p *progress) lines(text string) {
	fmt.Fprintln(p.t, clean(text)+"…")
	for {
		select {
		case text = <-p.texts:
			fmt.Fprintln(p.t, clean(text)+"…")
		case <-p.pauses:
		case <-p.quit:
			return
		}
	}
}
