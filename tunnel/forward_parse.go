package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrForwardSpec says that a text is no forward's specification. It comes as a *SpecError.
var ErrForwardSpec = errors.New("malformed forward")

// maxSpec bounds a specification: two paths, each of a unix socket's longest, with room for escapes.
const maxSpec = 1024

// SpecError points at what is wrong in the text of a forward.
type SpecError struct {
	Kind ForwardKind
	Text string // as given
	At   int    // which character of Text, from 1; one more than there are where the text ends too early
	Want string // what should stand there
}

func (e *SpecError) Error() string {
	return fmt.Sprintf("%s %q: at character %d: %s", e.Kind.letter(), e.Text, e.At, e.Want)
}

// Unwrap is ErrForwardSpec.
func (e *SpecError) Unwrap() error { return ErrForwardSpec }

// Caret is the text and, in a line below, a mark under the place.
func (e *SpecError) Caret() string {
	return e.Text + "\n" + strings.Repeat(" ", e.At-1) + "^"
}

// ParseForward reads a forward in ssh's syntax (readconf.c, parse_forward):
//
//	[bind:]port:host:port   [bind:]port:/path   /path:host:port   /path:/path
//
// and for ForwardSocks, and for ForwardRemote where clients there shall name the target, [bind:]port or /path alone. IPv6 addresses stand in
// brackets, a backslash takes the next character of a field as it is, and a port may be a service's name.
//
// It differs from ssh in this: port 0 is allowed everywhere a forward listens, an empty target host and a colon at the end are not, paths are
// absolute, and ${NAME} is nothing special. An empty bind address, which is written ":8080", is "*", as ssh takes it.
// Its error is a *SpecError.
func ParseForward(kind ForwardKind, text string) (ForwardSpec, error) {
	p := specParser{kind: kind, text: text}
	if err := p.split(); err != nil {
		return ForwardSpec{}, err
	}
	spec := ForwardSpec{Kind: kind}
	rest, err := p.listen(&spec.Listen)
	if err != nil {
		return ForwardSpec{}, err
	}
	if len(rest) == 0 && kind != ForwardLocal {
		return spec, nil
	}
	if kind == ForwardSocks {
		return ForwardSpec{}, p.wrong(rest[0].at, "expected the end: whoever connects names the target")
	}
	if spec.Target, err = p.target(rest); err != nil {
		return ForwardSpec{}, err
	}
	return spec, nil
}

// specField is what stands between two colons.
type specField struct {
	text   string // without brackets and escapes
	at     int    // where it begins, in bytes
	path   bool   // has a slash: it is a path
	quoted bool   // stood in brackets
}

type specParser struct {
	kind   ForwardKind
	text   string
	fields []specField
}

// wrong is an error at a place, which is given in bytes.
func (p *specParser) wrong(at int, format string, args ...any) error {
	return &SpecError{Kind: p.kind, Text: p.text, At: utf8.RuneCountInString(p.text[:at]) + 1, Want: fmt.Sprintf(format, args...)}
}

func (p *specParser) split() error {
	if len(p.text) > maxSpec {
		return fmt.Errorf("%w: %s of %d bytes, at most %d are taken", ErrForwardSpec, p.kind.letter(), len(p.text), maxSpec)
	}
	if !utf8.ValidString(p.text) {
		return fmt.Errorf("%w: %s %q is no text", ErrForwardSpec, p.kind.letter(), p.text)
	}
	for at, r := range p.text {
		if !unicode.IsPrint(r) {
			return p.wrong(at, "a control character")
		}
	}
	if p.text == "" {
		return p.wrong(0, "expected a port")
	}
	for at := 0; ; {
		field, end, err := p.field(at)
		if err != nil {
			return err
		}
		if len(p.fields) == 4 {
			return p.wrong(at, "expected the end: bind:port:host:port is all there is, and an IPv6 address stands in [brackets]")
		}
		p.fields = append(p.fields, field)
		if end == len(p.text) {
			return nil
		}
		at = end + 1
	}
}

