package tunnel

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/debugbroker/debugbroker/integration/sshserver"
)

// newPEMKey makes a key pair whose private half is locked with "secret" in the form of RFC 1421, which ssh-keygen -m PEM makes.
func newPEMKey(t *testing.T, kind, path string) ssh.Signer {
	t.Helper()
	signer := newKey(t, kind, path, "")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	private, err := ssh.ParseRawPrivateKey(data)
	if err != nil {
		t.Fatal(err)
	}
	var name string
	var der []byte
	switch key := private.(type) {
	case *rsa.PrivateKey:
		name, der = "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)
	case *ecdsa.PrivateKey:
		name = "EC PRIVATE KEY"
		der, err = x509.MarshalECPrivateKey(key)
	}
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 old keys are in it
	block, err := x509.EncryptPEMBlock(rand.Reader, name, der, []byte("secret"), x509.PEMCipherAES128)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, string(pem.EncodeToMemory(block)))
	return signer
}

// TestPassphrase: the passphrase of a key is asked for once the server would take the key, and for no other key.
func TestPassphrase(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	// One key in OpenSSH's own form, which takes seconds of a busy machine to lock and unlock; the others in the older one.
	authorized := []ssh.PublicKey{newKey(t, "ed25519", path("ed25519"), "secret").PublicKey()}
	for _, kind := range []string{"rsa", "ecdsa"} {
		authorized = append(authorized, newPEMKey(t, kind, path(kind)).PublicKey())
	}
	newPEMKey(t, "ecdsa", path("stranger"))
	authorized = append(authorized, newPEMKey(t, "ecdsa", path("pemonly")).PublicKey())
	if err := os.Remove(path("pemonly.pub")); err != nil {
		t.Fatal(err)
	}
	server := startSSHD(t, authorized)

	tests := []struct {
		name    string
		files   []string
		answers []string
		prompts int // how many questions
		tries   int // NumberOfPasswordPrompts
		how     string
		says    string // of the error
	}{
		{name: "ed25519", files: []string{"ed25519"}, answers: []string{"secret"}, prompts: 1, how: "the key " + path("ed25519")},
		{name: "rsa", files: []string{"rsa"}, answers: []string{"secret"}, prompts: 1, how: "the key " + path("rsa")},
		{name: "ecdsa", files: []string{"ecdsa"}, answers: []string{"secret"}, prompts: 1, how: "the key " + path("ecdsa")},
		{name: "strangers are not asked about", files: []string{"stranger", "ecdsa"}, answers: []string{"secret"}, prompts: 1, how: "the key " + path("ecdsa")},
		{name: "the third one fits", files: []string{"rsa"}, answers: []string{"a", "b", "secret"}, prompts: 3, how: "the key " + path("rsa")},
		{name: "an empty one leaves the key out", files: []string{"rsa", "ecdsa"}, answers: []string{"", "secret"}, prompts: 2, how: "the key " + path("ecdsa")},
		{name: "none fits", files: []string{"rsa"}, answers: []string{"a", "b", "c", "secret"}, prompts: 3, says: "do not fit the key " + path("rsa")},
		{name: "one try", files: []string{"rsa"}, answers: []string{"a", "secret"}, prompts: 1, tries: 1, says: "do not fit the key"},
		{name: "nobody", files: []string{"rsa"}, says: "has a passphrase"},
		{name: "no public half", files: []string{"pemonly"}, answers: []string{"secret"}, says: "nothing tells its public half"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			hop := server.hop(t)
			hop.NumberOfPasswordPrompts = test.tries
			for _, f := range test.files {
				hop.IdentityFiles = append(hop.IdentityFiles, path(f))
			}
			p := &person{answers: test.answers}
			var caller Caller
			if len(test.answers) > 0 {
				caller.Ask = p.ask
			}
			how, err := dialHow(t, hop, caller)
			if len(p.asked()) != test.prompts {
				t.Errorf("asked %+v, want %d questions", p.asked(), test.prompts)
			}
			for _, q := range p.asked() {
				if q.Kind != PromptPassphrase || q.Echo || q.Hop != "box" || !strings.Contains(q.Text, dir) {
					t.Errorf("asked %+v", q)
				}
			}
			if test.says == "" {
				if err != nil || how != test.how {
					t.Errorf("let in by %q, %v; want %q", how, err, test.how)
				}
				return
			}
			if test.name == "no public half" {
				checkWords(t, err, test.says, "ssh-add "+path("pemonly"))
				return
			}
			needsAuth(t, err, test.says)
			if strings.Contains(fmt.Sprint(err), "secret") {
				t.Errorf("the error tells what was answered: %v", err)
			}
		})
	}
}

