package ide

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
)

var update = flag.Bool("update", false, "write the golden files anew")

func ready(lang string) api.Session {
	return api.Session{
		ID: "k3f9x2", Host: "web1", Lang: lang, Phase: api.PhaseReady, Local: "127.0.0.1:41234",
		Map: []api.PathMap{{Local: "/home/ann/shop", Remote: "/srv/app"}, {Local: "/home/ann/my lib's", Remote: `/opt/"lib"`}},
	}
}

// TestGolden holds what each front end is told for each language, notes included, and that nothing else is offered.
func TestGolden(t *testing.T) {
	for _, lang := range []string{"python", "go", "node", "java"} {
		for _, name := range Names(lang) {
			path := filepath.Join("testdata", name+"_"+lang+".golden")
			c, err := Make(name, ready(lang))
			if err != nil {
				t.Fatal(err)
			}
			got := c.Text + "--- file: " + c.File + "\n--- where: " + c.Where + "\n"
			for _, n := range c.Notes {
				got += "--- note: " + n + "\n"
			}
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s: go test ./cmd/brokerctl/ide -update writes it anew\n%s\nwant:\n%s", path, got, want)
			}
		}
	}
	files, err := filepath.Glob("testdata/*.golden")
	if err != nil || len(files) != 24 {
		t.Errorf("%d golden files (%v)", len(files), err)
	}
}

func TestRefused(t *testing.T) {
	with := func(change func(*api.Session)) api.Session {
		s := ready("python")
		change(&s)
		return s
	}
	for _, tt := range []struct {
		name    string
		s       api.Session
		code    api.Code
		message string
		hint    string
	}{
		{"vim", ready("python"), api.CodeUsage, `unknown front end "vim"`, "known are: vscode, nvim, zed, jetbrains, emacs"},
		{"chrome", ready("python"), api.CodeUsage, "chrome cannot debug python", "for python there are: vscode, nvim, zed, jetbrains, emacs"},
		{"chrome", ready("java"), api.CodeUsage, "chrome cannot debug java", "for java there are: vscode, nvim, zed, jetbrains, emacs, cli"},
		{"cli", ready("python"), api.CodeUsage, "debugpy has no client for the terminal", "nvim"},
		{"vscode", with(func(s *api.Session) { s.Phase = api.PhaseClosed }), api.CodeNotReady, "session k3f9x2 is closed", "brokerctl list"},
		{"vscode", with(func(s *api.Session) { s.Phase = api.PhaseExpired }), api.CodeNotReady, "is expired", "brokerctl list"},
		{"vscode", with(func(s *api.Session) { s.Phase = api.PhaseOpening }), api.CodeNotReady, "is opening", "brokerctl show k3f9x2"},
		{"vscode", with(func(s *api.Session) { s.Local = "10.0.0.1:80" }), api.CodeInternal, "no local address", "brokerctl show"},
		{"vscode", with(func(s *api.Session) { s.Local = "" }), api.CodeInternal, "no local address", "brokerctl show"},
	} {
		_, err := Make(tt.name, tt.s)
		var e *api.Error
		if !errors.As(err, &e) || e.Code != tt.code || !strings.Contains(e.Message, tt.message) || !strings.Contains(e.Hint, tt.hint) {
			t.Errorf("%s, %s %s: %v, hint %q", tt.name, tt.s.Lang, tt.s.Phase, err, e.Hint)
		}
	}
}

// TestHostileText gives each front end a session whose every word wants out of its string.
func TestHostileText(t *testing.T) {
	evil := "/x\x1b]0;owned\a\u009b31m\u202e\"'\\\n]]]]><!--*/`$(touch /tmp/owned)"
	for _, lang := range []string{"python", "go", "node", "java"} {
		for _, name := range Names(lang) {
			s := ready(lang)
			s.Host = "h\"'\x1b[2J\n"
			s.Map = []api.PathMap{{Local: evil, Remote: evil}, {Local: "/a/${command:evil}", Remote: "/b"}, {Local: "/a", Remote: "/b/${env:SECRET}"}}
			c, err := Make(name, s)
			if err != nil {
				t.Fatal(err)
			}
			for what, text := range map[string]string{"text": strings.ReplaceAll(c.Text, "\n", ""), "name": c.Name, "file": c.File, "where": c.Where, "line": c.Line(), "notes": strings.Join(c.Notes, "")} {
				if printable(text) != text {
					t.Errorf("%s %s: %s: %q", name, lang, what, text)
				}
			}
			if strings.Count(c.File, "/") > 1 {
				t.Errorf("%s %s: file %q", name, lang, c.File)
			}
			if name != "emacs" && name != "cli" && (strings.Contains(c.Text, "SECRET") || strings.Contains(c.Text, "${command")) {
				t.Errorf("%s %s: a variable that the front end would replace:\n%s", name, lang, c.Text)
			}
		}
	}
}
