package service

import (
	"encoding/xml"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// agent is the data of the launchd template.
func (o Options) agent() any {
	type variable struct{ Name, Value string }
	var environment []variable
	for _, kv := range o.Environment {
		name, value, _ := strings.Cut(kv, "=")
		environment = append(environment, variable{escape(name), escape(value)})
	}
	arguments := []string{escape(o.Program)}
	for _, arg := range o.arguments(Launchd) {
		arguments = append(arguments, escape(arg))
	}
	return struct {
		Label       string
		Arguments   []string
		Environment []variable
		Stderr      string
	}{Label, arguments, environment, escape(filepath.Join(o.StateDir, "brokerd.stderr"))}
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder takes everything
	return b.String()
}

// agentSocket finds the socket among the arguments of an agent that Render made.
func agentSocket(content string) (string, bool) {
	var texts []string
	d := xml.NewDecoder(strings.NewReader(content))
	for {
		token, err := d.Token()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				return "", false
			}
			break
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "string" {
			var text string
			if d.DecodeElement(&text, &start) != nil {
				return "", false
			}
			texts = append(texts, text)
		}
	}
	if !slices.Contains(texts, Label) {
		return "", false
	}
	i := slices.Index(texts, "--socket")
	if i < 0 || i+1 >= len(texts) {
		return "", false
	}
	return texts[i+1], true
}

// Socket tells where the daemon of an installed service listens. It is false for a file that Render did not make.
func Socket(m Manager, content []byte) (socket string, ours bool) {
	switch m {
	case Systemd:
		return unitSocket(string(content))
	case Launchd:
		return agentSocket(string(content))
	default:
		return "", false
	}
}