// field reads one field and returns where it ends: at a colon, or at the end of the text.
func (p *specParser) field(at int) (specField, int, error) {
	f := specField{at: at}
	if strings.HasPrefix(p.text[at:], "[") {
		n := strings.IndexAny(p.text[at:], "]/")
		if n < 0 || p.text[at+n] != ']' {
			return f, 0, p.wrong(at, "the bracket is not closed")
		}
		end := at + n + 1
		if end < len(p.text) && p.text[end] != ':' {
			return f, 0, p.wrong(end, "expected a colon after the bracket")
		}
		f.text, f.quoted = p.text[at+1:end-1], true
		return f, end, nil
	}
	var text strings.Builder
	for i := at; i < len(p.text); i++ {
		switch p.text[i] {
		case ':':
			f.text = text.String()
			return f, i, nil
		case '\\':
			if i++; i == len(p.text) {
				return f, 0, p.wrong(i, "expected a character after the backslash")
			}
		case '/':
			f.path = true
		}
		text.WriteByte(p.text[i])
	}
	f.text = text.String()
	return f, len(p.text), nil
}

// listen reads where the forward listens and returns the fields behind that.
func (p *specParser) listen(e *Endpoint) (rest []specField, err error) {
	f := p.fields
	if f[0].path {
		e.Path, err = p.path(f[0])
		return f[1:], err
	}
	// A bind address is there where one field more is than a target has: two for host:port, one for a path, none for SOCKS.
	bind := false
	switch len(f) {
	case 4:
		bind = true
	case 3:
		bind = f[2].path || p.kind == ForwardSocks
	case 2:
		bind = !f[1].path && p.kind != ForwardLocal
	}
	if bind {
		if f[0].text != "" && f[0].text != "*" {
			e.Host, err = p.host(f[0])
		} else {
			e.Host = "*"
		}
		if err != nil {
			return nil, err
		}
		f = f[1:]
	}
	e.Port, err = p.port(f[0], 0)
	return f[1:], err
}

func (p *specParser) target(f []specField) (e Endpoint, err error) {
	switch {
	case len(f) == 0:
		return e, p.wrong(len(p.text), "expected :host:port or :/path, the target")
	case f[0].path:
		if len(f) > 1 {
			return e, p.wrong(f[1].at, "expected the end after the target's path")
		}
		e.Path, err = p.path(f[0])
		return e, err
	case len(f) == 1:
		return e, p.wrong(len(p.text), "expected :port after the target's host")
	case len(f) > 2:
		return e, p.wrong(f[2].at, "expected the end after the target's port")
	}
	if e.Host, err = p.host(f[0]); err != nil {
		return e, err
	}
	e.Port, err = p.port(f[1], 1)
	return e, err
}

func (p *specParser) path(f specField) (string, error) {
	if !strings.HasPrefix(f.text, "/") {
		return "", p.wrong(f.at, "a socket's path begins with /")
	}
	return f.text, nil
}

// host takes a name or an address. What else the characters are is the resolver's business.
func (p *specParser) host(f specField) (string, error) {
	switch {
	case f.text == "":
		return "", p.wrong(f.at, "expected a host")
	case len(f.text) > 255:
		return "", p.wrong(f.at, "a host name has at most 255 bytes")
	case strings.Contains(f.text, ":") && !f.quoted:
		return "", p.wrong(f.at, "an IPv6 address stands in [brackets]")
	case f.text == "*":
		return "", p.wrong(f.at, "* is no host to connect to")
	}
	bad := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.:%", r)
	}
	if i := strings.IndexFunc(f.text, bad); i >= 0 {
		return "", p.wrong(f.at, "expected a host, and %q has no place in one", []rune(f.text[i:])[0])
	}
	return f.text, nil
}

// port takes a number or a service's name; ssh's a2port does the same.
func (p *specParser) port(f specField, least int) (int, error) {
	n, err := strconv.ParseUint(f.text, 10, 64)
	switch {
	case f.text == "" || f.quoted || f.path:
		return 0, p.wrong(f.at, "expected a port")
	case err == nil && n <= 65535 && int(n) >= least:
		return int(n), nil
	case err == nil || errors.Is(err, strconv.ErrRange):
		return 0, p.wrong(f.at, "a port is %d to 65535", least)
	}
	known := func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-'
	}
	if len(f.text) <= 64 && !slices.ContainsFunc([]rune(f.text), known) && !strings.HasPrefix(f.text, "-") {
		if port, err := net.DefaultResolver.LookupPort(context.Background(), "tcp", f.text); err == nil && port >= least { // reads /etc/services
			return port, nil
		}
	}
	return 0, p.wrong(f.at, "expected a port: a number to 65535, or the name of a service in /etc/services")
}
