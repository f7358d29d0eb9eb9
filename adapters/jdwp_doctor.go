package adapters

import _ "embed"

// jdkParts tells what of a JDK is there.
//
//go:embed jdwp_doctor.sh
var jdkParts string

// Examine asks for java with its version, its debug agent and jcmd. It starts no JVM.
func (j jdwp) Examine(req Request) []Command {
	req.Mode, req.Program = Launch, []string{"-version"} // no file is meant
	req.Cwd, req.LocalCwd = "", ""
	return []Command{{Key: javaProbe, Script: j.Probe(req)[0].Script + jdkParts}}
}

func (jdwp) Findings(req Request) []Finding {
	f := parseFacts(req.Facts[javaProbe])
	java := f.first("java")
	if java == "" {
		return []Finding{failing("java", "install a JDK there, or name java with --interpreter or java.java in the configuration",
			"no java on the login shell's PATH, in $JAVA_HOME or in /usr/lib/jvm")}
	}
	version := f.first("version")
	if version == "" {
		version = "of a version that its release file does not tell"
	}
	list := []Finding{holds("java", "%s, %s", java, version)}
	if agent := f.first("agent"); agent != "" {
		list = append(list, holds("debug agent", "%s", agent))
	} else {
		list = append(list, failing("debug agent", "install a JDK, or a runtime with the module jdk.jdwp.agent", "this Java has no jdwp agent library"))
	}
	if jcmd := f.first("jcmd"); jcmd != "" {
		return append(list, holds("jcmd", "%s", jcmd))
	}
	return append(list, Finding{
		Check: "jcmd", OK: true, Detail: "not there",
		Hint: "needed only to attach to programs that were started with onjcmd=y: install the JDK",
	})
}
