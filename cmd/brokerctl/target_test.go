package main

import (
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/debugbroker/debugbroker/broker/api"
)

func TestParseTarget(t *testing.T) {
	for in, want := range map[string]target{
		"web1:python":                    {"web1", "python"},
		":python":                        {"", "python"},
		"me@web1:py":                     {"me@web1", "python"},
		"me@corp@web1:debugpy":           {"me@corp@web1", "python"},
		"web-1.example.com:golang":       {"web-1.example.com", "go"},
		"10.0.0.1:dlv":                   {"10.0.0.1", "go"},
		"[::1]:js":                       {"::1", "node"},
		"[fe80::1%eth0]:node":            {"fe80::1%eth0", "node"},
		"me@[::1]:jvm":                   {"me@::1", "java"},
		"bücher.example:jdwp":            {"bücher.example", "java"},
		"under_score:java":               {"under_score", "java"},
		strings.Repeat("a", 253) + ":go": {strings.Repeat("a", 253), "go"},
	} {
		if got, err := parseTarget(in); err != nil || got != want {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
	for in, word := range map[string]string{
		"":                               "language is missing",
		"web1":                           "language is missing",
		"web1:":                          "unknown language",
		"web1:Python":                    "unknown language",
		"web1:cobol":                     "unknown language",
		"python:web1":                    "unknown language",
		"-oProxyCommand=x:go":            "begins with '-'",
		"-:go":                           "begins with '-'",
		"[-x]:go":                        "begins with '-'",
		"me@-oProxyCommand:go":           "begins with '-'",
		"-l@web1:go":                     "begins with '-'",
		"@web1:go":                       "lacks one",
		"me@:go":                         "lacks one",
		"::1:go":                         "in brackets",
		"web1:22:go":                     "in brackets",
		"[]:go":                          "it holds",
		"[::1:go":                        "in brackets",
		"a:b@web1:go":                    "no ':'",
		"we b:go":                        `it holds ' '`,
		"web1\n:go":                      `it holds '\n'`,
		"web1\x00:go":                    `it holds '\x00'`,
		"web1\u202e:go":                  "it holds",
		"web1\u00a0:go":                  "it holds",
		"web1\xff:go":                    "not UTF-8",
		"$(id):go":                       "it holds",
		"`id`:go":                        "it holds",
		"a;b:go":                         "it holds",
		"a|b:go":                         "it holds",
		"a'b:go":                         "it holds",
		`a\b:go`:                         "it holds",
		"ssh://web1:go":                  "in brackets",
		"../web1:go":                     "it holds",
		strings.Repeat("a", 600) + ":go": "too long",
	} {
		_, err := parseTarget(in)
		var e *api.Error
		if !errors.As(err, &e) || e.Code != api.CodeUsage || e.Hint == "" || !strings.Contains(e.Message, word) {
			t.Errorf("%q: %v, and not %q", in, err, word)
		}
	}
}

// FuzzParseTarget: whatever is let through is no option, no shell word of more than itself, and one line.
func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{"web1:python", "[::1]:go", ":java", "-oProxyCommand=x:python", "me@-x:go", "a b:go", "\x1b[2J:node", "[[::1]]:go", "::", "@:py"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseTarget(s)
		if err != nil {
			var e *api.Error
			if !errors.As(err, &e) || e.Code.Exit() != 2 || e.Hint == "" {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		host := got.host[strings.LastIndexByte(got.host, '@')+1:]
		if strings.HasPrefix(got.host, "-") || strings.HasPrefix(host, "-") || strings.ContainsAny(got.host, refused) {
			t.Errorf("%q: host %q", s, got.host)
		}
		if strings.ContainsFunc(got.host, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) || clean(got.host) != got.host {
			t.Errorf("%q: host %q", s, got.host)
		}
		if l, err := parseLang(got.lang); err != nil || l != got.lang {
			t.Errorf("%q: language %q", s, got.lang)
		}
	})
}
