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

// warnings tells in words what of the settings is not honoured.
func warnings(values settings, base *baseline) []string {
	var list []string
	if command := values.get("proxycommand"); command != "" && !strings.EqualFold(command, "none") {
		list = append(list, proxyCommandWarning)
	}
	switch strict := yesNo(values.get("stricthostkeychecking")); strict {
	case "no", "accept-new":
		list = append(list, "StrictHostKeyChecking "+strict+" is not honoured: only known host keys are accepted")
	}
	for _, option := range notHonoured {
		if set(values[option.name], option.idle) {
			list = append(list, option.say+" is not honoured yet")
		}
	}
	if forwards := values["dynamicforward"]; len(forwards) > 0 {
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
	return list
}

const proxyCommandWarning = "ProxyCommand is not honoured yet"

func set(values, idle []string) bool {
	return slices.ContainsFunc(values, func(v string) bool {
		return !slices.ContainsFunc(idle, func(i string) bool { return strings.EqualFold(i, v) })
	})
}
