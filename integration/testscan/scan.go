package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

const module = "github.com/debugbroker/debugbroker"

// event is one line of `go test -json` (`go doc test2json`).
type event struct {
	Action     string
	Package    string
	ImportPath string // of build output
	Test       string
	Output     string
}

// test names a test: its package without the module's path, and its name.
type test struct{ pkg, name string }

func (t test) String() string { return t.pkg + " " + t.name }

func readMust(r io.Reader) ([]test, error) {
	var must []test
	in := bufio.NewScanner(r)
	for in.Scan() {
		fields := strings.Fields(in.Text())
		switch {
		case len(fields) == 0 || strings.HasPrefix(fields[0], "#"):
		case len(fields) == 2:
			must = append(must, test{fields[0], fields[1]})
		default:
			return nil, fmt.Errorf("must-run list: %q is not a package and a test", in.Text())
		}
	}
	if len(must) == 0 {
		return nil, errors.New("must-run list: it is empty")
	}
	return must, in.Err()
}

// tally is what became of the tests.
type tally struct {
	result map[test]string   // pass, fail or skip
	output map[test][]string // of a test whose result is not known yet, or of a package (name "")
	count  map[string]int
	failed bool // a package or a build
}

func scan(r io.Reader, w io.Writer, must []test) error {
	t := tally{result: map[test]string{}, output: map[test][]string{}, count: map[string]int{}}
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		var ev event
		switch {
		case len(line) == 0:
		case json.Unmarshal(line, &ev) != nil || ev.Action == "":
			w.Write(line) // not go test's: make, a compiler
		default:
			t.add(w, ev)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	var problems []string
	for _, m := range must {
		if p := t.missed(m); p != "" {
			problems = append(problems, p)
		}
	}
	for _, p := range problems {
		fmt.Fprintln(w, "must run, but", p)
	}
	fmt.Fprintf(w, "%d passed, %d failed, %d skipped\n", t.count["pass"], t.count["fail"], t.count["skip"])
	switch {
	case t.failed || t.count["fail"] > 0:
		return errors.New("tests failed")
	case len(problems) > 0:
		return errors.New("tests that must run did not")
	case t.count["pass"] == 0:
		return errors.New("no test passed: go test did not run")
	}
	return nil
}

func (t *tally) add(w io.Writer, ev event) {
	id := test{strings.TrimPrefix(strings.TrimPrefix(ev.Package, module), "/"), ev.Test}
	switch ev.Action {
	case "build-output":
		io.WriteString(w, ev.Output)
	case "build-fail":
		t.failed = true
	case "output":
		if ev.Test == "" {
			if ev.Output != "PASS\n" {
				io.WriteString(w, ev.Output) // "ok  package  1.2s", and what no test can be named for
			}
			return
		}
		t.output[id] = append(t.output[id], ev.Output)
	case "pass", "fail", "skip":
		if ev.Test == "" {
			t.failed = t.failed || ev.Action == "fail"
			t.flush(w, id.pkg)
			return
		}
		t.result[id] = ev.Action
		t.count[ev.Action]++
		if ev.Action == "pass" {
			delete(t.output, id)
		} else {
			t.print(w, id)
		}
	}
}

// flush prints the output of tests of pkg that never got a result: a panic or a timeout ended them.
func (t *tally) flush(w io.Writer, pkg string) {
	for id := range t.output {
		if id.pkg == pkg {
			t.print(w, id)
		}
	}
}

func (t *tally) print(w io.Writer, id test) {
	for _, line := range t.output[id] {
		io.WriteString(w, line)
	}
	delete(t.output, id)
}

// missed tells in words why a test that must run did not, or "".
func (t *tally) missed(m test) string {
	if t.result[m] == "" {
		return m.String() + " is missing"
	}
	for id, result := range t.result {
		if result == "skip" && id.pkg == m.pkg && (id.name == m.name || strings.HasPrefix(id.name, m.name+"/")) {
			return id.String() + " was skipped"
		}
	}
	return ""
}
