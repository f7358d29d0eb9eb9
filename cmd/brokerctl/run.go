package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/debugbroker/debugbroker/broker/api"
)

// exitInterrupted is what a second Ctrl-C ends with.
const exitInterrupted = 130

// run carries out one command line, without the program's name, and returns the exit status.
func run(args []string) int {
	ctx, stop := interruptible(context.Background())
	defer stop()
	a := newApp(args)
	root := a.root()
	root.SetArgs(args)
	return a.finish(ctx, root.ExecuteContext(ctx))
}

// interruptible returns a context that the first Ctrl-C cancels, with an *api.Error as its cause; the second ends the program at
// once, for the case that cleaning up hangs. stop waits for the goroutine that listens.
func interruptible(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	sigs := make(chan os.Signal, 2)
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		// A shell starts background jobs with SIGINT ignored, nohup with SIGHUP: Notify would undo that.
		if !signal.Ignored(s) {
			signal.Notify(sigs, s)
		}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for first := true; ; first = false {
			select {
			case <-done:
				return
			case <-sigs:
				if !first {
					os.Exit(exitInterrupted)
				}
				cancel(&api.Error{Code: api.CodeCancelled, Message: "cancelled"})
			}
		}
	}()
	return ctx, func() {
		signal.Stop(sigs)
		close(done)
		<-ended
		cancel(nil)
	}
}
