package sshconfig

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

// form is how an option's arguments are read, and printed as `ssh -G` does.
type form int

const (
	formText    form = iota // one argument
	formWord                // one argument out of a few words
	formNumber              // one number
	formTime                // 90, 1m, none
	formCommand             // the rest of the line, as it stands
	formJump                // the rest of the line, without a comment
	formWords               // any number of arguments; the first line that has some counts
	formEach                // one argument, and each line counts
	formSetEnv              // any number of NAME=value; the first line that has some counts
	formSendEnv             // any number of patterns, or with - before them those that no longer count
	formForward             // each line counts
	formAgent               // a socket, a variable's name, or a word
	formKeys                // AddKeysToAgent
	formRekey               // RekeyLimit
	formMask                // StreamLocalBindMask
	formNames               // algorithms, perhaps with +, - or ^
	formNone                // read by ssh, and nothing to us
)

var (
	onOff      = []string{"yes", "no", "true", "false"}
	onOffAsk   = append([]string{"ask"}, onOff...)
	ownOptions = map[string]form{
		"addkeystoagent": formKeys, "bindaddress": formText, "bindinterface": formText, "certificatefile": formEach, "channeltimeout": formWords,
		"connectionattempts": formNumber, "connecttimeout": formTime, "controlpath": formText, "forwardagent": formAgent, "globalknownhostsfile": formWords,
		"hostkeyalias": formText, "hostname": formText, "identityagent": formAgent, "identityfile": formEach, "ignoreunknown": formText,
		"knownhostscommand": formCommand, "localcommand": formCommand, "numberofpasswordprompts": formNumber, "permitremoteopen": formWords,
		"pkcs11provider": formText, "port": formNumber, "preferredauthentications": formText, "proxycommand": formCommand, "proxyjump": formJump,
		"refuseconnection": formText, "rekeylimit": formRekey, "remotecommand": formCommand, "requiredrsasize": formNumber, "revokedhostkeys": formWords, "securitykeyprovider": formText,
		"sendenv": formSendEnv, "serveralivecountmax": formNumber, "serveraliveinterval": formTime, "setenv": formSetEnv, "streamlocalbindmask": formMask,
		"tag": formText, "user": formText, "userknownhostsfile": formWords,
		"dynamicforward": formForward, "localforward": formForward, "remoteforward": formForward,
		"casignaturealgorithms": formNames, "ciphers": formNames, "hostkeyalgorithms": formNames, "kexalgorithms": formNames, "macs": formNames,
		"pubkeyacceptedalgorithms": formNames,
		"canonicaldomains":         formWords, "canonicalizepermittedcnames": formWords,

		"canonicalizemaxdots": formNone, "cipher": formNone, "compressionlevel": formNone, "controlpersist": formNone, "enableescapecommandline": formNone,
		"escapechar": formNone, "fallbacktorsh": formNone, "fingerprinthash": formNone, "forwardx11timeout": formNone, "globalknownhostsfile2": formNone,
		"hostbasedacceptedalgorithms": formNone, "ipqos": formNone, "kbdinteractivedevices": formNone, "logfacility": formNone, "loglevel": formNone,
		"logverbose": formNone, "obscurekeystroketiming": formNone, "protocol": formNone, "rhostsauthentication": formNone, "rhostsrsaauthentication": formNone,
		"rsaauthentication": formNone, "syslogfacility": formNone, "tunneldevice": formNone, "userknownhostsfile2": formNone,
		"useprivilegedport": formNone, "useroaming": formNone, "usersh": formNone, "versionaddendum": formNone, "warnweakcrypto": formNone, "xauthlocation": formNone,
		"afstokenpassing": formNone, "kerberosauthentication": formNone, "kerberostgtpassing": formNone,
		"gssapikexalgorithms": formNone, "gssapiclientidentity": formNone, "gssapiserveridentity": formNone,
	}
	ownWords = map[string][]string{
		"addressfamily": {"any", "inet", "inet6"}, "batchmode": onOff, "canonicalizefallbacklocal": onOff, "canonicalizehostname": append([]string{"always"}, onOff...),
		"checkhostip": onOff, "clearallforwardings": onOff, "compression": {"yes", "no"}, "controlmaster": append([]string{"auto", "ask", "autoask"}, onOff...),
		"enablesshkeysign": onOff, "exitonforwardfailure": onOff, "forkafterauthentication": onOff, "forwardx11": onOff, "forwardx11trusted": onOff,
		"gatewayports": onOff, "gssapiauthentication": onOff, "gssapidelegatecredentials": onOff, "gssapikeyexchange": onOff,
		"gssapirenewalforcesrekey": onOff, "gssapitrustdns": onOff, "hashknownhosts": onOff, "hostbasedauthentication": onOff,
		"identitiesonly": onOff, "kbdinteractiveauthentication": onOff, "nohostauthenticationforlocalhost": onOff, "passwordauthentication": onOff,
		"permitlocalcommand": onOff, "proxyusefdpass": onOff, "pubkeyauthentication": append([]string{"unbound", "host-bound"}, onOff...),
		"requesttty": append([]string{"force", "auto"}, onOff...), "sessiontype": {"none", "subsystem", "default"}, "stdinnull": onOff,
		"streamlocalbindunlink": onOff, "stricthostkeychecking": append([]string{"off", "accept-new"}, onOffAsk...), "tcpkeepalive": onOff,
		"tunnel": append([]string{"ethernet", "point-to-point"}, onOff...), "updatehostkeys": onOffAsk, "verifyhostkeydns": onOffAsk, "visualhostkey": onOff,
	}
)

