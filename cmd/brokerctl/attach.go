package main

import (
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
)

// opened is what open says of a session that is ready, clean.
func opened(t terminal, s api.Session) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s:%s is %s", t.paint(green, clean(s.Local)), clean(s.Host), clean(s.Lang), clean(string(s.Phase)))
	about := []string{"session " + s.ID}
	if s.Server != "" {
		about = append(about, s.Server)
	}
	if s.PID != nil {
		about = append(about, fmt.Sprintf("pid %d", *s.PID))
	}
	fmt.Fprintf(&b, " (%s)\n", clean(strings.Join(about, ", ")))
	for _, h := range hints(s) {
		fmt.Fprintf(&b, "  %-8s %s\n", h.frontEnd+":", clean(h.text))
	}
	for _, m := range s.Map {
		fmt.Fprintf(&b, "  %-8s %s\n", "paths:", clean(pathMap(s, m)))
	}
	until := ""
	if !s.Expires.IsZero() {
		until = fmt.Sprintf("   (closes by itself at %s)", s.Expires.Local().Format(time.DateTime))
	}
	fmt.Fprintf(&b, "  %-8s brokerctl close %s%s\n", "close:", clean(s.ID), until)
	return b.String()
}

// hint is how one front end attaches.
type hint struct{ frontEnd, text string }

// hints tells how to attach to s. The keys are those of each front end's own configuration; VS Code's are debugpy's
// pathMappings, vscode-go's substitutePath, and js-debug's localRoot and remoteRoot. JDWP has no paths.
func hints(s api.Session) []hint {
	host, portText, err := net.SplitHostPort(s.Local)
	port, perr := strconv.Atoi(portText)
	if err != nil || perr != nil {
		return nil
	}
	c := vscode{Name: hostName(s) + ":" + s.Lang, Request: "attach"}
	var others []hint
	switch s.Lang {
	case "python":
		c.Type = "debugpy"
		c.Connect = &endpoint{host, port}
		for _, m := range s.Map {
			c.PathMappings = append(c.PathMappings, roots{m.Local, m.Remote})
		}
	case "go":
		c.Type, c.Mode, c.DebugAdapter, c.Host, c.Port = "go", "remote", "dlv-dap", host, port
		for _, m := range s.Map {
			c.SubstitutePath = append(c.SubstitutePath, substitution{m.Local, m.Remote})
		}
		others = []hint{{"dlv", "dlv connect " + s.Local}}
	case "node":
		c.Type, c.Address, c.Port = "node", host, port
		if len(s.Map) > 0 {
			c.LocalRoot, c.RemoteRoot = s.Map[0].Local, s.Map[0].Remote
		}
		others = []hint{{"Chrome", "chrome://inspect, Configure, add " + s.Local}}
	case "java":
		c.Type, c.HostName, c.Port = "java", host, port
		others = []hint{{"jdb", "jdb -attach " + s.Local}}
	default:
		return nil
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(c) != nil {
		return others
	}
	return append(others, hint{"VS Code", strings.TrimSpace(b.String())})
}

// vscode is an entry of launch.json's "configurations", of any of the four languages.
type vscode struct {
	Name           string         `json:"name"`
	Type           string         `json:"type"`
	Request        string         `json:"request"`
	Mode           string         `json:"mode,omitempty"`
	DebugAdapter   string         `json:"debugAdapter,omitempty"`
	Connect        *endpoint      `json:"connect,omitempty"`
	Host           string         `json:"host,omitempty"`
	HostName       string         `json:"hostName,omitempty"`
	Address        string         `json:"address,omitempty"`
	Port           int            `json:"port,omitempty"`
	PathMappings   []roots        `json:"pathMappings,omitempty"`
	SubstitutePath []substitution `json:"substitutePath,omitempty"`
	LocalRoot      string         `json:"localRoot,omitempty"`
	RemoteRoot     string         `json:"remoteRoot,omitempty"`
}

type endpoint struct {
	Host string `json:"host"`
	Port int    `json:"port"`
}

type roots struct {
	Local  string `json:"localRoot"`
	Remote string `json:"remoteRoot"`
}

type substitution struct {
	From string `json:"from"`
	To   string `json:"to"`
}
