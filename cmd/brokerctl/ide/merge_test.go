package ide

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/debugbroker/debugbroker/broker/api"
)

func conf(t testing.TB, name, lang string, change ...func(*api.Session)) Config {
	t.Helper()
	s := ready(lang)
	s.Map = s.Map[:1]
	for _, f := range change {
		f(&s)
	}
	c, err := Make(name, s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestMerge holds files before and after: testdata/merge/FRONTEND_LANG_*.txtar. "crlf" and "bom" in a name do to both what they say.
func TestMerge(t *testing.T) {
	cases, err := filepath.Glob("testdata/merge/*.txtar")
	if err != nil || len(cases) < 10 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			name := filepath.Base(path)
			words := strings.Split(name, "_")
			c := conf(t, words[0], words[1])
			a, err := txtar.ParseFile(path)
			if err != nil || len(a.Files) == 0 {
				t.Fatal(err)
			}
			as := func(s string) string {
				if strings.Contains(name, "cut") { // no end of line at the end
					s = strings.TrimSuffix(s, "\n")
				}
				if strings.Contains(name, "crlf") {
					s = strings.ReplaceAll(s, "\n", "\r\n")
				}
				if strings.Contains(name, "bom") {
					s = "\ufeff" + s
				}
				return s
			}
			got, err := c.Merge([]byte(as(string(a.Files[0].Data))))
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				plain := strings.TrimPrefix(strings.ReplaceAll(string(got), "\r\n", "\n"), "\ufeff")
				if !strings.HasSuffix(plain, "\n") {
					plain += "\n"
				}
				a.Files = append(a.Files[:1], txtar.File{Name: "after", Data: []byte(plain)})
				if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want := as(string(a.Files[1].Data)); string(got) != want {
				t.Errorf("got:\n%q\nwant:\n%q", got, want)
			}
			if again, err := c.Merge(got); err != nil || string(again) != string(got) {
				t.Errorf("a second run changes it (%v):\n%s", err, again)
			}
		})
	}
}

func TestMergeRefuses(t *testing.T) {
	for _, tt := range []struct{ name, old, message string }{
		{"vscode", `{"configurations": [}`, ":1:21: invalid character '}'"},
		{"vscode", "{\n  \"version\": \"0.2.0\",\n  \"configurations\": [\n    {\"name\" \"x\"}\n  ]\n}\n", ":4:13: invalid character"},
		{"vscode", "{\n\t\"configurations\": {}\n}", `:2:20: "configurations" is no list`},
		{"vscode", `{"configurations": null}`, `:1:20: "configurations" is no list`},
		{"vscode", "\ufeff{\"configurations\": 1}", `:1:20: "configurations" is no list`},
		{"vscode", "// mine\n[]", ":2:1: it is no object"},
		{"vscode", "{} {}", ":1:4: invalid character"},
		{"vscode", "/* open", ":1:"},
		{"vscode", "\x00", ":1:1: invalid character"},
		{"vscode", strings.Repeat("[", maxFile+1), ": it has more than 1048576 bytes"},
		{"zed", `{}`, ":1:1: it is no list"},
		{"jetbrains", "<component>\n<configuration name=\"debugbroker: web1:python\">\n</component>", ":3:13: XML syntax error"},
		{"jetbrains", "<component><configuration name=\"mine\"/></component>", `another configuration, "mine"`},
		{"jetbrains", "<component/>", "no run configuration of ours"},
	} {
		got, err := conf(t, tt.name, "python").Merge([]byte(tt.old))
		var e *api.Error
		if !errors.As(err, &e) || got != nil || e.Code != api.CodeConfig || !strings.Contains(e.Message, tt.message) || e.Hint == "" {
			t.Errorf("%s %.60q: %q, %v", tt.name, tt.old, got, err)
		}
	}
}

// TestMergeDeep: the parser goes down with each bracket, and is not sent where its stack ends. What only looks like a bracket does not count.
func TestMergeDeep(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	c := conf(t, "vscode", "python")
	for _, old := range []string{
		`{"x":` + nested(maxDepth-1) + `}`, `{"x":"\"` + strings.Repeat("[", 2*maxDepth) + `"}`, "{ // " + strings.Repeat("[", 2*maxDepth) + "\n}",
		"{ /* \" " + strings.Repeat("[", 2*maxDepth) + "*/ }", `{"x": [` + strings.Repeat("[],", 2*maxDepth) + `]}`,
	} {
		if _, err := c.Merge([]byte(old)); err != nil {
			t.Errorf("%.40s: %v", old, err)
		}
	}
	for _, old := range []string{
		`{"x":` + nested(maxDepth) + `}`, strings.Repeat(`{"a":`, maxFile/8), strings.Repeat("[//\n", maxFile/8), strings.Repeat("[/**/", maxFile/8), strings.Repeat(`["\\",`, maxFile/8),
	} {
		if _, err := c.Merge([]byte(old)); err == nil || !strings.Contains(err.Error(), "brackets in each other") {
			t.Errorf("%.40s: %v", old, err)
		}
	}
}

// TestMergeSessions: the next session of the host and language takes the last one's place; others stand beside it.
func TestMergeSessions(t *testing.T) {
	var file []byte
	var err error
	for _, name := range []string{"vscode", "zed"} {
		file = nil
		for i, c := range []Config{
			conf(t, name, "python"), conf(t, name, "go"), conf(t, name, "python", func(s *api.Session) { s.Host = "db" }),
			conf(t, name, "python", func(s *api.Session) { s.Local, s.Map = "127.0.0.1:5000", nil }), conf(t, name, "node"), conf(t, name, "java"),
		} {
			if file, err = c.Merge(file); err != nil {
				t.Fatal(i, err)
			}
		}
		text := string(file)
		for what, n := range map[string]int{"debugbroker: web1:python": 1, "debugbroker: db:python": 1, "debugbroker: web1:go": 1, "debugbroker: web1:java": 1, "5000": 1, fmt.Sprint(41234): 4, "pathMappings": 1} {
			if got := strings.Count(text, what); got != n {
				t.Errorf("%s: %d times %q, want %d:\n%s", name, got, what, n, text)
			}
		}
	}
}
