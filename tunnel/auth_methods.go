package tunnel

import (
	"context"
	"errors"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

const (
	maxRounds    = 16 // of questions in one keyboard-interactive attempt
	maxQuestions = 16 // in one round
	maxBanners   = 16
	// defaultPrompts is ssh's NumberOfPasswordPrompts.
	defaultPrompts = 3
)

// The methods that we know (RFC 4252, RFC 4256), in ssh's order of preference.
const (
	methodKey      = "publickey"
	methodKeyboard = "keyboard-interactive"
	methodPassword = "password"
)

// Why an authentication ends before all has been tried.
var (
	errNoMethod   = errors.New("nothing is left to try")
	errNewSecret  = errors.New("the password must be changed")
	errTooCurious = errors.New("the server asks too many questions")
)

// trial is how far the authentication has come. The keyring's mu guards it.
type trial struct {
	last    string // the method tried last
	by      []string
	tries   map[string]int // of methods that ask a person
	asked   int            // rounds of questions of the present keyboard-interactive attempt
	spent   bool           // the password was refused as often as we would ask for it
	banners int
	preface string // what the server has said that nobody has been told yet
	wants   string // a method for which a person was needed, and nobody was there
	wrong   bool   // a person's answers were refused
	over    error  // why it ends
}

// next picks the method to try, as x/crypto asks for it after each one.
func (k *keyring) next(c *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t := &k.trial
	k.judge(len(c.PartialSuccessMethods) > len(k.partial))
	k.allowed, k.partial = slices.Clone(c.AllowedMethods), slices.Clone(c.PartialSuccessMethods)
	if t.over != nil {
		return nil, t.over
	}
	if t.tries == nil {
		t.tries = make(map[string]int)
	}
	for _, method := range k.methods() {
		if !slices.Contains(k.allowed, method) {
			continue
		}
		t.last = method
		if method == methodKey {
			if rest := k.untried(); len(rest) > 0 {
				return ssh.PublicKeys(rest...), nil
			}
			continue
		}
		if t.tries[method] >= k.prompts() {
			continue
		}
		if !k.ask.present() {
			t.wants = method
			return nil, errNobody
		}
		if method == methodKeyboard {
			t.tries[method]++
			t.asked = 0
			return ssh.KeyboardInteractive(k.answer), nil
		}
		t.spent = false
		// One more than we ask for: that the last one was refused is told by its being called again. What ends it without a refusal is the
		// server's wish for a new password, which x/crypto knows as an error only.
		return ssh.RetryableAuthMethod(ssh.PasswordCallback(k.password), k.prompts()+1), nil
	}
	return nil, errNoMethod
}

// judge notes what became of the method tried last. The keyring's mu is held.
func (k *keyring) judge(accepted bool) {
	t := &k.trial
	switch {
	case t.last == "":
	case accepted:
		t.by = append(t.by, k.describe())
	case t.last == methodPassword && t.over == nil && t.tries[methodPassword] > 0 && !t.spent:
		t.over = errNewSecret
	case t.last == methodKeyboard && t.asked == 0:
		t.tries[methodKeyboard] = k.prompts() // it is on, and there is nothing behind it
	case t.last == methodKeyboard:
		t.wrong = true
	}
}

// describe says by what the server was convinced, after it was. The keyring's mu is held.
func (k *keyring) describe() string {
	if k.trial.last != methodKey {
		return k.trial.last
	}
	for _, o := range k.offers {
		if o.take() {
			return "the key " + o.from
		}
	}
	return "a key"
}

// how says by what we were let in. It is called once, after we were.
func (k *keyring) how() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.trial.last == "" {
		return "" // the server asks for nothing
	}
	return strings.Join(append(k.trial.by, k.describe()), " and ")
}

