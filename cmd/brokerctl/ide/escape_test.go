package ide

import (
	"encoding/json"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/integration/tools"
)

// words are what a hostile host may call a directory. None may end its string, wherever it is put.
func words() []string {
	return []string{
		`/a "b" 'c' \d\n`, "/x\x1b]0;owned\a\u009b31m\u202e", "/new\nline\r\ttab", "/`touch owned`$(touch owned)", `/]]}]==]--[[ ]]`, "/<!--&amp;--><x a='b'/>",
		"/ende\\", `/\"`, "/ünï 漢字 \U0001F600 \U000E0041", "/;; ) (error \"x\")", "/%s %d {0}", "/'\\''; touch owned; '",
	}
}

func run(t *testing.T, dir string, argv ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", argv, err, out)
	}
	return string(out)
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, who, out string) {
	t.Helper()
	var got []string
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%s: %v: %q", who, err, out)
	}
	for i, w := range words() {
		if i >= len(got) || got[i] != w {
			t.Errorf("%s reads %q, want %q", who, got, w)
			return
		}
	}
}

func TestLuaStrings(t *testing.T) {
	nvim, dir := tools.Need(t, tools.Nvim), t.TempDir()
	code := "local w = {}\n"
	for _, w := range words() {
		code += "table.insert(w, " + luaString(w) + ")\n"
	}
	write(t, dir, "x.lua", code+"io.stdout:write(vim.json.encode(w))\n")
	same(t, "Lua", run(t, dir, nvim, "--headless", "--clean", "-c", "luafile x.lua", "-c", "qa!"))
}

func TestLispStrings(t *testing.T) {
	emacs, dir := tools.Need(t, tools.Emacs), t.TempDir()
	code := "(princ (json-serialize (vector "
	for _, w := range words() {
		code += lispString(w) + " "
	}
	write(t, dir, "x.el", ";; -*- coding: utf-8 -*-\n(set-language-environment \"UTF-8\")\n"+code+")))\n")
	same(t, "Lisp", run(t, dir, emacs, "--batch", "-Q", "-l", "x.el"))
}

func TestJSONStrings(t *testing.T) { same(t, "JSON", string(encode(words()))) }

func TestShellWords(t *testing.T) {
	dir := t.TempDir()
	for _, w := range words() {
		out := run(t, dir, "/bin/sh", "-c", command([]string{"printf", "%s", w}))
		if out != w {
			t.Errorf("a shell reads %q, want %q", out, w)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it ran something: %v %v", left, err)
	}
}

func TestXMLStrings(t *testing.T) {
	for _, w := range words() {
		var x struct {
			A string `xml:"a,attr"`
		}
		if err := xml.Unmarshal([]byte("<x a="+quoteXML(w)+"/>"), &x); err != nil || x.A != printable(w) {
			t.Errorf("XML reads %q, %v, want %q", x.A, err, printable(w))
		}
	}
	if strings.ContainsAny(quoteXML("\x1b"), "\x1b") {
		t.Error("a control character in XML")
	}
}
