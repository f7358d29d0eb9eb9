package adapters

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// NewJDWP returns the adapter for the JVM's debug agent. Options and output: OpenJDK 17, src/jdk.jdwp.agent.
//
// The agent does by itself what Delve must be told: when its client goes, breakpoints go with it, the program is resumed, even one
// that was suspended from its start, and the agent listens again on the same port.
func NewJDWP() Adapter { return jdwp{} }

type jdwp struct{}

func (jdwp) Name() string       { return "java" }
func (jdwp) Aliases() []string  { return []string{"jvm", "jdwp"} }
func (jdwp) Protocol() Protocol { return JDWP }

func (jdwp) Check(req Request) error { return checkRequest(req, "java", "-jar app.jar") }

// javaProbe is the key of the JVM's probe.
const javaProbe = "java"

// Probe finds java, reads its version where the JDK keeps it (starting a JVM takes longer than the rest of open), and asks which
// ports listen: with port 0 the agent would take another one at each detach, so that one must be chosen for it.
func (jdwp) Probe(req Request) []Command {
	switch req.Mode {
	case Port:
		return []Command{{Key: javaProbe, Script: listenerScript(req.Port)}}
	case Attach:
		return []Command{{Key: javaProbe, Script: javaAttachProbe(req)}}
	}
	script := beginProbe(req, javaFile(req.Program)) + findTool(req) + "found=\nfind_tool java " + toolCandidates(req, "$JAVA_HOME/bin/java", "java")
	if req.Interpreter == "" {
		script += " || find_tool java /usr/lib/jvm/*/bin/java /usr/java/*/bin/java /Library/Java/JavaVirtualMachines/*/Contents/Home/bin/java"
	}
	script += `
if [ -n "$found" ]; then
	real=$(readlink -f "$found" 2>/dev/null) || real=$found
	release=${real%/bin/java}/release
	[ -r "$release" ] && fact version "$(sed -n 's/^JAVA_VERSION="\(.*\)"$/\1/p' "$release")"
fi
` + listeningPorts + `fact ports "$(listening_ports | tr '\n' ' ')"
` + programScript(javaFile(req.Program))
	return []Command{{Key: javaProbe, Script: script}}
}

// javaFile is the program's file where that is sure: the jar behind -jar, or a source file in the first place.
func javaFile(program []string) string {
	for i, arg := range program[:len(program)-1] {
		if arg == "-jar" {
			return program[i+1]
		}
		if !strings.HasPrefix(arg, "-") {
			break
		}
	}
	if strings.HasSuffix(program[0], ".java") && !strings.HasPrefix(program[0], "-") {
		return program[0]
	}
	return ""
}

func (j jdwp) Plan(req Request) (Plan, error) {
	f := parseFacts(req.Facts[javaProbe])
	if req.Mode == Attach {
		return j.attach(req, f)
	}
	plan := Plan{Server: "java", Protocol: JDWP, Network: "tcp", OneClient: true, Exposed: req.Host.OtherUsers > 0, ServerLine: javaServerLine}
	if req.Mode == Port {
		if f.first("listening") == "no" {
			return Plan{}, nothingListens(req.Port, "java -agentlib:jdwp=transport=dt_socket,server=y,suspend=n,address=127.0.0.1:"+strconv.Itoa(req.Port)+" App")
		}
		plan.Address = loopback(req.Port)
		return plan, nil
	}

	if err := cwdMissing(f); err != nil {
		return Plan{}, err
	}
	switch {
	case f.first("no_program") != "":
		return Plan{}, programMissing(javaFile(req.Program), f)
	case f.first("java") == "" && req.Interpreter != "":
		return Plan{}, &Error{Code: Missing, Message: fmt.Sprintf("no java at %s", req.Interpreter), Hint: "--interpreter names the java command on the host"}
	case f.first("java") == "":
		return Plan{}, &Error{Code: Missing, Message: "java is not installed on the host", Hint: "install a JDK there, or name java with --interpreter"}
	}
	suspend := "n"
	if req.Wait {
		suspend = "y"
	}
	plan.Address = loopback(freePort(req.Random, f.first("ports")))
	// An explicit loopback address: JDK 8 takes a bare port for all interfaces.
	plan.Argv = append([]string{f.first("java"), "-agentlib:jdwp=transport=dt_socket,server=y,suspend=" + suspend + ",address=" + plan.Address}, req.Program...)
	plan.Env, plan.Cwd, plan.Program = req.Env, f.first("cwd"), append([]string{f.first("java")}, req.Program...)
	plan.Ready = Ready{Line: javaReady, Timeout: 60 * time.Second}
	plan.Failures = javaFailures
	if !req.Wait {
		// A JVM announces before it looks for the main class.
		plan.Ready.Settle = 2 * settle
	}
	if v := strings.TrimSpace(f.first("version")); v != "" {
		plan.Server = path.Base(f.first("java")) + " " + v
	}
	return plan, nil
}

// Ports for the agent come from firstPort up to firstPort+portRange, above what services use.
const (
	firstPort = 20000
	portRange = 40000
)

// freePort picks a port by chance, and the next one as long as it listens already (the list is hexadecimal). It may be taken all
// the same by the time the agent binds it: the failure is retried.
func freePort(random uint32, listening string) int {
	taken := map[int]bool{}
	for _, word := range strings.Fields(listening) {
		if p, err := strconv.ParseUint(word, 16, 16); err == nil {
			taken[int(p)] = true
		}
	}
	first := int(random % portRange)
	for i := range portRange {
		if p := firstPort + (first+i)%portRange; !taken[p] {
			return p
		}
	}
	return firstPort + first
}

var (
	javaReady      = regexp.MustCompile(`^Listening for transport dt_socket at address: (?P<port>\d+)\s*$`)
	javaServerLine = regexp.MustCompile(`^(?:Listening for transport dt_socket at address: \d|Debugger failed to attach: |ERROR: transport error \d|ERROR: JDWP |JDWP exit error )`)
	javaFailures   = []Failure{
		{Match: regexp.MustCompile(`transport error 202: (.*)|Address already in use`), Code: Internal, Message: "the JVM's debug agent cannot listen: $1", Retry: true},
		{Match: regexp.MustCompile(`Could not find agent library jdwp`), Code: Missing, Message: "this Java has no debug agent (jdwp)", Hint: "install a JDK rather than a reduced runtime, or name another java with --interpreter"},
		{Match: regexp.MustCompile(`(?m)^Error: (Could not find or load main class .*)$`), Code: NotFound, Message: "$1", Hint: "-cp DIR says where classes are; relative directories start at the working directory"},
		{Match: regexp.MustCompile(`(?m)^Error: (Unable to access jarfile .*)$`), Code: NotFound, Message: "$1"},
		{Match: regexp.MustCompile(`(?m)^(Unrecognized (?:VM )?option.*)$`), Code: Usage, Message: "java: $1"},
		{Match: regexp.MustCompile(`java\.lang\.UnsupportedClassVersionError: (.*)`), Code: Died, Message: "the program needs a newer Java: $1"},
		{Match: regexp.MustCompile(`(?m)^(Exception in thread .*)$`), Code: Died, Message: "$1", Hint: "`brokerctl logs` has the rest"},
	}
)