// methods are those that the configuration lets us use, in its order (PreferredAuthentications).
func (k *keyring) methods() []string {
	order := k.hop.PreferredAuthentications
	if len(order) == 0 {
		order = []string{methodKey, methodKeyboard, methodPassword}
	}
	off := map[string]bool{
		methodKey: k.hop.PubkeyAuthentication == "no", methodKeyboard: k.hop.KbdInteractive == "no", methodPassword: k.hop.PasswordAuthentication == "no",
	}
	return slices.DeleteFunc(slices.Clone(order), func(m string) bool {
		no, known := off[m]
		return no || !known
	})
}

// untried are the keys that the server has not seen yet.
func (k *keyring) untried() []ssh.Signer {
	var rest []ssh.Signer
	for _, o := range k.offers {
		if !o.wasShown() {
			rest = append(rest, o)
		}
	}
	return rest
}

// prompts is how often a person is asked for the same thing.
func (k *keyring) prompts() int {
	if k.hop.NumberOfPasswordPrompts > 0 {
		return k.hop.NumberOfPasswordPrompts
	}
	return defaultPrompts
}

// password is x/crypto's callback for one try of the method "password" (RFC 4252, section 8).
func (k *keyring) password() (string, error) {
	k.mu.Lock()
	t := &k.trial
	t.wrong = t.tries[methodPassword] > 0
	if t.tries[methodPassword] >= k.prompts() {
		t.spent = true
		k.mu.Unlock()
		return "", errNoMethod
	}
	t.tries[methodPassword]++
	again := t.wrong
	k.mu.Unlock()
	note := k.preface()
	if again {
		note = strings.TrimPrefix(note+"\nthis password was refused", "\n")
	}
	_, who := promptTexts("password of " + k.hop.User + "@" + k.hop.HostName + ":")
	secret, err := k.ask.put(Prompt{Kind: PromptPassword, Note: note, Text: who})
	if err != nil {
		k.stop(err)
	}
	return secret, err
}

// answer is x/crypto's callback for one round of questions (RFC 4256, section 3.2).
func (k *keyring) answer(name, instruction string, questions []string, echos []bool) ([]string, error) {
	k.mu.Lock()
	k.trial.asked++
	again := k.trial.asked == 1 && k.trial.tries[methodKeyboard] > 1
	much := k.trial.asked > maxRounds || len(questions) > maxQuestions
	k.mu.Unlock()
	if much {
		k.stop(errTooCurious)
		return nil, errTooCurious
	}
	above := []string{k.preface(), name, instruction}
	if again {
		above = append(above, "what was answered was refused")
	}
	if len(questions) == 0 {
		return nil, k.hear(strings.Join(above, "\n")) // it stands above what is asked next, if anything is
	}
	var answers []string
	for i, question := range questions {
		note, text := promptTexts(question, above...)
		above = nil
		said, err := k.ask.put(Prompt{Kind: PromptCode, Note: note, Text: text, Echo: echos[i]})
		if err != nil {
			k.stop(err)
			return nil, err
		}
		answers = append(answers, said)
	}
	return answers, nil
}

// hear keeps what the server says unasked, bounded, for whoever is asked next.
func (k *keyring) hear(message string) error {
	note, _ := promptTexts("", message)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.trial.banners++; k.trial.banners > maxBanners {
		k.trial.over = errTooCurious
		return errTooCurious
	}
	if k.trial.preface == "" {
		k.trial.preface = note
	}
	return nil
}

// preface takes what the server has said unasked.
func (k *keyring) preface() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	note := k.trial.preface
	k.trial.preface = ""
	return note
}

// stop ends the authentication: whoever was asked has gone, or has not been reached.
func (k *keyring) stop(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.trial.over == nil {
		k.trial.over = err
	}
	if errors.Is(err, errNobody) {
		k.trial.wants = k.trial.last
	}
}

// blame notes that a person's answers were wrong.
func (k *keyring) blame() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.trial.wrong = true
}

// interrupted tells whether the handshake ended while a person was asked: the server waits no longer.
func (k *keyring) interrupted() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return errors.Is(k.trial.over, context.Canceled)
}
