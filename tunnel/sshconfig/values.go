package sshconfig

import (
	"strconv"
	"strings"
	"time"
)

// settings are options by name in lower case, each with all its values, in the form in which `ssh -G` prints them.
type settings map[string][]string

// renamed are names that older versions of ssh print, and that configurations still have (readconf.c, keywords).
var renamed = map[string]string{
	"challengeresponseauthentication": "kbdinteractiveauthentication",
	"hostbasedkeytypes":               "hostbasedacceptedalgorithms",
	"keepalive":                       "tcpkeepalive",
	"pubkeyacceptedkeytypes":          "pubkeyacceptedalgorithms",
	"skeyauthentication":              "kbdinteractiveauthentication",
	"tisauthentication":               "kbdinteractiveauthentication",
}

// get returns the first value of an option, "" where it has none.
func (s settings) get(name string) string {
	if values := s[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// given returns the value of an option, "" where it has none or is "none".
func (s settings) given(name string) string {
	if value := s.get(name); !strings.EqualFold(value, "none") {
		return value
	}
	return ""
}

// list reads an option that is a list with commas.
func (s settings) list(name string) []string {
	if value := s.given(name); value != "" {
		return strings.Split(value, ",")
	}
	return nil
}

// changed reads a list with commas that ssh always prints in full; it is empty where it is what ssh does anyway on this machine.
func (s settings) changed(name string, base *baseline) []string {
	if base != nil && s.get(name) == base.values.get(name) {
		return nil
	}
	return s.list(name)
}

// yesNo gives a switch one spelling: ssh knows several, and prints yet others.
func yesNo(value string) string {
	switch value = strings.ToLower(value); value {
	case "true", "on":
		return "yes"
	case "false", "off":
		return "no"
	}
	return value
}

func isYes(value string) bool { return yesNo(value) == "yes" }

// onlyNo is "no" or "": a switch that is on where nobody says a word.
func onlyNo(value string) string {
	if yesNo(value) == "no" {
		return "no"
	}
	return ""
}

// unless is the value, or "" where it is the usual one.
func unless(usual, value string) string {
	if value == usual {
		return ""
	}
	return value
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
		n, _ := strconv.Atoi(number) // convtime: what has no unit is seconds
		total += time.Duration(n) * time.Second
	}
	return min(total, 24*time.Hour)
}
