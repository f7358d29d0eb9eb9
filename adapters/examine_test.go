package adapters

import (
	"os/exec"
	"reflect"
	"strings"
	"testing"
)

// TestExaminers: every language can be examined, with scripts that a POSIX shell reads, and answers nothing with a hint.
func TestExaminers(t *testing.T) {
	for _, a := range Builtin() {
		t.Run(a.Name(), func(t *testing.T) {
			e, ok := a.(Examiner)
			if !ok {
				t.Fatal("it cannot be examined")
			}
			req := Request{Host: Host{OS: "linux", Home: "/home/it's", Path: "/a b:/c"}, Interpreters: []string{"x y"}, Facts: map[string]string{}}
			commands := e.Examine(req)
			if !reflect.DeepEqual(commands, e.Examine(req)) || len(commands) == 0 {
				t.Errorf("commands %q", commands)
			}
			for _, c := range commands {
				sh := exec.Command("/bin/sh", "-n")
				sh.Stdin = strings.NewReader(c.Script)
				if out, err := sh.CombinedOutput(); err != nil {
					t.Errorf("%s is no shell script: %v: %s", c.Key, err, out)
				}
			}
			findings := e.Findings(req)
			if len(findings) == 0 || findings[0].OK {
				t.Errorf("of a silent host: %+v", findings)
			}
			for _, f := range findings {
				if f.Check == "" || f.Detail == "" || !f.OK && f.Hint == "" {
					t.Errorf("incomplete: %+v", f)
				}
			}
		})
	}
}

// answer is what a probe prints for key, value pairs.
func answer(pairs ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		b.WriteString("\x00" + pairs[i] + "=" + pairs[i+1] + "\x00")
	}
	return b.String()
}

