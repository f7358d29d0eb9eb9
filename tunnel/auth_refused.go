package tunnel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// refused makes the error for a server that did not let us in. It wraps ErrAuth, and ErrNeedsAuth where a person could mend it by an answer.
func (k *keyring) refused() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	t := &k.trial
	if t.over == nil && t.last != methodKey && t.tries[t.last] > 0 {
		t.wrong = true // the server hung up over the last answer
	}
	who := k.hop.User + "@" + k.hop.addr()
	locked := k.lockedOut()
	auth := "brokerctl auth " + k.hop.name()
	switch {
	case errors.Is(t.over, errNewSecret):
		return k.needs(fmt.Sprintf("%s took the password and wants a new one (or answered with something else that is no answer)", who),
			"change it with `ssh "+k.hop.name()+"`, then: "+auth)
	case errors.Is(t.over, errTooCurious):
		return hinted(fmt.Errorf("%w by %s: it asks too much, or never stops talking", ErrAuth, who), fmt.Sprintf("`ssh -v %s` tells more", k.hop.name()))
	case errors.Is(t.over, context.Canceled), errors.Is(t.over, context.DeadlineExceeded):
		return k.needs(who+" waits no longer for an answer", auth+" asks again")
	case locked != nil && locked.wrong:
		return k.needs(fmt.Sprintf("%s would take a key that is locked: %s", who, locked), auth+" asks again, and so does ssh-add "+locked.path)
	}
	shown, kept := k.split()
	story := k.story(shown, kept)
	switch {
	case t.wrong:
		return k.needs(who+" does not take what was answered; "+story, auth+" asks again; mind that servers lock out who keeps failing")
	case locked != nil:
		return k.needs(fmt.Sprintf("%s would take a key that is locked: %s", who, locked), auth+" asks for its passphrase; or load it: ssh-add "+locked.path)
	case t.wants != "":
		hint := auth + " asks for it at a terminal"
		if len(shown) == 0 && len(k.partial) == 0 && len(k.notes) > 0 {
			hint += "; or mend what is said of the key"
		}
		return k.needs(fmt.Sprintf("%s asks for %s, which only a person can answer; %s", who, askedFor(t.wants), story), hint)
	}
	return hinted(fmt.Errorf("%w by %s: %s", ErrAuth, who, story), k.hint(shown, kept))
}

// needs is an error that a person can mend.
func (k *keyring) needs(text, hint string) error {
	return hinted(&classifiedError{class: ErrNeedsAuth, err: fmt.Errorf("%w: %s", ErrAuth, text)}, hint)
}

// askedFor says what a method asks for.
func askedFor(method string) string {
	if method == methodPassword {
		return "a password"
	}
	return "a password or a code"
}

// lockedOut is the first key that the server would take and that stayed locked; nil where there is none. The keyring's mu is held.
func (k *keyring) lockedOut() *errLocked {
	for _, o := range k.offers {
		var locked *errLocked
		if errors.As(o.trouble(), &locked) {
			return locked
		}
	}
	return nil
}

// split names the keys that the server has seen, and those that it has not.
func (k *keyring) split() (shown, kept []string) {
	for _, o := range k.offers {
		entry := o.from + " (" + o.MultiAlgorithmSigner.PublicKey().Type() + ")"
		if o.wasShown() {
			shown = append(shown, entry)
		} else {
			kept = append(kept, entry)
		}
	}
	return shown, kept
}

func (k *keyring) story(shown, kept []string) string {
	story := "there is no key to offer"
	switch {
	case len(k.partial) > 0:
		story = "it has accepted " + quoteRemote(strings.Join(k.partial, ", ")) + ", and that is not enough for it"
	case len(shown) > 0:
		story = "it takes none of the keys offered: " + strings.Join(shown, ", ")
	case len(k.offers) > 0:
		story = "no key was tried"
	}
	if len(shown) > 0 && len(kept) > 0 && len(k.partial) == 0 {
		story += "; it hung up before " + strings.Join(kept, ", ")
	}
	for _, o := range k.offers {
		if err := o.trouble(); err != nil {
			story += "; it would take " + o.from + ", which cannot be used: " + cleanText(err.Error(), maxErrorText)
		}
	}
	if len(k.allowed) > 0 {
		story += "; it accepts " + quoteRemote(strings.Join(k.allowed, ", "))
	}
	for _, m := range []string{methodKey, methodKeyboard, methodPassword} {
		if slices.Contains(k.allowed, m) && !slices.Contains(k.methods(), m) {
			story += "; the ssh configuration rules " + m + " out"
		}
	}
	for _, note := range k.notes {
		story += "; " + note.text
	}
	return story
}

func (k *keyring) hint(shown, kept []string) string {
	noKeys := len(k.allowed) > 0 && !slices.Contains(k.allowed, methodKey)
	switch {
	case noKeys:
		return fmt.Sprintf("this server takes no public keys for this user, and none of the methods that it takes can be used: `ssh -v %s` tells more", k.hop.name())
	case len(shown) > 0 && len(kept) > 0, len(shown) >= 5:
		return fmt.Sprintf("a server hangs up after a few keys (MaxAuthTries): set IdentitiesOnly yes and the right IdentityFile for %s"+
			" in the ssh configuration", k.hop.name())
	case k.locked != "":
		return "ssh-add " + k.locked
	case len(k.notes) > 0 && len(shown) == 0:
		for _, note := range k.notes {
			if note.mend != "" {
				return note.mend
			}
		}
		return "mend what is said of the key, or load it with ssh-add"
	case len(shown) == 0:
		return "make a key with ssh-keygen and bring it there with ssh-copy-id, or load one with ssh-add"
	}
	return fmt.Sprintf("is one of these keys in the authorized_keys of %s there? `ssh -v %s` tells more", k.hop.User, k.hop.name())
}

// quoteRemote makes text of a server safe to show: bounded, and with control characters escaped.
func quoteRemote(s string) string {
	const limit = 200
	s = strings.ToValidUTF8(s, "?")
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	quoted := fmt.Sprintf("%q", s)
	return quoted[1 : len(quoted)-1]
}
