package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// keyring is what we can offer to one hop, in the order in which ssh offers it, and what became of it.
type keyring struct {
	hop   *Hop
	agent *agentKeys

	mu      sync.Mutex // guards all below: x/crypto calls back from its own goroutine
	offers  []*offer
	notes   []keyNote
	locked  string   // an encrypted key of which we do not even know the public half
	allowed []string // methods that the server would accept, as it last said
	partial []string // methods that it has accepted, and that are not enough for it
}

// keyNote is a key or an agent that is of no use, and why.
type keyNote struct {
	text string
	mend string // what to do; "" where nothing need be
}

// offer is one key that we show to a server. It notes whether it was shown at all, since a server that has seen too many
// hangs up before the right one.
type offer struct {
	ssh.MultiAlgorithmSigner
	from   string // where the key is from, for messages
	mu     sync.Mutex
	shown  bool
	signed bool  // the server would take it, and we were asked to prove that we have it
	failed error // why we could not
}

// PublicKey is what x/crypto asks for when the turn of the key has come.
func (o *offer) PublicKey() ssh.PublicKey {
	o.mu.Lock()
	o.shown = true
	o.mu.Unlock()
	return o.MultiAlgorithmSigner.PublicKey()
}

// SignWithAlgorithm is what x/crypto asks for once the server has said that it would take the key.
func (o *offer) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	signature, err := o.MultiAlgorithmSigner.SignWithAlgorithm(rand, data, algorithm)
	o.mu.Lock()
	o.signed, o.failed = true, err
	o.mu.Unlock()
	return signature, err
}

func (o *offer) wasShown() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.shown
}

// errLocked says that the server would take a key whose passphrase we do not have.
type errLocked struct{ path string }

func (e *errLocked) Error() string {
	return "the key " + e.path + " has a passphrase and is not in an agent"
}

// lockedSigner shows the public half of an encrypted key, as ssh does before it asks for the passphrase: where the server
// would take it, we can name the one key that has to be unlocked.
type lockedSigner struct {
	public ssh.PublicKey
	path   string
}

func (s *lockedSigner) PublicKey() ssh.PublicKey { return s.public }
func (s *lockedSigner) Sign(io.Reader, []byte) (*ssh.Signature, error) {
	return nil, &errLocked{s.path}
}
func (s *lockedSigner) SignWithAlgorithm(io.Reader, []byte, string) (*ssh.Signature, error) {
	return nil, &errLocked{s.path}
}

// loadKeyring gathers agent and file keys for a hop. Order as in ssh's sshconnect2.c (pubkey_prepare): the agent's keys that
// the configuration names, then the agent's others, then files. Locked keys come last, since an answer to one ends the attempt.
func loadKeyring(ctx context.Context, hop *Hop, callers []string, until time.Time) *keyring {
	k := &keyring{hop: hop}
	var note string
	k.agent, note = openAgent(ctx, hop, callers, until)
	if note != "" {
		k.notes = append(k.notes, keyNote{text: note})
	}
	var ids []identity
	for _, path := range hop.IdentityFiles {
		if path == "" || path == "none" {
			continue
		}
		if id, ok := loadIdentity(path); ok {
			ids = append(ids, id)
		}
	}
	held := k.offerAgent(ids)
	for _, id := range ids {
		switch {
		case slices.ContainsFunc(held, func(h ssh.PublicKey) bool { return sameKey(h, id.public) }):
		case id.note != "":
			k.notes = append(k.notes, keyNote{id.path + " " + id.note, id.mend})
		case id.signer != nil:
			k.add(id.signer, id.path)
		}
	}
	for _, id := range ids {
		if id.locked && !slices.ContainsFunc(held, func(h ssh.PublicKey) bool { return sameKey(h, id.public) }) {
			if id.public == nil {
				k.notes = append(k.notes, keyNote{text: (&errLocked{id.path}).Error()})
				k.locked = id.path
				continue
			}
			k.add(&lockedSigner{id.public, id.path}, id.path)
		}
	}
	return k
}

// offerAgent adds the agent's keys, those that ids name first, and returns all that it holds.
func (k *keyring) offerAgent(ids []identity) []ssh.PublicKey {
	if k.agent == nil {
		return nil
	}
	var held []ssh.PublicKey
	taken := make([]bool, len(k.agent.signers))
	for _, signer := range k.agent.signers {
		held = append(held, signer.PublicKey())
	}
	for _, id := range ids {
		for i, signer := range k.agent.signers {
			if !taken[i] && sameKey(held[i], id.public) {
				taken[i] = true
				k.add(signer, id.path+" (agent)")
			}
		}
	}
	for i, signer := range k.agent.signers {
		if !taken[i] && !k.hop.IdentitiesOnly {
			k.add(signer, "agent")
		}
	}
	return held
}

