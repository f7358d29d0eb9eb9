// Package programs finds and builds the programs in integration/testdata/programs, which tests debug. It starts compilers only and
// no goroutines.
package programs

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/tools"
)

// buildTimeout bounds a compiler on a cold cache.
const buildTimeout = 5 * time.Minute

// Path is the absolute path of a program, as in Path(t, "python/ticker.py").
func Path(t testing.TB, name string) string {
	t.Helper()
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("this file's own path is unknown")
	}
	path := filepath.Join(filepath.Dir(here), "..", "testdata", "programs", name)
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// BreakLine is the line of a source file, from 1, that is marked BREAK.
func BreakLine(t testing.TB, path string) int {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range bytes.Split(b, []byte("\n")) {
		if bytes.HasSuffix(line, []byte(" BREAK")) {
			return i + 1
		}
	}
	t.Fatalf("%s has no line that ends with BREAK", path)
	return 0
}

// BuildGo builds one of the Go programs without optimisation, as a debugger wants it, and returns the binary's path.
func BuildGo(t testing.TB, name string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), filepath.Base(name))
	run(t, "go", "build", "-gcflags=all=-N -l", "-o", bin, Path(t, filepath.Join("go", name)))
	return bin
}

// BuildJava compiles the Java programs with debug information and returns the class path.
func BuildJava(t testing.TB, jdk tools.JDK) string {
	t.Helper()
	sources, err := filepath.Glob(filepath.Join(Path(t, "java"), "*.java"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	run(t, jdk.Javac, append([]string{"-g", "-d", dir}, sources...)...)
	return dir
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}
