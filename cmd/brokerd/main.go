package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	syscall.Umask(0o077) // whatever we make is ours alone
	ending := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		ending = append(ending, syscall.SIGHUP) // a terminal closes over brokerd --foreground
	}
	ctx, stop := signal.NotifyContext(context.Background(), ending...)
	// A second signal ends us at once: the hosts then clean up by themselves, as after kill -9.
	context.AfterFunc(ctx, stop)
	code := execute(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(code)
}
