package tunnel

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// revokedByFile looks for the key in RevokedHostKeys, before anything else is asked. A file that cannot be read, or has something in it that
// cannot, revokes every key (ssh_config(5)): what it says might be of this one.
func (k *hostKeys) revokedByFile(key ssh.PublicKey) error {
	for _, path := range k.hop.RevokedHostKeys {
		data, err := readAtMost(path, maxKnownHosts+1)
		if err == nil && len(data) > maxKnownHosts {
			err = fmt.Errorf("it has more than %d bytes", maxKnownHosts)
		}
		found := false
		switch {
		case err != nil:
			err = errors.New(reason(err))
		case bytes.HasPrefix(data, []byte(krlMagic)):
			found, err = krlRevokes(data, key)
		default:
			found, err = listRevokes(data, key)
		}
		if err != nil {
			return errHostKey("while RevokedHostKeys names a file that cannot be read in full, no host key is trusted: mend the file, or take it out of the ssh configuration",
				"the list of revoked keys %s: %w", path, err)
		}
		if found {
			return k.revoked(key, path)
		}
	}
	return nil
}

// listRevokes looks for a key, or the authority that signed it, in a list of keys, one a line (authfile.c, sshkey_in_file).
func listRevokes(data []byte, key ssh.PublicKey) (bool, error) {
	number := 0
	for line := range bytes.Lines(data) {
		number++
		fields := strings.Fields(string(line))
		if len(fields) == 0 || fields[0][0] == '#' {
			continue
		}
		if len(fields) < 2 {
			return false, fmt.Errorf("line %d is no key", number)
		}
		listed, err := parseKey(fields[0], fields[1])
		if err != nil {
			return false, fmt.Errorf("line %d: %w", number, err)
		}
		cert, isCert := key.(*ssh.Certificate)
		if sameKey(plainKey(listed), plainKey(key)) || isCert && sameKey(plainKey(listed), cert.SignatureKey) {
			return true, nil
		}
	}
	return false, nil
}
