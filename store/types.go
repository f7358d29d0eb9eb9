package store

import (
	"encoding/json"
	"time"
)

// Session is what was asked for and what became of it.
type Session struct {
	ID      string     `json:"id"`
	Host    string     `json:"host"` // "" is this machine
	Lang    string     `json:"lang"`
	Mode    string     `json:"mode"`
	Phase   string     `json:"phase"` // as it was last written
	Local   string     `json:"local"` // 127.0.0.1:PORT
	Program []string   `json:"program,omitempty"`
	Cwd     string     `json:"cwd,omitempty"`
	Created time.Time  `json:"created"`
	Expires time.Time  `json:"expires"`
	Ended   *time.Time `json:"ended,omitempty"` // nil while it lives
	Reason  string     `json:"reason,omitempty"`
	// View is the session as the API showed it when it ended. The store does not look into it.
	View json.RawMessage `json:"view,omitempty"`
}

// Entry is one line of the clean-up ledger: something of ours that is, or may be, on a host. It is put before it is made there and
// deleted when it is known to be gone.
type Entry struct {
	ID        string    `json:"id"`
	Session   string    `json:"session"`
	Host      string    `json:"host"` // "" is this machine
	Workspace string    `json:"workspace"`
	Boot      string    `json:"boot,omitempty"` // the host's boot id when it was made; after another boot no process is left of it
	Root      bool      `json:"root,omitempty"` // it was made through sudo, and is removed through it
	Created   time.Time `json:"created"`
}

// Forward is a forward that was asked for by command. Those of the configuration and of the ssh configuration are asked for by these.
type Forward struct {
	Name     string    `json:"name"`
	Host     string    `json:"host"`
	Kind     string    `json:"kind"` // local, remote, socks
	Listen   Endpoint  `json:"listen"`
	Target   Endpoint  `json:"target"`
	SameUser bool      `json:"same_user,omitempty"` // connections of other local users are refused
	Created  time.Time `json:"created"`
}

// Endpoint is where a forward listens or leads to, as it was asked for: a unix socket's Path, or Host and Port.
type Endpoint struct {
	Host string `json:"host,omitempty"`
	Port int    `json:"port,omitempty"` // 0 asks for a free one
	Path string `json:"path,omitempty"`
}

// portRecord is the local port that a host and language, or a forward, had last.
type portRecord struct {
	Port int `json:"port"`
}

// schemaRecord says what the file is. Owner tells our file from another program's bbolt file.
type schemaRecord struct {
	Owner  string `json:"owner"`
	Schema int    `json:"schema"`
}

const (
	schemaOwner   = "debugbroker"
	schemaVersion = 2
)
