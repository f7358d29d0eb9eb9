package sshconfig

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

// set does what a line of an option says, where nothing has said it before. It returns what ssh would have against the line.
func (n *native) set(l configLine) string {
	name := l.keyword
	if now, ok := renamed[name]; ok {
		name = now
	}
	form, known := formOf(name)
	switch {
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
		if words := optionWords[name]; !slices.Contains(words, lower(arg)) {
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
		limit, interval, ok := printRekey(l.args)
		if !ok {
			return "it is not a number of bytes and a time"
		}
		put(limit)
		if interval != "" && n.values.get(rekeyInterval) == "" { // each half counts where it is first said
			n.values[rekeyInterval] = []string{interval}
		}
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
	if name == "canonicaldomains" || name == "canonicalizepermittedcnames" {
		if bad := badCanonical(name, args); bad != "" {
			return bad
		}
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

// rekeyInterval is the second half of RekeyLimit until finish puts the two together. It is no option's name.
const rekeyInterval = "rekeylimit time"

// printRekey prints the two halves of RekeyLimit: bytes, and seconds or "" where they are not said.
func printRekey(args []string) (limit, interval string, ok bool) {
	var bytes uint64
	if args[0] != "default" {
		text, unit := args[0], uint64(1)
		if at := strings.IndexByte("KMGT", text[len(text)-1]&^0x20); at >= 0 && len(text) > 1 {
			text, unit = text[:len(text)-1], 1<<(10*(at+1))
		}
		n, err := strconv.ParseUint(text, 10, 63)
		if err != nil || n > math.MaxInt64/unit || n > 0 && n*unit < 16 {
			return "", "", false
		}
		bytes = n * unit
	}
	if len(args) > 1 && args[1] != "none" {
		seconds, ok := parseTime(args[1])
		if !ok {
			return "", "", false
		}
		interval = fmt.Sprint(seconds)
	}
	return fmt.Sprint(bytes), interval, true
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

// algorithms makes the list that +, - and ^ change (kex.c, kex_assemble_names). Without ssh its defaults, and the order in which it knows the
// names that a wildcard takes in, are not known: ours take their place.
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
