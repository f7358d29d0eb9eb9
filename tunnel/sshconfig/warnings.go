package sshconfig

import (
	"slices"
	"strings"
)

// notHonoured are options that change where we connect, as whom, how safely, or what runs, and that we do not do. Any value but
// those in idle (and an absent one) is worth a warning.
var notHonoured = []struct {
	name string // as `ssh -G` prints it
	say  string
	idle []string
}{
	{"certificatefile", "CertificateFile", []string{"none"}},
	{"pkcs11provider", "PKCS11Provider", []string{"none"}},
	{"knownhostscommand", "KnownHostsCommand", []string{"none"}},
	{"revokedhostkeys", "RevokedHostKeys", []string{"none"}},
	{"verifyhostkeydns", "VerifyHostKeyDNS", []string{"no", "false"}},
	{"forwardagent", "ForwardAgent", []string{"no", "false"}},
	{"forwardx11", "ForwardX11", []string{"no", "false"}},
	{"bindaddress", "BindAddress", nil},
	{"bindinterface", "BindInterface", nil},
	{"controlpath", "ControlPath", []string{"none"}},
	{"localforward", "LocalForward", nil},
	{"remoteforward", "RemoteForward", nil},
	{"remotecommand", "RemoteCommand", []string{"none"}},
	{"setenv", "SetEnv", nil},
	{"tunnel", "Tunnel", []string{"no", "false"}},
	{"hostbasedauthentication", "HostbasedAuthentication", []string{"no", "false"}},
}

// tuning are options that a distribution may set for everybody: worth a warning where they differ from what ssh does here
// for a host that no configuration names.
var tuning = []struct{ name, say string }{
	{"sendenv", "SendEnv"},
	{"gssapiauthentication", "GSSAPIAuthentication"},
	{"ciphers", "Ciphers"},
	{"macs", "MACs"},
	{"kexalgorithms", "KexAlgorithms"},
	{"hostkeyalgorithms", "HostKeyAlgorithms"},
	{"pubkeyacceptedalgorithms", "PubkeyAcceptedAlgorithms"},
	{"casignaturealgorithms", "CASignatureAlgorithms"},
	{"pubkeyauthentication", "PubkeyAuthentication"},
	{"preferredauthentications", "PreferredAuthentications"},
	{"requiredrsasize", "RequiredRSASize"},
}

// nativeNotHonoured are the names of both lists.
func nativeNotHonoured() []string {
	var names []string
	for _, option := range notHonoured {
		names = append(names, option.name)
	}
	for _, option := range tuning {
		names = append(names, option.name)
	}
	return names
}

// warnings tells in words what of the settings is not honoured.
func warnings(values settings, base *baseline) []string {
	var list []string
	if command := values.get("proxycommand"); command != "" && !strings.EqualFold(command, "none") {
		list = append(list, proxyCommandWarning)
	}
	switch strict := strings.ToLower(values.get("stricthostkeychecking")); strict {
	case "no", "off", "false", "accept-new":
		if strict == "false" {
			strict = "no"
		}
		list = append(list, "StrictHostKeyChecking "+strict+" is not honoured: only known host keys are accepted")
	}
	for _, option := range notHonoured {
		if set(values[option.name], option.idle) {
			list = append(list, option.say+" is not honoured yet")
		}
	}
	if forwards := values["dynamicforward"]; len(forwards) > 0 && !falseDynamic(values) {
		list = append(list, "DynamicForward is not honoured yet")
	}
	for _, option := range tuning {
		var normal []string
		if base != nil {
			normal = base.values[option.name]
		}
		if len(values[option.name]) > 0 && !slices.Equal(values[option.name], normal) {
			list = append(list, option.say+" is not honoured yet")
		}
	}
	if dropped := values.get("native"); dropped != "" {
		list = append(list, "without an ssh program these blocks of the ssh configuration are not read: "+dropped)
	}
	return list
}

const proxyCommandWarning = "ProxyCommand is not honoured yet"

func set(values, idle []string) bool {
	return slices.ContainsFunc(values, func(v string) bool {
		return !slices.ContainsFunc(idle, func(i string) bool { return strings.EqualFold(i, v) })
	})
}

// falseDynamic tells whether `ssh -G` shows a dynamicforward that nobody asked for: it prints one more for each LocalForward
// that listens on, or leads to, a unix socket.
func falseDynamic(values settings) bool {
	sockets := 0
	for _, forward := range values["localforward"] {
		if strings.Contains(forward, "/") {
			sockets++
		}
	}
	return len(values["dynamicforward"]) <= sockets
}
