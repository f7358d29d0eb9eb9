package sshconfig

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/debugbroker/debugbroker/integration/tools"
	"github.com/debugbroker/debugbroker/tunnel"
)

// corpusCase is a file of testdata/corpus: a configuration, the files that it includes, and the hosts to ask it for. Its header:
//
//	ask: HOST...         whom to resolve
//	needs: 9.4           the version of ssh from which on it can be held against ssh
//	refused: REASON      ssh does not take the file, and why the reader without ssh goes on
//	quiet: yes           ... without telling anything
//	dns: NAME KIND VALUE     what the name service knows: A, AAAA, CNAME (testdata/canonical)
//	fails: HOST...           who cannot be resolved with that
//	want: HOST USER@HOSTNAME:PORT   what the reader without ssh has to say, where there may be no ssh to hold it against
//
// $DIR in it is the directory that it is written to, $ME our name, $CR, $NUL and $BOM are these characters, and $MEGA is a megabyte.
type corpusCase struct {
	ask, fails     []string
	needs, refused string
	quiet          bool
	zone           zone
	want           map[string]string
	config         string // where it was written to
}

func loadCase(t testing.TB, path string) corpusCase {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	fill := strings.NewReplacer("$DIR", dir, "$ME", currentAccount().name, "$CR", "\r", "$NUL", "\x00", "$BOM", "\ufeff").Replace
	c := corpusCase{want: make(map[string]string), zone: make(zone), config: filepath.Join(dir, "config")}
	for line := range strings.Lines(string(archive.Comment)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch {
		case strings.HasPrefix(line, "#"):
		case key == "ask":
			c.ask = strings.Fields(value)
		case key == "needs":
			c.needs = value
		case key == "refused":
			c.refused = value
		case key == "quiet":
			c.quiet = true
		case key == "dns":
			c.zone.add(t, value)
		case key == "fails":
			c.fails = strings.Fields(value)
		case key == "want":
			host, way, _ := strings.Cut(fill(value), " ")
			c.want[host] = way
		default:
			t.Fatalf("%s: header %q", path, line)
		}
	}
	for _, file := range archive.Files {
		name := filepath.Join(dir, file.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(file.Data), "$MEGA", strings.Repeat("x", 1<<20))
		writeFile(t, name, fill(text))
	}
	if len(c.ask) == 0 || !exists(c.config) {
		t.Fatalf("%s: nothing to ask", path)
	}
	return c
}

// corpusEnv is what both are given.
func corpusEnv() []string {
	return append(os.Environ(), "SHELL=/bin/sh", "KEYS=/mnt/keys", "FOO=/run/foo.sock")
}

// TestCorpus holds the reader without ssh against `ssh -G`, over configurations as they are met and some that nobody should have.
func TestCorpus(t *testing.T) {
	ssh := tools.Need(t, tools.SSH)
	version := sshVersion(t, ssh)
	paths, err := filepath.Glob("testdata/corpus/*.txtar")
	if err != nil || len(paths) < 60 {
		t.Fatalf("%d configurations, %v", len(paths), err)
	}
	pair := newPair(t, ssh)
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			c := loadCase(t, path)
			for _, name := range c.ask {
				d, err := parseDestination(name)
				if err != nil {
					t.Fatal(err)
				}
				native, notes := pair.native(t, c.config, d, true)
				if way := c.want[name]; way != "" && way != brief(tunnel.NewTarget([]tunnel.Hop{native.hop})) {
					t.Errorf("%s: native %s, want %s", name, brief(tunnel.NewTarget([]tunnel.Hop{native.hop})), way)
				}
				if c.needs != "" && !newerOrSame(version, c.needs) {
					continue
				}
				theirs, err := pair.ssh(t.Context(), c.config, d)
				switch {
				case c.refused != "" && err == nil:
					t.Errorf("%s: ssh takes it", name)
				case c.refused != "":
					if (len(notes) > 0) == c.quiet {
						t.Errorf("%s: notes %q", name, notes)
					}
				case err != nil:
					t.Errorf("%s: ssh refuses: %v", name, err)
				default:
					diffReadings(t, name, native, theirs)
				}
			}
		})
	}
}

