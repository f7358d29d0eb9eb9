package adapters

import (
	_ "embed"
	"fmt"
	"net"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// HotSpot cannot load the debug agent into a JVM that runs (its library has no Agent_OnAttach). So the program must have been started
// with one, which listens already, or with onjcmd=y waits to be asked.

var (
	//go:embed jdwp_target.sh
	jdwpTarget string
	//go:embed jdwp_start.sh
	jdwpStart []byte
)

var leadingDigits = regexp.MustCompile(`^\d+`)

const (
	jdwpStartFile = "jdwp_start.sh"
	// jcmdReady is past jcmd's own limit for a JVM to answer, 10 s.
	jcmdReady = 30 * time.Second
	agentFlag = "-agentlib:jdwp=transport=dt_socket,server=y,suspend=n,address=127.0.0.1:5005"
)

// javaAttachProbe asks for what the process table does not have: the agent's library, options of the environment, a front end that is
// there already, and jcmd.
func javaAttachProbe(req Request) string {
	a, seen := findAgent(targetOptions(req.Target, nil))
	var s strings.Builder
	s.WriteString(factFunction + homeFunction)
	port, mark := "", ""
	if a.port != 0 {
		port = strconv.Itoa(a.port)
	}
	if seen {
		mark = "1"
	}
	for _, v := range [][2]string{{"home", orRoot(req.Host.Home)}, {"pid", strconv.Itoa(req.Target.PID)}, {"uid", strconv.Itoa(req.Target.UID)}, {"port", port}, {"seen", mark}} {
		s.WriteString(v[0] + "=" + quote(v[1]) + "\n")
	}
	s.WriteString(findTool(req) + "found=\n" + jdwpTarget)
	beside := func(java string) string { return path.Join(path.Dir(java), "jcmd") }
	if req.Interpreter != "" {
		return s.String() + "find_tool jcmd " + expandable(beside(req.Interpreter)) + " || :\n"
	}
	var configured []string
	for _, java := range req.Interpreters {
		configured = append(configured, beside(java))
	}
	s.WriteString(`find_tool jcmd "$beside" ` + expandable(append(configured, "$JAVA_HOME/bin/jcmd", "jcmd")...) + " /usr/lib/jvm/*/bin/jcmd /usr/java/*/bin/jcmd || :\n")
	return s.String()
}

// attach plans a process that stands for the program; where the agent waits to be asked it does that first.
func (j jdwp) attach(req Request, f facts) (Plan, error) {
	t := req.Target
	if found, ok := j.Recognise(t); !ok || found.Server {
		return Plan{}, &Error{Foreign, fmt.Sprintf("process %d is no java program", t.PID), "brokerctl ps lists what can be debugged"}
	}
	if req.Host.OS != "linux" {
		return Plan{}, &Error{Foreign, "running java programs are found by their agents on Linux only", "start it with " + agentFlag + ", and take --port"}
	}
	options := targetOptions(t, f["options"])
	a, ok := findAgent(options)
	if err := agentRefusal(t, f, a, ok); err != nil {
		return Plan{}, err
	}
	p := Plan{
		Server: "java", Protocol: JDWP, Network: "tcp", OneClient: true, NeverTerminate: true, Stays: true, Exposed: req.Host.OtherUsers > 0,
		Cwd: t.Cwd, Program: t.Argv,
	}
	if v := strings.TrimSpace(f.first("version")); v != "" {
		p.Server += " " + v
	}
	p.standIn(req)
	where := ""
	if a.port != 0 {
		where = " on " + a.at(a.port)
	} else {
		p.Warnings = append(p.Warnings, "its debug agent takes another port after each front end: a further one needs a new session")
	}
	if a.onjcmd {
		p.Leaves = []string{fmt.Sprintf("the JVM's debug agent%s of pid %d, until that program ends", where, t.PID)}
	}
	if at := a.listening(t); at != "" {
		var err error
		p.Address, err = a.reachable(t, at)
		return p, err
	}
	if err := silentRefusal(t, f, a, options); err != nil {
		return Plan{}, err
	}
	if a.port != 0 {
		p.Address = a.at(a.port)
	}
	p.asksAgent(req, f.first("jcmd"), a.port)
	return p, nil
}

// asksAgent has the plan's process ask the agent to listen before it stands for the program.
func (p *Plan) asksAgent(req Request, jcmd string, port int) {
	nonce, pid := req.nonce(), strconv.Itoa(req.Target.PID)
	p.Argv = []string{"/bin/sh", path.Join(req.Workspace, jdwpStartFile), pid, req.Target.Start, nonce, jcmd, strconv.Itoa(port)}
	p.Files = append(p.Files, File{Name: jdwpStartFile, Data: jdwpStart})
	p.Ready = Ready{Line: regexp.MustCompile(`^debugbroker ` + nonce + ` listens (?P<addr>\S+:\d{1,5})$`), Timeout: jcmdReady}
	for _, c := range [][2]string{
		{"taken", "the agent tries once only, so it was not asked: end what listens there"},
		{"deaf", "it may just be starting: try again"},
		{"mute", "its user must be the one that you log in as, or root; a program that is stopped does not answer"},
		{"silent", "a debugger may be connected to it; else what the program itself has printed says why, and the agent does not try again"},
	} {
		p.Failures = append(p.Failures, Failure{
			Match: regexp.MustCompile(`(?m)^debugbroker ` + nonce + ` ` + c[0] + ` (.*)$`), Code: Foreign, Message: "process " + pid + ": $1", Hint: c[1],
		})
	}
}

// reachable is the address for one of the agent's sockets.
func (a jdwpAgent) reachable(t Running, at string) (string, error) {
	host, port, _ := net.SplitHostPort(at)
	switch ip := net.ParseIP(host); {
	case ip.IsUnspecified():
		return net.JoinHostPort("127.0.0.1", port), nil
	case ip.IsLoopback():
		return at, nil
	}
	return "", &Error{Foreign, fmt.Sprintf("the debug agent of process %d listens on %s only, beyond loopback", t.PID, at), "start it with address=127.0.0.1:" + port}
}

// agentRefusal says why an agent is none for a session, or nil.
func agentRefusal(t Running, f facts, a jdwpAgent, ok bool) error {
	again := "start it with " + agentFlag
	switch {
	case !ok && f.first("agent") == "yes":
		hint := "name its port with --port"
		if len(t.Listening) > 0 {
			hint += "; it listens on " + strings.Join(t.Listening, ", ")
		}
		return &Error{Foreign, fmt.Sprintf("process %d has a debug agent whose options are neither on its command line nor in its environment", t.PID), hint}
	case !ok || f.first("agent") == "no":
		if major, err := strconv.Atoi(leadingDigits.FindString(f.first("version"))); err != nil || major >= 12 && major < 24 {
			again += "; with onjcmd=y behind it (Java 12 to 23) the agent listens only from when a session asks for it"
		}
		return &Error{Foreign, fmt.Sprintf("process %d was started without a debug agent, and a JVM cannot load one while it runs", t.PID), again}
	case a.transport != "dt_socket":
		return &Error{Foreign, fmt.Sprintf("the debug agent of process %d speaks over %q, not over TCP", t.PID, a.transport), again}
	case !a.server:
		return &Error{Foreign, fmt.Sprintf("the debug agent of process %d connects to a debugger at %s by itself (server=n)", t.PID, a.address), again}
	case a.timeout != "":
		return &Error{Foreign, fmt.Sprintf("the debug agent of process %d ends the program when no front end is there for %s ms (timeout=%s), also after one has left", t.PID, a.timeout, a.timeout),
			"start it without timeout=; --port takes it as it is"}
	}
	return nil
}

// silentRefusal says why an agent that does not listen cannot be asked to, or nil.
func silentRefusal(t Running, f facts, a jdwpAgent, options []string) error {
	several := a.candidates(t)
	switch {
	case f.first("connected") != "":
		by := f.first("client")
		if by == "" {
			by = "another user or another host"
		}
		return &Error{Foreign, fmt.Sprintf("process %d is already being debugged by %s", t.PID, by), "a debug agent takes one front end: end that one first"}
	case len(several) > 1:
		return &Error{Foreign, fmt.Sprintf("which of its sockets is that of the debug agent of process %d cannot be told", t.PID), "name it with --port: " + strings.Join(several, ", ")}
	case a.onjcmd && !a.private():
		return &Error{Foreign, fmt.Sprintf("the debug agent of process %d would listen on %s, beyond loopback, and could not be stopped again", t.PID, a.address),
			"start it with address=127.0.0.1:" + strconv.Itoa(a.port)}
	case a.onjcmd && slices.Contains(options, "-XX:+DisableAttachMechanism"):
		return &Error{Foreign, fmt.Sprintf("the debug agent of process %d waits for jcmd, which -XX:+DisableAttachMechanism keeps out", t.PID), "start it without one of the two"}
	case a.onjcmd && f.first("jcmd") == "":
		return &Error{Missing, fmt.Sprintf("the debug agent of process %d waits to be started by jcmd, which is not there", t.PID), "install the JDK of its Java there; --interpreter names a java beside which jcmd is"}
	case a.onjcmd:
		return nil
	case a.onEvent != "":
		return &Error{Foreign, fmt.Sprintf("the debug agent of process %d listens only after %s", t.PID, a.onEvent), "start it with " + agentFlag}
	}
	return &Error{Foreign, fmt.Sprintf("the debug agent of process %d does not listen: a debugger may be connected to it, or %s could not be had", t.PID, strconv.Quote(a.address)),
		"a debug agent takes one front end: end that one first"}
}
