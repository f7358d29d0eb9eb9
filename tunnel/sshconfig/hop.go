package sshconfig

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/debugbroker/debugbroker/tunnel"
)

// nativeOptions are what the reader without ssh looks for: all that makeHop and its warnings know.
var nativeOptions = append([]string{
	"hostname", "port", "user", "addressfamily", "identityfile", "identitiesonly", "identityagent", "hostkeyalias",
	"userknownhostsfile", "globalknownhostsfile", "connecttimeout", "serveraliveinterval", "serveralivecountmax",
	"proxyjump", "proxycommand", "stricthostkeychecking", "dynamicforward",
}, nativeNotHonoured()...)

// makeHop turns settings into a hop and the entries of its ProxyJump.
func makeHop(d destination, values settings, base *baseline, x *expander) (tunnel.Hop, []string, error) {
	port, err := parsePort(values.get("port"))
	if err != nil {
		return tunnel.Hop{}, nil, fmt.Errorf("port of %s: %w", d, err)
	}
	hop := tunnel.Hop{
		Alias:    d.host,
		HostName: unbracket(values.get("hostname")),
		Port:     port,
		User:     values.get("user"),

		IdentitiesOnly: isYes(values.get("identitiesonly")),
		IdentityAgent:  x.agent(values.get("identityagent")),

		UserKnownHostsFiles:   x.fileList(values.get("userknownhostsfile")),
		GlobalKnownHostsFiles: x.fileList(values.get("globalknownhostsfile")),

		ConnectTimeout:      seconds(values.get("connecttimeout")),
		ServerAliveInterval: seconds(values.get("serveraliveinterval")),
	}
	if alias := values.get("hostkeyalias"); !strings.EqualFold(alias, "none") {
		hop.HostKeyAlias = alias
	}
	if hop.ServerAliveInterval > 0 { // without it the count has no meaning
		hop.ServerAliveCountMax, _ = strconv.Atoi(values.get("serveralivecountmax"))
	}
	if family := strings.ToLower(values.get("addressfamily")); family == "inet" || family == "inet6" {
		hop.AddressFamily = family
	}
	for _, file := range values["identityfile"] {
		if strings.EqualFold(file, "none") {
			continue
		}
		if path := x.path(file); !slices.Contains(hop.IdentityFiles, path) {
			hop.IdentityFiles = append(hop.IdentityFiles, path)
		}
	}
	if command := values.get("proxycommand"); command != "" && !strings.EqualFold(command, "none") {
		hop.ProxyCommand = command
	}
	hop.Warnings = append(warnings(values, base), x.warnings...)
	return hop, jumpList(values.get("proxyjump")), nil
}

func jumpList(value string) []string {
	if value == "" || strings.EqualFold(value, "none") {
		return nil
	}
	var jumps []string
	for jump := range strings.SplitSeq(value, ",") {
		jumps = append(jumps, strings.TrimSpace(jump))
	}
	return jumps
}

func isYes(value string) bool {
	return strings.EqualFold(value, "yes") || strings.EqualFold(value, "true")
}

// seconds reads a time as sshd_config(5), TIME FORMATS: 90, 1m, 1h30m. What is none is 0, and a day is the most that we take.
func seconds(value string) time.Duration {
	if value == "" || strings.EqualFold(value, "none") {
		return 0
	}
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(n)*time.Second, 24*time.Hour)
	}
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	var total time.Duration
	number := ""
	for i := range len(value) {
		c := value[i]
		if c >= '0' && c <= '9' && len(number) < 7 {
			number += string(c)
			continue
		}
		unit, ok := units[c|0x20]
		n, err := strconv.Atoi(number)
		if !ok || err != nil {
			return 0
		}
		total, number = total+time.Duration(n)*unit, ""
	}
	if number != "" {
		return 0
	}
	return min(total, 24*time.Hour)
}
