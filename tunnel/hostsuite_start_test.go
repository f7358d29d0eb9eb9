package tunnel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/executable"
)

// torture is what quoting goes wrong with in one shell or another.
var torture = []string{
	"", " ", "a b", "'", `"`, `\`, `\\'`, "$HOME", "$(id)", "`id`", "!", "!!", "a!b", "-n", "--", "-e", "*", "?", "[a]", "~", "~root", "#",
	"a\nb", "\n", "\n\n", "tab\there", "\r\n", "{a,b}", "(x)", "<>|&;", "%s%d", "é ü 漢字 🐛", "\xff\xfe\x80", "\x01\x7f\x1b[31m", "a=b", "=", "%",
	"^a", "EOF", "\\n", "'\\''", "};", "\u2028", "end\\",
}

func suiteWords(t *testing.T, h Host) {
	ws := suiteDir(t, h)
	cwd := ws + "/a dir 'x' $HOME"
	if err := os.Mkdir(cwd, 0o700); err != nil {
		t.Fatal(err)
	}
	program := cwd + "/pro gram\n'!"
	text := "#!/bin/sh\nfor a; do printf '%s\\0' \"$a\"; done; printf '%s\\0' \"$PWD\"; exec env -0\n"
	executable.Write(t, program, []byte(text))
	var env []string
	for i, word := range torture {
		env = append(env, fmt.Sprintf("W%d=%s", i, word))
	}
	env = append(env, "TWICE=1", "TWICE=2", "PATH=/nowhere:"+os.Getenv("PATH"), "LC_ALL=xx_YY.UTF-8", "HOME=/h o m e", "TERM=dumb")
	spec := Spec{Workspace: ws, Argv: append([]string{program}, torture...), Env: env, Cwd: cwd}
	p, err := h.Start(suiteContext(t), spec)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release()
	out, err := io.ReadAll(p.Stdout())
	if err != nil {
		t.Fatal(err)
	}
	errOut, _ := io.ReadAll(p.Stderr())
	if len(errOut) > 0 {
		t.Errorf("stderr: %q", errOut)
	}
	words := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	if len(words) < len(torture)+1 || !slices.Equal(words[:len(torture)], torture) {
		t.Fatalf("arguments: %q", words)
	}
	if got := words[len(torture)]; got != cwd {
		t.Errorf("cwd: %q", got)
	}
	got := map[string]string{}
	for _, entry := range words[len(torture)+1:] {
		k, v, _ := strings.Cut(entry, "=")
		got[k] = v
		if strings.HasPrefix(k, "dbk") {
			t.Errorf("ours in its environment: %s", k)
		}
	}
	for _, entry := range env[:len(env)-6] {
		k, v, _ := strings.Cut(entry, "=")
		if got[k] != v {
			t.Errorf("%s: %q, not %q", k, got[k], v)
		}
	}
	if got["TWICE"] != "2" || got["LC_ALL"] != "xx_YY.UTF-8" || got["HOME"] != "/h o m e" || !strings.HasPrefix(got["PATH"], "/nowhere:") {
		t.Errorf("environment: %q", got)
	}
}

func suiteExits(t *testing.T, h Host) {
	ws := suiteDir(t, h)
	for text, want := range map[string]Exit{
		"exit 0": {}, "exit 3": {Code: 3}, "exit 200": {Code: 200},
		"kill -KILL $$": {Signal: "KILL"}, "kill -TERM $$": {Signal: "TERM"}, "kill -SEGV $$": {Signal: "SEGV"},
	} {
		p := suiteSh(t, h, ws, "echo out; echo err >&2; "+text)
		got, err := p.Wait(suiteContext(t))
		if err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
		out, _ := io.ReadAll(p.Stdout())
		errOut, _ := io.ReadAll(p.Stderr())
		if string(out) != "out\n" || string(errOut) != "err\n" {
			t.Errorf("%s: %q, %q", text, out, errOut)
		}
	}
	p := suiteSh(t, h, ws, "cat; exec sleep 1000")
	ctx, cancel := context.WithCancel(suiteContext(t))
	cancel()
	if _, err := p.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait with an ended context: %v", err)
	}
}

