package tunnel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"
)

// remember writes a key to the first of the user's files, as ssh does. That it cannot be written is no reason not to connect.
func (k *hostKeys) remember(key ssh.PublicKey) error {
	path, name := k.hop.UserKnownHostsFiles[0], k.name
	if k.hop.HashKnownHosts {
		name = hashedName(name)
	}
	line := name + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))) + "\n"
	if err := appendLine(path, line); err != nil {
		k.log.Warn("cannot write host key", "host", k.hop.name(), "error", err)
		k.how = "was unknown and is accepted; it could not be written down: " + err.Error()
		return nil
	}
	k.log.Info("host key written down", "host", k.hop.name(), "key", fingerprint(key), "file", path)
	k.how = "was unknown, is accepted, and is in " + path + " now"
	return nil
}

// appendLine adds a line to a file that others may be adding to as well. As ssh does (hostfile.c, add_host_to_hostfile), it follows links, and minds
// that the last line may have no end; unlike ssh, it lets nobody else read a file that it makes.
func appendLine(path, line string) error {
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make directory %s: %s", filepath.Dir(path), reason(err))
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return fmt.Errorf("open %s: %s", path, reason(err))
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, info.Size()-1); err != nil {
			return fmt.Errorf("read %s: %s", path, reason(err))
		}
		if last[0] != '\n' {
			line = "\n" + line
		}
	}
	if _, err := f.WriteString(line); err != nil {
		return fmt.Errorf("write %s: %s", path, reason(err))
	}
	return f.Close()
}
