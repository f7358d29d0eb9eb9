package tunnel

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

func startWithInput(t *testing.T, h Host, ws string, argv ...string) Process {
	t.Helper()
	p, err := h.Start(suiteContext(t), Spec{Workspace: ws, Argv: argv, Stdin: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Release)
	if p.Stdin() == nil {
		t.Fatal("no standard input")
	}
	return p
}

// suiteStdin writes 1 MiB of all bytes and reads it back at the same time.
func suiteStdin(t *testing.T, h Host) {
	ws := suiteDir(t, h)
	data := make([]byte, 1<<20)
	rnd := rand.NewChaCha8([32]byte{1})
	rnd.Read(data)
	p := startWithInput(t, h, ws, "/bin/cat")
	wrote := make(chan error, 1)
	go func() {
		_, err := p.Stdin().Write(data)
		wrote <- errors.Join(err, p.Stdin().Close())
	}()
	got, err := io.ReadAll(p.Stdout())
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d of %d bytes, equal: %v, %v", len(got), len(data), bytes.Equal(got, data), err)
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
	if exit, err := p.Wait(suiteContext(t)); err != nil || exit != (Exit{}) {
		t.Errorf("%v, %v", exit, err)
	}
	eventually(t, "nothing of its session is left", func() bool { return len(members(p.ID().PID)) == 0 })
	eventually(t, "its workspace goes with it", func() bool { return !exists(ws) })
	ws = suiteDir(t, h)
	if p := suiteSh(t, h, ws, "exit 0"); p.Stdin() != nil {
		t.Error("an input that was not asked for")
	}
}

// suiteStdinTalk has a conversation: nothing is held back until there is more.
func suiteStdinTalk(t *testing.T, h Host) {
	ws := suiteDir(t, h)
	p := startWithInput(t, h, ws, "/bin/sh", "-c", `
		for fd in 3 4 5 6; do [ -e /proc/$$/fd/$fd ] && echo "descriptor $fd"; done; echo ready
		while read -r line; do echo "<$line>"; done; echo end; exec sleep 1000`)
	if line := readLine(t, p.Stdout()); line != "ready" {
		t.Errorf("it holds %s", line)
	}
	for _, word := range []string{"a", "}; exit 1", "$(id)", "éx\x01"} {
		if _, err := io.WriteString(p.Stdin(), word+"\n"); err != nil {
			t.Fatal(err)
		}
		if line := readLine(t, p.Stdout()); line != "<"+word+">" {
			t.Errorf("%q became %q", word, line)
		}
	}
	// It sees the end of its input, does not end, and is ended.
	began := time.Now()
	if err := p.Stdin().Close(); err != nil {
		t.Error(err)
	}
	if line := readLine(t, p.Stdout()); line != "end" {
		t.Errorf("at the end: %q", line)
	}
	if exit, err := p.Wait(suiteContext(t)); err != nil || exit.Signal != "TERM" || time.Since(began) < 3*time.Second {
		t.Errorf("%v, %v after %s", exit, err, time.Since(began))
	}
	eventually(t, "the workspace is gone", func() bool { return !exists(ws) })
	if err := p.Stdin().Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
}

// suiteStdinEnds lets a program end by itself at the end of its input.
func suiteStdinEnds(t *testing.T, h Host) {
	p := startWithInput(t, h, suiteDir(t, h), "/bin/sh", "-c", "cat >/dev/null; sleep 1; echo tidied; exit 7")
	if err := p.Stdin().Close(); err != nil {
		t.Error(err)
	}
	out, err := io.ReadAll(p.Stdout())
	if err != nil || string(out) != "tidied\n" {
		t.Errorf("%q, %v", out, err)
	}
	if exit, err := p.Wait(suiteContext(t)); err != nil || exit.Code != 7 {
		t.Errorf("%v, %v", exit, err)
	}
}

// suiteStdinUnread writes to programs that do not read, which must hold nobody up for good.
func suiteStdinUnread(t *testing.T, h Host) {
	flood := func(p Process) chan error {
		wrote := make(chan error, 1)
		go func() {
			var err error
			for block := make([]byte, 1<<16); err == nil; {
				_, err = p.Stdin().Write(block)
			}
			wrote <- err
		}()
		return wrote
	}
	await := func(what string, wrote chan error) {
		t.Helper()
		select {
		case err := <-wrote:
			if err == nil {
				t.Errorf("%s: no error", what)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%s: the writer hangs", what)
		}
	}
	t.Run("ends", func(t *testing.T) {
		t.Parallel()
		p := startWithInput(t, h, suiteDir(t, h), "/bin/sh", "-c", "echo up; sleep 1; exit 3")
		readLine(t, p.Stdout())
		wrote := flood(p)
		if exit, err := p.Wait(suiteContext(t)); err != nil || exit.Code != 3 {
			t.Errorf("%v, %v", exit, err)
		}
		await("ended", wrote)
	})
	t.Run("closes its input", func(t *testing.T) {
		t.Parallel()
		p := startWithInput(t, h, suiteDir(t, h), "/bin/sh", "-c", "exec </dev/null; echo up; exec sleep 1000")
		readLine(t, p.Stdout())
		await("closed", flood(p))
		if !runs(p.ID()) {
			t.Error("it was ended")
		}
		p.Release()
	})
	t.Run("released", func(t *testing.T) {
		t.Parallel()
		ws := suiteDir(t, h)
		p := startWithInput(t, h, ws, "/bin/sh", "-c", "echo up; exec sleep 1000")
		readLine(t, p.Stdout())
		wrote := flood(p)
		ctx, cancel := context.WithTimeout(suiteContext(t), 200*time.Millisecond)
		defer cancel()
		p.Wait(ctx) // the buffers are full now
		p.Release()
		await("released", wrote)
		eventually(t, "all is gone", func() bool { return !runs(p.ID()) && !exists(ws) && len(members(p.ID().PID)) == 0 })
	})
	t.Run("reaped", func(t *testing.T) {
		t.Parallel()
		ws := suiteDir(t, h)
		p := startWithInput(t, h, ws, "/bin/sh", "-c", "echo up; exec sleep 1000")
		readLine(t, p.Stdout())
		wrote := flood(p)
		if left, err := h.Reap(suiteContext(t), ws); err != nil || len(left) > 0 || runs(p.ID()) {
			t.Errorf("left %q, %v", left, err)
		}
		await("reaped", wrote)
	})
	t.Run("at once", func(t *testing.T) {
		t.Parallel()
		p := startWithInput(t, h, suiteDir(t, h), "/bin/true")
		if exit, err := p.Wait(suiteContext(t)); err != nil || exit.Code != 0 {
			t.Errorf("%v, %v", exit, err)
		}
		await("over", flood(p))
	})
	// As one that has ended before its input could be opened, and whose lifeline has cleaned up.
	t.Run("gone before it is opened", func(t *testing.T) {
		t.Parallel()
		ws := suiteDir(t, h)
		p := startWithInput(t, h, ws, "/bin/sh", "-c", `rm -f "$1"/.in-*; sleep 1`, "sh", ws)
		if exit, err := p.Wait(suiteContext(t)); err != nil || exit.Code != 0 {
			t.Errorf("%v, %v", exit, err)
		}
		await("over", flood(p))
	})
	t.Run("no program", func(t *testing.T) {
		t.Parallel()
		ws := suiteDir(t, h)
		if p, err := h.Start(suiteContext(t), Spec{Workspace: ws, Argv: []string{"/no/such"}, Stdin: true}); !errors.Is(err, ErrNoSuchFile) {
			t.Errorf("%v, %v", p, err)
		}
		entries, _ := os.ReadDir(ws)
		if len(entries) > 0 {
			t.Errorf("left: %v", entries)
		}
	})
}
