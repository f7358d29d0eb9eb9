package sshconfig

import (
	"slices"
	"strings"
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
	onOff    = []string{"yes", "no", "true", "false"}
	onOffAsk = append([]string{"ask"}, onOff...)
)

// optionForms are the options but for those of optionWords, each form with their names (readconf.c, keywords).
var optionForms = map[form]string{
	formText: "bindaddress bindinterface controlpath hostkeyalias hostname ignoreunknown pkcs11provider preferredauthentications " +
		"refuseconnection securitykeyprovider tag user",
	formNumber:  "canonicalizemaxdots connectionattempts numberofpasswordprompts port requiredrsasize serveralivecountmax",
	formTime:    "connecttimeout serveraliveinterval",
	formCommand: "knownhostscommand localcommand proxycommand remotecommand",
	formJump:    "proxyjump",
	formWords: "canonicaldomains canonicalizepermittedcnames channeltimeout globalknownhostsfile permitremoteopen revokedhostkeys " +
		"userknownhostsfile",
	formEach:    "certificatefile identityfile",
	formSetEnv:  "setenv",
	formSendEnv: "sendenv",
	formForward: "dynamicforward localforward remoteforward",
	formAgent:   "forwardagent identityagent",
	formKeys:    "addkeystoagent",
	formRekey:   "rekeylimit",
	formMask:    "streamlocalbindmask",
	formNames:   "casignaturealgorithms ciphers hostkeyalgorithms kexalgorithms macs pubkeyacceptedalgorithms",
	formNone: "afstokenpassing cipher compressionlevel controlpersist enableescapecommandline escapechar " +
		"fallbacktorsh fingerprinthash forwardx11timeout globalknownhostsfile2 gssapiclientidentity gssapikexalgorithms " +
		"gssapiserveridentity hostbasedacceptedalgorithms ipqos kbdinteractivedevices kerberosauthentication kerberostgtpassing " +
		"logfacility loglevel logverbose obscurekeystroketiming protocol rhostsauthentication rhostsrsaauthentication " +
		"rsaauthentication syslogfacility tunneldevice useprivilegedport userknownhostsfile2 useroaming usersh versionaddendum " +
		"warnweakcrypto xauthlocation",
}

// optionWords are the options that are one of a few words.
var optionWords = map[string][]string{
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

// formOf tells how an option is read. It is false for one that ssh does not know.
func formOf(name string) (form, bool) {
	if len(optionWords[name]) > 0 {
		return formWord, true
	}
	for form, names := range optionForms {
		if slices.Contains(strings.Fields(names), name) {
			return form, true
		}
	}
	return formText, false
}
