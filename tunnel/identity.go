package tunnel

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/crypto/ssh"
)

// maxKeyFile bounds a key file; the largest real ones are a few KiB.
const maxKeyFile = 1 << 20

// identity is one IdentityFile of a hop, as far as it can be used.
type identity struct {
	path   string
	public ssh.PublicKey // nil where it cannot be told
	signer ssh.Signer    // nil where the private half is missing, locked or refused
	locked bool          // the private half needs a passphrase
	data   []byte        // of a locked one: the file, encrypted as it is
	note   string        // why the file is of no use; "" where nothing is wrong with it
	mend   string        // what to do about that
}

// loadIdentity reads a private key and, where that does not tell, its public half beside it. ok is false where there is
// neither, which is no error: ssh's own list names files that few people have.
func loadIdentity(path string) (id identity, ok bool) {
	id.path = path
	data, err := readAtMost(path, maxKeyFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		id.public = readPublicKey(path + ".pub") // the private half may be in the agent
		return id, id.public != nil
	case err != nil:
		id.note, id.mend = "cannot be read: "+reason(err), "ls -l "+path+" shows whose it is"
		return id, true
	}
	if public := parsePublicKey(data); public != nil {
		id.public = public // IdentityFile may name the public key, to pick one of the agent's
		return id, true
	}
	id.parse(data)
	if id.public == nil {
		id.public = readPublicKey(path + ".pub")
	}
	return id, true
}

func (id *identity) parse(data []byte) {
	if open := tooOpen(id.path); open != "" {
		id.note, id.mend = open, "chmod 600 "+id.path
		return
	}
	signer, err := ssh.ParsePrivateKey(data)
	var missing *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &missing):
		id.locked, id.public, id.data = true, missing.PublicKey, data
	case err != nil:
		// The library's words may quote the file, so they stay out.
		id.note, id.mend = "is no private key that can be read", "name another IdentityFile in the ssh configuration, or make a key with ssh-keygen"
	default:
		id.signer, id.public = signer, signer.PublicKey()
	}
}

// tooOpen refuses a private key that others may read, as ssh does: it may have been copied.
func tooOpen(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "cannot be read: " + reason(err)
	}
	if perm := info.Mode().Perm(); ownedByUs(info) && perm&0o077 != 0 {
		return fmt.Sprintf("is not used, since others may read it (mode %04o): chmod 600 it", perm)
	}
	return ""
}

// reason drops the operation and path from a file error; both are said already.
func reason(err error) string {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err.Error()
	}
	return err.Error()
}

func readPublicKey(path string) ssh.PublicKey {
	data, err := readAtMost(path, maxKeyFile)
	if err != nil {
		return nil
	}
	return parsePublicKey(data)
}

func parsePublicKey(data []byte) ssh.PublicKey {
	if bytes.Contains(data, []byte("PRIVATE KEY")) {
		return nil
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(data)
	if err != nil {
		return nil
	}
	return key
}

func sameKey(a, b ssh.PublicKey) bool {
	return a != nil && b != nil && bytes.Equal(a.Marshal(), b.Marshal())
}
