package sshconfig

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxNotes bounds what is told of lines that are left out.
const maxNotes = 20

// native evaluates a configuration as ssh does, for machines without ssh. Its values are in the form in which `ssh -G` prints them.
type native struct {
	account account
	d       destination
	environ []string
	env     map[string]string
	usual   map[string][]string // algorithms by the options' names, for + - and ^
	mayRun  bool                // Match exec
	names   nameService         // CanonicalizeHostname

	values    settings
	host      string // what Host is held against: what was asked for, or in the final pass what it has become
	final     bool
	wantFinal bool
	blocks    []block
	notes     []string
	refused   error // ssh would go no further, and for a reason that is no slip
	left      int   // lines left out that notes has no room for
}

// block is what applies at a place in a file.
type block struct {
	active bool
	never  bool // the file was included by a block that does not apply
}

// read is what stands in for `ssh -G` where there is no ssh.
func (r *Resolver) read(ctx context.Context, from sources, d destination, env []string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	n := &native{account: r.user, d: d, environ: env, env: environment(env), usual: usualAlgorithms(), mayRun: true, names: r.names}
	found, err := n.evaluate(ctx, from)
	if ctx.Err() != nil {
		err = late(ctx)
	}
	if err != nil {
		return answer{}, fmt.Errorf("without an ssh program: %w", err)
	}
	return found, nil
}

func (n *native) evaluate(ctx context.Context, from sources) (answer, error) {
	n.values, n.host = make(settings), n.d.host
	if n.d.user != "" {
		n.values["user"] = []string{n.d.user}
	}
	if n.d.port != 0 {
		n.values["port"] = []string{strconv.Itoa(n.d.port)}
	}
	if err := n.pass(ctx, from); err != nil {
		return answer{}, err
	}
	again, err := n.canonicalize(ctx)
	if err != nil {
		return answer{}, err
	}
	n.values["hostname"] = []string{strings.ReplaceAll(n.host, "%", "%%")} // it has no token any more
	if n.wantFinal || again {
		n.final = true
		if err := n.pass(ctx, from); err != nil {
			return answer{}, err
		}
	}
	n.finish()
	if n.left > 0 {
		n.notes = append(n.notes, fmt.Sprintf("%d more lines of the ssh configuration are left out", n.left))
	}
	return answer{values: n.values, notes: n.notes}, nil
}

// pass reads all files once.
func (n *native) pass(ctx context.Context, from sources) error {
	walkConfig(from, &walker{
		include: func(pattern string) string { return n.includePath(pattern) },
		enter: func() {
			outer := block{active: true}
			if len(n.blocks) > 0 {
				outer = n.blocks[len(n.blocks)-1]
			}
			n.blocks = append(n.blocks, block{active: outer.active, never: !outer.active})
		},
		leave: func() { n.blocks = n.blocks[:len(n.blocks)-1] },
		line: func(l configLine) {
			if ctx.Err() == nil {
				n.line(ctx, l)
			}
		},
		broken: func(err error) {
			if errors.Is(err, ErrPermissions) {
				n.refused = err
			}
			n.note("the ssh configuration is not read as it stands: " + err.Error())
		},
	})
	return errors.Join(ctx.Err(), n.refused)
}

func (n *native) line(ctx context.Context, l configLine) {
	here := &n.blocks[len(n.blocks)-1]
	switch l.keyword {
	case "host":
		here.active = l.bad == "" && !here.never && matchHost(n.host, l.args)
	case "match":
		if here.active = false; here.never || l.bad != "" {
			break
		}
		here.active, l.bad = n.match(ctx, l.args)
	default:
		// ssh takes a StreamLocalBindMask wherever it stands (readconf.c). Else a line that does not apply changes nothing.
		if !here.active && l.keyword != "streamlocalbindmask" {
			return
		}
		if l.bad == "" {
			l.bad = n.set(l)
		}
	}
	if l.bad != "" {
		n.note(fmt.Sprintf("%s line %d is left out: %s: %s", strconv.Quote(l.file), l.number, cut(l.keyword+" "+l.raw), l.bad))
	}
}

func (n *native) note(text string) {
	for _, known := range n.notes {
		if known == text { // the final pass reads all lines again
			return
		}
	}
	if len(n.notes) == maxNotes {
		n.left++
		return
	}
	n.notes = append(n.notes, text)
}

// cut makes a line fit for a message.
func cut(text string) string {
	const shown = 80
	more := ""
	if len(text) > shown {
		text, more = text[:shown], "…"
	}
	quoted := strconv.Quote(text)
	return quoted[1:len(quoted)-1] + more
}

// hostName is where the host is by what has been read so far.
func (n *native) hostName() string {
	name := n.values.get("hostname")
	if name == "" {
		return n.host
	}
	return strings.NewReplacer("%%", "%", "%h", n.host).Replace(name)
}

func (n *native) user() string {
	if user := n.values.get("user"); user != "" {
		return user
	}
	return n.account.name
}

// tokens expands by what has been read so far.
func (n *native) tokens() *expander {
	soFar := settings{"hostname": {n.hostName()}, "user": {n.user()}, "port": {"22"}, "proxyjump": n.values["proxyjump"]}
	if port := n.values.get("port"); port != "" {
		soFar["port"] = []string{port}
	}
	soFar["hostkeyalias"] = []string{n.hostName()}
	if alias := n.values.get("hostkeyalias"); alias != "" {
		soFar["hostkeyalias"] = []string{alias}
	}
	return newExpander(n.account, n.d, soFar, n.environ)
}

func (n *native) includePath(pattern string) string {
	if !strings.ContainsAny(pattern, "%$") {
		return pattern
	}
	x := n.tokens()
	return x.variables(x.percent(pattern))
}
