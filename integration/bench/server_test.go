package bench

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/adapters/dlvrpc"
)

// What debug servers print when they listen.
var (
	delveReady = regexp.MustCompile(`API server listening at: 127\.0\.0\.1:(\d+)`)
	nodeReady  = regexp.MustCompile(`Debugger listening on ws://`)
	javaReady  = regexp.MustCompile(`Listening for transport dt_socket at address: \d+`)
)

// filePoll is how often is looked for what nobody announces: debugpy's file, Delve's continue.
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

// delveRuns waits until a Delve that was told to attach and to continue has done both: it says before that it listens. A front end that
// comes between is refused or never answered.
func delveRuns(b testing.TB, port int) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), childTimeout)
	defer cancel()
	conn, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		b.Fatal(err)
	}
	client := dlvrpc.New(conn)
	defer client.Close()
	tick := time.NewTicker(filePoll)
	defer tick.Stop()
	for {
		switch state, err := client.State(ctx, false); {
		case err != nil:
			b.Fatalf("wait until Delve has attached: %v", err)
		case state.Running:
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			b.Fatal("the program does not run under Delve")
		}
	}
}
