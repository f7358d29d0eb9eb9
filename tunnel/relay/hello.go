package relay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Version is the newest version of the protocol that is spoken here, oldest the oldest.
const (
	Version = 1
	oldest  = 1
)

const magic = "dbkrelay"

// Token is the secret that a client shows: whoever has it is let in.
type Token [32]byte

// Instance names one run of a program.
type Instance [16]byte

// hello is what a client says first: magic, the oldest and the newest version that it speaks, its token, which run of it this is, and how
// many carriers that run had before.
type hello struct {
	oldest, newest uint16
	token          Token
	instance       Instance
	epoch          uint64
}

const helloBytes = len(magic) + 2 + 2 + 32 + 16 + 8

func (h hello) append(b []byte) []byte {
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, h.oldest), h.newest)
	b = append(append(b, h.token[:]...), h.instance[:]...)
	return binary.BigEndian.AppendUint64(b, h.epoch)
}

// ErrNotRelay says that what is at the other end does not speak the relay's protocol.
var ErrNotRelay = errors.New("the other side is not a relay's")

func readHello(r io.Reader) (h hello, err error) {
	var b [helloBytes]byte
	if err := readMagic(r, b[:]); err != nil {
		return h, err
	}
	rest := b[len(magic):]
	h.oldest, h.newest = binary.BigEndian.Uint16(rest), binary.BigEndian.Uint16(rest[2:])
	copy(h.token[:], rest[4:])
	copy(h.instance[:], rest[36:])
	h.epoch = binary.BigEndian.Uint64(rest[52:])
	return h, nil
}

// readMagic fills b, and hangs up as soon as it does not begin as it must: a stranger may say little and wait.
func readMagic(r io.Reader, b []byte) error {
	if _, err := io.ReadFull(r, b[:len(magic)]); err != nil {
		return fmt.Errorf("read the first words: %w", err)
	}
	if string(b[:len(magic)]) != magic {
		return fmt.Errorf("%w: it begins with %q", ErrNotRelay, b[:len(magic)])
	}
	if _, err := io.ReadFull(r, b[len(magic):]); err != nil {
		return fmt.Errorf("read the first words: %w", err)
	}
	return nil
}

// The server's answer: magic, the version, what comes of it, and which run of the server this is.
const (
	answerNew     = 1 // there are no streams yet
	answerResumed = 2 // the streams of the client's last carrier go on
	answerToken   = 3 // refused: not the token
	answerVersion = 4 // refused: no version in common
	answerStale   = 5 // refused: there was a later carrier
)

var (
	// ErrToken says that the relay has another token.
	ErrToken = errors.New("the relay has another token")
	// ErrVersion says that the two sides have no version of the protocol in common.
	ErrVersion = errors.New("no version of the relay's protocol in common")
	// ErrStale says that a later carrier is there, or was.
	ErrStale = errors.New("a later connection has taken over")
)

type answer struct {
	version  uint16
	result   byte
	instance Instance
}

const answerBytes = len(magic) + 2 + 1 + 16

func (a answer) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(append(b, magic...), a.version)
	return append(append(b, a.result), a.instance[:]...)
}

func readAnswer(r io.Reader) (a answer, err error) {
	var b [answerBytes]byte
	if err := readMagic(r, b[:]); err != nil {
		return a, err
	}
	rest := b[len(magic):]
	a.version, a.result = binary.BigEndian.Uint16(rest), rest[2]
	copy(a.instance[:], rest[3:])
	return a, nil
}

// err is why the client is refused, nil where it is not.
func (a answer) err() error {
	switch a.result {
	case answerNew, answerResumed:
		if a.version < oldest || a.version > Version {
			return fmt.Errorf("%w: it speaks %d", ErrVersion, a.version)
		}
		return nil
	case answerToken:
		return ErrToken
	case answerVersion:
		return fmt.Errorf("%w: it speaks up to %d, and we %d to %d", ErrVersion, a.version, oldest, Version)
	case answerStale:
		return ErrStale
	default:
		return fmt.Errorf("%w: it answers %d", ErrNotRelay, a.result)
	}
}
