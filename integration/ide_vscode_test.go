package integration_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/integration/freeport"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
	"github.com/debugbroker/debugbroker/integration/vscode"
)

// vscodeLimit bounds a visit with VS Code, its start included.
const vscodeLimit = 4 * time.Minute

// TestVSCodeNode presses F5 in a real VS Code with the launch.json that brokerctl has written.
func TestVSCodeNode(t *testing.T) {
	t.Parallel()
	node, main, chromium := tools.Need(t, tools.Node), tools.Need(t, tools.VSCode), tools.Need(t, tools.Chromium)
	e := newElsewhere(t, "node/ticker.js", sshd.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*vscodeLimit)
	defer cancel()
	dir := t.TempDir()
	server, err := vscode.StartServer(ctx, node, main, filepath.Join(dir, "server"), append(os.Environ(), "HOME="+dir, "NODE_OPTIONS="))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	visit := func(t *testing.T, runsOn func()) {
		ctx, cancel := context.WithTimeout(ctx, vscodeLimit)
		defer cancel()
		w, err := vscode.Open(ctx, chromium, t.TempDir(), server, e.local, e.source(), e.line)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if err := debugInWindow(w, e.line, runsOn); err != nil {
			t.Fatalf("%v\nit shows: %s\nthe server's log:\n%s", err, w.Text(), server.Log())
		}
	}

	t.Run("launch", func(t *testing.T) {
		e := e.in(t)
		s := e.launch("node", []string{"--interpreter", node, "--ide", "vscode"}, "ticker.js")
		visit(t, func() { e.runsOn(s) })
		e.Close(s.ID)
	})
	t.Run("port", func(t *testing.T) {
		e := e.in(t)
		port := freeport.On127(t)
		h := startByHand(t, port, "tick", node, "--inspect=127.0.0.1:"+strconv.Itoa(port), filepath.Join(e.remote, e.file))
		s := e.port("node", port)
		if c := e.config(s, "vscode", "--write"); int(e.inFile(c, "configurations")["port"].(float64)) == port {
			t.Errorf("the host's port in a local file: %+v", c)
		}
		visit(t, h.runsOn)
		e.Close(s.ID)
		h.runsOn()
	})
}

// runsOn demands that the session's program prints on.
func (e elsewhere) runsOn(s api.Session) {
	e.t.Helper()
	awaitOutput(e.t, e.Broker, s.ID, outputSoFar(e.t, e.Broker, s.ID)+3, "tick")
}

// What VS Code's window shows, as JavaScript.
const (
	// windowShown: the source is there, and the keyboard is the editor's.
	windowShown = `document.querySelector('.monaco-editor .view-lines')?.innerText.includes('square') && document.activeElement?.closest('.monaco-editor')`
	// windowVerified is a breakpoint that the debugger has found the place of; unverified ones have other classes.
	windowVerified = `document.querySelector('.glyph-margin-widgets .codicon-debug-breakpoint')`
	// windowPaused: the line in the local copy is marked, and no other file has been opened for it.
	windowPaused    = `document.querySelector('.monaco-editor .debug-top-stack-frame-line') && document.querySelector('.debug-call-stack .stack-frame.label, .debug-call-stack .stack-frame')?.innerText.includes('tick') && document.querySelectorAll('.tabs-container .tab').length == 1`
	toolbar         = `[...document.querySelectorAll('.debug-toolbar')].some(b => b.offsetWidth > 0)` // it is hidden, and stays, when debugging is over
	windowDebugging = toolbar
	windowRunning   = toolbar + ` && !document.querySelector('.monaco-editor .debug-top-stack-frame-line')`
	windowLeft      = "!" + toolbar
)

// windowAt is the program standing at a line.
func windowAt(line int) string {
	return windowPaused + fmt.Sprintf(` && /\b%d:\d+/.test(document.querySelector('.debug-call-stack .stack-frame')?.innerText)`, line)
}

// debugInWindow stops at a breakpoint where the cursor is, at line, lets the program run on, and leaves it.
func debugInWindow(w *vscode.Window, line int, runsOn func()) error {
	if err := w.Await("the source", windowShown); err != nil {
		return err
	}
	// A key is lost on a window that is not done with its start.
	if err := w.Until("a breakpoint", windowVerified, w.Breakpoint); err != nil {
		return err
	}
	if err := w.Until("a debug session", windowDebugging, w.Debug); err != nil {
		return err
	}
	if err := w.Await("the program standing", windowPaused); err != nil {
		return err
	}
	// On a busy machine js-debug has been seen to stop the program where it happened to be, when it attached ("Paused on debugger statement").
	goOn := func() error { return nil }
	if err := w.Until("the program standing at the breakpoint", windowAt(line), func() error {
		defer func() { goOn = w.Debug }()
		return goOn()
	}); err != nil {
		return err
	}
	if err := w.Until("no breakpoint", "!("+windowVerified+")", w.Breakpoint); err != nil {
		return err
	}
	if err := w.Debug(); err != nil {
		return fmt.Errorf("continue: %w", err)
	}
	if err := w.Await("the program running", windowRunning); err != nil {
		return err
	}
	runsOn()
	if err := w.Stop(); err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	if err := w.Await("no debug session", windowLeft); err != nil {
		return err
	}
	runsOn()
	return nil
}
