package tunnel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/crypto/ssh"
)

// hostKeys judges the keys that one hop shows as OpenSSH does (sshconnect.c, verify_host_key and check_host_key), by the user's and the system's
// known_hosts files, KnownHostsCommand and RevokedHostKeys. It is for one connection, and its methods for one goroutine at a time.
//
// It is stricter than OpenSSH in one thing: a key that has changed, or is revoked, is refused whatever StrictHostKeyChecking says.
type hostKeys struct {
	hop     *Hop
	log     hclog.Logger
	ask     func(Prompt) (string, error) // nil, or errNobody as its error: nobody is there
	environ []string                     // what KnownHostsCommand gets

	name string // under which the key is looked up: [host]:port
	bare string // the second name that OpenSSH looks up for a host on a port of its own; "" where there is none

	lines     []knownLine // of name
	bareLines []knownLine

	trusted ssh.PublicKey // the key that was accepted: the server shows it again whenever the connection's keys are changed
	how     string        // why it was
}

// loadHostKeys reads the files. ask and environ may be nil.
func loadHostKeys(hop *Hop, log hclog.Logger, environ []string, ask func(Prompt) (string, error)) (*hostKeys, error) {
	k := &hostKeys{hop: hop, log: log, ask: ask, environ: environ, name: knownName(strings.ToLower(hop.HostName), hop.Port)}
	if hop.HostKeyAlias != "" {
		k.name = strings.ToLower(hop.HostKeyAlias) // ssh_config(5): no port is added to it
	} else if bare := strings.ToLower(hop.HostName); bare != k.name {
		k.bare = bare
	}
	for _, path := range slices.Concat(hop.UserKnownHostsFiles, hop.GlobalKnownHostsFiles) {
		data, err := readKnown(path)
		if err != nil {
			return nil, fmt.Errorf("read known hosts: %w", err)
		}
		k.lines = append(k.lines, knownLines(data, path, k.name)...)
		if k.bare != "" {
			k.bareLines = append(k.bareLines, knownLines(data, path, k.bare)...)
		}
	}
	return k, nil
}

// errHostKey makes an error of ErrHostKey.
func errHostKey(hint, format string, args ...any) error {
	return hinted(fmt.Errorf("%w: "+format, append([]any{ErrHostKey}, args...)...), hint)
}

// check judges the key that the server shows. Its errors wrap ErrHostKey.
func (k *hostKeys) check(ctx context.Context, key ssh.PublicKey) error {
	if sameKey(k.trusted, key) {
		return nil
	}
	if err := k.judge(ctx, key); err != nil {
		return err
	}
	k.trusted = key
	return nil
}

func (k *hostKeys) judge(ctx context.Context, key ssh.PublicKey) error {
	if err := k.revokedByFile(key); err != nil {
		return err
	}
	lines := k.lines
	if k.hop.KnownHostsCommand != "" {
		more, err := k.askCommand(ctx, "HOSTNAME", key)
		if err != nil {
			return err
		}
		lines = slices.Concat(lines, more)
	}
	var doubt error // why a certificate does not do
	if cert, ok := key.(*ssh.Certificate); ok {
		if done, err := k.certificate(cert, lines); done {
			return err
		} else {
			doubt = err
		}
		key = cert.Key // sshconnect.c: "No matching CA found. Retry with plain key"
		if !k.permitted(key) {
			return withDoubt(errHostKey("HostKeyAlgorithms of the ssh configuration allows certificates only",
				"the certificate of %s is not trusted", k.hop.addr()), doubt)
		}
	}
	return withDoubt(k.plain(key, lines), doubt)
}

// withDoubt adds to an error why the certificate that came with the key does not do.
func withDoubt(err, doubt error) error {
	if err == nil || doubt == nil {
		return err
	}
	return hinted(fmt.Errorf("%w; %w", err, doubt), hintOf(err))
}

// plain judges a key that is no certificate, or what is left of one.
func (k *hostKeys) plain(key ssh.PublicKey, lines []knownLine) error {
	if err := k.revokedByLine(key, slices.Concat(lines, k.bareLines)); err != nil {
		return err
	}
	if l, ok := findKey(lines, "", key); ok {
		k.how = "is known (" + l.where + ")"
		return nil
	}
	if other := slices.DeleteFunc(slices.Clone(lines), func(l knownLine) bool { return l.mark != "" }); len(other) > 0 {
		return k.changed(key, other)
	}
	if l, ok := findKey(k.bareLines, "", key); ok {
		k.how = "is known without the port (" + l.where + ")"
		return nil
	}
	return k.unknown(key)
}

// findKey finds the line of that mark that has the key.
func findKey(lines []knownLine, mark string, key ssh.PublicKey) (knownLine, bool) {
	i := slices.IndexFunc(lines, func(l knownLine) bool { return l.mark == mark && sameKey(l.key, key) })
	if i < 0 {
		return knownLine{}, false
	}
	return lines[i], true
}

