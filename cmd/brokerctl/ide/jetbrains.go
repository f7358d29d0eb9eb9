package ide

import (
	"encoding/xml"
	"fmt"
	"regexp"
	"strings"
)

// jetbrains is a run configuration in a file of its own, which the IDEs read from a project's .run: PyCharm's "Attach to DAP" (2025.3 and
// later), GoLand's "Go Remote", WebStorm's "Attach to Node.js/Chrome", IntelliJ IDEA's "Remote JVM Debug". They replace $NAME$.
func jetbrains(s session) Config {
	maps, notes := s.mapsWithout("$")
	var attrs, body string
	option := func(name, value string) {
		body += fmt.Sprintf("    <option name=%s value=%s />\n", quoteXML(name), quoteXML(value))
	}
	switch s.lang {
	case "python":
		attrs = `type="PythonDapAttachConfiguration"`
		option("remoteAddress", s.addr())
		m, more := one(maps, notes)
		if notes = more; m != nil {
			option("localRoot", m.Local)
			option("remoteRoot", m.Remote)
		}
		notes = append(notes, "it needs PyCharm 2025.3 or later; older ones have no client for debugpy")
	case "go":
		attrs = fmt.Sprintf(`type="GoRemoteDebugConfigurationType" factoryName="Go Remote" host=%s port="%d"`, quoteXML(s.host), s.port)
		option("disconnectOption", "LEAVE") // the program runs on without the front end
		body += "    <disconnect value=\"LEAVE\" />\n"
	case "node":
		attrs = fmt.Sprintf(`type="ChromiumRemoteDebugType" factoryName="Chromium Remote" host=%s port="%d"`, quoteXML(s.host), s.port)
		for _, m := range maps {
			body += fmt.Sprintf("    <mapping local-file=%s url=%s />\n", quoteXML(m.Local), quoteXML("file://"+m.Remote))
		}
	default:
		attrs = `type="Remote"`
		for _, o := range [][2]string{{"USE_SOCKET_TRANSPORT", "true"}, {"SERVER_MODE", "false"}, {"SHMEM_ADDRESS", ""}, {"HOST", s.host}, {"PORT", fmt.Sprint(s.port)}, {"AUTO_RESTART", "false"}} {
			option(o[0], o[1])
		}
	}
	if s.lang == "go" || s.lang == "java" {
		notes = nil // they have no path mappings: the IDE finds sources by their package and name
	}
	text := fmt.Sprintf(`<component name="ProjectRunConfigurationManager">
  <configuration default="false" name=%s %s>
%s    <method v="2" />
  </configuration>
</component>
`, quoteXML(s.name()), attrs, body)
	file := ".run/" + strings.Trim(unsafeInFile.ReplaceAllString("debugbroker_"+strings.TrimPrefix(s.target, ":"), "_"), ".") + ".run.xml"
	return Config{
		Name: s.name(), File: file, Where: "save it as " + file + " in the project; the IDE lists it among its run configurations",
		Text: text, Notes: notes, shape: shape{file: file},
	}
}

var unsafeInFile = regexp.MustCompile(`[^A-Za-z0-9@._-]`)

// quoteXML is s as an attribute's value. XML has no way to say most control characters.
func quoteXML(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	_ = xml.EscapeText(&b, []byte(printable(s))) // a strings.Builder takes everything
	return b.String() + `"`
}
