package ide

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/tailscale/hujson"

	"github.com/debugbroker/debugbroker/broker/api"
)

const (
	// maxFile bounds a file that Merge reads, in bytes.
	maxFile = 1 << 20
	// maxDepth bounds how deep brackets may stand in each other: the parser goes down a call for each.
	maxDepth = 500
)

// shape is how a front end's file is laid out.
type shape struct {
	file, where string
	list        string // the member of the root object that has the list; "" where the root is the list
	name        string // the member of an entry by which it is known
	unit        string // indentation in a new file
	head        string // what stands before the list's member in a new file, one line
	ours        []string
}

func launchJSON() shape {
	return shape{
		file: ".vscode/launch.json", where: `put it into "configurations" of .vscode/launch.json (--write does that), then F5`,
		list: "configurations", name: "name", unit: "    ", head: `"version": "0.2.0",`, ours: attachKeys(),
	}
}

func debugJSON() shape {
	return shape{
		file: ".zed/debug.json", where: "put it into the list in .zed/debug.json (--write does that), then debugger: start",
		name: "label", unit: "  ", ours: attachKeys(),
	}
}

// attachKeys are all the members that we ever write. What else an entry of ours has, the user has added.
func attachKeys() []string {
	return []string{
		"name", "label", "type", "adapter", "request", "mode", "debugAdapter", "connect", "tcp_connection", "host", "hostName", "address", "port",
		"pathMappings", "substitutePath", "localRoot", "remoteRoot", "continueOnAttach", "autoAttachChildProcesses", "attachExistingChildren",
	}
}

// Merge gives the file with the configuration in it: in the place of the one of the same name, or behind the others. All else stays as it
// is, byte for byte; what a user has added to our entry is kept; a file that has it already is returned unchanged. old is nil where there
// is no file. A file that cannot be understood is an *api.Error whose message goes on
// where the file's name ends: ":LINE:COLUMN: …".
func (c Config) Merge(old []byte) ([]byte, error) {
	if len(old) > maxFile {
		return nil, broken(fmt.Sprintf(": it has more than %d bytes", maxFile))
	}
	if c.entry == nil {
		return c.mergeXML(old)
	}
	bom, text := []byte(nil), old
	if rest, ok := bytes.CutPrefix(old, []byte("\ufeff")); ok {
		bom, text = old[:len(old)-len(rest)], rest
	}
	merged, err := c.mergeJSON(text)
	if err != nil {
		return nil, err
	}
	return append(bytes.Clone(bom), merged...), nil
}

func (c Config) mergeJSON(text []byte) ([]byte, error) {
	if at := tooDeep(text); at >= 0 {
		return nil, broken(fmt.Sprintf(":%s: more than %d brackets in each other", document{text: text}.position(at), maxDepth))
	}
	// A file of blanks and comments is one that somebody has begun.
	if v, err := hujson.Parse(append(bytes.Clone(text), "\nnull"...)); err == nil && v.StartOffset == len(text)+1 {
		return c.begin(text), nil
	}
	root, err := hujson.Parse(text)
	if err != nil {
		var line, column int
		if _, scan := fmt.Sscanf(err.Error(), "hujson: line %d, column %d:", &line, &column); scan == nil && errors.Unwrap(err) != nil {
			return nil, broken(fmt.Sprintf(":%d:%d: %v", line, column, errors.Unwrap(err)))
		}
		return nil, broken(":1:1: " + err.Error())
	}
	d := document{text: text, style: styleOf(text, root, c.shape)}
	entries, err := c.find(d, &root)
	if err != nil {
		return nil, err
	}
	if entries == nil {
		return d.add(root, func(indent string, multi bool) []byte { return c.list(d.style, indent, multi) }), nil
	}
	known := false
	var edits []edit
	for _, e := range entries.Value.(*hujson.Array).Elements {
		if !c.isOurs(e) {
			continue
		}
		known = true
		if !c.equal(e) {
			edits = append(edits, edit{e.StartOffset, e.EndOffset, c.render(d.style, d.indentAt(e.StartOffset), d.lines(e.StartOffset, e.EndOffset), c.added(text, e))})
		}
	}
	if known {
		return d.apply(edits), nil
	}
	return d.add(*entries, func(indent string, multi bool) []byte { return c.render(d.style, indent, multi, nil) }), nil
}

// find gives the list of entries, or nil where the root object has none.
func (c Config) find(d document, root *hujson.Value) (*hujson.Value, error) {
	if c.shape.list == "" {
		if root.Value.Kind() != '[' {
			return nil, broken(":" + d.position(root.StartOffset) + ": it is no list of configurations")
		}
		return root, nil
	}
	o, ok := root.Value.(*hujson.Object)
	if !ok {
		return nil, broken(":" + d.position(root.StartOffset) + ": it is no object")
	}
	v := lookUp(o, c.shape.list)
	if v != nil && v.Value.Kind() != '[' {
		return nil, broken(fmt.Sprintf(":%s: %q is no list", d.position(v.StartOffset), c.shape.list))
	}
	return v, nil
}

// lookUp is the member of that name; of several the last counts, as for VS Code.
func lookUp(o *hujson.Object, name string) (found *hujson.Value) {
	for i := range o.Members {
		if l, ok := o.Members[i].Name.Value.(hujson.Literal); ok && l.String() == name {
			found = &o.Members[i].Value
		}
	}
	return found
}

// broken is a file that is not touched.
func broken(what string) error {
	return &api.Error{Code: api.CodeConfig, Message: what, Hint: "mend it, or paste what brokerctl ide prints without --write; the file is as it was"}
}

// begin is a new file, behind what was there.
func (c Config) begin(text []byte) []byte {
	st := style{eol: "\n", unit: c.shape.unit}
	if bytes.Contains(text, []byte("\r\n")) {
		st.eol = "\r\n"
	}
	if len(bytes.TrimSpace(text)) == 0 {
		text = nil
	} else if !bytes.HasSuffix(text, []byte("\n")) {
		text = append(bytes.Clone(text), st.eol...)
	}
	body := c.list(st, "", true)
	if c.shape.list != "" {
		inner := st.unit
		body = []byte("{" + st.eol + inner + c.shape.head + st.eol + inner + string(c.list(st, inner, true)) + st.eol + "}")
	}
	return append(append(bytes.Clone(text), body...), st.eol...)
}

// list is a list with our entry alone, with its name where it has one.
func (c Config) list(st style, indent string, multi bool) []byte {
	var b strings.Builder
	if c.shape.list != "" {
		fmt.Fprintf(&b, "%q:", c.shape.list)
		if multi {
			b.WriteByte(' ')
		}
	}
	if !multi {
		return []byte(b.String() + "[" + string(c.render(st, "", false, nil)) + "]")
	}
	inner := indent + st.unit
	return []byte(b.String() + "[" + st.eol + inner + string(c.render(st, inner, true, nil)) + st.eol + indent + "]")
}
