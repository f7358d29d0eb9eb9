package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

const (
	// gcOften is a time between two collections that says that much is being carried: of the 4 MiB that a small heap may grow by, a stream of
	// 80 MB/s fills one in 50 ms, since x/crypto allocates every packet anew.
	gcOften = 50 * time.Millisecond
	// gcBusy is the percentage while that lasts, which lets 32 MiB come together. It takes a quarter to a half of brokerd's CPU time a byte away.
	gcBusy = 800
	// gcCalm is how long no collection may be due until the memory is given back.
	gcCalm = 2 * time.Second
)

// gcPacer has fewer garbage collections done while much is carried, and the least memory held while little is: brokerd idles for days.
type gcPacer struct {
	set    func(percent int) (before int) // debug.SetGCPercent
	giveUp func()                         // debug.FreeOSMemory
	done   chan struct{}                  // gets one after a collection, unless one is there
}

func newGCPacer() *gcPacer {
	return &gcPacer{set: debug.SetGCPercent, giveUp: debug.FreeOSMemory, done: make(chan struct{}, 1)}
}

// Run paces until ctx is done, and returns nil then. Where GOGC is set, the user has decided.
func (p *gcPacer) Run(ctx context.Context) error {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	p.awaitCollection(ctx)
	return p.pace(ctx)
}

// awaitCollection has the next collection told, and all after it: it frees an object that nothing refers to.
func (p *gcPacer) awaitCollection(ctx context.Context) {
	canary := new([16]*byte) // with a pointer, and too large for the allocator to put it together with others
	runtime.AddCleanup(canary, func(context.Context) {
		select {
		case p.done <- struct{}{}:
		default:
		}
		if ctx.Err() == nil {
			p.awaitCollection(ctx)
		}
	}, ctx)
}

func (p *gcPacer) pace(ctx context.Context) error {
	calm := time.NewTimer(gcCalm)
	calm.Stop()
	var last time.Time
	usual := 0 // the percentage to go back to, 0 while it is in force
	for {
		select {
		case <-ctx.Done():
			if usual != 0 {
				p.set(usual)
			}
			return nil
		case <-p.done:
			now := time.Now()
			if usual == 0 && now.Sub(last) < gcOften {
				usual = p.set(gcBusy)
			}
			if usual != 0 {
				calm.Reset(gcCalm)
			}
			last = now
		case <-calm.C:
			p.set(usual)
			usual = 0
			p.giveUp()
		}
	}
}
