package tunnel

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"unicode"
)

const (
	workspacePrefix = "dbk-"
	// maxSocketPath is what sun_path holds on the narrowest system (104 with its NUL on darwin, 108 on Linux).
	maxSocketPath = 103
	socketRoom    = "/dlv.sock" // the longest socket name that a workspace must have room for
	maxLeft       = 100         // entries that Reap tells
)

var (
	errWorkspace    = errors.New("not a workspace path")
	errPathTooLong  = errors.New("path too long for a unix socket")
	errNotOurs      = errors.New("not a directory of ours")
	errNotPermitted = os.ErrPermission
)

// NewWorkspaceName makes a name that nobody can foretell for a directory in Facts.TempDir.
func NewWorkspaceName() string {
	var b [10]byte
	rand.Read(b[:]) // never fails
	return workspacePrefix + hex.EncodeToString(b[:])
}

// checkWorkspace guards all that is made, trusted and removed with rm -rf: an absolute clean path to a name of ours.
func checkWorkspace(p string) error {
	base := path.Base(p)
	ok := path.IsAbs(p) && path.Clean(p) == p && strings.HasPrefix(base, workspacePrefix) && len(base) >= len(workspacePrefix)+16
	if !ok || strings.IndexFunc(p, unicode.IsControl) >= 0 {
		return fmt.Errorf("%w: %q", errWorkspace, p)
	}
	if len(p)+len(socketRoom) > maxSocketPath {
		return fmt.Errorf("%w: %s is %d bytes, at most %d", errPathTooLong, p, len(p), maxSocketPath-len(socketRoom))
	}
	return nil
}

// MakeWorkspace is as in Host. A directory, link or anything else of that name is an error, and is not touched.
func (h *shellHost) MakeWorkspace(ctx context.Context, p string) error {
	if err := checkWorkspace(p); err != nil {
		return fmt.Errorf("make workspace: %w", err)
	}
	var s script
	s.set("dbk_ws", p).include("identity").words(`mkdir -m 700 "$dbk_ws" && dbk_ours "$dbk_ws"`)
	res, err := h.runScript(ctx, &s, maxStdout)
	if err != nil {
		return fmt.Errorf("make workspace: %w", err)
	}
	if res.Code != 0 {
		return fmt.Errorf("make workspace: %s", cleanText(string(res.Stderr), maxErrorText))
	}
	return nil
}

// Adopt is as in Host. A process that leads its session takes the session along; of another the descendants.
func (h *shellHost) Adopt(ctx context.Context, workspace string, pid int, spare bool) (ProcessID, error) {
	if err := checkWorkspace(workspace); err != nil {
		return ProcessID{}, fmt.Errorf("adopt process: %w", err)
	}
	if pid <= 1 {
		return ProcessID{}, fmt.Errorf("adopt process %d: %w", pid, errNotPermitted)
	}
	role := "-"
	if spare {
		role = "spare"
	}
	var s script
	s.set("dbk_ws", workspace).set("dbk_pid", strconv.Itoa(pid)).set("dbk_role", role).include("identity", "adopt")
	res, err := h.runScript(ctx, &s, maxStdout)
	if err != nil {
		return ProcessID{}, fmt.Errorf("adopt process %d: %w", pid, err)
	}
	switch res.Code {
	case 0:
	case 41:
		return ProcessID{}, fmt.Errorf("adopt process %d: workspace %s: %w", pid, workspace, errNotOurs)
	case 42:
		return ProcessID{}, fmt.Errorf("adopt process %d: %w", pid, os.ErrProcessDone)
	case 43:
		return ProcessID{}, fmt.Errorf("adopt process %d: %w", pid, errNotPermitted)
	default:
		return ProcessID{}, fmt.Errorf("adopt process %d: %s", pid, cleanText(string(res.Stderr), maxErrorText))
	}
	id, ok := parseID(string(res.Stdout))
	if !ok {
		return ProcessID{}, fmt.Errorf("adopt process %d: unexpected answer", pid)
	}
	return id, nil
}

// Reap is as in Host. It takes at most some seven seconds at the far side: three after TERM, three after KILL. Where a gdb of ours is at
// work it is waited for before, for at most five seconds. While a process is
// left the directory stays with the records alone, so that Reap can be tried again. A directory of that name that is not ours is
// told and not touched.
func (h *shellHost) Reap(ctx context.Context, workspace string) ([]string, error) {
	if err := checkWorkspace(workspace); err != nil {
		return nil, fmt.Errorf("reap: %w", err)
	}
	var s script
	s.set("dbk_ws", workspace).include("identity", "reap").words("dbk_reap broker")
	res, err := h.runScript(ctx, &s, maxStdout)
	if err != nil {
		return nil, fmt.Errorf("reap %s: %w", workspace, err)
	}
	var left []string
	for line := range strings.Lines(string(res.Stdout)) {
		if line = cleanText(line, 200); line != "" {
			left = append(left, line)
		}
		if len(left) == maxLeft {
			left = append(left, "more")
			break
		}
	}
	return left, nil
}