func (k *keyring) add(signer ssh.Signer, from string) {
	full, ok := signer.(ssh.MultiAlgorithmSigner)
	if !ok {
		algorithm, ok := signer.(ssh.AlgorithmSigner)
		if !ok {
			return
		}
		var err error
		if full, err = ssh.NewSignerWithAlgorithms(algorithm, algorithmsFor(signer.PublicKey())); err != nil {
			k.notes = append(k.notes, keyNote{text: from + " holds a key of a kind that is not supported (" + signer.PublicKey().Type() + ")"})
			return
		}
	}
	k.offers = append(k.offers, &offer{MultiAlgorithmSigner: full, from: from})
}

// algorithmsFor lists the signatures that we make with a key. RSA with SHA-1 is not among them: OpenSSH 8.8 ended it.
func algorithmsFor(key ssh.PublicKey) []string {
	kind := key.Type()
	if kind == ssh.CertAlgoRSAv01 {
		kind = ssh.KeyAlgoRSA
	}
	if cert, ok := key.(*ssh.Certificate); ok {
		kind = cert.Key.Type()
	}
	if kind == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{kind}
}

func (k *keyring) close() { k.agent.close() }

// apply sets up a client configuration to offer the keys and to note what the server says it takes.
func (k *keyring) apply(config *ssh.ClientConfig) {
	config.Auth = []ssh.AuthMethod{ssh.PublicKeysCallback(func() ([]ssh.Signer, error) {
		k.mu.Lock()
		defer k.mu.Unlock()
		signers := make([]ssh.Signer, 0, len(k.offers))
		for _, o := range k.offers {
			signers = append(signers, o)
		}
		return signers, nil
	})}
	config.AuthCallback = func(c *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.allowed, k.partial = slices.Clone(c.AllowedMethods), slices.Clone(c.PartialSuccessMethods)
		return nil, nil // go on with config.Auth
	}
}

// refused makes the error for a server that did not let us in.
func (k *keyring) refused(cause error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	who := k.hop.User + "@" + k.hop.addr()
	var locked *errLocked
	if errors.As(cause, &locked) {
		return hinted(fmt.Errorf("%w: %s would take a key that is locked: %w", ErrAuth, who, locked), "ssh-add "+locked.path)
	}
	var shown, kept []string
	for _, o := range k.offers {
		entry := o.from + " (" + o.MultiAlgorithmSigner.PublicKey().Type() + ")"
		if o.wasShown() {
			shown = append(shown, entry)
		} else {
			kept = append(kept, entry)
		}
	}
	return hinted(fmt.Errorf("%w by %s: %s", ErrAuth, who, k.story(shown, kept)), k.hint(shown, kept))
}

func (k *keyring) story(shown, kept []string) string {
	story := "there is no key to offer"
	switch {
	case len(k.partial) > 0:
		story = "a key is not enough for it"
	case len(shown) > 0:
		story = "it takes none of the keys offered: " + strings.Join(shown, ", ")
	case len(k.offers) > 0:
		story = "no key was tried"
	}
	if len(shown) > 0 && len(kept) > 0 && len(k.partial) == 0 {
		story += "; it hung up before " + strings.Join(kept, ", ")
	}
	if len(k.allowed) > 0 {
		story += "; it accepts " + quoteRemote(strings.Join(k.allowed, ", "))
	}
	for _, note := range k.notes {
		story += "; " + note.text
	}
	return story
}

func (k *keyring) hint(shown, kept []string) string {
	noKeys := len(k.allowed) > 0 && !slices.Contains(k.allowed, "publickey")
	switch {
	case noKeys:
		return "this server takes no public keys for this user, and passwords or codes are not supported yet: ask for key access"
	case len(shown) > 0 && len(kept) > 0, len(shown) >= 5:
		return fmt.Sprintf("a server hangs up after a few keys (MaxAuthTries): set IdentitiesOnly yes and the right IdentityFile for %s"+
			" in the ssh configuration", k.hop.name())
	case k.locked != "":
		return "ssh-add " + k.locked
	case len(k.notes) > 0 && len(shown) == 0:
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
