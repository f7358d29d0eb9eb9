package sshconfig

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// ErrBadName says that a host name is none that ssh would take: it looks like an option, or holds characters of a shell.
var ErrBadName = errors.New("not a host name")

const maxName = 255 // bytes; RFC 1035's limit for a name, and plenty for a user

// destination is what a person wrote for a host: [user@]host, or ssh://[user@]host[:port].
type destination struct {
	user string // "": the configuration's
	host string // an alias, name or address; IPv6 without brackets
	port int    // 0: the configuration's
}

func (d destination) String() string {
	s := d.host
	if d.user != "" {
		s = d.user + "@" + s
	}
	if d.port != 0 {
		s += ":" + strconv.Itoa(d.port)
	}
	return s
}

// CheckName refuses what ssh would not take for a host on its command line: ErrBadName.
func CheckName(name string) error {
	_, err := parseDestination(name)
	return err
}

// parseDestination reads what follows `ssh` on a command line.
func parseDestination(text string) (destination, error) {
	if strings.HasPrefix(text, "ssh://") {
		return parseURL(text)
	}
	d := destination{host: text}
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		d.user, d.host = text[:at], text[at+1:]
		if d.user == "" {
			return destination{}, badName(text)
		}
	}
	d.host = unbracket(d.host)
	return d, d.check(text)
}

// parseHop reads one entry of ProxyJump: [user@]host[:port] or ssh://…, IPv6 in brackets where a port follows.
func parseHop(text string) (destination, error) {
	if strings.HasPrefix(text, "ssh://") {
		return parseURL(text)
	}
	d, err := destination{host: text}, error(nil)
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		d.user, d.host = text[:at], text[at+1:]
	}
	colon := strings.LastIndexByte(d.host, ':')
	bracketed := strings.HasPrefix(d.host, "[")
	if colon >= 0 && (bracketed && d.host[colon-1] == ']' || !bracketed && strings.Count(d.host, ":") == 1) {
		if d.port, err = parsePort(d.host[colon+1:]); err != nil {
			return destination{}, badName(text)
		}
		d.host = d.host[:colon]
	}
	d.host = unbracket(d.host)
	return d, d.check(text)
}

func parseURL(text string) (destination, error) {
	u, err := url.Parse(text)
	if err != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return destination{}, badName(text)
	}
	d := destination{host: u.Hostname()}
	if u.User != nil {
		d.user = u.User.Username()
	}
	if u.Port() != "" {
		if d.port, err = parsePort(u.Port()); err != nil {
			return destination{}, badName(text)
		}
	}
	return d, d.check(text)
}

func parsePort(text string) (int, error) {
	port, err := strconv.ParseUint(text, 10, 16)
	if err == nil && port == 0 {
		err = strconv.ErrRange
	}
	return int(port), err
}

func unbracket(host string) string {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		if inner, ok := strings.CutSuffix(inner, "]"); ok && net.ParseIP(strings.SplitN(inner, "%", 2)[0]) != nil {
			return inner
		}
	}
	return host
}

// check holds host and user against the rules of ssh.c (valid_hostname, valid_ruser) and some more: ssh -G expands them into
// command lines.
func (d destination) check(text string) error {
	if d.host == "" || len(text) > maxName || strings.HasPrefix(d.host, "-") || strings.HasPrefix(d.user, "-") {
		return badName(text)
	}
	bad := func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune("'`\"$\\;&<>|(){}!*?#,/", r)
	}
	if strings.ContainsFunc(d.host, bad) || strings.ContainsAny(d.host, "[]@") {
		return badName(text)
	}
	badUser := func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune("'`\";&<>|(){}$", r)
	}
	if strings.ContainsFunc(d.user, badUser) || strings.HasSuffix(d.user, `\`) {
		return badName(text)
	}
	return nil
}

func badName(text string) error {
	const shown = 80
	if len(text) > shown {
		text = text[:shown] + "…"
	}
	return fmt.Errorf("%w: %q", ErrBadName, text)
}
