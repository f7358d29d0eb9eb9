package tunnel

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// defaultCASignatures is OpenSSH's (myproposal.h, SSH_ALLOWED_CA_SIGALGS), which leaves out RSA with SHA-1.
var defaultCASignatures = []string{
	ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256,
	ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
}

// certificate judges a host certificate by the lines marked @cert-authority. done tells that there is no more to it; else the plain key is to be
// judged, and err says why the certificate does not do.
func (k *hostKeys) certificate(cert *ssh.Certificate, lines []knownLine) (done bool, err error) {
	if err := k.revokedByLine(cert, slices.Concat(lines, k.bareLines)); err != nil {
		return true, err
	}
	ca, ok := findKey(lines, markCA, cert.SignatureKey)
	if !ok {
		ca, ok = findKey(k.bareLines, markCA, cert.SignatureKey)
	}
	if !ok {
		return false, fmt.Errorf("its certificate is by an authority that is not known here: %s", fingerprint(cert.SignatureKey))
	}
	if err := k.certificateHolds(cert, time.Now()); err != nil {
		return false, fmt.Errorf("its certificate %s (authority in %s) does not hold: %w", quoteRemote(cert.KeyId), ca.where, err)
	}
	k.how = "has a certificate of the authority in " + ca.where
	return true, nil
}

// certificateHolds is sshkey_cert_check_host of OpenSSH's sshkey.c.
func (k *hostKeys) certificateHolds(cert *ssh.Certificate, now time.Time) error {
	host := k.hop.HostName
	if k.hop.HostKeyAlias != "" {
		host = k.hop.HostKeyAlias
	}
	host = strings.ToLower(host)
	if cert.CertType != ssh.HostCert {
		return errors.New("it is not for a host")
	}
	unix := uint64(max(now.Unix(), 0))
	if unix < cert.ValidAfter {
		return fmt.Errorf("it is not valid yet, but %s", validity(cert))
	}
	if unix >= cert.ValidBefore {
		return fmt.Errorf("it has expired: it was valid %s", validity(cert))
	}
	at := slices.IndexFunc(cert.ValidPrincipals, func(p string) bool { return matchPattern(p, host) })
	if at < 0 {
		names := "nobody"
		if len(cert.ValidPrincipals) > 0 {
			names = quoteRemote(strings.Join(cert.ValidPrincipals, ", "))
		}
		return fmt.Errorf("it is for %s, not for %s", names, host)
	}
	if len(cert.CriticalOptions) > 0 {
		return errors.New("it has critical options")
	}
	allowed := k.hop.CASignatureAlgorithms
	if len(allowed) == 0 {
		allowed = defaultCASignatures
	}
	if !slices.Contains(allowed, cert.Signature.Format) {
		return fmt.Errorf("it is signed with %s, which CASignatureAlgorithms does not allow", quoteRemote(cert.Signature.Format))
	}
	checker := ssh.CertChecker{Clock: func() time.Time { return now }}
	return checker.CheckCert(cert.ValidPrincipals[at], cert) // the signature is left to look at
}

// validity tells the dates of a certificate.
func validity(cert *ssh.Certificate) string {
	date := func(t uint64) string {
		const end = 253402300799 // of year 9999
		return time.Unix(int64(min(t, end)), 0).UTC().Format("2006-01-02 15:04:05 UTC")
	}
	switch {
	case cert.ValidAfter == 0 && cert.ValidBefore == ssh.CertTimeInfinity:
		return "for ever"
	case cert.ValidBefore == ssh.CertTimeInfinity:
		return "from " + date(cert.ValidAfter)
	case cert.ValidAfter == 0:
		return "until " + date(cert.ValidBefore)
	}
	return "from " + date(cert.ValidAfter) + " until " + date(cert.ValidBefore)
}
