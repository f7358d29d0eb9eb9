package bench

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// What debug servers print when they listen.
var (
	delveReady = regexp.MustCompile(`API server listening at: 127\.0\.0\.1:(\d+)`)
	nodeReady  = regexp.MustCompile(`Debugger listening on ws://`)
	javaReady  = regexp.MustCompile(`Listening for transport dt_socket at address: \d+`)
)

// filePoll is how often a file is looked for: debugpy has no other announcement.
const filePoll = 10 * time.Millisecond

// startDelve starts a headless Delve on a free TCP port, as its documentation says.
func startDelve(b testing.TB, dlv, binary string) (port int) {
	b.Helper()
	c := start(b, nil, dlv, "exec", "--headless", "--accept-multiclient", "--api-version=2", "--listen=127.0.0.1:0", binary)
	port, _ = strconv.Atoi(c.await(delveReady)[1])
	return port
}

// startDebugpy starts stock debugpy on a free TCP port, as its documentation says.
func startDebugpy(b testing.TB, python, program string) (port int) {
	b.Helper()
	endpoints := filepath.Join(b.TempDir(), "endpoints.json")
	c := start(b, []string{"DEBUGPY_ADAPTER_ENDPOINTS=" + endpoints}, python, "-m", "debugpy", "--listen", "127.0.0.1:0", "--wait-for-client", program)
	ctx, cancel := context.WithTimeout(context.Background(), childTimeout)
	defer cancel()
	tick := time.NewTicker(filePoll)
	defer tick.Stop()
	for {
		var v struct{ Client struct{ Port int } }
		if text, err := os.ReadFile(endpoints); err == nil && json.Unmarshal(text, &v) == nil && v.Client.Port != 0 {
			return v.Client.Port
		}
		select {
		case <-tick.C:
		case <-c.exited:
			b.Fatal("debugpy has ended")
		case <-ctx.Done():
			b.Fatal("debugpy does not listen")
		}
	}
}

// freePort is a port on loopback that was free a moment ago.