// TestAddKeysToAgent: a key whose passphrase was given is in the agent afterwards, and then nobody is asked.
func TestAddKeysToAgent(t *testing.T) {
	key := filepath.Join(t.TempDir(), "id")
	server := startSSHD(t, []ssh.PublicKey{newPEMKey(t, "ecdsa", key).PublicKey()})
	for option, want := range map[string]bool{"": false, "no": false, "yes": true, "1h": true, "ask": true} {
		ring := agent.NewKeyring()
		hop := server.hop(t, key)
		hop.IdentityAgent, hop.AddKeysToAgent = serveAgent(t, ring), option
		p := &person{answers: []string{"secret", "yes"}}
		if _, err := dialHow(t, hop, Caller{Ask: p.ask}); err != nil {
			t.Fatalf("%q: %v", option, err)
		}
		if keys, err := ring.List(); err != nil || (len(keys) == 1) != want {
			t.Errorf("%q: the agent has %v, %v", option, keys, err)
		}
		if n := len(p.asked()); (option == "ask") != (n == 2) {
			t.Errorf("%q: %d questions", option, n)
		}
		if want {
			if how, err := dialHow(t, hop, Caller{}); err != nil || how != "the key "+key+" (agent)" {
				t.Errorf("%q: then let in by %q, %v", option, how, err)
			}
		}
	}
}

func TestAddable(t *testing.T) {
	for option, want := range map[string]string{
		"": "0 false false false", "no": "0 false false false", "yes": "0 false false true", "true": "0 false false true", "ask": "0 false true true",
		"confirm": "0 true false true", "confirm 5m": "300 true false true", "confirm 300": "300 true false true", "90": "90 false false true",
		"1h30m": "5400 false false true", "1w": "604800 false false true", "0": "0 false false false", "5x": "0 false false false",
		"99999999999": "0 false false false", "4294967295w": "0 false false false",
	} {
		key, ask, ok := addable(option)
		if got := fmt.Sprint(key.LifetimeSecs, key.ConfirmBeforeUse, ask, ok); got != want {
			t.Errorf("%q: %s, want %s", option, got, want)
		}
	}
}

// codeOf is a server's side of a one-time code of two rounds.
func codeOf(ask ssh.KeyboardInteractiveChallenge) bool {
	answers, err := ask("login", "two\x1b[31m questions", []string{"User name: ", "Password: "}, []bool{true, false})
	if err != nil || len(answers) != 2 || answers[0] != "me" || answers[1] != "pw" {
		return false
	}
	if _, err := ask("", "a message was sent to your phone", nil, nil); err != nil {
		return false
	}
	answers, err = ask("", "", []string{"Choose:\n 1. app\n 2. phone\n\nCode: "}, []bool{false})
	return err == nil && len(answers) == 1 && answers[0] == "123456"
}

