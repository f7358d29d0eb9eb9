package bench

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/freeport"
	"github.com/debugbroker/debugbroker/integration/programs"
	"github.com/debugbroker/debugbroker/integration/sandbox"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

const (
	openCount  = 8
	openWarmUp = 1
)

// launch is a program to open, and the same by hand: a command for the remote shell that starts its debug server on a port.
type launch struct {
	lang  string
	open  []string
	hand  func(port int, scratch string) string
	ready *regexp.Regexp // what the command prints once the server listens
	ends  syscall.Signal // what ends the server at once; Delve must not be killed
}

func benchOpens(b *testing.B, r *report) {
	ssh := tools.Need(b, tools.SSH)
	rows := [][]string{{"language", "ssh -L by hand", "open, link up", "open, daemon started", "warm against hand", "cold against hand"}}
	for lang, prepare := range launches() {
		b.Run(lang, func(b *testing.B) { rows = append(rows, benchOpen(b, ssh, prepare(b))) })
	}
	r.table(fmt.Sprintf("From the command to a debug server that waits for its front end, p50 of %d each, in turns (1.0x: as fast as by hand; more is faster)", openCount), rows)
	r.note("by hand: ssh -L PORT:127.0.0.1:PORT box 'exec SERVER …', until the server has said that it listens; one connection, one command, no clean-up")
}

// launches are the languages, in order.
func launches() func(yield func(string, func(testing.TB) launch) bool) {
	return func(yield func(string, func(testing.TB) launch) bool) {
		_ = yield("python", pythonLaunch) && yield("go", goLaunch) && yield("node", nodeLaunch) && yield("java", javaLaunch)
	}
}

func pythonLaunch(b testing.TB) launch {
	python, path := tools.Need(b, tools.Python), programs.Path(b, "python/looper.py")
	return launch{
		lang: "python", open: []string{"--interpreter", python, "--", path}, ends: syscall.SIGKILL,
		ready: regexp.MustCompile(`(?m)^debugpy is up$`),
		hand: func(port int, scratch string) string {
			// debugpy prints nothing; a file tells that it listens.
			file := filepath.Join(scratch, strconv.Itoa(port))
			return fmt.Sprintf("(until [ -s %s ]; do sleep 0.01; done; echo debugpy is up) & "+
				"DEBUGPY_ADAPTER_ENDPOINTS=%[1]s exec %s -m debugpy --listen 127.0.0.1:%d --wait-for-client %s", file, python, port, path)
		},
	}
}

func goLaunch(b testing.TB) launch {
	dlv, binary := tools.NeedDlv(b), programs.BuildGo(b, "ticker")
	return launch{
		lang: "go", open: []string{"--interpreter", dlv, "--", binary}, ready: delveReady, ends: syscall.SIGTERM,
		hand: func(port int, _ string) string {
			return fmt.Sprintf("exec %s exec --headless --accept-multiclient --api-version=2 --listen=127.0.0.1:%d %s", dlv, port, binary)
		},
	}
}

func nodeLaunch(b testing.TB) launch {
	node, path := tools.Need(b, tools.Node), programs.Path(b, "node/idle.js")
	return launch{
		lang: "node", open: []string{"--interpreter", node, "--", path}, ready: nodeReady, ends: syscall.SIGKILL,
		hand: func(port int, _ string) string {
			return fmt.Sprintf("exec %s --inspect-brk=127.0.0.1:%d %s", node, port, path)
		},
	}
}

func javaLaunch(b testing.TB) launch {
	jdk := tools.Need(b, tools.Java)
	classes := programs.BuildJava(b, jdk)
	return launch{
		lang: "java", open: []string{"--interpreter", jdk.Java, "--", "-cp", classes, "Ticker"}, ready: javaReady, ends: syscall.SIGKILL,
		hand: func(port int, _ string) string {
			return fmt.Sprintf("exec %s -agentlib:jdwp=transport=dt_socket,server=y,suspend=y,address=127.0.0.1:%d -cp %s Ticker", jdk.Java, port, classes)
		},
	}
}

func benchOpen(b *testing.B, ssh string, l launch) []string {
	s := sshd.New(b, sshd.Options{})
	warm := brokertest.New(b, brokertest.Options{Server: s})
	cold := brokertest.New(b, brokertest.Options{Server: s})
	args := append([]string{"box:" + l.lang}, l.open...)
	var hand, up, fresh samples
	byBroker := func(broker *brokertest.Broker) time.Duration {
		began := time.Now()
		session := broker.Open(args...)
		took := time.Since(began)
		broker.Close(session.ID)
		return took
	}
	ways := []func(){
		func() { hand = append(hand, byHand(b, s, ssh, l)) },
		func() { up = append(up, byBroker(warm)) },
		func() { fresh = append(fresh, byBroker(cold)); cold.OK("stop") },
	}
	for i := range openWarmUp + openCount {
		for j := range ways {
			ways[(i+j)%len(ways)]()
		}
	}
	hand, up, fresh = hand[openWarmUp:], up[openWarmUp:], fresh[openWarmUp:]
	metric(b, ratio(hand.p50(), up.p50()), "x-hand-warm")
	b.ReportMetric(ratio(hand.p50(), fresh.p50()), "x-hand-cold")
	return []string{l.lang, ms(hand.p50()), ms(up.p50()), ms(fresh.p50()), times(ratio(hand.p50(), up.p50())), times(ratio(hand.p50(), fresh.p50()))}
}

// byHand is the time that one ssh command takes to start a debug server behind a forwarded port. The server is ended then.
func byHand(b testing.TB, s *sshd.Server, ssh string, l launch) time.Duration {
	b.Helper()
	port := freeport.On127(b)
	began := time.Now()
	c, _ := overSSH(b, s, ssh, port, l.hand(port, s.TempDir()))
	c.await(l.ready)
	took := time.Since(began)
	c.endServer(l.ends)
	endAdapters(b, s)
	return took
}

// overSSH runs a command over ssh, with a port of the server's loopback forwarded: to local.
func overSSH(b testing.TB, s *sshd.Server, ssh string, port int, command string) (c *child, local string) {
	b.Helper()
	near := freeport.On127(b)
	c = start(b, nil, ssh, "-F", s.ConfigFile(), "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes",
		"-L", fmt.Sprintf("%d:127.0.0.1:%d", near, port), sshd.Alias, "echo server is $$; "+command)
	return c, "127.0.0.1:" + strconv.Itoa(near)
}

// endServer ends what overSSH started.
func (c *child) endServer(ends syscall.Signal) {
	c.b.Helper()
	pid, err := strconv.Atoi(c.await(serverPID)[1])
	if err != nil {
		c.b.Fatal(err)
	}
	if err := syscall.Kill(pid, ends); err != nil {
		c.b.Fatalf("end %s: %v", strings.Join(c.cmd.Args, " "), err)
	}
	select {
	case <-c.exited: // ssh ends with its command; cut earlier, Delve would leave its program
	case <-time.After(stopTimeout):
	}
	c.stop()
}

var serverPID = regexp.MustCompile(`(?m)^server is (\d+)$`)

// endAdapters ends the debugpy adapters that a start by hand has left: one that its server has not reached yet waits for it. No session
// of a broker is open meanwhile.
func endAdapters(b testing.TB, s *sshd.Server) {
	b.Helper()
	all, err := sandbox.Marked(s.Mark())
	if err != nil {
		b.Fatal(err)
	}
	for _, p := range all {
		if strings.Contains(p.Command, "/debugpy/adapter ") {
			_ = syscall.Kill(p.PID, syscall.SIGTERM) // an error says that it has ended
		}
	}
}
