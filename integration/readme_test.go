package integration_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/debugbroker/debugbroker/integration/brokertest"
	"github.com/debugbroker/debugbroker/integration/sshd"
	"github.com/debugbroker/debugbroker/integration/tools"
)

// readmeHome is the directory that README.md shows; the test's stands for it.
const readmeHome = "/home/ann/shop"

// TestReadmeIsTrue runs every console block of README.md, in order, over the real sshd, with the files that README.md shows, and
// compares what is printed. Ids, ports, pids, versions, times and the place of an interpreter may differ.
func TestReadmeIsTrue(t *testing.T) {
	t.Parallel()
	for _, missing := range []func() error{
		func() error { _, err := tools.Python(); return err },
		func() error { _, err := tools.Node(); return err },
		func() error { _, err := tools.Java(); return err },
	} {
		tools.Need(t, func() (struct{}, error) { return struct{}{}, missing() })
	}
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	// The first python3 of PATH may be one without debugpy: the hosts' order is not what is tested here.
	python, err := tools.Python()
	if err != nil {
		t.Fatal(err)
	}
	delve := filepath.Dir(tools.NeedDlv(t))
	path := strings.Join([]string{filepath.Dir(python), delve, os.Getenv("PATH")}, ":")
	w := newWorld(t, sshd.Options{Alias: "web1", Env: map[string]string{"PATH": path}})
	r := reader{t: t, b: w.Broker, dir: t.TempDir(), bound: map[string]string{}}
	for _, f := range readmeFiles(string(text)) {
		r.write(f[0], f[1])
	}
	commands := readmeCommands(string(text))
	if len(commands) < 10 {
		t.Fatalf("README.md has %d commands in console blocks", len(commands))
	}
	for _, c := range commands {
		r.run(c)
	}
}

// step is a command and what README.md says that it prints.
type step struct {
	command string
	prints  []string
}

var (
	consoleBlock = regexp.MustCompile("(?ms)^```console\n(.*?)^```$")
	fileBlock    = regexp.MustCompile("(?ms)^<!-- file: (\\S+) -->\n```\\w*\n(.*?)^```$")
)

func readmeCommands(text string) []step {
	var steps []step
	for _, block := range consoleBlock.FindAllStringSubmatch(text, -1) {
		for line := range strings.Lines(block[1]) {
			line = strings.TrimSuffix(line, "\n")
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				steps = append(steps, step{command: command})
			} else if len(steps) > 0 {
				last := &steps[len(steps)-1]
				last.prints = append(last.prints, line)
			}
		}
	}
	return steps
}

func readmeFiles(text string) (files [][2]string) {
	for _, m := range fileBlock.FindAllStringSubmatch(text, -1) {
		files = append(files, [2]string{m[1], m[2]})
	}
	return files
}

// reader does as README.md says. bound is what README.md's session ids are called this time.
type reader struct {
	t     *testing.T
	b     *brokertest.Broker
	dir   string
	bound map[string]string
}

func (r reader) write(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// run runs one command. What a program prints comes when it comes, so commands that only look are asked again.
func (r reader) run(s step) {
	r.t.Helper()
	looks := strings.HasPrefix(s.command, "brokerctl logs ") || strings.HasPrefix(s.command, "brokerctl list")
	deadline := time.Now().Add(20 * time.Second)
	for {
		got := r.output(s.command)
		different := r.compare(s.prints, got)
		if different == "" {
			return
		}
		if !looks || time.Now().After(deadline) {
			r.t.Fatalf("README.md, $ %s\n%s\nit printed:\n%s", s.command, different, strings.Join(got, "\n"))
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-r.t.Context().Done():
			r.t.Fatal(r.t.Context().Err())
		}
	}
}

// output is what a terminal would show, without the warnings that depend on the machine's accounts.
func (r reader) output(command string) []string {
	r.t.Helper()
	command = r.ids().ReplaceAllStringFunc(command, func(id string) string { return r.bound[id] })
	ctx, cancel := context.WithTimeout(r.t.Context(), 3*time.Minute)
	defer cancel()
	like := r.b.Command(ctx)
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Env = append(slices.Clone(like.Env), "PATH="+brokertest.Bin(r.t)+":"+os.Getenv("PATH"))
	cmd.Dir = r.dir
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if ee := new(exec.ExitError); err != nil && !errors.As(err, &ee) {
		r.t.Fatalf("$ %s: %v\n%s", command, err, out)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	return slices.DeleteFunc(lines, func(l string) bool { return l == "" || strings.HasPrefix(l, "warning: ") })
}

// compare tells where the two part, or "".
func (r reader) compare(want, got []string) string {
	for i, line := range want {
		if i >= len(got) {
			return "this line is missing: " + line
		}
		re, names := r.pattern(line)
		m := re.FindStringSubmatch(blanks(got[i]))
		if m == nil {
			return "this line: " + line + "\n      was: " + got[i]
		}
		for j, name := range names {
			r.bound[name] = m[j+1]
		}
	}
	if len(got) > len(want) {
		return "further line: " + got[len(want)]
	}
	return ""
}

// ids matches README.md's session ids that are known by now.
func (r reader) ids() *regexp.Regexp {
	known := slices.Sorted(maps.Keys(r.bound))
	return regexp.MustCompile(`\b(?:` + strings.Join(append(known, `\z.`), "|") + `)\b`) // \z. matches nothing
}

// pattern makes a line of README.md an expression, and tells the ids that it binds, one a group. What may differ is an id where it is
// told first, an address, a program of the system, a time with units, and any other number.
func (r reader) pattern(line string) (*regexp.Regexp, []string) {
	line = blanks(line)
	variable := regexp.MustCompile(`(\(session )([a-z2-9]{6})|` + r.ids().String() +
		`|127\.0\.0\.1:\d+|/usr/bin/(?:python3|node|java)|\b(?:\d+[hms])+\b|\d+`)
	var b strings.Builder
	var names []string
	literal := func(s string) {
		s = regexp.QuoteMeta(strings.ReplaceAll(s, readmeHome, r.dir))
		b.WriteString(strings.ReplaceAll(s, "…", ".*"))
	}
	b.WriteString("^")
	at := 0
	for _, m := range variable.FindAllStringSubmatchIndex(line, -1) {
		literal(line[at:m[0]])
		at = m[1]
		word := line[m[0]:m[1]]
		switch {
		case m[4] >= 0:
			literal(line[m[2]:m[3]])
			b.WriteString(`([a-z2-9]{6})`)
			names = append(names, line[m[4]:m[5]])
		case r.bound[word] != "":
			literal(r.bound[word])
		case strings.HasPrefix(word, "127."):
			b.WriteString(`127\.0\.0\.1:\d+`)
		case strings.HasPrefix(word, "/"):
			b.WriteString(`/\S+`)
		case strings.ContainsAny(word, "hms"):
			b.WriteString(`(?:\d+[hms])+`)
		default:
			b.WriteString(`\d+`)
		}
	}
	literal(line[at:])
	b.WriteString("$")
	return regexp.MustCompile(b.String()), names
}

// blanks makes columns that are aligned differently alike.
func blanks(line string) string { return strings.Join(strings.Fields(line), " ") }
