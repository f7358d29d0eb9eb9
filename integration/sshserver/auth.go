package sshserver

import (
	"bytes"
	"cmp"
	"errors"

	"golang.org/x/crypto/ssh"
)

var errRefused = errors.New("refused")

// authentication is what x/crypto needs to know of who gets in.
func (s *Server) authentication() *ssh.ServerConfig {
	c := &ssh.ServerConfig{ServerVersion: "SSH-2.0-debugbroker-test", MaxAuthTries: cmp.Or(s.cfg.MaxAuthTries, 6)}
	if s.cfg.Banner != "" {
		c.BannerCallback = func(ssh.ConnMetadata) string { return s.cfg.Banner }
	}
	keyboard := func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
		if !s.cfg.Keyboard(ask) {
			return nil, errRefused
		}
		return &ssh.Permissions{}, nil
	}
	if s.cfg.AuthorizedKey != nil {
		want := s.cfg.AuthorizedKey.Marshal()
		c.PublicKeyCallback = func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if !bytes.Equal(key.Marshal(), want) {
				return nil, errors.New("unknown public key")
			}
			return &ssh.Permissions{}, nil
		}
	}
	if s.cfg.KeyThenKeyboard {
		c.VerifiedPublicKeyCallback = func(ssh.ConnMetadata, ssh.PublicKey, *ssh.Permissions, string) (*ssh.Permissions, error) {
			return nil, &ssh.PartialSuccessError{Next: ssh.ServerAuthCallbacks{KeyboardInteractiveCallback: keyboard}}
		}
		return c
	}
	if s.cfg.Keyboard != nil {
		c.KeyboardInteractiveCallback = keyboard
	}
	if s.cfg.Password != nil {
		c.PasswordCallback = func(_ ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			if !s.cfg.Password(string(password)) {
				return nil, errRefused
			}
			return &ssh.Permissions{}, nil
		}
	}
	return c
}
