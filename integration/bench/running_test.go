package bench

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"github.com/debugbroker/debugbroker/integration/frontend/expect"
	"github.com/debugbroker/debugbroker/integration/programs"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// running is a program that runs already, in one language, and how a debugger comes to it.
type running struct {
	lang string
	open []string                // further flags of open
	argv func(port int) []string // port is where the program listens itself once it is told to
	hand func(pid, port int) string
	// ready is what the command prints once it has done its work, or what the program prints (inProgram).
	ready     *regexp.Regexp
	inProgram bool
	settled   func(b testing.TB, port int) // waits for what the words came too early for; may be nil
	ends      syscall.Signal               // what ends the command
	visit     func(b testing.TB, addr string) visit
}

// visit is a front end that has attached.
type visit struct {
	breakpoint func() // in a line that is never reached
	leave      func()
}

// runnings are the languages, in order.
func runnings() func(yield func(string, func(testing.TB) running) bool) {
	return func(yield func(string, func(testing.TB) running) bool) {
		_ = yield("python", pythonRunning) && yield("go", goRunning) && yield("node", nodeRunning) && yield("java", javaRunning)
	}
}

// idles is the end of a command that has nothing to run while its forward is wanted.
const idles = "exec sleep 600"

func pythonRunning(b testing.TB) running {
	python, path := tools.Need(b, tools.Python), programs.Path(b, "python/pacer.py")
	return running{
		lang: "python", argv: func(int) []string { return []string{python, path} },
		hand: func(pid, port int) string {
			return fmt.Sprintf("%s -m debugpy --listen 127.0.0.1:%d --pid %d && echo debugpy is in; "+idles, python, port, pid)
		},
		ready: regexp.MustCompile(`(?m)^debugpy is in$`), ends: syscall.SIGTERM, visit: visitWithDAP(map[string]any{"justMyCode": false}, path),
	}
}

func goRunning(b testing.TB) running {
	dlv, binary := tools.NeedDlv(b), programs.BuildGo(b, "pacer")
	return running{
		lang: "go", open: []string{"--interpreter", dlv}, argv: func(int) []string { return []string{binary} },
		hand: func(pid, port int) string {
			return fmt.Sprintf("exec %s attach %d --headless --accept-multiclient --continue --api-version=2 --listen=127.0.0.1:%d", dlv, pid, port)
		},
		ready: delveReady, settled: delveRuns, ends: syscall.SIGTERM, visit: visitWithDAP(map[string]any{"mode": "remote"}, programs.Path(b, "go/pacer/main.go")),
	}
}

func nodeRunning(b testing.TB) running {
	node, path := tools.Need(b, tools.Node), programs.Path(b, "node/pacer.js")
	return running{
		lang: "node", argv: func(port int) []string { return []string{node, "--inspect-port=" + strconv.Itoa(port), path} },
		hand:  func(pid, _ int) string { return fmt.Sprintf("kill -USR1 %d; "+idles, pid) },
		ready: nodeReady, inProgram: true, ends: syscall.SIGTERM,
		visit: func(b testing.TB, addr string) visit {
			c := expect.DialCDP(b, addr)
			c.Start()
			return visit{func() { c.SetBreakpoint("file://"+path, programs.BreakLine(b, path)) }, func() {
				if err := c.Close(); err != nil {
					b.Error(err)
				}
			}}
		},
	}
}

func javaRunning(b testing.TB) running {
	jdk, path := tools.Need(b, tools.Java), programs.Path(b, "java/Pacer.java")
	classes := programs.BuildJava(b, jdk)
	return running{
		lang: "java",
		argv: func(port int) []string {
			return []string{jdk.Java, fmt.Sprintf("-agentlib:jdwp=transport=dt_socket,server=y,suspend=n,onjcmd=y,address=127.0.0.1:%d", port), "-cp", classes, "Pacer"}
		},
		hand: func(pid, _ int) string {
			return fmt.Sprintf("%s %d VM.start_java_debugging; "+idles, filepath.Join(filepath.Dir(jdk.Java), "jcmd"), pid)
		},
		ready: regexp.MustCompile(`(?m)^Debugging has been started`), ends: syscall.SIGTERM,
		visit: func(b testing.TB, addr string) visit {
			c := expect.StartJdb(b, jdk.Jdb, addr, filepath.Dir(path))
			return visit{
				func() {
					c.Ask(fmt.Sprintf("stop at Pacer:%d", programs.BreakLine(b, path)), `Set (deferred )?breakpoint`)
				},
				func() { c.Quit("quit") },
			}
		},
	}
}

func visitWithDAP(args map[string]any, path string) func(testing.TB, string) visit {
	return func(b testing.TB, addr string) visit {
		d := expect.DialDAP(b, addr)
		d.Initialize()
		d.Attach(args)
		d.ConfigurationDone()
		return visit{func() { d.SetBreakpoints(path, programs.BreakLine(b, path)) }, func() { d.Disconnect(false) }}
	}
}
