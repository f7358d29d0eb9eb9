package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/pelletier/go-toml/v2"

	"github.com/debugbroker/debugbroker/broker/api"
)

// maxConfig bounds the configuration file.
const maxConfig = 1 << 20

// brokerd finds the program to start: the configuration's, else the one beside our own executable. PATH is not asked: a daemon
// that is told of our agents is not picked up from wherever a directory comes first.
func (p place) brokerd() (string, error) {
	named, err := p.namedBrokerd()
	if err != nil {
		return "", err
	}
	if named != "" {
		if !filepath.IsAbs(named) {
			return "", &api.Error{Code: api.CodeConfig, Message: fmt.Sprintf("%s: brokerd = %q is no absolute path", p.config, named), Hint: "write it from / on"}
		}
		return named, runnable(named, os.Geteuid())
	}
	self, err := os.Executable()
	if err == nil {
		self, err = filepath.EvalSymlinks(self)
	}
	if err != nil {
		return "", fmt.Errorf("find our own executable: %w", err)
	}
	fi, err := os.Stat(self)
	if err != nil {
		return "", fmt.Errorf("find our own executable: %w", err)
	}
	path := filepath.Join(filepath.Dir(self), "brokerd")
	// Whoever owns brokerctl has been trusted with as much already.
	return path, runnable(path, os.Geteuid(), owner(fi))
}

// namedBrokerd reads the one key of the configuration that is for us. A file with mistakes is brokerd's to complain about: it
// names all of them, with their lines; so "" is returned for it.
func (p place) namedBrokerd() (string, error) {
	if p.config == "" {
		return "", nil
	}
	f, err := os.OpenFile(p.config, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe in its place must not hang
	if errors.Is(err, fs.ErrNotExist) && !p.configGiven {
		return "", nil
	}
	if err != nil {
		return "", &api.Error{Code: api.CodeConfig, Message: unreadable("open", p.config, err), Hint: "--config FILE names another"}
	}
	defer f.Close()
	// One that others can write names no program of ours, and brokerd says what is wrong with it.
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() || fi.Mode().Perm()&0o002 != 0 || owner(fi) != 0 && owner(fi) != os.Geteuid() {
		return "", nil
	}
	data, err := io.ReadAll(io.LimitReader(f, maxConfig))
	if err != nil {
		return "", &api.Error{Code: api.CodeConfig, Message: unreadable("read", p.config, err), Hint: "--config FILE names another"}
	}
	var c struct {
		Brokerd string `toml:"brokerd"`
	}
	if toml.Unmarshal(data, &c) != nil {
		return "", nil
	}
	return c.Brokerd, nil
}

// unreadable says why a configuration file cannot be read, without the system call's name.
func unreadable(op, path string, err error) string {
	var system *fs.PathError
	if errors.As(err, &system) {
		err = system.Err
	}
	return fmt.Sprintf("%s the configuration %s: %v", op, path, err)
}

// runnable refuses a program that is missing, or that others than root and the owners given could have put there.
func runnable(path string, owners ...int) error {
	refuse := func(why string) error {
		return &api.Error{Code: api.CodeDaemon, Message: fmt.Sprintf("start brokerd: %s: %s", path, why), Hint: "install brokerd beside brokerctl, or name it in the configuration: brokerd = \"/path\""}
	}
	fi, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return refuse("no such file")
	case err != nil:
		return refuse(err.Error())
	case !fi.Mode().IsRegular():
		return refuse("it is no file")
	case fi.Mode().Perm()&0o111 == 0:
		return refuse("it is not executable")
	case fi.Mode().Perm()&0o002 != 0:
		return refuse("anybody may write to it")
	}
	owners = append(owners, 0)
	if uid := owner(fi); !slices.Contains(owners, uid) {
		return refuse(fmt.Sprintf("it belongs to another user (uid %d)", uid))
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return refuse(err.Error())
	}
	for _, dir := range []string{filepath.Dir(path), filepath.Dir(real)} { // who may write there may put another in its place
		fi, err := os.Stat(dir)
		switch {
		case err != nil:
			return refuse(err.Error())
		case fi.Mode().Perm()&0o002 != 0 && fi.Mode()&fs.ModeSticky == 0:
			return refuse("anybody may write to the directory " + dir)
		case !slices.Contains(owners, owner(fi)):
			return refuse(fmt.Sprintf("the directory %s belongs to another user (uid %d)", dir, owner(fi)))
		}
	}
	return nil
}