// TestFindings: versions that do not fit each other, rights that are missing.
func TestFindings(t *testing.T) {
	const none, root = "0000000000000000", "000001ffffffffff"
	proc := []string{"proc", "1", "traceable", "1", "capabilities", none}
	dlv := func(version, goVersion string, more ...string) string {
		return answer(append([]string{"dlv", "/go/bin/dlv", "dlv_version", version, "go", "/usr/local/go/bin/go", "go_version", goVersion}, more...)...)
	}
	py := func(version, debugpy string, more ...string) string {
		return answer(append([]string{"interpreter", "/usr/bin/python3", "version", version, "debugpy", debugpy}, more...)...)
	}
	gdb := []string{"gdb", "/usr/bin/gdb", "gdb_works", "yes"}
	tests := []struct {
		name   string
		a      Adapter
		key    string
		answer string
		check  string
		ok     bool
		words  string // in detail or hint
	}{
		{"delve too old", NewDelve(), delveProbe, dlv("1.24.2", "go1.26.0", proc...), "delve and go", false, "up to 1.24"},
		{"delve fits", NewDelve(), delveProbe, dlv("1.26.0", "go1.26.3", proc...), "delve and go", true, "fits Go 1.26.3"},
		{"delve too new", NewDelve(), delveProbe, dlv("1.27.2", "go1.22.1", proc...), "delve and go", false, "dlv@v1.22"},
		{"delve of before 1.20", NewDelve(), delveProbe, dlv("1.9.1", "go1.20", proc...), "delve and go", false, "up to 1.19"},
		{"delve that is not known yet", NewDelve(), delveProbe, dlv("1.40.0", "go1.38.1", proc...), "delve and go", true, "fits"},
		{"delve without sockets", NewDelve(), delveProbe, dlv("1.21.0", "go1.21.1", proc...), "delve", true, "private socket"},
		{"no delve", NewDelve(), delveProbe, answer("go", "/usr/bin/go", "go_version", "go1.26"), "delve", false, "go install"},
		{"no go", NewDelve(), delveProbe, answer("dlv", "/x/dlv", "dlv_version", "1.26.0", "proc", "1"), "go", true, "to build on the host"},
		{"traceable", NewDelve(), delveProbe, dlv("1.26.0", "go1.26", proc...), "attach", true, "no Yama"},
		{"yama 1", NewDelve(), delveProbe, dlv("1.26.0", "go1.26", "proc", "1", "ptrace_scope", "1", "capabilities", none), "attach", false, "sysctl kernel.yama.ptrace_scope=0"},
		{"yama 2", NewDelve(), delveProbe, dlv("1.26.0", "go1.26", "proc", "1", "ptrace_scope", "2", "capabilities", none), "attach", false, "no CAP_SYS_PTRACE"},
		{"yama 3", NewDelve(), delveProbe, dlv("1.26.0", "go1.26", "proc", "1", "ptrace_scope", "3", "capabilities", root), "attach", false, "only a restart"},
		{"a capable dlv", NewDelve(), delveProbe, dlv("1.26.0", "go1.26", "proc", "1", "ptrace_scope", "1", "file_capabilities", "/go/bin/dlv cap_sys_ptrace=ep"), "attach", true, ""},
		{"container", NewDelve(), delveProbe, dlv("1.26.0", "go1.26", "proc", "1", "seccomp", "2", "container", "docker"), "attach", false, "--cap-add SYS_PTRACE"},
		{"debugpy fits", NewDebugpy(), debugpyKey, py("3.11.7", "1.6.6", gdb...), "debugpy", true, "fits"},
		{"debugpy too old for 3.12", NewDebugpy(), debugpyKey, py("3.12.1", "1.6.6", gdb...), "debugpy", false, "needs 1.8.0"},
		{"debugpy too old for 3.13", NewDebugpy(), debugpyKey, py("3.13.0", "1.8.5", gdb...), "debugpy", false, "needs 1.8.7"},
		{"debugpy newer than all", NewDebugpy(), debugpyKey, py("3.14.0", "1.10.1"), "debugpy", true, "fits"},
		{"no gdb", NewDebugpy(), debugpyKey, py("3.11.7", "1.6.6"), "attach", false, "apt install gdb"},
		{"no gdb needed", NewDebugpy(), debugpyKey, py("3.14.0", "1.8.20"), "attach", true, "3.14"},
		{"gdb may not", NewDebugpy(), debugpyKey, py("3.11.7", "1.8.1", "gdb", "/usr/bin/gdb", "gdb_says", "ptrace: Operation not permitted.", "ptrace_scope", "1"), "attach", false, "ptrace_scope is 1"},
		{"no debugpy", NewDebugpy(), debugpyKey, answer("tried", "no_debugpy /usr/bin/python3"), "python", false, "/usr/bin/python3 has no debugpy"},
		{"node", NewNode(), nodeProbe, answer("node", "/usr/bin/node", "version", "v20.20.2\n"), "node", true, "20.20.2"},
		{"old node", NewNode(), nodeProbe, answer("node", "/usr/bin/node", "version", "v10.19.0"), "node", false, "12 is the oldest"},
		{"node that shows its address", NewNode(), nodeProbe, answer("node", "/usr/bin/node", "version", "v12.4.0"), "node", true, "12.8"},
		{"another node", NewNode(), nodeProbe, answer("node", "/usr/sbin/node", "version", "ax25 node"), "node", false, "no node's version"},
		{"reduced java", NewJDWP(), javaProbe, answer("java", "/jre/bin/java", "version", "17.0.1"), "debug agent", false, "jdk.jdwp.agent"},
		{"no jcmd", NewJDWP(), javaProbe, answer("java", "/jre/bin/java", "version", "17.0.1", "agent", "/jre/lib/libjdwp.so"), "jcmd", true, "onjcmd"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			list := tt.a.(Examiner).Findings(Request{Facts: map[string]string{tt.key: tt.answer}})
			for _, f := range list {
				if !f.OK && f.Hint == "" {
					t.Errorf("no hint: %+v", f)
				}
				if f.Check == tt.check {
					if f.OK != tt.ok || !strings.Contains(f.Detail+" "+f.Hint, tt.words) {
						t.Errorf("%+v, want ok %v and %q", f, tt.ok, tt.words)
					}
					return
				}
			}
			t.Errorf("no check %q: %+v", tt.check, list)
		})
	}
}
