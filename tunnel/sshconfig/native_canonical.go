package sshconfig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/debugbroker/debugbroker/tunnel"
)

const (
	// lookupTimeout bounds one look-up of a name; all that is read for a destination has askTimeout.
	lookupTimeout = 3 * time.Second
	// maxAliases is how many aliases are followed from one name to the next.
	maxAliases = 8
	// usualMaxDots is CanonicalizeMaxDots where nothing is said of it.
	usualMaxDots = 1
)

// nameService looks names up.
type nameService interface {
	// lookup tells what a name is called in the end, behind all its aliases, where that is asked for; the name itself where it is none or was not
	// asked for. network is "ip", "ip4" or "ip6". A name without an address, or one that cannot be looked up, is an error.
	lookup(ctx context.Context, network, name string, alias bool) (string, error)
}

// systemNames is this machine's name service. It takes a name that ends with a dot from /etc/hosts too, which glibc does not.
type systemNames struct{}

func (systemNames) lookup(ctx context.Context, network, name string, alias bool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	if _, err := net.DefaultResolver.LookupNetIP(ctx, network, name); err != nil {
		return "", err
	}
	if !alias {
		return name, nil
	}
	// Through the C library the resolver passes /etc/hosts over.
	resolver := net.Resolver{PreferGo: true}
	for range maxAliases {
		// It goes one step or all, as the answers come in.
		next, err := resolver.LookupCNAME(ctx, name)
		if err != nil || strings.EqualFold(strings.TrimSuffix(next, "."), strings.TrimSuffix(name, ".")) {
			break // getaddrinfo(3) does not fail for want of another name: there is an address
		}
		name = next
	}
	return name, nil
}

// canonicalize finds the name that ssh goes on with (ssh.c, main, resolve_canonicalize), and tells whether all is to be read again for it.
func (n *native) canonicalize(ctx context.Context) (again bool, err error) {
	host := n.hostName()
	canonical, isAddress := canonicalAddress(host)
	switch {
	case isAddress:
		n.host = canonical
	case strings.Contains(host, "%"):
		n.host = host // it may be an address with a zone, which ssh leaves as it is
	default:
		n.host = lower(host)
	}
	mode := yesNo(n.values.get("canonicalizehostname"))
	enabled := mode == "yes" || mode == "always"
	permitted := permittedAliases(n.values.get("canonicalizepermittedcnames"))
	if isAddress || onlyAddress(n.host) {
		return enabled, nil
	}
	// What a proxy or a jump host will look up is its own affair.
	direct := n.values.given("proxycommand") == "" && n.values.given("proxyjump") == ""
	if !direct && mode != "always" {
		return enabled, nil
	}
	found := false
	if enabled {
		if found, err = n.inDomains(ctx, permitted); err != nil {
			return enabled, err
		}
	}
	if !found && len(permitted) > 0 {
		// The name may be an alias though it is in none of the domains.
		alias, err := n.names.lookup(ctx, n.network(), n.host, true)
		switch {
		case err == nil && enabled:
			n.follow(permitted, alias)
		case err != nil && direct:
			return enabled, fmt.Errorf("%w: look up %s for CanonicalizePermittedCNAMEs: %w", tunnel.ErrHostUnresolvable, n.host, err)
		}
	}
	return enabled, nil
}

// inDomains looks the name up as it stands where it ends with a dot, and else in each of CanonicalDomains.
func (n *native) inDomains(ctx context.Context, permitted []aliasRule) (found bool, err error) {
	var full []string
	switch dots, domains := strings.Count(n.host, "."), n.values.given("canonicaldomains"); {
	case strings.HasSuffix(n.host, "."):
		full = []string{n.host}
	case dots > n.maxDots():
		return false, nil
	default:
		for _, domain := range strings.Fields(domains) {
			full = append(full, n.host+"."+strings.TrimSuffix(lower(domain), ".")+".")
		}
	}
	for _, name := range full {
		alias, err := n.names.lookup(ctx, n.network(), name, len(permitted) > 0)
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if err != nil {
			continue // ssh, too, takes a name server that fails for one that does not know the name
		}
		n.host = strings.TrimSuffix(name, ".")
		n.follow(permitted, alias)
		return true, nil
	}
	if yesNo(n.values.get("canonicalizefallbacklocal")) == "no" {
		return false, &tunnel.HintedError{
			Err:  fmt.Errorf("%w: %s is in none of CanonicalDomains", tunnel.ErrHostUnresolvable, n.host),
			Hint: "CanonicalizeFallbackLocal yes would take the name as it stands",
		}
	}
	return false, nil
}

// follow goes on with the name behind an alias where a rule of CanonicalizePermittedCNAMEs lets it.
func (n *native) follow(rules []aliasRule, alias string) {
	if alias = strings.TrimSuffix(alias, "."); validDomain(alias) != nil || alias == n.host {
		return
	}
	for _, rule := range rules {
		// The alias is held against them as the name server writes it (match.c, match_pattern_list).
		if matchList(n.host, lower(rule.from)) && matchList(alias, lower(rule.to)) {
			n.host = lower(alias)
			return
		}
	}
}

func (n *native) maxDots() int {
	if dots, err := strconv.Atoi(n.values.get("canonicalizemaxdots")); err == nil {
		return dots
	}
	return usualMaxDots
}

// network is the addresses that AddressFamily asks for.
func (n *native) network() string {
	switch n.values.get("addressfamily") {
	case "inet":
		return "ip4"
	case "inet6":
		return "ip6"
	}
	return "ip"
}

// aliasRule permits names in one list of patterns to be aliases of those in another.
type aliasRule struct{ from, to string }

// permittedAliases reads CanonicalizePermittedCNAMEs, which set has looked through.
func permittedAliases(text string) (rules []aliasRule) {
	if strings.EqualFold(text, "none") {
		return nil
	}
	for _, word := range strings.Fields(text) {
		from, to, _ := strings.Cut(word, ":")
		if word == "*" {
			to = "*"
		}
		rules = append(rules, aliasRule{from, to})
	}
	return rules
}

// badCanonical is what ssh would have against the arguments of CanonicalDomains or CanonicalizePermittedCNAMEs; "" is nothing. A lone none
// has been seen to.
func badCanonical(name string, args []string) string {
	for _, arg := range args {
		switch _, to, ok := strings.Cut(arg, ":"); {
		case strings.EqualFold(arg, "none"):
		case name == "canonicaldomains":
			if err := validDomain(arg); err != nil {
				return err.Error()
			}
		case arg != "*" && (!ok || to == ""):
			return "it is not a list of names, a colon, and a list of names"
		}
	}
	return ""
}

var errDomain = errors.New("it is not a domain's name")

// validDomain holds a domain against what ssh takes for one (misc.c, valid_domain).
func validDomain(domain string) error {
	good := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_'
	}
	if domain == "" || !good(rune(domain[0])) || strings.Contains(domain, "..") ||
		strings.ContainsFunc(domain, func(r rune) bool { return !good(r) && r != '-' && r != '.' }) {
		return errDomain
	}
	return nil
}

// onlyAddress tells whether a name can be nothing but an address, though it is none (ssh.c, is_addr_fast): one with a zone that is not here.
func onlyAddress(name string) bool {
	return strings.ContainsAny(name, "%:") || strings.Trim(name, "0123456789.") == ""
}
