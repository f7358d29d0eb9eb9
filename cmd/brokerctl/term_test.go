package main

import (
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain, ümläut, 日本, 🐛":          "plain, ümläut, 日本, 🐛",
		"\x1b[31mred\x1b[0m":            "[31mred[0m",
		"\x1b]0;title\a":                "]0;title",
		"\u009b2J\u0090\x7f":            "2J",
		"a\u202eb\u2066c\u200fd\ufeffe": "abcde",
		"one\ntwo\r\nthree\tfour":       "one two  three four",
		"line\u2028paragraph\u2029end":  "line paragraph end",
		"\x9b31m":                       "\uFFFD31m",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, not %q", in, got, want)
		}
	}
	if got := cleanText("a\tb\r\nc\x1b[2J\rd\n"); got != "a\tb\nc[2Jd\n" {
		t.Errorf("cleanText: %q", got)
	}
}

func FuzzClean(f *testing.F) {
	f.Add(evil)
	f.Add("\xc2\x9b\x9b\xe2\x80\xae")
	f.Fuzz(func(t *testing.T, s string) {
		text := cleanText(s)
		if strings.Trim(clean(s), " ") != strings.Trim(clean(clean(s)), " ") {
			t.Errorf("clean is not stable for %q", s)
		}
		for _, out := range []string{clean(s), strings.NewReplacer("\n", "", "\t", "").Replace(text)} {
			if !utf8.ValidString(out) || strings.ContainsFunc(out, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
				t.Errorf("%q became %q", s, out)
			}
		}
	})
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		s     string
		width int
		want  string
	}{{"abc", 0, "abc"}, {"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"äöüß", 3, "äö…"}, {"ab", 1, "…"}} {
		if got := cut(c.s, c.width); got != c.want {
			t.Errorf("cut(%q, %d) = %q", c.s, c.width, got)
		}
	}
}

func TestPlainJSON(t *testing.T) {
	const text = "a\x1b[2J\u009b31m\x7f\u202e\u200d\U000E0041 日本\n\u2028<&>"
	a := &app{}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	a.stdout = newTerminal(w, func(string) string { return "" })
	if err := a.printJSON(map[string]string{text: text}); err != nil {
		t.Fatal(err)
	}
	w.Close()
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	line, ok := strings.CutSuffix(string(out), "\n")
	if !ok || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) || !strings.Contains(line, "日本") {
		t.Errorf("%q", out)
	}
	var back map[string]string
	if err := json.Unmarshal(out, &back); err != nil || back[text] != text {
		t.Errorf("%q, %v", back, err)
	}
}
