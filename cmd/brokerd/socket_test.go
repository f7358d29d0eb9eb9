package main

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
)

func TestListen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	first, err := listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Lstat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", fi.Mode(), err)
	}
	_, err = listen(path)
	wantAPIError(t, err, api.CodeDaemon, "another process listens on "+path, "--socket")
	first.(*net.UnixListener).SetUnlinkOnClose(false) // as a daemon that was killed
	first.Close()
	second, err := listen(path)
	if err != nil {
		t.Fatalf("a dead daemon's: %v", err)
	}
	second.Close()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = listen(path)
	wantAPIError(t, err, api.CodeDaemon, "is no socket", "--socket")
}
