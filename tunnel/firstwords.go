package tunnel

import (
	"bytes"
	"strings"
	"sync"
)

// maxFirstWords bounds what is kept of a server's first words, in bytes: RFC 4253, 4.2 allows an identification of 255, and lines before it.
// x/crypto gives up after 1024 such lines, or a longer one.
const maxFirstWords = 4 << 10

// firstWords are what the peer of a wire said first. They tell an SSH server from something else.
type firstWords struct {
	mu   sync.Mutex
	said []byte
}

func (f *firstWords) note(p []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if room := maxFirstWords - len(f.said); room > 0 {
		f.said = append(f.said, p[:min(room, len(p))]...)
	}
}

func (f *firstWords) text() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.said
}

// identification is the line in which a server says what it is (RFC 4253, 4.2); "" where there is none.
func (f *firstWords) identification() string {
	for line := range bytes.Lines(f.text()) {
		if bytes.HasPrefix(line, []byte("SSH-")) {
			return quoteRemote(strings.TrimRight(string(line), "\r\n"))
		}
	}
	return ""
}

// busy tells whether a server says instead of its identification that it takes nobody (OpenSSH's sshd.c, drop_connection: "Exceeded MaxStartups",
// since 9.8 "Not allowed at this time").
func (f *firstWords) busy() bool {
	said := f.text()
	return bytes.HasPrefix(said, []byte("Exceeded MaxStartups")) || bytes.HasPrefix(said, []byte("Not allowed at this time"))
}

// http tells whether a web server has answered.
func (f *firstWords) http() bool { return bytes.HasPrefix(f.text(), []byte("HTTP/")) }
