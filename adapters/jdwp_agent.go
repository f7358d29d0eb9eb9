package adapters

import (
	"net"
	"slices"
	"strconv"
	"strings"
)

// jdwpAgent are the options with which a JVM's debug agent was started (OpenJDK 17, src/jdk.jdwp.agent/share/native/libjdwp/debugInit.c,
// parseOptions).
type jdwpAgent struct {
	transport string
	address   string
	host      string // of address, "" for a bare port
	port      int    // of address; 0 where the agent takes any, also one more after each front end
	server    bool
	onjcmd    bool
	onEvent   string // the exception that it waits for before it listens
	timeout   string // milliseconds after which a JVM that nobody connects to ends; "" for never
}

// findAgent reads the agent's options from those of a JVM. It has one agent or does not start.
func findAgent(options []string) (jdwpAgent, bool) {
	for _, o := range options {
		o = strings.Trim(o, `"'`)
		if text, ok := strings.CutPrefix(o, "-Xrunjdwp:"); ok {
			return parseAgent(text), true
		}
		if library, text, _ := strings.Cut(o, "="); library == "-agentlib:jdwp" || strings.HasPrefix(library, "-agentpath:") && strings.HasSuffix(library, "/libjdwp.so") {
			return parseAgent(text), true
		}
	}
	return jdwpAgent{}, false
}

func parseAgent(text string) jdwpAgent {
	a := jdwpAgent{}
	for option := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "transport":
			a.transport = value
		case "address":
			a.address = value
		case "server":
			a.server = value == "y"
		case "onjcmd":
			a.onjcmd = value == "y"
		case "onthrow":
			a.onEvent = value
		case "onuncaught":
			if value == "y" && a.onEvent == "" {
				a.onEvent = "uncaught exception"
			}
		case "timeout":
			if strings.Trim(value, "0") != "" {
				a.timeout = value
			}
		}
	}
	port := a.address
	if i := strings.LastIndex(a.address, ":"); i >= 0 {
		a.host, port = strings.Trim(a.address[:i], "[]"), a.address[i+1:]
	}
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		a.port = int(n)
	}
	return a
}

// private tells that the agent's address is on loopback. A bare port is, from JDK 9 on.
func (a jdwpAgent) private() bool {
	ip := net.ParseIP(a.host)
	return a.host == "" || a.host == "localhost" || ip != nil && ip.IsLoopback()
}

// at is where an agent listens that has taken its port, seen from its own host.
func (a jdwpAgent) at(port int) string {
	if ip := net.ParseIP(a.host); ip != nil && !ip.IsUnspecified() {
		return net.JoinHostPort(a.host, strconv.Itoa(port))
	}
	return loopback(port)
}

// candidates are those of a process's sockets that may be the agent's.
func (a jdwpAgent) candidates(r Running) []string {
	var private, others []string
	for _, at := range r.Listening {
		host, port, err := net.SplitHostPort(at)
		ip := net.ParseIP(host)
		n, bad := strconv.ParseUint(port, 10, 16)
		if err != nil || bad != nil || ip == nil || a.port != 0 && int(n) != a.port {
			continue
		}
		if ip.IsLoopback() {
			private = append(private, at)
		} else {
			others = append(others, at)
		}
	}
	if len(private) == 0 && (a.port != 0 || !a.private()) {
		return others
	}
	return private
}

// listening is where the agent listens among a process's sockets, "" where it does not or where that cannot be told.
func (a jdwpAgent) listening(r Running) string {
	found := a.candidates(r)
	if len(found) == 1 || len(found) > 1 && a.port != 0 {
		return found[0]
	}
	return ""
}

// javaValued are the launcher's options whose value is the next word (java --help, java -X).
var javaValued = []string{
	"-cp", "-classpath", "--class-path", "-p", "--module-path", "--upgrade-module-path", "--add-modules", "--add-opens", "--add-exports", "--add-reads",
	"--limit-modules", "--patch-module", "--enable-native-access", "--source",
}

// javaWords splits a java's command line into the JVM's options and what it runs: a class, a jar, a module or a source file. What stands
// behind that is the program's.
func javaWords(argv []string) (options []string, program string) {
	for i := 1; i < len(argv); i++ {
		switch word := argv[i]; {
		case slices.Contains(javaValued, word):
			i++
		case (word == "-jar" || word == "-m" || word == "--module") && i+1 < len(argv):
			return options, argv[i+1]
		case strings.HasPrefix(word, "--module="):
			return options, strings.TrimPrefix(word, "--module=")
		case strings.HasPrefix(word, "-"), strings.HasPrefix(word, "@"):
			options = append(options, word)
		default:
			return options, word
		}
	}
	return options, ""
}
