package sshconfig

import (
	"context"
	"fmt"
	"net"
	"strings"
)

// forwardField is one of the fields that colons part.
type forwardField struct {
	text string
	path bool // it holds a slash
}

// printForward turns the arguments of LocalForward, RemoteForward or DynamicForward into what `ssh -G` prints for them (readconf.c,
// parse_forward and dump_cfg_forwards). It is false where ssh would refuse them.
func printForward(option string, args []string) (string, bool) {
	remote, dynamic := option == "remoteforward", option == "dynamicforward"
	switch {
	case len(args) == 1 && remote:
		dynamic = true
	case dynamic && len(args) != 1 || !dynamic && len(args) != 2:
		return "", false
	}
	fields, ok := forwardFields(strings.Join(args, ":"))
	if !ok || dynamic && len(fields) > 2 {
		return "", false
	}
	listen, target := fields[:1], fields[1:] // [host:]port or path, twice
	if dynamic {
		listen, target = fields, nil
	} else if !fields[0].path && (len(fields) == 4 || len(fields) == 3 && fields[2].path) {
		listen, target = fields[:2], fields[2:]
	}
	from, ok := printEndpoint(listen, remote)
	if !ok || !dynamic && len(target) == 0 {
		return "", false
	}
	switch {
	case dynamic && !remote:
		return from, true
	case dynamic:
		return from + " [socks]:0", true
	case len(target) == 1 && !target[0].path:
		return "", false
	}
	to, ok := printEndpoint(target, false)
	return from + " " + to, ok
}

func printEndpoint(fields []forwardField, zero bool) (string, bool) {
	switch {
	case len(fields) == 1 && fields[0].path:
		return fields[0].text, len(fields[0].text) < maxSocketPath
	case len(fields) > 2:
		return "", false
	}
	if fields[len(fields)-1].text == "" {
		return "", false
	}
	port, err := net.DefaultResolver.LookupPort(context.Background(), "tcp", fields[len(fields)-1].text) // names are read from /etc/services
	if err != nil || port == 0 && !zero {
		return "", false
	}
	if len(fields) == 1 {
		return fmt.Sprint(port), true
	}
	return fmt.Sprintf("[%s]:%d", fields[0].text, port), true
}

// maxSocketPath is sun_path's size on Linux; ssh refuses what is longer.
const maxSocketPath = 108

// forwardFields parts a specification at its colons, but for those in brackets or behind a backslash (parse_fwd_field).
func forwardFields(text string) ([]forwardField, bool) {
	var fields []forwardField
	for text = strings.TrimLeft(text, " \t"); text != ""; {
		if inner, ok := strings.CutPrefix(text, "["); ok {
			field, rest, closed := strings.Cut(inner, "]")
			after, more := strings.CutPrefix(rest, ":")
			if !closed || rest != "" && !more {
				return nil, false
			}
			fields, text = append(fields, forwardField{field, strings.Contains(field, "/")}), after
			continue
		}
		var field strings.Builder
		i := 0
		for ; i < len(text) && text[i] != ':'; i++ {
			if text[i] == '\\' {
				if i++; i == len(text) {
					return nil, false
				}
			}
			field.WriteByte(text[i])
		}
		fields = append(fields, forwardField{field.String(), strings.Contains(field.String(), "/")})
		text = strings.TrimPrefix(text[i:], ":")
	}
	return fields, len(fields) >= 1 && len(fields) <= 4
}
