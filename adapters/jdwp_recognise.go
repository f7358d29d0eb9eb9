package adapters

import (
	"path"
	"slices"
	"strings"
)

// javaTools are the JDK's programs, JVMs themselves, that look at other JVMs; by their classes they may run under a plain java.
var (
	javaTools    = []string{"jcmd", "jps", "jdb", "jstack", "jmap", "jinfo", "jstat", "jstatd", "jhsdb"}
	javaToolMain = []string{"sun.tools.", "sun.jvm.hotspot.", "com.sun.tools.example.debug.", "jdk.jcmd", "jdk.jdi", "jdk.hotspot.agent"}
)

// Recognise takes java itself, and programs that hold a JVM as a library.
func (jdwp) Recognise(r Running) (Found, bool) {
	name := javaName(r)
	if name != "java" && (!slices.Contains(r.Marks, "libjvm") || slices.Contains(javaTools, name)) {
		return Found{}, false
	}
	options, program := javaWords(r.Argv)
	for _, main := range javaToolMain {
		if strings.HasPrefix(program, main) {
			return Found{}, false
		}
	}
	if name != "java" {
		options = r.Argv // its own rules
	}
	a, ok := findAgent(options)
	if !ok || !a.server {
		return Found{}, true
	}
	return Found{Listening: a.listening(r)}, true
}

// javaName is what the executable is called.
func javaName(r Running) string {
	exe := r.Exe
	if exe == "" && len(r.Argv) > 0 { // another user's
		exe = r.Argv[0]
	}
	return path.Base(exe)
}

// targetOptions are the JVM options of a running process: those of its command line, and those that it takes from its environment, which
// the probe has read.
func targetOptions(r Running, environment []string) []string {
	options := r.Argv
	if javaName(r) == "java" {
		options, _ = javaWords(r.Argv)
	}
	options = slices.Clone(options)
	for _, value := range environment {
		options = append(options, strings.Fields(value)...)
	}
	return options
}
