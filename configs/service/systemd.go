package service

import "strings"

// unit is the data of the systemd template.
func (o Options) unit() any {
	// systemd.service(5): %specifiers are expanded everywhere, $VARIABLES in arguments and not in the program's path.
	command := []string{quote(specifiers(o.Program))}
	for _, arg := range o.arguments(Systemd) {
		command = append(command, quote(strings.ReplaceAll(specifiers(arg), "$", "$$")))
	}
	var environment []string
	for _, kv := range o.Environment {
		environment = append(environment, quote(specifiers(kv)))
	}
	return struct {
		Command     string
		Environment []string
		Socket      string
	}{strings.Join(command, " "), environment, o.Socket}
}

func specifiers(s string) string { return strings.ReplaceAll(s, "%", "%%") }

// quote puts s in quotes where systemd would split it or take it for syntax; in them C escapes are undone. A ';' alone would end the
// command.
func quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-=:@+,%$", r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// section is ours: systemd passes over what begins with X-.
const section = "[X-Debugbroker]\nSocket="

// unitSocket finds the socket in a unit that Render made.
func unitSocket(content string) (string, bool) {
	_, rest, ok := strings.Cut(content, "\n"+section)
	socket, _, _ := strings.Cut(rest, "\n")
	return socket, ok && socket != ""
}
