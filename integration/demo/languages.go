package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/debugbroker/debugbroker/integration/tools"
)

// language is one stop of the tour.
type language struct {
	name     string
	title    string
	server   string // in words
	required bool   // its tools come with Go
	prepare  func(context.Context, *house, narrator) (program, error)
	debug    func(ctx context.Context, n narrator, addr string, p program) error
}

func languages() []language {
	return []language{
		{name: "go", title: "Go, with Delve", server: "the program under Delve", required: true, prepare: prepareGo, debug: debugDAP},
		{name: "python", title: "Python, with debugpy", server: "the script under debugpy", prepare: preparePython, debug: debugDAP},
		{name: "node", title: "Node.js, with its inspector", server: "node with its inspector on", prepare: prepareNode, debug: debugCDP},
		{name: "java", title: "Java, with JDWP and jdb", server: "a JVM with its debug agent", prepare: prepareJava, debug: debugJdb},
	}
}

func prepareGo(ctx context.Context, h *house, n narrator) (program, error) {
	n.step("Building the program to debug, and the Delve that go.mod pins.")
	if err := h.build(ctx, "orders", "./integration/demo/program", "-gcflags=all=-N -l"); err != nil {
		return program{}, err
	}
	dlv, err := tools.Dlv(ctx)
	if err != nil {
		return program{}, err
	}
	at, err := findPlace(filepath.Join(h.root, "integration/demo/program/main.go"))
	return program{
		args:    []string{host + ":go", "--interpreter", dlv, "--", h.path("orders")},
		breakAt: at,
		attach:  map[string]any{"mode": "remote"},
	}, err
}

func preparePython(_ context.Context, h *house, _ narrator) (program, error) {
	python, err := tools.Python()
	if err != nil {
		return program{}, err
	}
	at, err := findPlace(h.program("python/ticker.py"))
	return program{args: []string{host + ":python", "--interpreter", python, "--", at.path}, breakAt: at}, err
}

func prepareNode(_ context.Context, h *house, _ narrator) (program, error) {
	node, err := tools.Node()
	if err != nil {
		return program{}, err
	}
	at, err := findPlace(h.program("node/ticker.js"))
	return program{args: []string{host + ":node", "--interpreter", node, "--", at.path}, breakAt: at}, err
}

func prepareJava(ctx context.Context, h *house, _ narrator) (program, error) {
	jdk, err := tools.Java()
	if err != nil {
		return program{}, err
	}
	at, err := findPlace(h.program("java/Ticker.java"))
	if err != nil {
		return program{}, err
	}
	classes := h.path("classes")
	if out, err := exec.CommandContext(ctx, jdk.Javac, "-g", "-d", classes, at.path).CombinedOutput(); err != nil {
		return program{}, fmt.Errorf("javac: %w\n%s", err, out)
	}
	return program{
		args:     []string{host + ":java", "--interpreter", jdk.Java, "--", "-cp", classes, "Ticker"},
		breakAt:  at,
		frontend: jdk.Jdb,
	}, nil
}

// program is the path of one of the programs that the tests debug too.
func (h *house) program(name string) string {
	return filepath.Join(h.root, "integration/testdata/programs", name)
}

// place is a line in a source file.
type place struct {
	path string
	line int // from 1
	text string
}

// findPlace finds the line that is marked BREAK.
func findPlace(path string) (place, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return place{}, err
	}
	for i, line := range bytes.Split(source, []byte("\n")) {
		if bytes.HasSuffix(line, []byte(" BREAK")) {
			return place{path, i + 1, string(bytes.TrimSpace(line))}, nil
		}
	}
	return place{}, fmt.Errorf("%s: no line ends with BREAK", path)
}
