package tunnel

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"
)

const (
	maxKnownHosts     = 32 << 20 // bytes of one known_hosts file; what is beyond is not read
	maxKnownHostsLine = 64 << 10 // bytes; the largest key there is takes a sixth of it
	maxHostPattern    = 1023     // match.c, match_pattern_list: a longer one matches nothing
)

// Markers of a line (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).
const (
	markCA      = "@cert-authority"
	markRevoked = "@revoked"
)

// knownLine is a line of a known_hosts file that is about the host in question.
type knownLine struct {
	mark  string // markCA, markRevoked, or "" where the key is the host's own
	key   ssh.PublicKey
	where string // "file:line", for messages
}

// knownLines reads the lines that are about host, as hostkeys_foreach_file in OpenSSH's hostfile.c does: a line that cannot be read (of a kind of
// key, or a marker, that is not known, with bad base64, too long or too short) is passed over, and costs no other its effect. host is in lower
// case.
func knownLines(data []byte, name, host string) []knownLine {
	var list []knownLine
	number := 0
	for line := range bytes.Lines(data) {
		number++
		if len(line) > maxKnownHostsLine {
			continue
		}
		if l, ok := parseKnownLine(string(line), host); ok {
			l.where = fmt.Sprintf("%s:%d", name, number)
			list = append(list, l)
		}
	}
	return list
}

func parseKnownLine(line, host string) (knownLine, bool) {
	fields := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' || r == '\r' || r == '\n' })
	if len(fields) == 0 || fields[0][0] == '#' {
		return knownLine{}, false
	}
	var l knownLine
	if fields[0][0] == '@' {
		if l.mark = fields[0]; l.mark != markCA && l.mark != markRevoked {
			return knownLine{}, false
		}
		fields = fields[1:]
	}
	if len(fields) < 3 || !namesHost(fields[0], host) {
		return knownLine{}, false
	}
	key, err := parseKey(fields[1], fields[2])
	l.key = key
	return l, err == nil
}

// parseKey reads a key as a file of keys has it.
func parseKey(kind, text string) (ssh.PublicKey, error) {
	blob, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("bad base64")
	}
	key, err := ssh.ParsePublicKey(blob)
	if err != nil {
		return nil, errors.New("no key that can be read")
	}
	if key.Type() != kind {
		return nil, errors.New("a key of another kind than it says")
	}
	return key, nil
}

// namesHost tells whether the first field of a line is about host: a hashed name, or a list of patterns.
func namesHost(field, host string) bool {
	if strings.HasPrefix(field, "|") {
		return hashedIs(field, host)
	}
	return matchList(field, host)
}

// hashedIs compares with a name |1|salt|hash (hostfile.c, host_hash).
func hashedIs(field, host string) bool {
	salt, hash, ok := strings.Cut(strings.TrimPrefix(field, "|1|"), "|")
	if !ok || !strings.HasPrefix(field, "|1|") {
		return false
	}
	saltBytes, err := base64.StdEncoding.DecodeString(salt)
	if err != nil || len(saltBytes) != sha1.Size {
		return false
	}
	hashBytes, err := base64.StdEncoding.DecodeString(hash)
	return err == nil && hmac.Equal(hashBytes, hashHost(host, saltBytes))
}

func hashHost(host string, salt []byte) []byte {
	mac := hmac.New(sha1.New, salt)
	mac.Write([]byte(host))
	return mac.Sum(nil)
}

// hashedName is a host's name as HashKnownHosts writes it.
func hashedName(host string) string {
	salt := make([]byte, sha1.Size)
	_, _ = rand.Read(salt) // never fails
	encode := base64.StdEncoding.EncodeToString
	return "|1|" + encode(salt) + "|" + encode(hashHost(host, salt))
}

// matchList is match_pattern_list of OpenSSH's match.c: any pattern that matches, and none with a ! that does.
func matchList(list, host string) bool {
	matched := false
	for pattern := range strings.SplitSeq(strings.ToLower(list), ",") {
		pattern, negated := strings.CutPrefix(pattern, "!")
		if len(pattern) >= maxHostPattern {
			return false
		}
		if pattern == "" || !matchPattern(pattern, host) {
			continue
		}
		if negated {
			return false
		}
		matched = true
	}
	return matched
}

// matchPattern matches with * and ?, in time that grows no faster than the product of the lengths.
func matchPattern(pattern, s string) bool {
	p, i, star, from := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// knownName is what the files call a host on a port (misc.c, put_host_port).
func knownName(host string, port int) string {
	if port == 0 || port == 22 {
		return host
	}
	return "[" + host + "]:" + strconv.Itoa(port)
}

// readKnown reads a file of known hosts, or what of it is to be read. As with OpenSSH, a key that we cannot read is a key that we do not know.
func readKnown(path string) ([]byte, error) {
	data, err := readAtMost(path, maxKnownHosts)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	return data, err
}

// readAtMost reads the beginning of a regular file. It never waits, as for the other end of a pipe.
func readAtMost(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fs.ErrNotExist
	}
	return io.ReadAll(io.LimitReader(f, limit))
}
