package tunnel

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// AsRoot is as in Host. It is one and the same each time. Its Facts are root's.
func (h *shellHost) AsRoot() Host {
	if h.base != nil {
		return h
	}
	h.rootOnce.Do(func() {
		h.root = newShellHost(h.name, h.carrier, h.warnings, h.Release)
		h.root.command, h.root.base = rootCommand, h
	})
	return h.root
}

// sudoError says why there is no shell of root's. ended is how what was to be one ended, and noise what it printed as errors.
func sudoError(ended error, noise []byte) error {
	if errors.Is(ended, ErrLinkLost) {
		return fmt.Errorf("run sudo: %w", ended)
	}
	// Login scripts may have printed, too; sudo's own words begin with its name, but for those of the policy ("bob is not in the sudoers file").
	var said []string
	for line := range strings.Lines(string(noise)) {
		if strings.Contains(line, "sudo") || strings.HasPrefix(line, "Sorry") {
			said = append(said, line)
		}
	}
	if said == nil {
		said = []string{string(noise)}
	}
	text := cleanText(strings.Join(said, " "), maxErrorText)
	err := classified(ErrSudo, fmt.Errorf("run sudo: %w: %s", ended, text))
	// The shell's words for a command that it does not find; where it may not look into a directory of PATH, it is the latter.
	if strings.Contains(text, "sudo: not found") || strings.Contains(text, "sudo: Permission denied") {
		return hinted(err, "sudo is not installed there, or your user may not run it; log in as the process's user, or as root")
	}
	return err
}

// HandOver is as in Host, of either of the two: root does it. The socket must be in the workspace itself, where nobody but root can
// put another in its place meanwhile. Others may pass through the directory from then on, but neither list nor change it.
func (h *shellHost) HandOver(ctx context.Context, workspace, socket string) error {
	if err := h.handOver(ctx, workspace, socket); err != nil {
		return fmt.Errorf("hand over %s: %w", cleanText(socket, maxErrorText), err)
	}
	return nil
}

func (h *shellHost) handOver(ctx context.Context, workspace, socket string) error {
	if err := checkWorkspace(workspace); err != nil {
		return err
	}
	if path.Clean(socket) != socket || path.Dir(socket) != workspace {
		return errors.New("not in the workspace")
	}
	login := h
	if h.base != nil {
		login = h.base
	}
	facts, err := login.Facts(ctx)
	if err != nil {
		return err
	}
	root := h
	if facts.UID != 0 {
		root = login.AsRoot().(*shellHost)
	}
	var s script
	s.set("dbk_ws", workspace).set("dbk_socket", socket).set("dbk_uid", strconv.Itoa(facts.UID)).include("identity", "handover")
	res, err := root.runScript(ctx, &s, maxStatusLine)
	switch {
	case err != nil:
		return err
	case res.Code == 41:
		return errNotOurs
	case res.Code == 42:
		return errors.New("not a socket")
	case res.Code != 0:
		return fmt.Errorf("far side: %s", cleanText(string(res.Stderr), maxErrorText))
	}
	return nil
}