// plainKey is the key itself, of a certificate the one that it is about.
func plainKey(key ssh.PublicKey) ssh.PublicKey {
	if cert, ok := key.(*ssh.Certificate); ok {
		return cert.Key
	}
	return key
}

// revokedByLine looks for the key, or the authority that has signed it, in the lines marked @revoked.
func (k *hostKeys) revokedByLine(key ssh.PublicKey, lines []knownLine) error {
	for _, l := range lines {
		if l.mark != markRevoked {
			continue
		}
		cert, isCert := key.(*ssh.Certificate)
		if sameKey(plainKey(l.key), plainKey(key)) || isCert && sameKey(plainKey(l.key), cert.SignatureKey) {
			return k.revoked(key, l.where)
		}
	}
	return nil
}

func (k *hostKeys) revoked(key ssh.PublicKey, where string) error {
	return errHostKey("someone declared this key stolen: do not connect before you know why the host still uses it",
		"the key that %s shows (%s) is revoked in %s", k.hop.addr(), fingerprint(key), where)
}

// changed tells a changed key (one of the same kind is known) from one of a kind that is not known. OpenSSH takes both for a change.
func (k *hostKeys) changed(key ssh.PublicKey, known []knownLine) error {
	hint := "someone may be listening in on you (an attack), or the host was installed anew: ask who runs it, and only then" +
		" remove the old line with `ssh-keygen -R '" + k.name + "'`"
	var other []string
	for _, l := range known {
		if l.key.Type() == key.Type() {
			return errHostKey(hint, "the key of %s has changed: it shows %s, and %s has %s", k.hop.addr(), fingerprint(key), l.where, fingerprint(l.key))
		}
		if len(other) < 4 {
			other = append(other, l.where)
		}
	}
	return errHostKey(hint, "the key of %s is unknown: %s (keys of other kinds are in %s)", k.hop.addr(), fingerprint(key), strings.Join(other, ", "))
}

// unknown decides on a key of a host of which none is known, by StrictHostKeyChecking.
func (k *hostKeys) unknown(key ssh.PublicKey) error {
	strange := fmt.Errorf("%w: the key of %s is unknown: %s", ErrHostKey, k.hop.addr(), fingerprint(key))
	switch {
	case len(k.hop.UserKnownHostsFiles) == 0: // check_host_key: "readonly"
		return hinted(strange, "UserKnownHostsFile of the ssh configuration names no file that it could be written to")
	case strings.ContainsAny(k.hop.HostName, `@?*#[]|'"\`):
		return hinted(strange, "a name like this is not written to known_hosts: set HostKeyAlias in the ssh configuration")
	case k.hop.StrictHostKeyChecking == "yes":
		return hinted(strange, "StrictHostKeyChecking is yes, which asks nobody: put the key into known_hosts, or set StrictHostKeyChecking to ask for "+
			k.hop.name()+", run `ssh "+k.hop.name()+"` once, compare the fingerprint, and accept the key there")
	case k.hop.StrictHostKeyChecking == "" || k.hop.StrictHostKeyChecking == "ask":
		if err := k.confirmed(key, strange); err != nil {
			return err
		}
	}
	return k.remember(key)
}

// confirmed asks a person for a key. strange is the error where it is not to be trusted.
func (k *hostKeys) confirmed(key ssh.PublicKey, strange error) error {
	later := hinted(classified(ErrNeedsAuth, strange), "`brokerctl auth "+k.hop.name()+"` shows the fingerprint and asks whether to trust it; compare it with what its administrator says")
	if k.ask == nil {
		return later
	}
	p := Prompt{
		Hop: k.hop.name(), Kind: PromptHostKey, Echo: true,
		Note: fmt.Sprintf("The key of %s is not known: %s", k.hop.addr(), fingerprint(key)),
		Text: "Go on, and remember the key? (yes/no/fingerprint)",
	}
	for range 3 {
		answer, err := k.ask(p)
		if errors.Is(err, errNobody) {
			return later
		}
		if err != nil {
			return classified(ErrNeedsAuth, fmt.Errorf("%w: ask about it: %w", strange, err))
		}
		switch answer = strings.TrimSpace(answer); {
		case strings.EqualFold(answer, "yes"), answer == ssh.FingerprintSHA256(key), answer == fingerprint(key):
			return nil
		case answer == "", strings.EqualFold(answer, "no"):
			return hinted(classified(ErrNeedsAuth, fmt.Errorf("%w, and was not accepted", strange)), hintOf(later))
		}
	}
	return hinted(classified(ErrNeedsAuth, fmt.Errorf("%w, and no answer was yes or its fingerprint", strange)), hintOf(later))
}

func fingerprint(key ssh.PublicKey) string { return key.Type() + " " + ssh.FingerprintSHA256(key) }