// reading is what one of the two makes of a configuration.
type reading struct {
	hop   tunnel.Hop
	jumps []string
}

// pair has the two readers, with the same defaults.
type pair struct {
	resolver *Resolver
	base     *baseline
	usual    map[string][]string
}

func newPair(t testing.TB, ssh string) *pair {
	t.Helper()
	r := NewResolver(Options{File: "none", SSH: ssh})
	base, err := r.baseline(t.Context(), corpusEnv())
	if err != nil {
		t.Fatal(err)
	}
	p := &pair{resolver: r, base: base, usual: make(map[string][]string)}
	for name := range usualAlgorithms() {
		p.usual[name] = base.values.list(name)
	}
	return p
}

// reporter is what a test and a rapid one have in common.
type reporter interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

func (p *pair) native(t reporter, file string, d destination, mayRun bool) (reading, []string) {
	t.Helper()
	found, err := p.reader(d, mayRun).evaluate(t.Context(), sources{file: file, home: p.resolver.user.home})
	if err != nil {
		t.Fatalf("native: %v", err)
	}
	if len(p.base.values["gssapiauthentication"]) == 0 {
		delete(found.values, "gssapiauthentication") // an ssh that is built without it passes over it
	}
	return p.read(t, found.values, d), found.notes
}

// reader is the reader without ssh for one destination.
func (p *pair) reader(d destination, mayRun bool) *native {
	env := corpusEnv()
	return &native{account: p.resolver.user, d: d, environ: env, env: environment(env), usual: p.usual, mayRun: mayRun, names: systemNames{}}
}

func (p *pair) ssh(ctx context.Context, file string, d destination) (reading, error) {
	values, err := p.resolver.run(ctx, file, d, corpusEnv())
	if err != nil {
		return reading{}, err
	}
	hop, jumps, err := makeHop(d, values, p.base, newExpander(p.resolver.user, d, values, corpusEnv()))
	return reading{hop, jumps}, err
}

func (p *pair) read(t reporter, values settings, d destination) reading {
	t.Helper()
	hop, jumps, err := makeHop(d, values, p.base, newExpander(p.resolver.user, d, values, corpusEnv()))
	if err != nil {
		t.Fatalf("native: %v", err)
	}
	return reading{hop, jumps}
}

// diffReadings tells where the two differ, but for the identities that are tried by default, which versions of ssh differ in.
func diffReadings(t reporter, name string, native, ssh reading) {
	t.Helper()
	if !slices.Equal(native.jumps, ssh.jumps) {
		t.Errorf("%s: ProxyJump: native %q, ssh %q", name, native.jumps, ssh.jumps)
	}
	isDefault := func(f string) bool { return strings.Contains(f, "/.ssh/id_") }
	for _, hop := range []*tunnel.Hop{&native.hop, &ssh.hop} {
		if !slices.ContainsFunc(hop.IdentityFiles, func(f string) bool { return !isDefault(f) }) {
			hop.IdentityFiles = slices.DeleteFunc(hop.IdentityFiles, isDefault)
		}
		slices.Sort(hop.Warnings)
	}
	a, b := reflect.ValueOf(native.hop), reflect.ValueOf(ssh.hop)
	for i := range a.NumField() {
		if x, y := fmt.Sprintf("%+v", a.Field(i)), fmt.Sprintf("%+v", b.Field(i)); x != y {
			t.Errorf("%s: %s:\nnative %s\nssh    %s", name, a.Type().Field(i).Name, x, y)
		}
	}
}

// sshVersion is what `ssh -V` says: 9.2.
func sshVersion(t testing.TB, ssh string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), ssh, "-V").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`OpenSSH_([0-9]+\.[0-9]+)`).FindSubmatch(out)
	if found == nil {
		t.Fatalf("ssh -V: %s", bytes.TrimSpace(out))
	}
	return string(found[1])
}

func newerOrSame(version, than string) bool {
	number := func(v string) int {
		major, minor, _ := strings.Cut(v, ".")
		a, _ := strconv.Atoi(major)
		b, _ := strconv.Atoi(minor)
		return a*1000 + b
	}
	return number(version) >= number(than)
}