// set does what a line of an option says, where nothing has said it before. It returns what ssh would have against the line.
func (n *native) set(l configLine) string {
	name := l.keyword
	if now, ok := renamed[name]; ok {
		name = now
	}
	form, known := ownOptions[name]
	words := ownWords[name]
	switch {
	case words != nil:
		form = formWord
	case !known && matchList(name, lower(n.values.get("ignoreunknown"))):
		return ""
	case !known:
		return "the option is not known"
	}
	put := func(values ...string) {
		if len(n.values[name]) == 0 {
			n.values[name] = values
		}
	}
	switch form {
	case formNone:
		return ""
	case formCommand, formJump:
		text := strings.TrimLeft(l.raw, blanks+"=")
		if form == formJump {
			text, _, _ = strings.Cut(text, "#")
			text = strings.TrimRight(text, blanks)
		}
		n.setWay(name, text)
		return ""
	case formWords, formSetEnv, formSendEnv, formForward:
		return n.setList(name, form, l.args, put)
	}
	if len(l.args) == 0 || l.args[0] == "" {
		return "it has no argument"
	}
	arg := l.args[0]
	if more := len(l.args) - 1; more > 1 || more == 1 && form != formRekey && form != formKeys {
		return "it has more than one argument"
	}
	switch form {
	case formWord:
		if !slices.Contains(words, lower(arg)) {
			return "it is none of " + strings.Join(words, ", ")
		}
		put(lower(arg))
	case formNumber:
		value, err := strconv.Atoi(arg)
		if err != nil || value < 0 || value > math.MaxInt32 || name == "port" && (value == 0 || value > math.MaxUint16) {
			return "it is not a number that can be meant"
		}
		put(strconv.Itoa(value))
	case formTime:
		printed, ok := printTime(arg)
		if !ok {
			return "it is not a time"
		}
		put(printed)
	case formEach:
		if !slices.Contains(n.values[name], arg) {
			n.values[name] = append(n.values[name], arg)
		}
	case formMask:
		mask, err := strconv.ParseUint(arg, 8, 9)
		if err != nil {
			return "it is not a mask"
		}
		n.values[name] = []string{fmt.Sprintf("0%o", mask)} // the last one wins
	case formNames:
		put(n.algorithms(name, arg))
	case formRekey:
		limit, ok := printRekey(l.args)
		if !ok {
			return "it is not a number of bytes and a time"
		}
		put(limit)
	case formKeys:
		printed, ok := printKeys(l.args)
		if !ok {
			return "it is neither yes, no, ask, confirm nor a time"
		}
		put(printed)
	default:
		put(arg)
	}
	return ""
}

// setWay sets a command. Of ProxyCommand and ProxyJump the first one wins, but for ProxyJump none, which lets a ProxyCommand come behind it
// (readconf.c, parse_jump).
func (n *native) setWay(name, text string) {
	if name == "proxyjump" && len(n.values["proxycommand"]) > 0 || len(n.values[name]) > 0 {
		return
	}
	n.values[name] = []string{text}
	if name == "proxyjump" && !strings.EqualFold(text, "none") {
		n.values["proxycommand"] = []string{"none"}
	}
}

