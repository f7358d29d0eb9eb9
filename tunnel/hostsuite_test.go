package tunnel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// testHost is what every Host must hold. The far side of h must be this machine, as this user: the tests look at the process table
// and the files themselves.
func testHost(t *testing.T, h Host) {
	for name, test := range map[string]func(*testing.T, Host){
		"facts": suiteFacts, "run": suiteRun, "run cancelled": suiteRunCancelled, "words": suiteWords, "exits": suiteExits,
		"start refused": suiteStartRefused, "reap": suiteReap, "release": suiteRelease, "normal end": suiteNormalEnd,
		"heirs": suiteHeirs, "adopt": suiteAdopt, "workspace": suiteWorkspace, "files": suiteFiles, "listeners": suiteListeners,
		"back pressure": suiteBackPressure, "big arguments": suiteBigArguments,
	} {
		t.Run(name, func(t *testing.T) { test(t, h) })
	}
}

func suiteContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// suiteDir makes a workspace that is gone at the test's end, whatever the test left in it.
func suiteDir(t *testing.T, h Host) string {
	t.Helper()
	ws := path.Join("/tmp", NewWorkspaceName())
	if err := h.MakeWorkspace(suiteContext(t), ws); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if left, err := h.Reap(ctx, ws); err != nil || len(left) > 0 {
			t.Errorf("cleaning up: left %q, %v", left, err)
		}
		os.RemoveAll(ws)
	})
	return ws
}

func suiteSh(t *testing.T, h Host, ws, text string, args ...string) Process {
	t.Helper()
	p, err := h.Start(suiteContext(t), Spec{Workspace: ws, Argv: append([]string{"/bin/sh", "-c", text, "sh"}, args...)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Release)
	return p
}

// runs looks into the process table itself: true while pid runs with that start time and is no zombie.
func runs(id ProcessID) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id.PID))
	if err != nil {
		return false
	}
	f := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	return f[0] != "Z" && f[0] != "X" && f[19] == id.Start
}

func identify(t *testing.T, pid int) ProcessID {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	return ProcessID{Boot: strings.TrimSpace(string(boot)), PID: pid, Start: f[19]}
}

// members gives the living processes of a session.
func members(session int) (ids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		f := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		if f[3] == strconv.Itoa(session) && f[0] != "Z" && f[0] != "X" {
			pid, _ := strconv.Atoi(path.Base(path.Dir(name)))
			ids = append(ids, pid)
		}
	}
	return ids
}

// eventually awaits what another process does and tells nobody.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !is(); {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func readLine(t *testing.T, r io.Reader) string {
	t.Helper()
	var line []byte
	one := make([]byte, 1)
	for {
		n, err := r.Read(one)
		if n == 1 && one[0] == '\n' {
			return string(line)
		}
		line = append(line, one[:n]...)
		if err != nil {
			t.Fatalf("after %q: %v", line, err)
		}
	}
}

