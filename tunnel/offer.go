package tunnel

import (
	"fmt"
	"io"
	"slices"
	"sync"

	"golang.org/x/crypto/ssh"
)

// offer is one key that we show to a server. It notes whether it was shown at all, since a server that has seen too many
// hangs up before the right one.
type offer struct {
	ssh.MultiAlgorithmSigner
	from     string // where the key is from, for messages
	mu       sync.Mutex
	shown    bool
	signed   bool  // the server would take it, and we were asked to prove that we have it
	accepted bool  // the server took it
	failed   error // why we could not prove it
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

// take notes that the server took the key, if it is the one that proved itself last.
func (o *offer) take() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.signed || o.failed != nil || o.accepted {
		return false
	}
	o.accepted = true
	return true
}

// trouble is why the key could not be used, though the server would have taken it.
func (o *offer) trouble() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failed
}

// certSigner shows a certificate in place of the key that it is about.
type certSigner struct {
	ssh.MultiAlgorithmSigner
	cert *ssh.Certificate
}

func (s *certSigner) PublicKey() ssh.PublicKey { return s.cert }

// add puts a key up for offer, behind those of its certificates that are good.
func (k *keyring) add(signer ssh.Signer, from string) {
	key := signer.PublicKey()
	if cert, ok := key.(*ssh.Certificate); ok {
		if why := unusable(cert, k.now()); why != "" {
			k.notes = append(k.notes, keyNote{from + ": " + why, renewCert})
			return
		}
	}
	for _, c := range k.certs {
		if sameKey(c.cert.Key, key) && !k.offered(c.cert) {
			c.held = true
			k.offer(signer, c.cert, c.path)
		}
	}
	if !k.offered(key) {
		k.offer(signer, key, from)
	}
}

// offer puts a signer up as key, which is its own or a certificate for that.
func (k *keyring) offer(signer ssh.Signer, key ssh.PublicKey, from string) {
	full, why := k.signsAs(signer, key)
	if why != "" {
		k.notes = append(k.notes, keyNote{text: from + " " + why})
		return
	}
	if cert, ok := key.(*ssh.Certificate); ok && !sameKey(signer.PublicKey(), key) {
		full = &certSigner{full, cert}
	}
	k.offers = append(k.offers, &offer{MultiAlgorithmSigner: full, from: from})
}

func (k *keyring) offered(key ssh.PublicKey) bool {
	return slices.ContainsFunc(k.offers, func(o *offer) bool { return sameKey(o.MultiAlgorithmSigner.PublicKey(), key) })
}

// signsAs bounds a signer to the signatures that we make with a key. why says that there are none.
func (k *keyring) signsAs(signer ssh.Signer, key ssh.PublicKey) (full ssh.MultiAlgorithmSigner, why string) {
	algorithms := algorithmsFor(key, k.hop.PubkeyAcceptedAlgorithms)
	if len(algorithms) == 0 {
		return nil, "is not offered: PubkeyAcceptedAlgorithms leaves out " + key.Type()
	}
	if locked, ok := signer.(*lockedSigner); ok {
		return lockedAs{locked, algorithms}, ""
	}
	plain, ok := signer.(ssh.AlgorithmSigner)
	if ok {
		if full, err := ssh.NewSignerWithAlgorithms(plain, algorithms); err == nil {
			return full, ""
		}
	}
	return nil, fmt.Sprintf("holds a key of a kind that is not supported (%s)", key.Type())
}

// algorithmsFor lists the signatures that we make with a key; accepted is the user's PubkeyAcceptedAlgorithms, empty where there is none. RSA
// with SHA-1 is among them only where the user asks for it: OpenSSH 8.8 ended it.
func algorithmsFor(key ssh.PublicKey, accepted []string) []string {
	suffix, kind := "", key.Type()
	if cert, ok := key.(*ssh.Certificate); ok {
		suffix, kind = "-cert-v01@openssh.com", cert.Key.Type()
	}
	all := []string{kind}
	if kind == ssh.KeyAlgoRSA {
		all = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
		if len(accepted) > 0 {
			all = append(all, ssh.KeyAlgoRSA)
		}
	}
	if len(accepted) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(a string) bool {
		name := a + suffix
		if suffix != "" && (kind == ssh.KeyAlgoSKED25519 || kind == ssh.KeyAlgoSKECDSA256) {
			name = key.Type() // sk-ssh-ed25519-cert-v01@openssh.com: the suffix does not stand at the end
		}
		return !slices.Contains(accepted, name)
	})
}
