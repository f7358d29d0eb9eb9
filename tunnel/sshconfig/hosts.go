package sshconfig

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kevinburke/ssh_config"
)

// checkFile tells whether the file of `ssh -F` is there: a user's own may be missing, one that is named may not.
func (r *Resolver) checkFile() error {
	if file := r.from.file; file != "" && file != "none" && !exists(file) {
		return fmt.Errorf("%w: %s", ErrNoFile, file)
	}
	return nil
}

// Hosts lists the hosts that the configuration names, without patterns, in the order of the files. A file or line that cannot
// be read hides none of the others.
func (r *Resolver) Hosts(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := r.checkFile(); err != nil {
		return nil, err
	}
	config, err := ssh_config.DecodeBytes([]byte(r.hostLines()))
	if err != nil {
		return nil, fmt.Errorf("list the hosts of the ssh configuration: %w", err)
	}
	var hosts []string
	seen := make(map[string]bool)
	for _, block := range config.Hosts {
		for _, pattern := range block.Patterns {
			name := pattern.String()
			if d, err := parseDestination(name); err == nil && d.host == name && !seen[name] {
				seen[name] = true
				hosts = append(hosts, name)
			}
		}
	}
	return hosts, nil
}

// hostLines are the Host lines of all files in a form that the library takes: it gives up a whole file for most Match lines, and knows
// neither tabs nor quotes nor a quoted Include.
func (r *Resolver) hostLines() string {
	var out strings.Builder
	walkConfig(r.from, &walker{line: func(l configLine) {
		if l.keyword != "host" || l.bad != "" {
			return
		}
		patterns := slices.DeleteFunc(slices.Clone(l.args), func(p string) bool { return p == "" || strings.ContainsAny(p, blanks+"\"'#\v\f") })
		if len(patterns) > 0 {
			out.WriteString("Host " + strings.Join(patterns, " ") + "\n")
		}
	}})
	return out.String()
}