func TestQuestions(t *testing.T) {
	key := filepath.Join(t.TempDir(), "id")
	signer := newKey(t, "ed25519", key, "")
	password := func(p string) bool { return p == "pw" }
	tests := []struct {
		name    string
		server  sshserver.Config
		change  func(*Hop)
		answers []string
		want    []Prompt // "" in a Note or Text is anything
		how     string
		says    string
	}{
		{name: "password", server: sshserver.Config{Password: password, Banner: "be\x07ware\n\n of the dog"}, answers: []string{"pw"}, how: "password",
			want: []Prompt{{Kind: PromptPassword, Note: "be ware\nof the dog", Text: "password of me@127.0.0.1:"}}},
		{name: "the second password", server: sshserver.Config{Password: password}, answers: []string{"x", "pw"}, how: "password",
			want: []Prompt{{Kind: PromptPassword}, {Kind: PromptPassword, Note: "this password was refused"}}},
		{name: "wrong password thrice", server: sshserver.Config{Password: password}, answers: []string{"x", "y", "z", "pw"},
			want: []Prompt{{Kind: PromptPassword}, {Kind: PromptPassword}, {Kind: PromptPassword}}, says: "does not take what was answered"},
		{name: "a server that hangs up", server: sshserver.Config{Password: password, MaxAuthTries: 1}, answers: []string{"x", "pw"},
			want: []Prompt{{Kind: PromptPassword}}, says: "does not take what was answered"},
		{name: "one password", server: sshserver.Config{Password: password}, change: func(h *Hop) { h.NumberOfPasswordPrompts = 1 }, answers: []string{"x", "pw"},
			want: []Prompt{{Kind: PromptPassword}}, says: "does not take what was answered"},
		{name: "no password for nobody", server: sshserver.Config{Password: password}, says: "asks for a password, which only a person can answer"},
		{name: "several rounds", server: sshserver.Config{Keyboard: codeOf}, answers: []string{"me", "pw", "123456"}, how: "keyboard-interactive",
			want: []Prompt{
				{Kind: PromptCode, Note: "login\ntwo [31m questions", Text: "User name:", Echo: true}, {Kind: PromptCode, Text: "Password:"},
				{Kind: PromptCode, Note: "a message was sent to your phone\nChoose:\n1. app\n2. phone", Text: "Code:"},
			}},
		{name: "the second code", server: sshserver.Config{Keyboard: codeOf}, answers: []string{"me", "no", "me", "pw", "123456"}, how: "keyboard-interactive",
			want: []Prompt{{Kind: PromptCode, Echo: true}, {Kind: PromptCode}, {Kind: PromptCode, Note: "login\ntwo [31m questions\nwhat was answered was refused", Echo: true},
				{Kind: PromptCode}, {Kind: PromptCode}}},
		{name: "wrong codes", server: sshserver.Config{Keyboard: func(ask ssh.KeyboardInteractiveChallenge) bool {
			_, err := ask("", "", []string{"Code: "}, []bool{false})
			return err != nil
		}}, answers: []string{"1", "2", "3", "4"}, want: []Prompt{{Kind: PromptCode}, {Kind: PromptCode}, {Kind: PromptCode}}, says: "does not take what was answered"},
		{name: "key and code", server: sshserver.Config{AuthorizedKey: signer.PublicKey(), Keyboard: codeOf, KeyThenKeyboard: true},
			answers: []string{"me", "pw", "123456"}, how: "the key " + key + " and keyboard-interactive",
			want: []Prompt{{Kind: PromptCode, Echo: true}, {Kind: PromptCode}, {Kind: PromptCode}}},
		{name: "key and code, and nobody", server: sshserver.Config{AuthorizedKey: signer.PublicKey(), Keyboard: codeOf, KeyThenKeyboard: true},
			says: "it has accepted publickey, and that is not enough for it"},
		{name: "a code is asked for before a password", server: sshserver.Config{Keyboard: codeOf, Password: password},
			answers: []string{"me", "pw", "123456"}, how: "keyboard-interactive", want: []Prompt{{Kind: PromptCode, Echo: true}, {Kind: PromptCode}, {Kind: PromptCode}}},
		{name: "PreferredAuthentications", server: sshserver.Config{Keyboard: codeOf, Password: password},
			change: func(h *Hop) {
				h.PreferredAuthentications = []string{"gssapi-with-mic", "password", "keyboard-interactive"}
			},
			answers: []string{"pw"}, how: "password", want: []Prompt{{Kind: PromptPassword}}},
		{name: "KbdInteractiveAuthentication no", server: sshserver.Config{Keyboard: codeOf, Password: password},
			change: func(h *Hop) { h.KbdInteractive = "no" }, answers: []string{"pw"}, how: "password", want: []Prompt{{Kind: PromptPassword}}},
		{name: "PubkeyAuthentication no", server: sshserver.Config{AuthorizedKey: signer.PublicKey(), Password: password},
			change: func(h *Hop) { h.PubkeyAuthentication = "no" }, answers: []string{"pw"}, how: "password", want: []Prompt{{Kind: PromptPassword}}},
		{name: "a megabyte", server: sshserver.Config{Banner: strings.Repeat("b\x1b", 50_000), Keyboard: func(ask ssh.KeyboardInteractiveChallenge) bool {
			answers, err := ask(strings.Repeat("n", 60_000), strings.Repeat("i\n", 30_000), []string{strings.Repeat("q", 60_000)}, []bool{false})
			return err == nil && answers[0] == "ok"
		}}, answers: []string{"ok"}, how: "keyboard-interactive", want: []Prompt{{Kind: PromptCode}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			hop := serveSSH(t, test.server, key)
			if test.change != nil {
				test.change(&hop)
			}
			p := &person{answers: test.answers}
			var caller Caller
			if len(test.answers) > 0 {
				caller.Ask = p.ask
			}
			how, err := dialHow(t, hop, caller)
			asked := p.asked()
			if len(asked) != len(test.want) {
				t.Fatalf("asked %+v, want %+v; %v", asked, test.want, err)
			}
			for i, want := range test.want {
				got := asked[i]
				if got.Kind != want.Kind || got.Echo != want.Echo || want.Note != "" && got.Note != want.Note || want.Text != "" && got.Text != want.Text {
					t.Errorf("asked %+v, want %+v", got, want)
				}
				if len(got.Note) > maxPromptNote+3 || len(got.Text) > maxPromptText+3 || strings.ContainsAny(got.Note+got.Text, "\x1b\x07") {
					t.Errorf("asked %d and %d bytes: %.200q", len(got.Note), len(got.Text), got.Note+got.Text)
				}
			}
			if test.says != "" {
				needsAuth(t, err, test.says)
			} else if err != nil || how != test.how {
				t.Errorf("let in by %q, %v; want %q", how, err, test.how)
			}
		})
	}
}

