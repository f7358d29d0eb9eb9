package sshd

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/debugbroker/debugbroker/integration/sandbox"
)

// Mark is this server's value of sandbox.MarkVariable in the environment of every command that runs over it: what a test started is told
// apart by it from whatever else the machine runs.
func (s *Server) Mark() string { return filepath.Base(s.tempDir) }

// TempDir is the TMPDIR of every command that runs over this server: what is left behind there was left behind by the test.
func (s *Server) TempDir() string { return s.tempDir }

// Home is the HOME of every command: fresh, so that neither the developer's shell start-up files decide what a test sees, nor a debug
// server writes into the developer's home. Commands still start in the account's real home, since that is up to sshd.
func (s *Server) Home() string { return filepath.Join(s.dir, "home") }

// makeTempDir keeps the path short: sockets are made below it, and the system's limit for their paths is 104 bytes or little more.
func (s *Server) makeTempDir() {
	s.t.Helper()
	dir, err := os.MkdirTemp("/tmp", "bt-")
	if err != nil {
		s.t.Fatal(err)
	}
	s.tempDir = dir
	s.t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			s.t.Errorf("remove the server's temporary directory: %v", err)
		}
	})
}

// makeHome makes Home with a .profile that keeps PATH as it is: /etc/profile sets another one in login shells.
func (s *Server) makeHome() {
	s.t.Helper()
	if err := os.Mkdir(s.Home(), 0o700); err != nil {
		s.t.Fatal(err)
	}
	path := os.Getenv("PATH")
	if p, ok := s.opts.Env["PATH"]; ok {
		path = p
	}
	s.write("home/.profile", "PATH='"+path+"'; export PATH\n")
}

func (s *Server) environment() map[string]string {
	s.t.Helper()
	env := map[string]string{
		"HOME":               s.Home(),
		"PATH":               os.Getenv("PATH"),
		"TMPDIR":             s.tempDir,
		sandbox.MarkVariable: s.Mark(),
	}
	// With another HOME, Go would start with cold caches and without the settings of `go env -w`.
	out, err := exec.Command("go", "env", "-json", "GOCACHE", "GOMODCACHE", "GOPATH", "GOENV").Output()
	if err != nil {
		s.t.Fatalf("ask go for its caches: %v", err)
	}
	var caches map[string]string
	if err := json.Unmarshal(out, &caches); err != nil {
		s.t.Fatalf("ask go for its caches: %v", err)
	}
	maps.Copy(env, caches)
	maps.Copy(env, s.opts.Env)
	return env
}
