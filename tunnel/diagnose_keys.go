package tunnel

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// findings tells what became of each key, and of the authentication as a whole, which ended in err. A key that was refused is a fault
// only where none was accepted; one that cannot be used as it lies there is always one.
func (k *keyring) findings(err error) []Finding {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []Finding
	with := "without a proof: the server asks for nothing"
	for _, o := range k.offers {
		f, accepted := o.finding(err == nil, len(k.partial) > 0, k.hop)
		if accepted {
			with = "by a key of " + o.from
		}
		list = append(list, f)
	}
	for _, note := range k.notes {
		f := Finding{Check: "key", OK: err == nil && note.mend == "", Detail: note.text, Hint: note.mend}
		if f.Hint == "" && !f.OK {
			f.Hint = "load the key with ssh-add; SSH_AUTH_SOCK of the shell that runs brokerctl names the agent"
		}
		list = append(list, f)
	}
	for _, method := range []string{methodKeyboard, methodPassword} {
		if err != nil && slices.Contains(k.allowed, method) && slices.Contains(k.methods(), method) {
			list = append(list, Finding{Check: method, OK: true, Detail: "the server offers to ask for " + askedFor(method),
				Hint: "brokerctl auth " + k.hop.name() + " lets you answer"})
		}
	}
	if err != nil {
		return append(list, Finding{Check: "authentication", Detail: err.Error(), Hint: hintOf(err)})
	}
	detail := "as " + k.hop.User + " " + with
	if others := slices.DeleteFunc(slices.Clone(k.allowed), func(m string) bool { return m == methodKey }); len(others) > 0 {
		detail += "; the server also takes " + quoteRemote(strings.Join(others, ", "))
	}
	return append(list, Finding{Check: "authentication", OK: true, Detail: detail})
}

// label names a key so that a person finds it again.
func (o *offer) label() string {
	key := o.MultiAlgorithmSigner.PublicKey()
	return fmt.Sprintf("%s (%s %s)", o.from, key.Type(), ssh.FingerprintSHA256(key))
}

// finding tells what became of one key. in: we were let in at last; partial: something was accepted, and was not enough.
func (o *offer) finding(in, partial bool, hop *Hop) (f Finding, accepted bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f = Finding{Check: "key", OK: in}
	said := ""
	var locked *errLocked
	switch {
	case errors.As(o.failed, &locked):
		said = "the server would take it, and it has a passphrase"
		f.Hint = "brokerctl auth " + hop.name() + " asks for it; or load the key: ssh-add " + locked.path
	case o.failed != nil:
		said = "the server would take it, and it cannot be used: " + o.failed.Error()
		f.Hint = "does the agent, or the security key, wait for an answer?"
	case o.signed && (in || partial):
		said, accepted = "accepted", true
		if !in {
			f.OK, said = true, "accepted, and the server wants more than a key"
		}
	case o.signed:
		said = "refused after the proof of possession"
		f.Hint = "the server's log says why: the account may be locked, or closed to this address"
	case o.shown:
		said = "refused"
		if !in {
			f.Hint = fmt.Sprintf("it must be in the authorized_keys of %s there: ssh-copy-id", hop.User)
		}
	case in:
		said = "not needed"
	default:
		said = "not tried: the server hung up before"
		f.Hint = "set IdentitiesOnly yes and the right IdentityFile for " + hop.name() + " in the ssh configuration"
	}
	f.Detail = o.label() + ": " + said
	return f, accepted
}
