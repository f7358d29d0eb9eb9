package main

import (
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/debugbroker/debugbroker/broker/api"
)

// caller is what of our environment the daemon may use: it was started by another shell, maybe days ago, and that one's agent may
// be gone.
func caller(env func(string) string) api.Caller {
	c := api.Caller{SSHAuthSock: env("SSH_AUTH_SOCK"), KRB5CCName: env("KRB5CCNAME"), Display: env("DISPLAY"), Path: env("PATH")}
	if !filepath.IsAbs(c.SSHAuthSock) {
		c.SSHAuthSock = "" // it would mean another file in the daemon's working directory
	}
	for _, s := range []*string{&c.SSHAuthSock, &c.KRB5CCName, &c.Display, &c.Path} {
		if !utf8.ValidString(*s) || strings.ContainsRune(*s, 0) {
			*s = ""
		}
	}
	return c
}

// workingDirectory is where the user stands, as the shell names it; "" where it is gone, or JSON cannot carry its name.
func workingDirectory() string {
	dir, err := os.Getwd()
	if err != nil || !utf8.ValidString(dir) {
		return ""
	}
	return dir
}
