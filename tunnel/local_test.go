package tunnel

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestLocalHost(t *testing.T) {
	defer goleak.VerifyNone(t)
	h := NewLocal(LocalOptions{})
	defer h.Release()
	testHost(t, h)
}

func TestLocalRelease(t *testing.T) {
	defer goleak.VerifyNone(t)
	h := NewLocal(LocalOptions{Environ: []string{"PATH=/usr/bin:/bin", "ONLY=this", "HOME=/no/such"}})
	ws := suiteDir(t, NewLocal(LocalOptions{}))
	res, err := h.Run(t.Context(), "env; pwd")
	if err != nil {
		t.Fatal(err)
	}
	if want := "ONLY=this\n"; !strings.Contains(string(res.Stdout), want) || strings.Contains(string(res.Stdout), os.Getenv("HOME")+"\n") {
		t.Errorf("environment: %q", res.Stdout)
	}
	p := suiteSh(t, h, ws, "echo up; exec sleep 1000")
	readLine(t, p.Stdout())
	h.Release()
	h.Release()
	<-h.Done()
	if !errors.Is(h.Err(), ErrReleased) {
		t.Errorf("Err: %v", h.Err())
	}
	if _, err := h.Run(t.Context(), "true"); !errors.Is(err, ErrReleased) {
		t.Errorf("Run: %v", err)
	}
	if runs(p.ID()) {
		t.Error("the program runs")
	}
}

// TestOwnerKilled kills, with SIGKILL, the process that owns a Host. Nothing of what it started may be left.
func TestOwnerKilled(t *testing.T) {
	ws := path.Join("/tmp", NewWorkspaceName())
	defer os.RemoveAll(ws)
	cmd := exec.Command(os.Args[0], "-test.run=^TestOwnerProcess$", "-test.count=1")
	cmd.Env = append(os.Environ(), "DBK_TEST_OWNER="+ws)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	var ids []ProcessID
	dec := json.NewDecoder(bufio.NewReader(out))
	if err := dec.Decode(&ids); err != nil {
		t.Fatal(err)
	}
	if len(ids) != 4 {
		t.Fatalf("%v", ids)
	}
	for _, id := range ids {
		if !runs(id) {
			t.Fatalf("%v does not run", id)
		}
	}
	cmd.Process.Kill()
	eventually(t, "everything is gone", func() bool {
		for _, id := range ids {
			if runs(id) {
				return false
			}
		}
		return !exists(ws) && len(members(ids[0].PID)) == 0 && len(members(ids[3].PID)) == 0
	})
}

// TestOwnerProcess is the process that TestOwnerKilled kills.
func TestOwnerProcess(t *testing.T) {
	ws := os.Getenv("DBK_TEST_OWNER")
	if ws == "" {
		t.SkipNow()
	}
	h := NewLocal(LocalOptions{})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := h.MakeWorkspace(ctx, ws); err != nil {
		t.Fatal(err)
	}
	p := suiteSh(t, h, ws, "trap '' TERM; sh -c 'trap \"\" TERM; sleep 1000' & echo $!; setsid sleep 1001 & echo $!; while :; do sleep 1; done")
	ids := []ProcessID{p.ID(), identify(t, linePID(t, p.Stdout())), identify(t, linePID(t, p.Stdout()))}
	ids = append(ids, suiteSh(t, h, ws, "exec sleep 1002").ID())
	data, err := json.Marshal(ids)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(string(data))
	<-ctx.Done()
}

func BenchmarkLocalRun(b *testing.B) {
	h := NewLocal(LocalOptions{})
	defer h.Release()
	for b.Loop() {
		if _, err := h.Run(b.Context(), "echo x"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLocalStart(b *testing.B) {
	h := NewLocal(LocalOptions{})
	defer h.Release()
	ws := path.Join("/tmp", NewWorkspaceName())
	if err := h.MakeWorkspace(b.Context(), ws); err != nil {
		b.Fatal(err)
	}
	defer h.Reap(context.Background(), ws)
	for b.Loop() {
		p, err := h.Start(b.Context(), Spec{Workspace: ws, Argv: []string{"/bin/true"}})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		p.Wait(b.Context())
		p.Release()
		b.StartTimer()
	}
}
