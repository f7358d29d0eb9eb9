package tunnel

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// defaultHostKeys is the order in which OpenSSH asks for host keys (myproposal.h, KEX_DEFAULT_PK_ALG), as far as we know them. A host of which
// nothing is known shows the key that ssh would get.
var defaultHostKeys = []string{
	ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01, ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01,
	ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
}

// chooseAlgorithms sets up what a hop's configuration says of ciphers and the like. Names that are not known here are passed over.
func chooseAlgorithms(config *ssh.ClientConfig, hop *Hop, hostKeys []string) error {
	safe, old := ssh.SupportedAlgorithms(), ssh.InsecureAlgorithms()
	var err error
	choose := func(option string, want []string, known ...string) []string {
		list := slices.DeleteFunc(slices.Clone(want), func(name string) bool { return !slices.Contains(known, name) })
		if len(want) > 0 && len(list) == 0 && err == nil {
			err = hinted(classified(ErrUnreachable, fmt.Errorf("handshake with %s: nothing of its %s is known here: %s", hop.addr(), option, strings.Join(want, ", "))),
				"add one of these to "+option+" of "+hop.name()+" in the ssh configuration: "+strings.Join(known[:min(len(known), 6)], ", "))
		}
		return list
	}
	config.Ciphers = choose("Ciphers", hop.Ciphers, slices.Concat(safe.Ciphers, old.Ciphers)...)
	config.MACs = choose("MACs", hop.MACs, slices.Concat(safe.MACs, old.MACs)...)
	config.KeyExchanges = choose("KexAlgorithms", hop.KexAlgorithms, slices.Concat(safe.KeyExchanges, old.KeyExchanges, []string{"curve25519-sha256@libssh.org"})...)
	config.HostKeyAlgorithms = choose("HostKeyAlgorithms", hostKeys, slices.Concat(safe.HostKeys, old.HostKeys)...)
	config.RekeyThreshold = hop.RekeyLimit
	return err
}

// algorithms orders what we accept so that the server shows a key of a kind that we know (sshconnect2.c, order_hostkeyalgs). The other kinds stay
// in the list, so that a host known by another kind is reported as such and not as one that we share no algorithm with.
func (k *hostKeys) algorithms(more []knownLine) []string {
	list := k.hop.HostKeyAlgorithms
	if len(list) == 0 {
		list = slices.Clone(defaultHostKeys)
		for _, a := range ssh.SupportedAlgorithms().HostKeys {
			if !slices.Contains(list, a) {
				list = append(list, a)
			}
		}
	}
	lines := slices.Concat(k.lines, more)
	if len(lines) == 0 {
		lines = k.bareLines
	}
	knows := func(algorithm string) bool {
		return slices.ContainsFunc(lines, func(l knownLine) bool { return l.mark == "" && l.key.Type() == keyKind(algorithm) })
	}
	if knows(list[0]) {
		return list
	}
	authority := slices.ContainsFunc(lines, func(l knownLine) bool { return l.mark == markCA })
	var first, last []string
	for _, a := range list {
		if authority && isCertificate(a) || knows(a) {
			first = append(first, a)
		} else {
			last = append(last, a)
		}
	}
	return append(first, last...)
}

// permitted tells whether HostKeyAlgorithms has the kind of a key that is no certificate.
func (k *hostKeys) permitted(key ssh.PublicKey) bool {
	return len(k.hop.HostKeyAlgorithms) == 0 || slices.ContainsFunc(k.hop.HostKeyAlgorithms, func(a string) bool {
		return !isCertificate(a) && keyKind(a) == key.Type()
	})
}

func isCertificate(algorithm string) bool { return strings.Contains(algorithm, "-cert-v0") }

// keyKind is the kind of the plain key that a signature algorithm is for.
func keyKind(algorithm string) string {
	plain, _, _ := strings.Cut(algorithm, "-cert-v0")
	if plain == ssh.KeyAlgoRSASHA256 || plain == ssh.KeyAlgoRSASHA512 {
		return ssh.KeyAlgoRSA
	}
	if isCertificate(algorithm) && strings.HasPrefix(algorithm, "sk-") {
		return plain + "@openssh.com"
	}
	return plain
}
