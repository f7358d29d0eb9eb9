package tunnel

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// securityKey is an agent with one FIDO key made in software (OpenSSH's PROTOCOL.u2f). It signs once it is touched.
type securityKey struct {
	agent.Agent // nil: nothing else is asked of it
	private     ed25519.PrivateKey
	blob        []byte
	touch       chan struct{}
}

const skApplication = "ssh:"

func newSecurityKey(t *testing.T) *securityKey {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	blob := ssh.Marshal(struct {
		Kind, Key, Application string
	}{ssh.KeyAlgoSKED25519, string(public), skApplication})
	return &securityKey{private: private, blob: blob, touch: make(chan struct{}, 1)}
}

func (k *securityKey) List() ([]*agent.Key, error) {
	return []*agent.Key{{Format: ssh.KeyAlgoSKED25519, Blob: k.blob, Comment: "token"}}, nil
}

func (k *securityKey) Sign(key ssh.PublicKey, data []byte) (*ssh.Signature, error) {
	if !bytes.Equal(key.Marshal(), k.blob) {
		return nil, errors.New("no such key")
	}
	if _, ok := <-k.touch; !ok {
		return nil, errors.New("taken out")
	}
	application, message := sha256.Sum256([]byte(skApplication)), sha256.Sum256(data)
	const userPresent, counter = 1, 7
	state := []byte{userPresent, 0, 0, 0, counter}
	signed := append(append(append([]byte{}, application[:]...), state...), message[:]...)
	return &ssh.Signature{Format: ssh.KeyAlgoSKED25519, Blob: ed25519.Sign(k.private, signed), Rest: state}, nil
}

// TestSecurityKey: the person is told to touch the key, signing goes on, and the words are taken back when it is done.
func TestSecurityKey(t *testing.T) {
	key := newSecurityKey(t)
	public, err := ssh.ParsePublicKey(key.blob)
	if err != nil {
		t.Fatal(err)
	}
	server := startSSHD(t, []ssh.PublicKey{public})
	hop := server.hop(t)
	hop.IdentityAgent = serveAgent(t, key)
	c := newChair()
	type result struct {
		how string
		err error
	}
	ended := make(chan result, 1)
	go func() {
		how, err := dialHow(t, hop, Caller{Ask: c.ask})
		ended <- result{how, err}
	}()
	if p := expect(t, c.asked, "word of the touch"); p.Kind != PromptTouch || p.Text != "touch your security key" || p.Hop != "box" {
		t.Errorf("told %+v", p)
	}
	key.touch <- struct{}{}
	expect(t, c.withdrawn, "withdrawal")
	if r := expect(t, ended, "connection"); r.err != nil || r.how != "the key agent" {
		t.Errorf("let in by %q, %v\n%s", r.how, r.err, server.Log())
	}

	key.touch <- struct{}{} // nobody is told, and it works all the same
	if how, err := dialHow(t, hop, Caller{}); err != nil || how != "the key agent" {
		t.Errorf("let in by %q, %v", how, err)
	}
	close(key.touch)
	if _, err := dialHow(t, hop, Caller{}); !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), "cannot be used") {
		t.Errorf("with the key taken out: %v", err)
	}
}

// TestTwoKeys: a server that wants two keys, one after the other.
func TestTwoKeys(t *testing.T) {
	dir := t.TempDir()
	var files []string
	var authorized []ssh.PublicKey
	for _, name := range []string{"a", "b"} {
		files = append(files, dir+"/"+name)
		authorized = append(authorized, newKey(t, "ed25519", dir+"/"+name, "").PublicKey())
	}
	server := startSSHD(t, authorized, "AuthenticationMethods publickey,publickey")
	how, err := dialHow(t, server.hop(t, files...), Caller{})
	if want := "the key " + files[0] + " and the key " + files[1]; err != nil || how != want {
		t.Errorf("let in by %q, %v; want %q", how, err, want)
	}
	_, err = dialHow(t, server.hop(t, files[0]), Caller{})
	if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), "it has accepted publickey, and that is not enough") {
		t.Errorf("with one key: %v", err)
	}
}