func (n *native) setList(name string, form form, args []string, put func(...string)) string {
	switch form {
	case formForward:
		x := &expander{env: n.env}
		for i := range args {
			args[i] = x.variables(args[i])
		}
		printed, ok := printForward(name, args)
		if len(x.warnings) > 0 {
			return x.warnings[0]
		}
		if !ok {
			return "it is not a forward"
		}
		if !slices.Contains(n.values[name], printed) {
			n.values[name] = append(n.values[name], printed)
		}
		return ""
	case formSendEnv:
		for _, arg := range args {
			if pattern, remove := strings.CutPrefix(arg, "-"); remove {
				n.values[name] = slices.DeleteFunc(n.values[name], func(v string) bool { return matchPattern(v, pattern) })
			} else {
				n.values[name] = append(n.values[name], arg)
			}
		}
		return ""
	}
	if len(args) > 1 && slices.ContainsFunc(args, func(a string) bool { return strings.EqualFold(a, "none") }) {
		return "none stands beside something else"
	}
	if slices.Contains(args, "") {
		return "an argument is empty"
	}
	if form == formSetEnv {
		if slices.ContainsFunc(args, func(a string) bool { return !strings.Contains(a, "=") }) {
			return "it is not NAME=value"
		}
		put(args...)
		return ""
	}
	put(strings.Join(args, " "))
	return ""
}

func printTime(arg string) (string, bool) {
	if arg == "none" {
		return arg, true
	}
	d, ok := parseTime(arg)
	return fmt.Sprint(d), ok
}

// printRekey prints the two numbers of RekeyLimit: bytes and seconds.
func printRekey(args []string) (string, bool) {
	var bytes uint64
	if args[0] != "default" {
		text, unit := args[0], uint64(1)
		if at := strings.IndexByte("KMGT", text[len(text)-1]&^0x20); at >= 0 && len(text) > 1 {
			text, unit = text[:len(text)-1], 1<<(10*(at+1))
		}
		n, err := strconv.ParseUint(text, 10, 63)
		if err != nil || n > math.MaxInt64/unit || n > 0 && n*unit < 16 {
			return "", false
		}
		bytes = n * unit
	}
	seconds := 0
	if len(args) > 1 && args[1] != "none" {
		var ok bool
		if seconds, ok = parseTime(args[1]); !ok {
			return "", false
		}
	}
	return fmt.Sprint(bytes, seconds), true
}

// printKeys prints AddKeysToAgent: a word, a time in seconds, or confirm and a time.
func printKeys(args []string) (string, bool) {
	word := lower(args[0])
	switch {
	case len(args) == 1 && slices.Contains(append(onOffAsk, "confirm"), word):
		return word, true
	case len(args) == 2 && word == "confirm":
		t, ok := parseTime(args[1])
		return fmt.Sprint("confirm ", t), ok
	case len(args) == 1:
		t, ok := parseTime(args[0])
		return fmt.Sprint(t), ok
	}
	return "", false
}

// algorithms makes the list that +, - and ^ change (kex.c, kex_assemble_names). Without ssh its defaults are not known: ours take their place.
func (n *native) algorithms(name, arg string) string {
	usual := n.usual[name]
	names, all := strings.Split(arg[1:], ","), slices.Concat(usual, strings.Split(arg, ","))
	switch arg[0] {
	case '-':
		return strings.Join(slices.DeleteFunc(slices.Clone(usual), func(u string) bool {
			return slices.ContainsFunc(names, func(p string) bool { return matchPattern(u, p) })
		}), ",")
	case '+':
		names = slices.Concat(usual, names)
	case '^':
		names = slices.Concat(names, usual)
	default:
		names = strings.Split(arg, ",")
	}
	var list []string
	for _, pattern := range names {
		for _, candidate := range append([]string{pattern}, all...) {
			if matchPattern(candidate, pattern) && !strings.ContainsAny(candidate, "*?+^") && !slices.Contains(list, candidate) {
				list = append(list, candidate)
			}
		}
	}
	return strings.Join(list, ",")
}

// usualAlgorithms are what we do without a word of the user's.
func usualAlgorithms() map[string][]string {
	all := ssh.SupportedAlgorithms()
	return map[string][]string{
		"ciphers": all.Ciphers, "macs": all.MACs, "kexalgorithms": all.KeyExchanges, "hostkeyalgorithms": all.HostKeys,
		"pubkeyacceptedalgorithms": all.PublicKeyAuths, "casignaturealgorithms": all.PublicKeyAuths,
	}
}
