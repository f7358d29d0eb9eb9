package adapters

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/integration/tools"
)

// shells are those that a host's /bin/sh may be.
func shells(t *testing.T) []string {
	t.Helper()
	return []string{"/bin/sh", tools.NeedShell(t, "dash"), tools.NeedShell(t, "bash")}
}

// probed carries out an adapter's probes on this machine, by shell, on standard input as on a host.
func probed(t testing.TB, a Adapter, req Request, shell string) Request {
	t.Helper()
	if req.Mode == "" {
		req.Mode = Launch
	}
	must(t, "check", a.Check(req))
	req.Facts = map[string]string{}
	for _, q := range a.Probe(req) {
		cmd := exec.CommandContext(t.Context(), shell)
		cmd.Stdin = strings.NewReader(q.Script)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil || stderr.Len() > 0 {
			t.Fatalf("probe %s by %s: %v\n%s", q.Key, shell, err, stderr.String())
		}
		req.Facts[q.Key] = string(out)
	}
	return req
}
