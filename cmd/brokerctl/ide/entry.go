package ide

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/tailscale/hujson"
)

// extra is a member that a user has added to our entry, as it stands in the file.
type extra struct{ key, value []byte }

// isOurs tells an entry of our name.
func (c Config) isOurs(e hujson.Value) bool {
	o, ok := e.Value.(*hujson.Object)
	if !ok {
		return false
	}
	v := lookUp(o, c.shape.name)
	if v == nil {
		return false
	}
	l, ok := v.Value.(hujson.Literal)
	return ok && l.Kind() == '"' && l.String() == c.Name
}

// equal tells whether an entry of ours says what we would write, and no more of what is ours to say.
func (c Config) equal(e hujson.Value) bool {
	o := e.Value.(*hujson.Object)
	for _, key := range c.shape.ours {
		if v := lookUp(o, key); v != nil && !c.entry.has(key) {
			return false
		}
	}
	for _, m := range c.entry {
		v := lookUp(o, m.key)
		if v == nil || !reflect.DeepEqual(meaning(v), meaningOf(encode(m.value))) {
			return false
		}
	}
	return true
}

func meaning(v *hujson.Value) any {
	v2 := v.Clone()
	v2.Standardize()
	return meaningOf(v2.Pack())
}

func meaningOf(text []byte) (v any) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil // a number beyond what Go reads: not what we write
	}
	return v
}

// added are the members of an entry that are not ours.
func (c Config) added(text []byte, e hujson.Value) (added []extra) {
	for _, m := range e.Value.(*hujson.Object).Members {
		if !slices.Contains(c.shape.ours, m.Name.Value.(hujson.Literal).String()) {
			added = append(added, extra{text[m.Name.StartOffset:m.Name.EndOffset], text[m.Value.StartOffset:m.Value.EndOffset]})
		}
	}
	return added
}

// render is our entry, in one line or in several with indent before each but the first.
func (c Config) render(st style, indent string, multi bool, added []extra) []byte {
	if !multi {
		b := encode(c.entry)
		for _, x := range added {
			b = slices.Concat(b[:len(b)-1], []byte(","), x.key, []byte(":"), x.value, []byte("}"))
		}
		return b
	}
	text := string(indented(encode(c.entry), indent, st.unit))
	text = strings.ReplaceAll(text, "\n", st.eol)
	end := st.eol + indent + "}"
	for _, x := range added {
		text = strings.TrimSuffix(text, end) + "," + st.eol + indent + st.unit + string(x.key) + ": " + string(x.value) + end
	}
	return []byte(text)
}
