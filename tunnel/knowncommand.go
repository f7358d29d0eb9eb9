package tunnel

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	knownCommandTimeout = 10 * time.Second
	maxKnownCommand     = 1 << 20 // bytes that KnownHostsCommand may print
)

// askCommand runs KnownHostsCommand as ssh does (sshconnect.c, load_hostkeys_command): without a shell, its program by an absolute path. why is "ORDER"
// before the key exchange, when there is no key, and "HOSTNAME" after it. One that fails makes every key untrusted; one that cannot be started at
// all says nothing.
func (k *hostKeys) askCommand(ctx context.Context, why string, key ssh.PublicKey) ([]knownLine, error) {
	const name = "KnownHostsCommand"
	argv, err := splitArguments(k.hop.KnownHostsCommand)
	if err == nil && (len(argv) == 0 || !filepath.IsAbs(argv[0])) {
		err = errors.New("its program must be an absolute path")
	}
	if err != nil {
		k.log.Warn("cannot run "+name, "host", k.hop.name(), "error", err)
		return nil, nil
	}
	for i := 1; i < len(argv); i++ {
		argv[i] = knownTokens(argv[i], why, k.name, key)
	}
	ctx, cancel := context.WithTimeout(ctx, knownCommandTimeout)
	defer cancel()
	out, err := k.output(ctx, argv)
	var notStarted *exec.Error
	switch {
	case errors.As(err, &notStarted), errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrPermission):
		k.log.Warn("cannot run "+name, "host", k.hop.name(), "error", err)
		return nil, nil
	case err != nil:
		return nil, errHostKey("the ssh configuration names this program; with it, no key is trusted as long as it fails", "%s %s: %w", name, argv[0], err)
	}
	return knownLines(out, name, k.name), nil
}

// output runs a program and returns what it prints.
func (k *hostKeys) output(ctx context.Context, argv []string) ([]byte, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	defer r.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env, cmd.Stdout = k.environ, w
	h, err := startHelper(cmd, "KnownHostsCommand", k.log)
	w.Close()
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { r.Close() })
	out, err := io.ReadAll(io.LimitReader(r, maxKnownCommand+1))
	ended := !stop()
	h.end(err == nil && len(out) <= maxKnownCommand)
	switch {
	case ended && ctx.Err() != nil:
		return nil, fmt.Errorf("no answer in time: %w", context.Cause(ctx))
	case err != nil:
		return nil, fmt.Errorf("read its output: %w", err)
	case len(out) > maxKnownCommand:
		return nil, fmt.Errorf("it prints more than %d bytes", maxKnownCommand)
	case h.exit != Exit{}:
		return nil, errors.New("it " + h.story())
	}
	return out, nil
}

// knownTokens fills in what only a connection knows (ssh_config(5), TOKENS).
func knownTokens(text, why, name string, key ssh.PublicKey) string {
	kind, print, blob := "NONE", "NONE", "NONE"
	if key != nil {
		kind, print = key.Type(), ssh.FingerprintSHA256(plainKey(key))
		blob = base64.StdEncoding.EncodeToString(key.Marshal())
	}
	return strings.NewReplacer("%%", "%", "%H", name, "%I", why, "%t", kind, "%f", print, "%K", blob).Replace(text)
}