func suiteStartRefused(t *testing.T, h Host) {
	ws := suiteDir(t, h)
	if err := os.WriteFile(ws+"/plain", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		spec Spec
		want error
	}{
		"missing program":   {Spec{Argv: []string{"/no/such"}}, ErrNoSuchFile},
		"not executable":    {Spec{Argv: []string{ws + "/plain"}}, os.ErrPermission},
		"a directory":       {Spec{Argv: []string{"/tmp"}}, os.ErrPermission},
		"relative program":  {Spec{Argv: []string{"sh"}}, nil},
		"no program":        {Spec{}, nil},
		"missing cwd":       {Spec{Argv: []string{"/bin/sh"}, Cwd: "/no/such"}, ErrNoSuchFile},
		"cwd a file":        {Spec{Argv: []string{"/bin/sh"}, Cwd: ws + "/plain"}, os.ErrPermission},
		"relative cwd":      {Spec{Argv: []string{"/bin/sh"}, Cwd: "x"}, nil},
		"NUL":               {Spec{Argv: []string{"/bin/sh", "a\x00b"}}, errNUL},
		"odd name":          {Spec{Argv: []string{"/bin/sh"}, Env: []string{"a-b=c"}}, nil},
		"injected name":     {Spec{Argv: []string{"/bin/sh"}, Env: []string{"a;touch x;b=c"}}, nil},
		"no equals sign":    {Spec{Argv: []string{"/bin/sh"}, Env: []string{"hunter2"}}, nil},
		"empty name":        {Spec{Argv: []string{"/bin/sh"}, Env: []string{"=c"}}, nil},
		"missing workspace": {Spec{Workspace: path.Join("/tmp", NewWorkspaceName()), Argv: []string{"/bin/sh"}}, ErrNoSuchFile},
		"wrong workspace":   {Spec{Workspace: "/tmp", Argv: []string{"/bin/sh"}}, errWorkspace},
		"too big":           {Spec{Argv: []string{"/bin/sh", strings.Repeat("x", maxArguments)}}, errArguments},
	} {
		if test.spec.Workspace == "" {
			test.spec.Workspace = ws
		}
		p, err := h.Start(suiteContext(t), test.spec)
		if err == nil {
			p.Release()
			t.Errorf("%s: started", name)
		} else if test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error tells a secret: %v", name, err)
		}
	}
}

func suiteBigArguments(t *testing.T, h Host) {
	ws := suiteDir(t, h)
	var args []string
	for range 16 {
		args = append(args, strings.Repeat("0123456789abcdef", 4096-1))
	}
	p := suiteSh(t, h, ws, `printf '%s' "$@" | cksum`, args...)
	res, err := h.Run(suiteContext(t), "printf %s '"+strings.Join(args, "")+"' | cksum")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := io.ReadAll(p.Stdout()); err != nil || !bytes.Equal(out, res.Stdout) {
		t.Errorf("1 MiB of arguments: %q, not %q, %v", out, res.Stdout, err)
	}
	// One word beyond what Linux takes: the system's own words.
	p = suiteSh(t, h, ws, "exit 0", strings.Repeat("x", 200<<10))
	exit, err := p.Wait(suiteContext(t))
	errOut, _ := io.ReadAll(p.Stderr())
	if err != nil || exit.Code < 2 || !strings.Contains(string(errOut), "rgument list too long") {
		t.Errorf("too long a word: %v, %q, %v", exit, errOut, err)
	}
}

func suiteBackPressure(t *testing.T, h Host) {
	ws := suiteDir(t, h)
	// Nobody reads; the program is over all the same. 30000 bytes fit any pipe.
	p := suiteSh(t, h, ws, "head -c 30000 /dev/zero; exit 5")
	if exit, err := p.Wait(suiteContext(t)); err != nil || exit.Code != 5 {
		t.Errorf("%v, %v", exit, err)
	}
	if out, err := io.ReadAll(p.Stdout()); err != nil || len(out) != 30000 {
		t.Errorf("output: %d, %v", len(out), err)
	}
	// More than any buffer holds: the program waits for the reader, and does not lose a byte.
	p = suiteSh(t, h, ws, "head -c 20000000 /dev/zero; exit 6")
	ctx, cancel := context.WithTimeout(suiteContext(t), 300*time.Millisecond)
	defer cancel()
	if exit, err := p.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it did not wait for its reader: %v, %v", exit, err)
	}
	if out, err := io.ReadAll(p.Stdout()); err != nil || len(out) != 20000000 {
		t.Errorf("output: %d, %v", len(out), err)
	}
	if exit, err := p.Wait(suiteContext(t)); err != nil || exit.Code != 6 {
		t.Errorf("%v, %v", exit, err)
	}
}
