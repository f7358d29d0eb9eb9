package tunnel

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

const (
	maxKnownHosts     = 32 << 20 // bytes of one known_hosts file; what is beyond is not read
	maxKnownHostsLine = 60 << 10 // the library's scanner gives up at 64 KiB
)

// knownFiles are sanitised copies of known_hosts files in a private directory, and how to get from a copy to its original.
type knownFiles struct {
	dir    string
	copies []string
	origin map[string]string // copy -> original path
}

// sanitiseKnownHosts copies known_hosts files with every line blanked that the library cannot read: it would give up the whole
// file for one, where OpenSSH skips the line. Line numbers stay. A missing file is no error.
func sanitiseKnownHosts(paths []string) (*knownFiles, error) {
	dir, err := os.MkdirTemp("", "debugbroker-known-")
	if err != nil {
		return nil, fmt.Errorf("make room for known hosts: %w", err)
	}
	k := &knownFiles{dir: dir, origin: make(map[string]string)}
	for i, path := range paths {
		data, err := readAtMost(path, maxKnownHosts)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			continue // as OpenSSH: a key that we cannot read is a key that we do not know
		}
		if err != nil {
			k.remove()
			return nil, fmt.Errorf("read known hosts: %w", err)
		}
		file := filepath.Join(dir, fmt.Sprintf("%d", i))
		if err := os.WriteFile(file, sanitiseKnownLines(data), 0o600); err != nil {
			k.remove()
			return nil, fmt.Errorf("copy known hosts: %w", err)
		}
		k.copies = append(k.copies, file)
		k.origin[file] = path
	}
	return k, nil
}

func (k *knownFiles) remove() { _ = os.RemoveAll(k.dir) }

// sanitiseKnownLines returns data with the same number of lines, the unreadable ones empty and host names in lower case
// (OpenSSH compares them so).
func sanitiseKnownLines(data []byte) []byte {
	lines := bytes.Split(data, []byte{'\n'})
	for i, line := range lines {
		lines[i] = sanitiseKnownLine(line)
	}
	return bytes.Join(lines, []byte{'\n'})
}

func sanitiseKnownLine(line []byte) []byte {
	fields := bytes.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' || r == '\r' })
	if len(line) > maxKnownHostsLine || len(fields) == 0 || fields[0][0] == '#' {
		return nil
	}
	host := 0
	if fields[0][0] == '@' {
		host = 1
	}
	if len(fields) < host+3 {
		return nil
	}
	if fields[host][0] != '|' {
		fields[host] = bytes.ToLower(fields[host])
	}
	if !loadableHosts(string(fields[host])) {
		return nil
	}
	clean := bytes.Join(fields[:host+3], []byte{' '}) // without the comment
	marker, hosts, _, _, _, err := ssh.ParseKnownHosts(clean)
	if err != nil || len(hosts) == 0 {
		return nil
	}
	if host == 1 && marker != "cert-authority" && marker != "revoked" {
		return nil
	}
	return clean
}

// loadableHosts tells whether the library can read the host field of a line: a list of patterns, or one hashed name
// |1|salt|hash (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).
func loadableHosts(field string) bool {
	if strings.HasPrefix(field, "|") {
		parts := strings.Split(field, "|")
		if len(parts) != 4 || parts[1] != "1" {
			return false
		}
		for _, part := range parts[2:] {
			if _, err := base64.StdEncoding.DecodeString(part); err != nil {
				return false
			}
		}
		return true
	}
	for pattern := range strings.SplitSeq(field, ",") {
		bare := strings.TrimPrefix(pattern, "!")
		if bare == "" && pattern != "" {
			return false
		}
		if strings.HasPrefix(bare, "[") {
			if _, _, err := net.SplitHostPort(bare); err != nil {
				return false
			}
		}
	}
	return true
}

func readAtMost(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fs.ErrNotExist
	}
	return io.ReadAll(io.LimitReader(f, limit))
}
