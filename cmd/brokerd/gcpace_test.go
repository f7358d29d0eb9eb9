package main

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// What the pacer does in the course of time: -1 is memory given back, another number the percentage set.
func TestGCPacer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		did := make(chan int, 10)
		percent := 100
		p := &gcPacer{done: make(chan struct{}, 1), giveUp: func() { did <- -1 }, set: func(n int) int {
			before := percent
			percent = n
			did <- n
			return before
		}}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.pace(ctx) }()
		expect := func(when string, want ...int) {
			t.Helper()
			synctest.Wait()
			var got []int
			for len(did) > 0 {
				got = append(got, <-did)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: did %v, want %v", when, got, want)
			}
		}
		collections := func(n int, every time.Duration) {
			for range n {
				time.Sleep(every)
				p.done <- struct{}{}
			}
		}
		collections(10, time.Second)
		expect("at rest")
		collections(2, gcOften/2)
		expect("when much begins", gcBusy)
		collections(20, gcOften/2)
		collections(20, gcCalm/2)
		expect("while it goes on")
		time.Sleep(gcCalm - time.Millisecond)
		expect("just after the end")
		time.Sleep(time.Millisecond)
		expect("after the end", 100, -1)
		time.Sleep(time.Hour)
		expect("an hour later")
		collections(2, gcOften/2)
		expect("once more", gcBusy)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("pace = %v", err)
		}
		expect("at the end", 100)
	})
}

// The runtime tells of each collection, not of the first alone.
func TestGCPacerHearsOfCollections(t *testing.T) {
	p := newGCPacer()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p.awaitCollection(ctx)
	for i := range 3 {
		// A collection that ran while the canary was made does not free it.
		deadline := time.After(30 * time.Second)
		for told := false; !told; {
			runtime.GC()
			select {
			case <-p.done:
				told = true
			case <-time.After(10 * time.Millisecond):
			case <-deadline:
				t.Fatalf("collection %d is not told", i)
			}
		}
	}
}
