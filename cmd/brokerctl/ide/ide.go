package ide

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/debugbroker/debugbroker/broker/api"
)

// Config is one front end's configuration for one session.
type Config struct {
	For  string
	Name string // what it is called there; another session of the same host and language has the same name
	// File is where it belongs, relative to the project's directory, where Merge can put it there; "" where only the user can.
	File string
	// Where tells a person what to do with Text.
	Where string
	// Text is the configuration in the front end's own language: whole lines, without control characters.
	Text string
	// Value is what Text says, for --json: an object, or nil where Text is code.
	Value any
	// Notes tell what is left out or to be done by hand, one line each.
	Notes []string

	shape shape
	entry object
}

// frontEnd is a front end that we know, and how it is configured for each language.
type frontEnd struct {
	name  string
	langs []string
	// file tells whether Make gives a File.
	file bool
	make func(session) Config
}

// frontEnds are in the order in which people are told about them. What a language lacks has its reason in why.
func frontEnds() []frontEnd {
	all := []string{"python", "go", "node", "java"}
	return []frontEnd{
		{"vscode", all, true, vscode},
		{"nvim", all, false, nvim},
		{"zed", all, true, zed},
		{"jetbrains", all, true, jetbrains},
		{"emacs", all, false, emacs},
		{"chrome", []string{"node"}, false, chrome},
		{"cli", []string{"go", "node", "java"}, false, cli},
	}
}

// Names are the front ends' names, those that have lang where it is not "".
func Names(lang string) []string {
	var names []string
	for _, f := range frontEnds() {
		if lang == "" || slices.Contains(f.langs, lang) {
			names = append(names, f.name)
		}
	}
	return names
}

// Writable are the front ends with a file that Merge can write into.
func Writable() []string {
	var names []string
	for _, f := range frontEnds() {
		if f.file {
			names = append(names, f.name)
		}
	}
	return names
}

// Check refuses a name that is no front end, and a front end that cannot debug lang; the *api.Error names those that can. lang "" is any.
func Check(name, lang string) error {
	_, err := find(name, lang)
	return err
}

func find(name, lang string) (frontEnd, error) {
	for _, f := range frontEnds() {
		switch {
		case f.name != name:
		case lang != "" && !slices.Contains(f.langs, lang):
			return frontEnd{}, &api.Error{
				Code:    api.CodeUsage,
				Message: fmt.Sprintf("%s cannot debug %s: %s", name, lang, why(name)),
				Hint:    fmt.Sprintf("for %s there are: %s", lang, strings.Join(Names(lang), ", ")),
			}
		default:
			return f, nil
		}
	}
	return frontEnd{}, &api.Error{
		Code: api.CodeUsage, Message: fmt.Sprintf("unknown front end %q", name), Hint: "known are: " + strings.Join(Names(lang), ", "),
	}
}

// why is what a front end lacks.
func why(name string) string {
	switch name {
	case "chrome":
		return "Chrome's DevTools speak to JavaScript only"
	case "cli":
		return "debugpy has no client for the terminal"
	default:
		return "it has no debugger for it"
	}
}

// Make gives the configuration of the front end of that name for s, or an *api.Error.
func Make(name string, s api.Session) (Config, error) {
	f, err := find(name, s.Lang)
	if err != nil {
		return Config{}, err
	}
	if s.Phase != api.PhaseReady && s.Phase != api.PhaseAttached {
		e := &api.Error{Code: api.CodeNotReady, Message: fmt.Sprintf("session %s is %s: there is nothing to attach to", s.ID, s.Phase)}
		e.Hint = "brokerctl list shows the sessions that are ready"
		if s.Phase == api.PhaseOpening {
			e.Hint = "wait until it is ready: brokerctl show " + s.ID
		}
		return Config{}, e
	}
	// The daemon says where it listens; nothing but an address gets into a configuration.
	at, err := netip.ParseAddrPort(s.Local)
	if err != nil || !at.Addr().IsLoopback() || at.Port() == 0 {
		return Config{}, &api.Error{Code: api.CodeInternal, Message: fmt.Sprintf("session %s has no local address: %q", s.ID, s.Local), Hint: "brokerctl show " + s.ID}
	}
	c := f.make(session{lang: s.Lang, target: s.Host + ":" + s.Lang, host: at.Addr().String(), port: int(at.Port()), maps: s.Map})
	c.For = name
	return c, nil
}

// session is what configurations are made of.
type session struct {
	lang, target string // "web1:python", as the user types it
	host         string // 127.0.0.1
	port         int
	maps         []api.PathMap
}

func (s session) name() string { return "debugbroker: " + printable(s.target) }
func (s session) addr() string { return fmt.Sprintf("%s:%d", s.host, s.port) }

// mapsWithout are the path mappings in which no side holds any of what a front end would take for a variable, and a note for each other.
func (s session) mapsWithout(variables ...string) (maps []api.PathMap, notes []string) {
	for _, m := range s.maps {
		taken := slices.ContainsFunc(variables, func(v string) bool { return strings.Contains(m.Local+"\n"+m.Remote, v) })
		if taken || m.Local == "" || m.Remote == "" {
			notes = append(notes, fmt.Sprintf("left out the path mapping %s = %s: the front end would take a part of it for a variable", printable(m.Local), printable(m.Remote)))
			continue
		}
		maps = append(maps, m)
	}
	return maps, notes
}

// one is the first of the mappings, for front ends that have a single one, and a note about the others.
func one(maps []api.PathMap, notes []string) (*api.PathMap, []string) {
	if len(maps) == 0 {
		return nil, notes
	}
	if len(maps) > 1 {
		notes = append(notes, fmt.Sprintf("it takes one path mapping: %s = %s", printable(maps[0].Local), printable(maps[0].Remote)))
	}
	return &maps[0], notes
}
