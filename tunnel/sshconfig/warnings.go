package sshconfig

import (
	"slices"
	"strings"

	"github.com/debugbroker/debugbroker/tunnel"
)

// notHonoured are options that change where we connect, as whom, how safely, or what runs, and that we do not do. Any value but
// those in idle (and an absent one) is worth a warning.
var notHonoured = []struct {
	name string // as `ssh -G` prints it
	say  string
	idle []string
}{
	{"channeltimeout", "ChannelTimeout", []string{"none"}},
	{"compression", "Compression", []string{"no"}},
	{"forwardx11", "ForwardX11", []string{"no"}},
	{"hostbasedauthentication", "HostbasedAuthentication", []string{"no"}},
	{"nohostauthenticationforlocalhost", "NoHostAuthenticationForLocalhost", []string{"no"}},
	{"permitremoteopen", "PermitRemoteOpen", []string{"any"}},
	{"pkcs11provider", "PKCS11Provider", []string{"none"}},
	{"proxyusefdpass", "ProxyUseFdpass", []string{"no"}},
	{"remotecommand", "RemoteCommand", []string{"none"}},
	{"sessiontype", "SessionType", []string{"default"}},
	{"tunnel", "Tunnel", []string{"no"}},
	{"verifyhostkeydns", "VerifyHostKeyDNS", []string{"no"}},
}

// tuning are options that a distribution may set for everybody, or that versions of ssh have different defaults for: worth a warning where
// they differ from what ssh does here for a host that no configuration names.
var tuning = []struct{ name, say string }{
	{"checkhostip", "CheckHostIP"},
	{"gssapiauthentication", "GSSAPIAuthentication"},
	{"requiredrsasize", "RequiredRSASize"},
	{"securitykeyprovider", "SecurityKeyProvider"},
	{"sendenv", "SendEnv"},
}

// usualTuning is what the options of tuning are where ssh is not there to say it.
var usualTuning = map[string]string{"checkhostip": "no", "gssapiauthentication": "no", "requiredrsasize": "1024", "securitykeyprovider": "internal"}

// warnings tells in words what of the settings is not honoured.
func warnings(hop *tunnel.Hop, values settings, base *baseline) []string {
	var list []string
	if hop.StrictHostKeyChecking == "no" {
		list = append(list, "StrictHostKeyChecking no accepts unknown host keys only: one that has changed, or is revoked, is refused")
	}
	if hop.ForwardAgent != "" {
		list = append(list, "ForwardAgent is not honoured: an agent is forwarded only where brokerd's configuration has forward_agent = true for the host")
	}
	for _, option := range notHonoured {
		if slices.ContainsFunc(values[option.name], func(v string) bool { return !slices.Contains(option.idle, yesNo(v)) }) {
			list = append(list, option.say+" is not honoured")
		}
	}
	for _, option := range tuning {
		if normal := base.usual(option.name); !slices.EqualFunc(values[option.name], normal, func(a, b string) bool { return yesNo(a) == yesNo(b) }) && len(values[option.name]) > 0 {
			list = append(list, option.say+" is not honoured")
		}
	}
	if isYes(values.get("permitlocalcommand")) && values.given("localcommand") != "" {
		list = append(list, "LocalCommand is not honoured")
	}
	if _, after, _ := strings.Cut(values.get("rekeylimit"), " "); after != "" && after != "0" {
		list = append(list, "the time in RekeyLimit is not honoured")
	}
	return list
}

// usual are an option's values where the configuration says nothing of a host.
func (b *baseline) usual(name string) []string {
	if values := b.values[name]; len(values) > 0 {
		return values
	}
	if value := usualTuning[name]; value != "" {
		return []string{value}
	}
	return nil
}
