// Package unignore is for a package's TestMain.
package unignore

import (
	"os"
	"os/signal"
	"syscall"
)

// Signals sees to it that programs which the tests start can be ended by SIGHUP and SIGINT. Whoever started the tests may have set these to be
// ignored (nohup, a background job), which programs inherit; signals that are caught are inherited as not ignored.
func Signals() {
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
}
