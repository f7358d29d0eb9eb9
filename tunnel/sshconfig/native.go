package sshconfig

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kevinburke/ssh_config"
)

// flatten makes one text of all files that ssh would read, in a form that the library understands: Includes in place, Match
// blocks left out (it gives up a whole file for most of them, and gets others wrong), tabs and quotes of Host lines undone.
// It returns what was left out, in words.
func flatten(file, home string) (text string, dropped []string) {
	var out strings.Builder
	current := "Host *"
	skip := false
	emit := func(line string) { out.WriteString(line + "\n") }
	walkConfig(file, home, &walker{
		line: func(l configLine) {
			switch {
			case l.keyword == "match" && len(l.args) == 1 && strings.EqualFold(l.args[0], "all"):
				current, skip = "Host *", false
				emit(current)
			case l.keyword == "match":
				skip = true
				dropped = append(dropped, "Match "+l.raw)
			case l.keyword == "host":
				patterns := slices.DeleteFunc(slices.Clone(l.args), func(p string) bool { return strings.ContainsAny(p, " \t\"'#") })
				if skip = len(patterns) == 0; !skip {
					current = "Host " + strings.Join(patterns, " ")
					emit(current)
				}
			case !skip:
				emit("  " + l.keyword + " " + strings.ReplaceAll(l.raw, "\t", " "))
			}
		},
		after: func() {
			if !skip {
				emit(current)
			}
		},
	})
	return out.String(), dropped
}

// nativeOptions are what the reader without ssh looks for: all that makeHop and its warnings know.
var nativeOptions = append([]string{
	"addkeystoagent", "addressfamily", "batchmode", "clearallforwardings", "connecttimeout", "dynamicforward", "exitonforwardfailure",
	"gatewayports", "globalknownhostsfile", "hashknownhosts", "hostkeyalias", "hostname", "identitiesonly", "identityagent", "identityfile",
	"kbdinteractiveauthentication", "numberofpasswordprompts", "passwordauthentication", "port", "proxycommand", "proxyjump", "rekeylimit",
	"serveralivecountmax", "serveraliveinterval", "streamlocalbindmask", "streamlocalbindunlink", "stricthostkeychecking", "user",
	"userknownhostsfile",
}, nativeNotHonoured()...)

// read is what stands in for `ssh -G` where there is no ssh.
func (r *Resolver) read(d destination) (settings, error) {
	if err := r.checkFile(); err != nil {
		return nil, err
	}
	text, dropped := flatten(r.file, r.user.home)
	config, err := ssh_config.DecodeBytes([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("read the ssh configuration without ssh: %w", err)
	}
	values := settings{"native": {strings.Join(dropped, "; ")}}
	for _, name := range nativeOptions {
		all, err := config.GetAll(d.host, name)
		if err != nil {
			return nil, fmt.Errorf("read the ssh configuration without ssh: %w", err)
		}
		for _, value := range all {
			values[name] = append(values[name], cleanValue(name, value))
		}
	}
	r.fillIn(d, values)
	return values, nil
}

// cleanValue gives a value the form in which `ssh -G` prints it.
func cleanValue(name, value string) string {
	switch name {
	case "proxycommand", "localcommand", "remotecommand", "knownhostscommand":
		return value
	case "localforward", "remoteforward", "dynamicforward":
		if printed, ok := printForward(name, splitArgs(value)); ok {
			return printed
		}
	}
	return strings.Join(splitArgs(value), " ")
}

// fillIn adds what ssh takes where the configuration says nothing.
func (r *Resolver) fillIn(d destination, values settings) {
	host := values.get("hostname")
	if host == "" {
		host = d.host
	} else {
		host = strings.NewReplacer("%%", "%", "%h", d.host).Replace(host)
	}
	values["hostname"] = []string{host}
	if d.user != "" {
		values["user"] = []string{d.user}
	} else if values.get("user") == "" {
		values["user"] = []string{r.user.name}
	}
	if d.port != 0 {
		values["port"] = []string{fmt.Sprint(d.port)}
	} else if values.get("port") == "" {
		values["port"] = []string{"22"}
	}
	defaults := map[string][]string{
		"serveralivecountmax":  {"3"},
		"identityfile":         {"~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ecdsa_sk", "~/.ssh/id_ed25519", "~/.ssh/id_ed25519_sk"},
		"userknownhostsfile":   {"~/.ssh/known_hosts ~/.ssh/known_hosts2"},
		"globalknownhostsfile": {"/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"},
	}
	for name, list := range defaults {
		if len(values[name]) == 0 {
			values[name] = list
		}
	}
	if p := values.get("proxycommand"); p != "" && !strings.EqualFold(p, "none") {
		delete(values, "proxyjump") // ssh takes the first of the two; the order is lost here, and refusing is the safe side
	}
}

// checkFile tells whether the file of `ssh -F` is there: a user's own may be missing, one that is named may not.
func (r *Resolver) checkFile() error {
	if r.file == "" || r.file == "none" || exists(r.file) { // ssh(1): "none" is no file at all
		return nil
	}
	return fmt.Errorf("%w: %s", ErrNoFile, r.file)
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
	text, _ := flatten(r.file, r.user.home)
	var hosts []string
	seen := make(map[string]bool)
	add := func(name string) {
		if d, err := parseDestination(name); err == nil && d.host == name && !seen[name] {
			seen[name] = true
			hosts = append(hosts, name)
		}
	}
	config, err := ssh_config.DecodeBytes([]byte(text))
	if err != nil {
		r.log.Debug("the ssh configuration is listed line by line", "error", err)
		for line := range strings.Lines(text) {
			if l := parseLine(line); l.keyword == "host" {
				for _, name := range l.args {
					add(name)
				}
			}
		}
		return hosts, nil
	}
	for _, block := range config.Hosts {
		for _, pattern := range block.Patterns {
			add(pattern.String())
		}
	}
	return hosts, nil
}
