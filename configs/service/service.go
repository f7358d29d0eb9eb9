package service

import (
	_ "embed"
	"fmt"
	"path/filepath"
	"strings"
	"text/template"
	"unicode"
	"unicode/utf8"
)

// Names of the service, to its manager and as a file.
const (
	Unit  = "debugbroker.service"
	Label = "com.github.debugbroker.brokerd"
	Agent = Label + ".plist"
)

// Manager is who runs services for a user.
type Manager string

// The managers that are known. Each name is also what brokerd --service takes.
const (
	Systemd Manager = "systemd"
	Launchd Manager = "launchd"
)

// Options say what is run. Paths are absolute.
type Options struct {
	Program     string   // brokerd
	StateDir    string   //
	Socket      string   //
	Config      string   // "": brokerd looks for it as usual
	SSHConfig   string   // as ssh -F, "none" too; "": the configuration's
	Environment []string // K=V, what brokerd must have besides
}

// File is one to be written.
type File struct {
	Name    string // without a directory
	Content []byte
}

var (
	//go:embed debugbroker.service.tmpl
	unitText string
	//go:embed agent.plist.tmpl
	agentText string
)

// Render makes the files of a service. The same Options always give the same bytes. What cannot stand in them, such as a line break in a
// path, is an error.
func Render(m Manager, o Options) ([]File, error) {
	if err := o.check(m); err != nil {
		return nil, err
	}
	name, text, data := Unit, unitText, o.unit()
	switch m {
	case Systemd:
	case Launchd:
		name, text, data = Agent, agentText, o.agent()
	default:
		return nil, fmt.Errorf("no service manager %q", m)
	}
	t, err := template.New(name).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("read the template of %s: %w", name, err)
	}
	var b strings.Builder
	if err := t.Execute(&b, data); err != nil {
		return nil, fmt.Errorf("fill in %s: %w", name, err)
	}
	return []File{{Name: name, Content: []byte(b.String())}}, nil
}

// check refuses what would change the meaning of a line, or which no manager takes: both read UTF-8 only.
func (o Options) check(m Manager) error {
	for what, path := range map[string]string{"program": o.Program, "state directory": o.StateDir, "socket": o.Socket} {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("the %s's path is not absolute: %q", what, path)
		}
	}
	for _, s := range append([]string{o.Program, o.StateDir, o.Socket, o.Config, o.SSHConfig}, o.Environment...) {
		if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
			return fmt.Errorf("%q holds a control character or is not UTF-8", s)
		}
	}
	if m == Systemd && strings.ContainsAny(o.Program, "\"'\\") {
		return fmt.Errorf("systemd starts no program with quotes or backslashes in its path: %s", o.Program) // string_is_safe in its source
	}
	for _, kv := range o.Environment {
		if name, _, ok := strings.Cut(kv, "="); !ok || name == "" {
			return fmt.Errorf("%q is no K=V", kv)
		}
	}
	return nil
}

// arguments are brokerd's. The directories are always named: a manager's environment is not the shell's, and the daemon must be where
// brokerctl looks for it.
func (o Options) arguments(m Manager) []string {
	args := []string{"--service", string(m), "--state-dir", o.StateDir, "--socket", o.Socket}
	if o.Config != "" {
		args = append(args, "--config", o.Config)
	}
	if o.SSHConfig != "" {
		args = append(args, "--ssh-config", o.SSHConfig)
	}
	return args
}