// TestQuestionsWithoutEnd: a server that never stops asking is left.
func TestQuestionsWithoutEnd(t *testing.T) {
	for name, ask := range map[string]func(ssh.KeyboardInteractiveChallenge) bool{
		"rounds": func(ask ssh.KeyboardInteractiveChallenge) bool {
			for {
				if _, err := ask("", "", []string{"more? "}, []bool{true}); err != nil {
					return false
				}
			}
		},
		"empty rounds": func(ask ssh.KeyboardInteractiveChallenge) bool {
			for {
				if _, err := ask("", "", nil, nil); err != nil {
					return false
				}
			}
		},
		"questions": func(ask ssh.KeyboardInteractiveChallenge) bool {
			_, err := ask("", "", slicesOf("?", 5000), make([]bool, 5000))
			return err == nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			hop := serveSSH(t, sshserver.Config{Keyboard: ask})
			p := &person{answers: slicesOf("yes", 100)}
			_, err := dialHow(t, hop, Caller{Ask: p.ask})
			if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), "asks too much") || len(p.asked()) > maxRounds {
				t.Errorf("%v after %d questions", err, len(p.asked()))
			}
		})
	}
}

func slicesOf(s string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = s
	}
	return list
}

// TestPersonLeaves: whoever hangs up while asked ends the dial, and is not asked again.
func TestPersonLeaves(t *testing.T) {
	hop := serveSSH(t, sshserver.Config{Password: func(string) bool { return true }})
	ctx, cancel := context.WithCancel(t.Context())
	p := &person{}
	ask := func(actx context.Context, q Prompt) (string, error) {
		cancel()
		return p.ask(actx, q)
	}
	err := dialOnce(ctx, []Hop{hop}, Caller{Ask: ask})
	if !errors.Is(err, context.Canceled) || len(p.asked()) != 1 {
		t.Errorf("%v after %+v", err, p.asked())
	}
}

// TestServerHangsUpWhileAsking: nobody is left with a question whose server is gone.
func TestServerHangsUpWhileAsking(t *testing.T) {
	key := filepath.Join(t.TempDir(), "id")
	server := startSSHD(t, []ssh.PublicKey{newPEMKey(t, "ecdsa", key).PublicKey()}, "LoginGraceTime 1")
	p := &person{}
	_, err := dialHow(t, server.hop(t, key), Caller{Ask: p.ask})
	needsAuth(t, err, "waits no longer for an answer")
	if len(p.asked()) != 1 {
		t.Errorf("asked %+v", p.asked())
	}
}
