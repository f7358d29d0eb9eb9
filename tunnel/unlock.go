package tunnel

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// errLocked says that the server would take a key whose passphrase we do not have.
type errLocked struct {
	path  string
	wrong bool // passphrases were given, and none fits
}

func (e *errLocked) Error() string {
	if e.wrong {
		return "the passphrases given do not fit the key " + e.path
	}
	return "the key " + e.path + " has a passphrase and is not in an agent"
}

// lockedSigner shows the public half of an encrypted key, as ssh does before it asks for the passphrase. That is asked for where the server
// would take the key, and not before.
type lockedSigner struct {
	public ssh.PublicKey
	path   string
	unlock func() (ssh.AlgorithmSigner, error)
	open   ssh.AlgorithmSigner // nil before it is unlocked
}

// lockedAs is a lockedSigner and the signatures that it makes.
type lockedAs struct {
	*lockedSigner
	algorithms []string
}

func (s lockedAs) Algorithms() []string { return s.algorithms }

func (s *lockedSigner) PublicKey() ssh.PublicKey { return s.public }

func (s *lockedSigner) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return s.SignWithAlgorithm(rand, data, "")
}

// SignWithAlgorithm is called by one goroutine, that of the handshake.
func (s *lockedSigner) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	if s.open == nil {
		open, err := s.unlock()
		if err != nil {
			return nil, err
		}
		s.open = open
	}
	return s.open.SignWithAlgorithm(rand, data, algorithm)
}

// unlock asks for the passphrase of a key until it fits, NumberOfPasswordPrompts times at the most. An empty answer leaves the key out, as
// with ssh (sshconnect2.c, load_identity_file).
func (k *keyring) unlock(id identity) (ssh.AlgorithmSigner, error) {
	note := k.preface()
	for range k.prompts() {
		passphrase, err := k.ask.put(Prompt{Kind: PromptPassphrase, Note: note, Text: "passphrase of the key " + cleanText(id.path, maxPromptText) + ":"})
		switch {
		case errors.Is(err, errNobody):
			return nil, &errLocked{path: id.path}
		case err != nil:
			k.stop(err)
			return nil, err
		case passphrase == "":
			return nil, &errLocked{path: id.path}
		}
		private, err := ssh.ParseRawPrivateKeyWithPassphrase(id.data, []byte(passphrase))
		if err != nil {
			note = "this passphrase does not fit"
			continue
		}
		plain, err := ssh.NewSignerFromKey(private)
		signer, ok := plain.(ssh.AlgorithmSigner)
		if err != nil || !ok {
			return nil, fmt.Errorf("the key %s is of a kind that is not supported", id.path)
		}
		if !sameKey(signer.PublicKey(), id.public) {
			return nil, fmt.Errorf("%s.pub is not the public half of the key beside it", id.path)
		}
		k.hand(private, id.path)
		return signer, nil
	}
	k.blame()
	return nil, &errLocked{path: id.path, wrong: true}
}

// hand gives the agent a key that has just been unlocked, where the user's AddKeysToAgent says so. That it does not work changes nothing.
func (k *keyring) hand(private any, path string) {
	key, ask, ok := addable(k.hop.AddKeysToAgent)
	if !ok || k.agent == nil {
		return
	}
	if ask {
		_, text := promptTexts("add the key " + path + " to the agent? (yes/no)")
		answer, err := k.ask.put(Prompt{Kind: PromptCode, Text: text, Echo: true})
		if err != nil || !strings.EqualFold(strings.TrimSpace(answer), "yes") {
			return
		}
	}
	key.PrivateKey, key.Comment = private, path
	k.agent.add(key)
}

// addable reads AddKeysToAgent (ssh_config(5)): yes, no, ask, confirm, a time, or confirm with a time. ok is false where nothing is to be added.
func addable(option string) (key agent.AddedKey, ask, ok bool) {
	words := strings.Fields(strings.ToLower(option))
	if len(words) == 0 {
		return key, false, false
	}
	switch words[0] {
	case "no", "false":
		return key, false, false
	case "yes", "true":
		return key, false, true
	case "ask":
		return key, true, true
	case "confirm":
		key.ConfirmBeforeUse = true
		if words = words[1:]; len(words) == 0 {
			return key, false, true
		}
	}
	lifetime, ok := sshTime(words[0])
	key.LifetimeSecs = uint32(lifetime / time.Second)
	return key, false, ok
}

// sshTime reads a time as sshd_config(5), "TIME FORMATS", has it: 90, 90s, 1h30m, 2d, 1w. Zero, or more than fits an agent's 32 bits, is none.
func sshTime(s string) (time.Duration, bool) {
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	var total time.Duration
	for s != "" {
		end := 0
		for end < len(s) && s[end] >= '0' && s[end] <= '9' {
			end++
		}
		n, err := strconv.ParseUint(s[:end], 10, 32)
		if err != nil {
			return 0, false
		}
		unit := time.Second
		if end < len(s) {
			if unit = units[s[end]]; unit == 0 {
				return 0, false
			}
			end++
		}
		const limit = (1<<32 - 1) * time.Second
		if time.Duration(n) > (limit-total)/unit {
			return 0, false
		}
		total += time.Duration(n) * unit
		s = s[end:]
	}
	return total, total > 0
}
