package sshconfig

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/debugbroker/debugbroker/tunnel"
)

// zone is what a name service knows: of each name, in lower case and without the dot at its end, a record's kind and value.
type zone map[string]struct{ kind, value string }

// add takes a line "NAME KIND VALUE".
func (z zone) add(t testing.TB, line string) {
	words := strings.Fields(line)
	if len(words) != 3 {
		t.Fatalf("dns: %q", line)
	}
	z[lower(words[0])] = struct{ kind, value string }{words[1], words[2]}
}

// find follows a name to its address. names are those on the way, its own first.
func (z zone) find(name string) (names []string, kind, value string) {
	for len(names) < 8 {
		name = strings.TrimSuffix(name, ".")
		names = append(names, name)
		r := z[lower(name)]
		if r.kind != "CNAME" {
			return names, r.kind, r.value
		}
		name = r.value
	}
	return names, "", ""
}

func (z zone) lookup(_ context.Context, network, name string, alias bool) (string, error) {
	names, kind, _ := z.find(name)
	if kind == "" || kind == "A" && network == "ip6" || kind == "AAAA" && network == "ip4" {
		return "", fmt.Errorf("no such name %s", name)
	}
	if !alias {
		return name, nil
	}
	return names[len(names)-1] + ".", nil
}

// canonicalCases are the configurations that change names by what the name service says.
func canonicalCases(t testing.TB) map[string]corpusCase {
	t.Helper()
	paths, err := filepath.Glob("testdata/canonical/*.txtar")
	if err != nil || len(paths) < 10 {
		t.Fatalf("%d configurations, %v", len(paths), err)
	}
	cases := make(map[string]corpusCase)
	for _, path := range paths {
		cases[strings.TrimSuffix(filepath.Base(path), ".txtar")] = loadCase(t, path)
	}
	return cases
}

// TestCanonicalize: the names that ssh goes on with. TestCanonicalizeAsSSH holds the same against ssh.
func TestCanonicalize(t *testing.T) {
	for name, c := range canonicalCases(t) {
		t.Run(name, func(t *testing.T) {
			r := NewResolver(Options{File: c.config, SSH: "/nowhere/ssh"})
			r.names = c.zone
			for _, host := range c.ask {
				got, err := r.Resolve(t.Context(), host, corpusEnv())
				if err != nil {
					t.Errorf("%s: %v", host, err)
					continue
				}
				way := brief(tunnel.NewTarget([]tunnel.Hop{got.Last()}))
				if want := c.want[host]; want != "" && way != want {
					t.Errorf("%s is %s, want %s", host, way, want)
				}
				for _, w := range got.Warnings() {
					if strings.Contains(w, "anonical") {
						t.Errorf("%s: %s", host, w)
					}
				}
			}
			for _, host := range c.fails {
				if got, err := r.Resolve(t.Context(), host, corpusEnv()); !errors.Is(err, tunnel.ErrHostUnresolvable) {
					t.Errorf("%s is %s, %v", host, brief(got), err)
				}
			}
		})
	}
}

// silentNames never answers.
type silentNames struct{ asked int }

func (s *silentNames) lookup(ctx context.Context, _, _ string, _ bool) (string, error) {
	s.asked++
	<-ctx.Done()
	return "", ctx.Err()
}

// TestCanonicalizeIsBounded: a name service that says nothing holds nobody for ever, and is asked no more once the time is up.
func TestCanonicalizeIsBounded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	writeFile(t, file, "CanonicalizeHostname yes\nCanonicalDomains a.test b.test c.test\nCanonicalizePermittedCNAMEs *:*\n")
	synctest.Test(t, func(t *testing.T) {
		r := NewResolver(Options{File: file, SSH: "/nowhere/ssh"})
		names := &silentNames{}
		r.names = names
		began := time.Now()
		_, err := r.Resolve(t.Context(), "web1", corpusEnv())
		if took := time.Since(began); !errors.Is(err, tunnel.ErrHostUnresolvable) || took != askTimeout || names.asked != 1 || !strings.Contains(fmt.Sprint(err), "name server") {
			t.Errorf("asked %d times, %v after %s", names.asked, err, took)
		}
	})
}

// TestCanonicalizeMistakes: a line that ssh would not take is told, and left out.
func TestCanonicalizeMistakes(t *testing.T) {
	for _, line := range []string{
		"CanonicalDomains a..b", "CanonicalDomains -a", "CanonicalDomains a/b", "CanonicalDomains none a", "CanonicalDomains", "CanonicalizeMaxDots -1", "CanonicalizeMaxDots x",
		"CanonicalizePermittedCNAMEs a", "CanonicalizePermittedCNAMEs a:", "CanonicalizePermittedCNAMEs none a:b", "CanonicalizeHostname perhaps", "CanonicalizeFallbackLocal perhaps",
	} {
		file := filepath.Join(t.TempDir(), "config")
		writeFile(t, file, line+"\n")
		r := NewResolver(Options{File: file, SSH: "/nowhere/ssh"})
		r.names = zone{}
		got, err := r.Resolve(t.Context(), "web1", corpusEnv())
		if err != nil || len(got.Warnings()) == 0 || !strings.Contains(got.Warnings()[0], "is left out") {
			t.Errorf("%s: %v, %q", line, err, got.Warnings())
		}
	}
}
