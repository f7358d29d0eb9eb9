package integration_test

import (
	"context"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/frontend"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// startJdb starts a jdb that may be refused.
func startJdb(t testing.TB, jdk tools.JDK, addr string) (*frontend.Console, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return frontend.StartJdb(ctx, jdk.Jdb, addr, ".")
}
