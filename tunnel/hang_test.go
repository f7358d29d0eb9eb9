package tunnel

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// On a connection that is silently dead, and not known to be for a long time yet, whoever gives up is let go at once.
func TestGivingUpInABlackHole(t *testing.T) {
	server, hop := testBox(t)
	hole, hop := behindCutter(t, server, hop)
	hop.ServerAliveInterval, hop.ServerAliveCountMax = time.Hour, 3
	l := dialLink(t, hop)
	far, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	stream, err := l.dial(t.Context(), "tcp", far.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	h := newShellHost("box", l, nil, func() {})
	facts, err := h.Facts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	workspace := facts.TempDir + "/" + NewWorkspaceName()
	if err := h.MakeWorkspace(t.Context(), workspace); err != nil {
		t.Fatal(err)
	}
	proc, err := h.Start(t.Context(), Spec{Workspace: workspace, Argv: []string{"/bin/sleep", "600"}})
	if err != nil {
		t.Fatal(err)
	}
	hole.BlackHole()

	read, written := make(chan error, 2), make(chan error, 1)
	for _, r := range []io.Reader{proc.Stdout(), proc.Stderr()} {
		go func() { _, err := io.Copy(io.Discard, r); read <- err }()
	}
	go func() { _, err := stream.Write(make([]byte, 64<<20)); written <- err }()
	select {
	case err := <-written:
		t.Fatalf("64 MiB went into the hole: %v", err)
	case <-time.After(100 * time.Millisecond):
	}

	began := time.Now()
	_ = stream.Close()
	if err := <-written; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write = %v, want net.ErrClosed", err)
	}
	proc.Release()
	for range 2 {
		if err := <-read; !errors.Is(err, os.ErrClosed) {
			t.Errorf("Read = %v, want os.ErrClosed", err)
		}
	}
	if took := time.Since(began); took > closeGrace+2*time.Second {
		t.Errorf("let go after %v", took)
	}
	if isClosed(l.Done()) {
		t.Error("the link was noticed to be dead, so this has shown nothing")
	}
}
