package adapters

import (
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

var nasty = []string{"", "a b", "it's", `back\slash\n`, "new\nline\n", "\n", "$HOME `id` $(id)", "ü✓", "-n", "*", "tab\there", "\xff\xfe", `'"'"'`}

// Words reach a shell as they are, and facts come back as they were.
func TestScriptRoundTrip(t *testing.T) {
	for _, sh := range shells(t) {
		t.Run(sh, func(t *testing.T) {
			var s strings.Builder
			s.WriteString(factFunction)
			for _, word := range nasty {
				s.WriteString("fact word " + quote(word) + "\n")
			}
			s.WriteString("words=" + quote(quoteAll(nasty...)) + "\neval \"set -- $words\"\nfor w; do fact again \"$w\"; done\n")
			out, err := exec.Command(sh, "-c", s.String()).Output()
			if err != nil {
				t.Fatal(err)
			}
			f := parseFacts(string(out))
			if !slices.Equal(f["word"], nasty) || !slices.Equal(f["again"], nasty) {
				t.Errorf("%q and %q, want %q", f["word"], f["again"], nasty)
			}
		})
	}
}

// records spells what a probe prints: each word is KEY=VALUE.
func records(words ...string) string { return "\x00" + strings.Join(words, "\x00\x00") + "\x00" }

func FuzzParseFacts(f *testing.F) {
	f.Add(records("a=b", "noise", "=", "a=c\nd") + "noise\n" + records("e="))
	f.Add("cwd=/x\r\n\x00=1")
	f.Fuzz(func(t *testing.T, answer string) {
		got := parseFacts(answer)
		size := 0
		for key, values := range got {
			if !envName.MatchString(key) || len(values) == 0 {
				t.Errorf("key %q with %d values", key, len(values))
			}
			for _, v := range values {
				size += len(key) + len(v)
			}
		}
		if size > len(answer) || size > maxFacts {
			t.Errorf("%d bytes out of %d", size, len(answer))
		}
		if again := parseFacts(answer); !maps.EqualFunc(got, again, slices.Equal) {
			t.Error("not the same twice")
		}
	})
}
