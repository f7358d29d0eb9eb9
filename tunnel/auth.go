package tunnel

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// keyring is what we can offer to one hop, in the order in which ssh offers it, and what became of it.
type keyring struct {
	hop   *Hop
	agent *agentKeys
	certs []*certificate
	ask   questions

	mu      sync.Mutex // guards all below: x/crypto calls back from its own goroutine
	offers  []*offer
	notes   []keyNote
	locked  string   // an encrypted key of which we do not even know the public half
	allowed []string // methods that the server would accept, as it last said
	partial []string // methods that it has accepted, and that are not enough for it
	trial   trial
}

// keyNote is a key or an agent that is of no use, and why.
type keyNote struct {
	text string
	mend string // what to do; "" where nothing need be
}

// loadKeyring gathers agent and file keys for a hop. Order as in ssh's sshconnect2.c (pubkey_prepare): the agent's keys that
// the configuration names, then the agent's others, then files. A key's certificates come before it. Locked keys come last, since nobody is
// to be asked where another one will do.
func loadKeyring(ctx context.Context, hop *Hop, callers []string, ask questions) *keyring {
	k := &keyring{hop: hop, ask: ask}
	if hop.PubkeyAuthentication == "no" {
		return k
	}
	k.certs, k.notes = loadCertificates(hop, k.now())
	var note string
	k.agent, note = openAgent(ctx, hop, callers)
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
				k.notes = append(k.notes, keyNote{(&errLocked{path: id.path}).Error() + ", and nothing tells its public half",
					"ssh-keygen -y -f " + id.path + " > " + id.path + ".pub"})
				k.locked = id.path
				continue
			}
			k.add(&lockedSigner{public: id.public, path: id.path, unlock: func() (ssh.AlgorithmSigner, error) { return k.unlock(id) }}, id.path)
		}
	}
	for _, c := range k.certs {
		if !c.held {
			k.notes = append(k.notes, keyNote{text: "there is no key to the certificate " + c.path})
		}
	}
	return k
}

func (k *keyring) now() time.Time { return time.Now() }

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
	for _, c := range k.certs {
		for i, signer := range k.agent.signers {
			if !taken[i] && sameKey(held[i], c.cert) {
				taken[i], c.held = true, true
				k.add(k.touched(signer), c.path+" (agent)")
			}
		}
	}
	for _, id := range ids {
		for i, signer := range k.agent.signers {
			if !taken[i] && sameKey(held[i], id.public) {
				taken[i] = true
				k.add(k.touched(signer), id.path+" (agent)")
			}
		}
	}
	for i, signer := range k.agent.signers {
		if !taken[i] && !k.hop.IdentitiesOnly {
			k.add(k.touched(signer), "agent")
		}
	}
	return held
}

func (k *keyring) close() { k.agent.close() }

// apply sets up a client configuration to offer what we have and to note what the server says it takes.
func (k *keyring) apply(config *ssh.ClientConfig) {
	config.AuthCallback = k.next
	config.BannerCallback = k.hear
}
