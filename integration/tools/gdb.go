package tools

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

//go:embed gdb_state.c.txt
var gdbState string

// NeedGdb returns a PATH with a gdb first in it that can call a function in another process, which debugpy needs to get into a running
// program. Where this machine's gdb is too old for its processor, that is the same gdb with a helper compiled for it.
func NeedGdb(t testing.TB) (path string) {
	t.Helper()
	gdb := Need(t, func() (string, error) { return look("gdb", "install gdb (Debian: apt-get install gdb)") })
	first, said := callsFunctions(t, gdb)
	if first {
		return filepath.Dir(gdb) + ":" + os.Getenv("PATH")
	}
	if !strings.Contains(said, "extended state") {
		t.Fatalf("%s cannot call a function in a process:\n%s", gdb, said)
	}
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "gcc"
	}
	cc = Need(t, func() (string, error) {
		return look(cc, "install a C compiler (Debian: apt-get install gcc libc6-dev)")
	})
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	source, library, wrapper := filepath.Join(dir, "gdb_state.c"), filepath.Join(dir, "gdb_state.so"), filepath.Join(dir, "gdb")
	if err := os.WriteFile(source, []byte(gdbState), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), cc, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl").CombinedOutput(); err != nil {
		t.Fatalf("compile the helper for gdb: %v\n%s", err, out)
	}
	if err := os.WriteFile(wrapper, fmt.Appendf(nil, "#!/bin/sh\nLD_PRELOAD='%s' exec '%s' \"$@\"\n", library, gdb), 0o755); err != nil {
		t.Fatal(err)
	}
	if ok, said := callsFunctions(t, wrapper); !ok {
		t.Fatalf("%s cannot call a function in a process, even with help:\n%s", gdb, said)
	}
	return dir + ":" + os.Getenv("PATH")
}

// callsFunctions tries a gdb on a process of our own.
func callsFunctions(t testing.TB, gdb string) (ok bool, said string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), askTimeout)
	defer cancel()
	scratch := exec.CommandContext(ctx, "cat")
	in, err := scratch.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := scratch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := scratch.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); cancel(); _ = scratch.Wait() }()
	// What comes back shows that it is past its start.
	if _, err := in.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	b, _ := exec.CommandContext(ctx, gdb, "--nw", "--nh", "--nx", "--batch", "--pid", fmt.Sprint(scratch.Process.Pid), "--eval-command=call (int)getpid()").CombinedOutput()
	return strings.Contains(string(b), fmt.Sprintf("$1 = %d", scratch.Process.Pid)), string(b)
}
