package ide

import (
	"regexp"
	"strings"

	"github.com/debugbroker/debugbroker/broker/api"
)

// chrome is the address that Chrome's DevTools are to be told.
func chrome(s session) Config {
	return Config{
		Name:  s.name(),
		Where: "open chrome://inspect in Chrome, Configure…, add the address; the program appears below \"Remote Target\"",
		Text:  s.addr() + "\n",
		Value: object{{"address", s.addr()}, {"targets", "http://" + s.addr() + "/json/list"}},
	}
}

// cli is the command line of each language's own debugger.
func cli(s session) Config {
	c := Config{Name: s.name(), Where: "run it in a terminal"}
	var argv []string
	switch s.lang {
	case "go":
		argv = []string{"dlv", "connect", s.addr()}
		for _, m := range s.maps {
			if m.Local != m.Remote {
				c.Notes = append(c.Notes, "at the (dlv) prompt, for the sources here: config substitute-path "+dlvQuote(m.Remote)+" "+dlvQuote(m.Local))
			}
		}
	case "node":
		argv = []string{"node", "inspect", s.addr()}
	default:
		argv = jdb(s)
	}
	c.Text, c.Value = command(argv)+"\n", object{{"command", argv}}
	return c
}

// jdb looks for sources below the local directories; JDWP itself has no paths.
func jdb(s session) []string {
	argv := []string{"jdb", "-attach", s.addr()}
	if dirs := localDirs(s.maps); dirs != "" {
		argv = append(argv, "-sourcepath", dirs)
	}
	return argv
}

func localDirs(maps []api.PathMap) string {
	var dirs []string
	for _, m := range maps {
		if m.Local != "" && printable(m.Local) == m.Local && !strings.Contains(m.Local, ":") {
			dirs = append(dirs, m.Local)
		}
	}
	return strings.Join(dirs, ":")
}

// command is argv for a POSIX shell.
func command(argv []string) string {
	words := make([]string, len(argv))
	for i, w := range argv {
		if !bare.MatchString(w) {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		words[i] = w
	}
	return strings.Join(words, " ")
}

var bare = regexp.MustCompile(`^[A-Za-z0-9_./:@%+=,-]+$`)

// dlvQuote is a path as Delve's `config substitute-path` takes it.
func dlvQuote(s string) string {
	s = printable(s)
	if bare.MatchString(s) {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
