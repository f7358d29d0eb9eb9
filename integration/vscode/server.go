package vscode

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
)

// Server is the half of VS Code that has the files and runs the extensions, js-debug among them.
type Server struct {
	// URL is the window's address, without a folder.
	URL     string
	cmd     *exec.Cmd
	running sync.WaitGroup

	mu  sync.Mutex
	log strings.Builder
}

// listening is what the server prints once it does.
var listening = regexp.MustCompile(`Extension host agent listening on (\d+)`)

// StartServer starts main (server-main.js) under node, with everything that it writes below dir, and waits until it listens. env is its
// environment.
func StartServer(ctx context.Context, node, main, dir string, env []string) (*Server, error) {
	settings := filepath.Join(dir, "data", "User")
	if err := os.MkdirAll(settings, 0o700); err != nil {
		return nil, err
	}
	s := &Server{cmd: exec.Command(node, main,
		"--host", "127.0.0.1", "--port", "0", "--without-connection-token", "--accept-server-license-terms",
		"--server-data-dir", dir, "--extensions-dir", filepath.Join(dir, "extensions"),
		"--telemetry-level", "off", "--disable-workspace-trust")}
	s.cmd.Env = env
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.cmd.Stdout, s.cmd.Stderr = w, w
	err = s.cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("start the VS Code server: %w", err)
	}
	port := make(chan string, 1)
	s.running.Go(func() { s.read(r, port) })
	select {
	case p, ok := <-port:
		if !ok {
			s.Close()
			return nil, fmt.Errorf("the VS Code server ended:\n%s", s.Log())
		}
		s.URL = "http://127.0.0.1:" + p + "/"
		return s, nil
	case <-ctx.Done():
		s.Close()
		return nil, fmt.Errorf("the VS Code server does not listen: %w\n%s", ctx.Err(), s.Log())
	}
}

// read keeps the output and tells the port; port is closed at the end of the output.
func (s *Server) read(r io.ReadCloser, port chan<- string) {
	defer r.Close()
	defer close(port)
	for in := bufio.NewScanner(r); in.Scan(); {
		s.mu.Lock()
		fmt.Fprintln(&s.log, in.Text())
		s.mu.Unlock()
		if m := listening.FindStringSubmatch(in.Text()); m != nil {
			select {
			case port <- m[1]:
			default:
			}
		}
	}
}

// Log is what the server has printed.
func (s *Server) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// Close ends the server and its children.
func (s *Server) Close() {
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) // it keeps nothing that matters
	_ = s.cmd.Wait()
	s.running.Wait()
}

// address is the window on folder with file open and the cursor in line.
func (s *Server) address(folder, file string, line int) string {
	host := strings.TrimSuffix(strings.TrimPrefix(s.URL, "http://"), "/")
	payload := fmt.Sprintf(`[["gotoLineMode","true"],["openFile","vscode-remote://%s%s:%d:1"]]`, host, file, line)
	return s.URL + "?" + url.Values{"folder": {folder}, "payload": {payload}}.Encode()
}
