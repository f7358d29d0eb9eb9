package tunnel

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"
)

// renewCert is what to do about a certificate that is of no use.
const renewCert = "ask whoever runs your certificate authority for a new certificate"

// certificate is one file with a user certificate.
type certificate struct {
	path string
	cert *ssh.Certificate
	held bool // there is a key to it
}

// loadCertificates reads the CertificateFiles of a hop and what lies beside its identity files (KEY-cert.pub), in that order, as ssh.c
// (load_public_identity_files) has them. notes tell of those that are of no use.
func loadCertificates(hop *Hop, now time.Time) (certs []*certificate, notes []keyNote) {
	var paths []string
	for _, path := range hop.CertificateFiles {
		if path != "" && path != "none" {
			paths = append(paths, path)
		}
	}
	explicit := len(paths)
	for _, path := range hop.IdentityFiles {
		if path != "" && path != "none" && !slices.Contains(paths, path+"-cert.pub") {
			paths = append(paths, path+"-cert.pub")
		}
	}
	for i, path := range paths {
		data, err := readAtMost(path, maxKeyFile)
		switch {
		case errors.Is(err, fs.ErrNotExist) && i >= explicit:
			continue
		case err != nil:
			notes = append(notes, keyNote{"the certificate " + path + " cannot be read: " + reason(err), "CertificateFile in the ssh configuration names it"})
			continue
		}
		cert, ok := parsePublicKey(data).(*ssh.Certificate)
		if !ok {
			notes = append(notes, keyNote{path + " is no certificate", "make it anew with ssh-keygen -s, or ask your certificate authority for it"})
			continue
		}
		if why := unusable(cert, now); why != "" {
			notes = append(notes, keyNote{"the certificate " + path + " " + why, renewCert})
			continue
		}
		certs = append(certs, &certificate{path: path, cert: cert})
	}
	return certs, notes
}

// unusable says why no server would take a certificate; "" where one may. The times of a certificate are RFC 4251's uint64, in seconds since
// 1970 (OpenSSH's PROTOCOL.certkeys).
func unusable(cert *ssh.Certificate, now time.Time) string {
	const layout = "2006-01-02 15:04:05 MST"
	at := uint64(max(0, now.Unix()))
	switch {
	case cert.CertType != ssh.UserCert:
		return "is a host's certificate and lets no user in"
	case cert.ValidBefore != ssh.CertTimeInfinity && at >= cert.ValidBefore:
		return "has expired: it was valid until " + certTime(cert.ValidBefore).Format(layout)
	case at < cert.ValidAfter:
		return "is not valid yet: it will be from " + certTime(cert.ValidAfter).Format(layout)
	}
	return ""
}

// certTime is a certificate's time, no later than a Time can print.
func certTime(seconds uint64) time.Time {
	const last = 253402300799 // the end of the year 9999
	return time.Unix(int64(min(seconds, last)), 0)
}

// certOf tells the certificate that an agent's key blob is.
func certOf(key ssh.PublicKey) *ssh.Certificate {
	parsed, err := ssh.ParsePublicKey(key.Marshal())
	if err != nil {
		return nil
	}
	cert, ok := parsed.(*ssh.Certificate)
	if !ok || !bytes.Equal(cert.Marshal(), key.Marshal()) {
		return nil
	}
	return cert
}
