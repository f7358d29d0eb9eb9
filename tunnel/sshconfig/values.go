package sshconfig

import (
	"math"
	"strings"
	"time"
)

// settings are options by name in lower case, each with all its values, in the form in which `ssh -G` prints them.
type settings map[string][]string

// renamed are names that older versions of ssh print, and that configurations still have (readconf.c, keywords).
var renamed = map[string]string{
	"challengeresponseauthentication": "kbdinteractiveauthentication",
	"dsaauthentication":               "pubkeyauthentication",
	"hostbasedkeytypes":               "hostbasedacceptedalgorithms",
	"identityfile2":                   "identityfile",
	"keepalive":                       "tcpkeepalive",
	"pubkeyacceptedkeytypes":          "pubkeyacceptedalgorithms",
	"smartcarddevice":                 "pkcs11provider",
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
	if s.get(name) == base.values.get(name) {
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

// parseTime reads a time in seconds: 90, 1m, 1h30m (sshd_config(5), TIME FORMATS; misc.c, convtime).
func parseTime(text string) (int, bool) {
	units := map[byte]int{'s': 1, 'm': 60, 'h': 60 * 60, 'd': 24 * 60 * 60, 'w': 7 * 24 * 60 * 60}
	total, number := 0, 0
	digits := false
	for i := range len(text) {
		c := text[i]
		if c >= '0' && c <= '9' {
			if number, digits = number*10+int(c-'0'), true; number > math.MaxInt32 {
				return 0, false
			}
			continue
		}
		unit, ok := units[c|0x20]
		if !ok || !digits || number > (math.MaxInt32-total)/unit {
			return 0, false
		}
		total, number, digits = total+number*unit, 0, false
	}
	if number > math.MaxInt32-total {
		return 0, false
	}
	return total + number, text != ""
}

// seconds is a time as a duration. What is none is 0, and a day is the most that we take.
func seconds(value string) time.Duration {
	n, _ := parseTime(value)
	return min(time.Duration(n)*time.Second, 24*time.Hour)
}
