package main

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/debugbroker/debugbroker/broker/api"
)

// target is HOST:LANG taken apart.
type target struct {
	host string // "" is this machine; without the brackets of an IPv6 address
	lang string // as CLI.md spells it
}

// maxHost bounds USER@HOST: a DNS name has at most 253 characters.
const maxHost = 512

// refused are the characters that no host has and that a shell or ssh's own ProxyCommand would take for something else
// (OpenSSH refuses the most of them in valid_hostname, since 9.6).
const refused = "'\"`$\\;&<>|(){}[]*?!#~/="

// parseTarget splits at the last colon. What it refuses can never be a host, whatever the ssh configuration says.
func parseTarget(s string) (target, error) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return target{}, &api.Error{Code: api.CodeUsage, Message: fmt.Sprintf("%q is no HOST:LANG: the language is missing", s), Hint: "for example " + example(s)}
	}
	host, lang := s[:i], s[i+1:]
	host, err := parseHost(host)
	if err != nil {
		return target{}, err
	}
	if lang, err = parseLang(lang); err != nil {
		return target{}, err
	}
	return target{host: host, lang: lang}, nil
}

func example(host string) string {
	if _, err := parseHost(host); err != nil {
		host = "web1"
	}
	return "brokerctl open " + host + ":python -- app.py"
}

func parseHost(s string) (string, error) {
	refuse := func(why string) (string, error) {
		return "", &api.Error{Code: api.CodeUsage, Message: fmt.Sprintf("%q is no host: %s", s, why), Hint: "HOST is a name or alias as `ssh HOST` takes it"}
	}
	user, host := "", s
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		user, host = s[:i+1], s[i+1:]
		if host == "" || user == "@" {
			return refuse("USER@HOST lacks one of the two")
		}
	}
	bracketed := strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") && len(host) > 2
	if bracketed {
		host = host[1 : len(host)-1]
	}
	switch {
	case len(s) > maxHost:
		return refuse("it is too long")
	case strings.HasPrefix(user, "-"), strings.HasPrefix(host, "-"):
		return refuse("it begins with '-'") // ssh would take it for an option
	case strings.ContainsRune(host, ':') && !bracketed:
		return refuse("an IPv6 address stands in brackets")
	case strings.ContainsRune(user, ':'):
		return refuse("a user name holds no ':'")
	case !utf8.ValidString(s):
		return refuse("it is not UTF-8")
	}
	for _, r := range user + host {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune(refused, r) {
			return refuse(fmt.Sprintf("it holds %q", r))
		}
	}
	return user + host, nil
}

// language is a language with the names that CLI.md gives it.
type language struct {
	name    string
	aliases []string
}

func languages() []language {
	return []language{
		{"python", []string{"py", "debugpy"}},
		{"go", []string{"golang", "dlv"}},
		{"node", []string{"js"}},
		{"java", []string{"jvm", "jdwp"}},
	}
}

func parseLang(s string) (string, error) {
	var known []string
	for _, l := range languages() {
		if s == l.name || slices.Contains(l.aliases, s) {
			return l.name, nil
		}
		known = append(known, l.name)
	}
	return "", &api.Error{Code: api.CodeUsage, Message: fmt.Sprintf("unknown language %q", s), Hint: "known are: " + strings.Join(known, ", ")}
}
