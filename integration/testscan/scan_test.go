package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func lines(events ...string) string { return strings.Join(events, "\n") + "\n" }

func TestScan(t *testing.T) {
	const (
		pkg    = `"Package":"github.com/debugbroker/debugbroker/a/b"`
		passed = `{"Action":"pass",` + pkg + `,"Test":"TestX"}`
		ok     = `{"Action":"output",` + pkg + `,"Output":"ok  a/b 1s\n"}`
	)
	tests := []struct {
		name, in string
		fails    bool
		want     []string // in the output
		not      []string
	}{
		{name: "passes", in: lines(`{"Action":"output",`+pkg+`,"Test":"TestX","Output":"quiet\n"}`, passed, ok),
			want: []string{"ok  a/b 1s\n", "1 passed, 0 failed, 0 skipped"}, not: []string{"quiet"}},
		{name: "missing", in: lines(`{"Action":"pass",` + pkg + `,"Test":"TestY"}`), fails: true, want: []string{"a/b TestX is missing"}},
		{name: "skipped", in: lines(`{"Action":"skip",` + pkg + `,"Test":"TestX"}`), fails: true, want: []string{"a/b TestX was skipped"}},
		{name: "subtest skipped", in: lines(`{"Action":"skip",`+pkg+`,"Test":"TestX/fish"}`, passed), fails: true, want: []string{"TestX/fish was skipped"}},
		{name: "failed", in: lines(passed, `{"Action":"output",`+pkg+`,"Test":"TestY","Output":"why\n"}`, `{"Action":"fail",`+pkg+`,"Test":"TestY"}`),
			fails: true, want: []string{"why", "1 passed, 1 failed"}},
		{name: "panicked", in: lines(passed, `{"Action":"output",`+pkg+`,"Test":"TestY","Output":"panic: no\n"}`, `{"Action":"fail",`+pkg+`}`),
			fails: true, want: []string{"panic: no"}},
		{name: "did not build", in: lines(passed, `{"ImportPath":"a/b","Action":"build-output","Output":"syntax error\n"}`, `{"ImportPath":"a/b","Action":"build-fail"}`),
			fails: true, want: []string{"syntax error"}},
		{name: "nothing ran", in: "make: *** [test] Error 1\n", fails: true, want: []string{"make: ***"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			err := scan(strings.NewReader(tt.in), &out, []test{{"a/b", "TestX"}})
			if (err != nil) != tt.fails {
				t.Errorf("error %v, want one: %v", err, tt.fails)
			}
			for _, w := range tt.want {
				if !strings.Contains(out.String(), w) {
					t.Errorf("%q is missing in:\n%s", w, &out)
				}
			}
			for _, n := range tt.not {
				if strings.Contains(out.String(), n) {
					t.Errorf("%q stands in:\n%s", n, &out)
				}
			}
		})
	}
}

func TestReadMust(t *testing.T) {
	got, err := readMust(strings.NewReader("# c\n\na/b TestX\n"))
	if err != nil || len(got) != 1 || got[0] != (test{"a/b", "TestX"}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "# only\n", "TestX\n", "a TestX more\n"} {
		if _, err := readMust(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// A name that no test has would be found missing only at the end of a whole run.
func TestMustRunNamesTests(t *testing.T) {
	list, err := os.Open("../mustrun.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	must, err := readMust(list)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[test]bool{}
	for _, m := range must {
		if seen[m] {
			t.Errorf("%s twice", m)
		}
		seen[m] = true
		files, err := filepath.Glob(filepath.Join("../..", m.pkg, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(files, func(file string) bool {
			source, err := os.ReadFile(file)
			return err == nil && bytes.Contains(source, []byte("\nfunc "+m.name+"(t *testing.T)"))
		}) {
			t.Errorf("%s: there is no such test", m)
		}
	}
}
