package tunnel

import (
	"io"

	"golang.org/x/crypto/ssh"
)

// touchSigner is a security key (FIDO) behind an agent. The agent waits until its user touches it, and says nothing: we do.
type touchSigner struct {
	ssh.AlgorithmSigner
	tell func() (over func())
}

// touched makes a security key's signer tell its user to touch it; other signers are left as they are.
func (k *keyring) touched(signer ssh.Signer) ssh.Signer {
	plain, ok := signer.(ssh.AlgorithmSigner)
	if !ok || !isSecurityKey(signer.PublicKey()) {
		return signer
	}
	return &touchSigner{plain, func() func() { return k.ask.tell(Prompt{Kind: PromptTouch, Text: "touch your security key"}) }}
}

// isSecurityKey tells the key types of OpenSSH's PROTOCOL.u2f.
func isSecurityKey(key ssh.PublicKey) bool {
	switch key.Type() {
	case ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256, ssh.CertAlgoSKED25519v01, ssh.CertAlgoSKECDSA256v01:
		return true
	}
	return false
}

func (s *touchSigner) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	defer s.tell()()
	return s.AlgorithmSigner.SignWithAlgorithm(rand, data, algorithm)
}
