package sshconfig

import (
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/debugbroker/debugbroker/tunnel"
)

// makeHop turns settings into a hop and the entries of its ProxyJump. What is the usual is left zero.
func makeHop(d destination, values settings, base *baseline, x *expander) (tunnel.Hop, []string, error) {
	port, err := parsePort(values.get("port"))
	if err != nil {
		return tunnel.Hop{}, nil, fmt.Errorf("port of %s: %w", d, err)
	}
	if text := values.given("refuseconnection"); text != "" {
		return tunnel.Hop{}, nil, fmt.Errorf("RefuseConnection for %s: %s", d, cut(text))
	}
	hop := tunnel.Hop{
		Alias:    d.host,
		HostName: unbracket(values.get("hostname")),
		Port:     port,
		User:     values.get("user"),

		ConnectTimeout:      seconds(values.get("connecttimeout")),
		ServerAliveInterval: seconds(values.get("serveraliveinterval")),
		ProxyCommand:        x.percent(values.given("proxycommand")),
		BindAddress:         values.get("bindaddress"),
		BindInterface:       values.get("bindinterface"),
		KexAlgorithms:       values.changed("kexalgorithms", base),
		Ciphers:             values.changed("ciphers", base),
		MACs:                values.changed("macs", base),
		SetEnv:              values["setenv"],
	}
	if hop.ServerAliveInterval == 5*time.Minute && isYes(values.get("batchmode")) {
		hop.ServerAliveInterval = 0 // Debian's ssh adds it to BatchMode; ours finds a dead peer sooner
	}
	if hop.ServerAliveInterval > 0 { // without it the count has no meaning
		hop.ServerAliveCountMax, _ = strconv.Atoi(values.get("serveralivecountmax"))
	}
	if family := strings.ToLower(values.get("addressfamily")); family == "inet" || family == "inet6" {
		hop.AddressFamily = family
	}
	if path := values.given("controlpath"); path != "" {
		hop.ControlPath = x.expanded(path)
	}
	limit, _, _ := strings.Cut(values.get("rekeylimit"), " ")
	hop.RekeyLimit, _ = strconv.ParseUint(limit, 10, 64)

	fillAuth(&hop, values, base, x)
	fillTrust(&hop, values, base, x)
	fillForwards(&hop, values, x)
	jumps := jumpList(values.given("proxyjump"), x)
	hop.Warnings = append(warnings(&hop, values, base), x.warnings...)
	return hop, jumps, nil
}

// fillAuth fills in how we show who we are.
func fillAuth(hop *tunnel.Hop, values settings, base *baseline, x *expander) {
	hop.IdentityFiles = x.paths(values["identityfile"])
	hop.IdentitiesOnly = isYes(values.get("identitiesonly"))
	hop.IdentityAgent = x.agent(values.get("identityagent"))
	hop.CertificateFiles = x.paths(values["certificatefile"])
	hop.PreferredAuthentications = values.list("preferredauthentications")
	hop.PubkeyAuthentication = onlyNo(values.get("pubkeyauthentication"))
	hop.PasswordAuthentication = onlyNo(values.get("passwordauthentication"))
	hop.KbdInteractive = onlyNo(values.get("kbdinteractiveauthentication"))
	if isYes(values.get("batchmode")) { // sshconnect2.c, authmethods: neither is tried
		hop.PasswordAuthentication, hop.KbdInteractive = "no", "no"
	}
	prompts, err := strconv.Atoi(values.get("numberofpasswordprompts"))
	switch {
	case err != nil || prompts == 3:
	case prompts <= 0: // and nobody is ever asked
		hop.PasswordAuthentication, hop.KbdInteractive = "no", "no"
	default:
		hop.NumberOfPasswordPrompts = prompts
	}
	hop.PubkeyAcceptedAlgorithms = values.changed("pubkeyacceptedalgorithms", base)
	if word, rest, _ := strings.Cut(values.get("addkeystoagent"), " "); word != "" {
		hop.AddKeysToAgent = unless("no", strings.TrimSpace(yesNo(word)+" "+rest))
	}
	hop.ForwardAgent = unless("no", yesNo(values.given("forwardagent")))
	if path := values.given("forwardagent"); strings.HasPrefix(path, "/") || strings.HasPrefix(path, "$") {
		hop.ForwardAgent = path
	}
}

// fillTrust fills in how the server shows who it is.
func fillTrust(hop *tunnel.Hop, values settings, base *baseline, x *expander) {
	hop.HostKeyAlias = lower(values.get("hostkeyalias"))
	hop.UserKnownHostsFiles = x.fileList(values.given("userknownhostsfile"), x.expanded)
	hop.GlobalKnownHostsFiles = x.fileList(values.given("globalknownhostsfile"), x.expanded)
	hop.StrictHostKeyChecking = unless("ask", yesNo(values.get("stricthostkeychecking")))
	if isYes(values.get("batchmode")) && hop.StrictHostKeyChecking == "" {
		hop.StrictHostKeyChecking = "yes" // nobody is to be asked
	}
	hop.HashKnownHosts = isYes(values.get("hashknownhosts"))
	hop.KnownHostsCommand = x.knownHostsCommand(values.given("knownhostscommand"))
	hop.RevokedHostKeys = x.fileList(values.given("revokedhostkeys"), x.path)
	hop.HostKeyAlgorithms = values.changed("hostkeyalgorithms", base)
	hop.CASignatureAlgorithms = values.changed("casignaturealgorithms", base)
}

// fillForwards fills in what goes over the connection without being asked for each time.
func fillForwards(hop *tunnel.Hop, values settings, x *expander) {
	hop.Forwards = forwards(values, x)
	hop.ExitOnForwardFailure = isYes(values.get("exitonforwardfailure"))
	hop.GatewayPorts = isYes(values.get("gatewayports"))
	if mask, err := strconv.ParseUint(values.get("streamlocalbindmask"), 8, 9); err == nil && mask != 0o177 {
		hop.StreamLocalBindMask = fs.FileMode(mask)
	}
	hop.StreamLocalUnlink = isYes(values.get("streamlocalbindunlink"))
}

// jumpList reads ProxyJump, which ssh makes a ProxyCommand of, so that its tokens go for it as well.
func jumpList(value string, x *expander) []string {
	if value == "" {
		return nil
	}
	var jumps []string
	for jump := range strings.SplitSeq(x.percent(value), ",") {
		jumps = append(jumps, strings.TrimSpace(jump))
	}
	return jumps
}

// paths reads an option that has one path a line.
func (x *expander) paths(values []string) []string {
	var list []string
	for _, value := range values {
		if strings.EqualFold(value, "none") {
			continue
		}
		if path := x.path(value); !slices.Contains(list, path) {
			list = append(list, path)
		}
	}
	return list
}
