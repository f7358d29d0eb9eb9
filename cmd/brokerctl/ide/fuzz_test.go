package ide

import (
	"bytes"
	"slices"
	"testing"

	"github.com/tailscale/hujson"
)

// FuzzMerge: whatever the file, what comes out can be read, all entries but ours are as they were, byte for byte, ours says what it
// should, and a second run changes nothing.
func FuzzMerge(f *testing.F) {
	for _, s := range []string{
		"", "{}", "[]", " \n", "// c", "\ufeff{}", "{\"configurations\":[]}", "{\"configurations\":[{\"name\":\"a\"}, /* x */ ] // y\n}",
		"{\r\n\t\"configurations\": [\r\n\t\t{\"name\":\"debugbroker: web1:python\", \"justMyCode\": false,}, // mine\r\n\t],\r\n}",
		"[{\"label\":\"debugbroker: web1:python\"},1,\n]", "{\"configurations\":[{\"name\":\"debugbroker: web1:python\"},{\"name\":\"debugbroker: web1:python\"}]}",
		"{\"configurations\":[1]\n,}", "{\"a\":1//\n}", "[//\n]", "[1//\n,//x\n]",
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	code, task := conf(f, "vscode", "python"), conf(f, "zed", "python")
	f.Fuzz(func(t *testing.T, old []byte, isCode bool) {
		c := task
		if isCode {
			c = code
		}
		got, err := c.Merge(old)
		if err != nil {
			return
		}
		before, _, _ := entries(t, c, old)
		after, right, wrong := entries(t, c, got)
		if !slices.EqualFunc(before, after, bytes.Equal) {
			t.Errorf("other entries have changed: %q, now %q", before, after)
		}
		if right == 0 || wrong > 0 {
			t.Errorf("of our name %d entries say what they should, and %d do not: %q", right, wrong, got)
		}
		if again, err := c.Merge(got); err != nil || !bytes.Equal(again, got) {
			t.Errorf("%q gave %q, and a second run: %q, %v", old, got, again, err)
		}
	})
}

// entries are the entries of a file but ours, and how many of ours say what they should, and how many do not.
func entries(t *testing.T, c Config, text []byte) (others [][]byte, right, wrong int) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	root, err := hujson.Parse(text)
	if err != nil {
		return nil, 0, 0 // blanks and comments; what is merged has ours, and so is told apart
	}
	list, err := c.find(document{text: text}, &root)
	if err != nil {
		t.Fatal(err)
	}
	if list == nil {
		return nil, 0, 0
	}
	for _, e := range list.Value.(*hujson.Array).Elements {
		switch {
		case !c.isOurs(e):
			others = append(others, text[e.StartOffset:e.EndOffset])
		case c.equal(e):
			right++
		default:
			wrong++
		}
	}
	return others, right, wrong
}
