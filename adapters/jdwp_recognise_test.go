package adapters

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/debugbroker/debugbroker/integration/executable"
	"github.com/debugbroker/debugbroker/integration/tools"
)

func TestJDWPRecognise(t *testing.T) {
	java := func(argv ...string) Running {
		return Running{Exe: "/jdk/bin/java", Argv: append([]string{"java"}, argv...)}
	}
	for _, c := range []struct {
		r    Running
		ok   bool
		want string
	}{
		{java("-jar", "a.jar"), true, ""},
		{Running{Argv: []string{"/opt/java", "App"}}, true, ""},
		{Running{Exe: "/usr/bin/jsvc", Marks: []string{"libjvm"}, Argv: []string{"jsvc", "-cp", "x", "Daemon", "-agentlib:jdwp=server=y,address=5"}}.on("127.0.0.1:5"), true, "127.0.0.1:5"},
		{Running{Exe: "/usr/bin/javac", Marks: []string{"libjvm"}}, true, ""},
		{Running{Exe: "/jdk/bin/jcmd", Marks: []string{"libjvm"}, Argv: []string{"jcmd", "1"}}, false, ""},
		{Running{Exe: "/jdk/bin/jdb", Marks: []string{"libjvm"}}, false, ""},
		{java("-cp", "x", "sun.tools.jcmd.JCmd"), false, ""},
		{java("--module", "jdk.jcmd/sun.tools.jps.Jps"), false, ""},
		{java("--module=jdk.jdi/com.sun.tools.example.debug.tty.TTY"), false, ""},
		{java("App", "sun.tools.jcmd.JCmd"), true, ""},
		{Running{Exe: "/usr/bin/javascript"}, false, ""},
		{Running{}, false, ""},
		{java(agent("address=5005"), "App").on("0.0.0.0:80", "127.0.0.1:5005"), true, "127.0.0.1:5005"},
		{java(agent("address=*:5005"), "App").on("[::]:5005"), true, "[::]:5005"},
		{java("-agentpath:/jdk/lib/libjdwp.so=server=y,address=[::1]:5005", "App").on("[::1]:5005"), true, "[::1]:5005"},
		{java("-Xdebug", "-Xrunjdwp:server=y,address=5005", "App").on("0.0.0.0:5005"), true, "0.0.0.0:5005"},
		{java("-agentpath:/opt/libprofiler.so=server=y,address=5005", "App").on("0.0.0.0:5005"), true, ""},
		{java("-agentlib:jdwp=server=n,address=5005", "App").on("0.0.0.0:5005"), true, ""},
		{java(agent("address=5005"), "App").on("127.0.0.1:80"), true, ""},
		{java(agent("suspend=n"), "App").on("0.0.0.0:80", "127.0.0.1:41"), true, "127.0.0.1:41"},
		{java(agent("address=localhost:0"), "App").on("127.0.0.1:41", "127.0.0.1:42"), true, ""},
		{java(agent("address=127.0.0.1:0"), "App").on("0.0.0.0:80"), true, ""},
		{java(agent("address=99999"), "App").on("junk", "x:1", "127.0.0.1:"), true, ""},
		{java("App", agent("address=5005")).on("127.0.0.1:5005"), true, ""},
		{java("-cp", agent("address=5005"), "App").on("127.0.0.1:5005"), true, ""},
		{java("-jar"), true, ""},
	} {
		if got, ok := NewJDWP().Recognise(c.r); ok != c.ok || got != (Found{Listening: c.want}) {
			t.Errorf("%+v: %+v, %t", c.r, got, ok)
		}
	}
}

// What the probe says of a real JVM, in every shell. Root takes a jcmd beside another user's java only where root alone could have put it.
func TestJDWPAttachProbe(t *testing.T) {
	program := javaProgram(t, []string{"JDK_JAVA_OPTIONS=-Xmx64m " + agent("suspend=n,onjcmd=y,address=127.0.0.1:5005"), "SECRET=x"})
	target := program.target()
	beside := filepath.Join(filepath.Dir(target.Exe), "jcmd")
	theirs, err := filepath.EvalSymlinks(t.TempDir())
	must(t, "directory", err)
	sleep, err := exec.LookPath("sleep")
	must(t, "sleep", err)
	data, err := os.ReadFile(sleep)
	must(t, "read", err)
	for _, name := range []string{"java", "jcmd"} {
		executable.Write(t, filepath.Join(theirs, name), data)
	}
	other := runs(t, "/", nil, filepath.Join(theirs, "java"), "60").target()
	stranger := other
	stranger.UID++
	for _, shell := range shells(t) {
		for _, c := range []struct {
			r    Running
			want map[string]string
		}{
			{target, map[string]string{"agent": "yes", "options": "-Xmx64m " + agent("suspend=n,onjcmd=y,address=127.0.0.1:5005"), "jcmd": beside, "connected": ""}},
			{other, map[string]string{"agent": "no", "options": "", "jcmd": filepath.Join(theirs, "jcmd")}},
		} {
			f := parseFacts(probed(t, NewJDWP(), Request{Mode: Attach, Target: c.r, Host: here(t)}, shell).Facts[javaProbe])
			for key, want := range c.want {
				if f.first(key) != want {
					t.Errorf("%s: %s is %q, want %q", shell, key, f.first(key), want)
				}
			}
		}
		f := parseFacts(probed(t, NewJDWP(), Request{Mode: Attach, Target: stranger, Host: here(t)}, shell).Facts[javaProbe])
		if got := f.first("jcmd"); got == filepath.Join(theirs, "jcmd") || got == "" {
			t.Errorf("%s: a stranger's jcmd: %q", shell, got)
		}
		named := Request{Mode: Attach, Target: target, Host: here(t), Interpreter: filepath.Join(filepath.Dir(tools.Need(t, tools.Java).Java), "java")}
		f = parseFacts(probed(t, NewJDWP(), named, shell).Facts[javaProbe])
		if got := f.first("jcmd"); got != filepath.Join(filepath.Dir(named.Interpreter), "jcmd") {
			t.Errorf("%s: with --interpreter: %q", shell, got)
		}
	}
}