func linePID(t *testing.T, r io.Reader) int {
	t.Helper()
	pid, err := strconv.Atoi(readLine(t, r))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

func suiteFacts(t *testing.T, h Host) {
	f, err := h.Facts(suiteContext(t))
	if err != nil {
		t.Fatal(err)
	}
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if f.OS != "linux" || f.UID != os.Getuid() || f.BootID != strings.TrimSpace(string(boot)) || !f.HasProc {
		t.Errorf("facts: %+v", f)
	}
	for what, p := range map[string]string{"Home": f.Home, "Shell": f.Shell, "TempDir": f.TempDir} {
		if !exists(p) {
			t.Errorf("%s: %q", what, p)
		}
	}
	if !strings.Contains(f.Path, "/bin") {
		t.Errorf("Path: %q", f.Path)
	}
	again, err := h.Facts(suiteContext(t))
	if err != nil || again != f {
		t.Errorf("again: %+v, %v", again, err)
	}
}

func suiteRun(t *testing.T, h Host) {
	for _, test := range []struct {
		script, out, err string
		code             int
	}{
		{"echo a; echo b >&2; exit 3", "a\n", "b\n", 3},
		{"", "", "", 0},
		{"printf 'no end'", "no end", "", 0},
		{"printf '\\000\\377'", "\x00\xff", "", 0},
		{"cat", "", "", 0}, // input is empty
		{"} ; echo out", "", "", 2},
		{"kill -9 $$; exit 7", "", "", 7},
	} {
		if strings.Contains(test.script, "kill -9") {
			if res, err := h.Run(suiteContext(t), test.script); err == nil {
				t.Errorf("%q: %+v", test.script, res)
			}
			continue
		}
		res, err := h.Run(suiteContext(t), test.script)
		if err != nil {
			t.Errorf("%q: %v", test.script, err)
			continue
		}
		if string(res.Stdout) != test.out || res.Code != test.code || test.code < 2 && string(res.Stderr) != test.err {
			t.Errorf("%q: %q, %q, %d", test.script, res.Stdout, res.Stderr, res.Code)
		}
	}
	if _, err := h.Run(suiteContext(t), "echo \x00"); !errors.Is(err, errNUL) {
		t.Errorf("NUL: %v", err)
	}
	res, err := h.Run(suiteContext(t), "head -c 4194304 /dev/zero; head -c 1000000 /dev/zero >&2; echo end >&2")
	if err != nil || len(res.Stdout) != maxStdout || len(res.Stderr) != maxStderr || !bytes.HasSuffix(res.Stderr, []byte("end\n")) {
		t.Errorf("at the limits: %d, %d, %v", len(res.Stdout), len(res.Stderr), err)
	}
	if _, err := h.Run(suiteContext(t), "cat /dev/zero"); !errors.Is(err, errTooMuch) {
		t.Errorf("endless output: %v", err)
	}
	// A background heir of the output does not hold the answer.
	began := time.Now()
	if _, err := h.Run(suiteContext(t), "sleep 20 & echo $!"); err != nil || time.Since(began) > 10*time.Second {
		t.Errorf("heir: %v after %s", err, time.Since(began))
	}
}

func suiteRunCancelled(t *testing.T, h Host) {
	ws := suiteDir(t, h)
	ctx, cancel := context.WithCancel(suiteContext(t))
	ended := make(chan error, 1)
	go func() {
		_, err := h.Run(ctx, "trap '' TERM; sh -c 'echo $PPID $$ >"+ws+"/pids.new; mv "+ws+"/pids.new "+ws+"/pids; exec sleep 1000'")
		ended <- err
	}()
	eventually(t, "the script runs", func() bool { return exists(ws + "/pids") })
	data, _ := os.ReadFile(ws + "/pids")
	var ids []ProcessID
	for _, f := range strings.Fields(string(data)) {
		pid, _ := strconv.Atoi(f)
		ids = append(ids, identify(t, pid))
	}
	if len(ids) != 2 || !runs(ids[1]) {
		t.Fatalf("pids %v", ids)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
	eventually(t, "the script's processes are gone", func() bool { return !runs(ids[0]) && !runs(ids[1]) })
}

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
	if err := os.WriteFile(program, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	var env []string
	for i, word := range torture {
		env = append(env, fmt.Sprintf("W%d=%s", i, word))
	}
	env = append(env, "TWICE=1", "TWICE=2", "PATH=/nowhere:"+os.Getenv("PATH"), "LC_ALL=xx_YY.UTF-8", "HOME=/h o m e", "TERM=dumb")
	spec := Spec{Workspace: ws, Argv: append([]string{program}, torture...), Env: env, Unset: []string{"LANG", "MAIL", "TWICE"}, Cwd: cwd}
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
	if _, ok := got["LANG"]; ok {
		t.Error("LANG is set")
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
		"empty name":        {Spec{Argv: []string{"/bin/sh"}, Env: []string{"=c"}}, nil},
		"odd unset":         {Spec{Argv: []string{"/bin/sh"}, Unset: []string{"-f"}}, nil},
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
