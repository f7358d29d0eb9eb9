package sshconfig

import (
	"slices"
	"strings"
)

// usualValues are what ssh takes where the configuration says nothing, as far as it matters here.
var usualValues = map[string][]string{
	"globalknownhostsfile":  {"/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"},
	"identityfile":          {"~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ecdsa_sk", "~/.ssh/id_ed25519", "~/.ssh/id_ed25519_sk"},
	"port":                  {"22"},
	"serveralivecountmax":   {"3"},
	"stricthostkeychecking": {"ask"},
	"userknownhostsfile":    {"~/.ssh/known_hosts ~/.ssh/known_hosts2"},
}

// finish fills in defaults, and the tokens that `ssh -G` fills in before it prints (ssh.c, main).
func (n *native) finish() {
	v := n.values
	v["hostname"] = []string{n.host}
	v["user"] = []string{n.user()}
	for name, usual := range usualValues {
		if len(v[name]) == 0 {
			v[name] = slices.Clone(usual)
		}
	}
	for _, name := range []string{"proxycommand", "proxyjump", "controlpath", "revokedhostkeys", "pkcs11provider", "knownhostscommand", "remotecommand", "localcommand"} {
		if strings.EqualFold(v.get(name), "none") {
			delete(v, name)
		}
	}
	if interval := v.get(rekeyInterval); interval != "" {
		v["rekeylimit"] = []string{v.get("rekeylimit") + " " + interval}
		delete(v, rekeyInterval)
	}
	if alias := v.get("hostkeyalias"); alias != "" {
		v["hostkeyalias"] = []string{lower(alias)}
	}
	if isYes(v.get("clearallforwardings")) {
		for _, name := range []string{"localforward", "remoteforward", "dynamicforward"} {
			delete(v, name)
		}
	}
	x := newExpander(n.account, n.d, v, n.environ)
	if user := v.get("user"); n.d.user == "" && strings.ContainsAny(user, "%$") {
		v["user"] = []string{x.variables(x.percent(user))}
		x = newExpander(n.account, n.d, v, n.environ)
	}
	for _, name := range []string{"controlpath", "identityagent", "forwardagent"} {
		if value := v.get(name); value != "" {
			v[name] = []string{x.variables(x.percent(x.tilde(value)))}
		}
	}
	if files := v.given("userknownhostsfile"); files != "" {
		var list []string
		for _, file := range strings.Split(files, " ") {
			list = append(list, x.variables(x.percent(x.tilde(file))))
		}
		v["userknownhostsfile"] = []string{strings.Join(list, " ")}
	}
	for _, name := range []string{"localforward", "remoteforward"} {
		for i, text := range v[name] {
			v[name][i] = x.forwardPaths(text)
		}
	}
	for _, w := range x.warnings {
		n.note(w)
	}
}

// forwardPaths fills in the tokens of a forward's paths; those of its hosts stay.
func (x *expander) forwardPaths(text string) string {
	listen, target := cutForward(text)
	for _, half := range []*string{&listen, &target} {
		if strings.Contains(*half, "/") && !strings.HasPrefix(*half, "[") {
			*half = x.percent(*half)
		}
	}
	return listen + " " + target
}
