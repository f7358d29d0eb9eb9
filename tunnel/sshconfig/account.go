package sshconfig

import (
	"os"
	"os/user"
	"strconv"
)

// account is who we are, as ssh sees it: by the password database and not by HOME.
type account struct {
	name string
	home string
	uid  int
}

func currentAccount() account {
	a := account{uid: os.Getuid(), name: os.Getenv("USER")}
	if u, err := user.LookupId(strconv.Itoa(a.uid)); err == nil {
		a.name, a.home = u.Username, u.HomeDir
	} else if home, err := os.UserHomeDir(); err == nil {
		a.home = home
	}
	return a
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
