package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/cmd/brokerctl/ide"
)

// maxConfigFile is more than any front end's file has, in bytes; ide.Config.Merge has its own limit.
const maxConfigFile = 4 << 20

// mergeAttempts is how often a file is merged anew because somebody else wrote it meanwhile.
const mergeAttempts = 5

// merged is a file as it is, and as it is to be.
type merged struct {
	path     string // links resolved
	info     fs.FileInfo
	old, new []byte // old is nil where there is no file
}

// writeConfig merges c into its file below the working directory, and tells whether that changed it.
func writeConfig(c ide.Config) (changed bool, err error) {
	m, err := mergedFile(c)
	if err != nil || m.unchanged() {
		return false, err
	}
	dir := filepath.Dir(m.path)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return false, fileError(c, "write", err)
	}
	defer lockDir(dir)() // against other brokerctls; an editor's writing is seen by write
	for range mergeAttempts {
		if m, err = mergedFile(c); err != nil || m.unchanged() {
			return false, err
		}
		switch wrote, err := m.write(); {
		case err != nil:
			return false, fileError(c, "write", err)
		case wrote:
			return true, nil
		}
	}
	return false, fileError(c, "write", errors.New("somebody else keeps changing it"))
}

func (m merged) unchanged() bool { return m.old != nil && bytes.Equal(m.old, m.new) }

// mergedFile reads the file, and writes nothing.
func mergedFile(c ide.Config) (merged, error) {
	m := merged{path: filepath.FromSlash(c.File)}
	path, err := followLinks(m.path)
	if err != nil {
		return merged{}, fileError(c, "find", err)
	}
	m.path = path
	f, err := os.OpenFile(path, os.O_RDONLY|openNonblock, 0) // a pipe would keep us waiting
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return merged{}, fileError(c, "read", err)
	default:
		defer f.Close()
		if m.info, err = f.Stat(); err != nil {
			return merged{}, fileError(c, "read", err)
		}
		switch mode := m.info.Mode(); {
		case !mode.IsRegular():
			return merged{}, fileError(c, "read", errors.New("it is no file"))
		case mode.Perm()&0o200 == 0: // a rename would not mind, but its owner would
			return merged{}, fileError(c, "write", errors.New("it is read-only"))
		}
		if m.old, err = io.ReadAll(io.LimitReader(f, maxConfigFile)); err != nil {
			return merged{}, fileError(c, "read", err)
		}
		m.old = append([]byte{}, m.old...) // not nil
	}
	m.new, err = c.Merge(m.old)
	var e *api.Error
	if errors.As(err, &e) {
		e.Message = c.File + e.Message
	}
	return m, err
}

// followLinks is where a path leads, as for an editor: a link to a file that is not there names it all the same.
func followLinks(path string) (string, error) {
	for range 40 { // Linux's own limit
		target, err := os.Readlink(path)
		if err != nil {
			return path, nil // no link; whatever else is wrong shows when it is opened
		}
		if !filepath.IsAbs(target) {
			// Not Join, which would take "x/.." away though x is a link.
			target = filepath.Dir(path) + string(filepath.Separator) + target
		}
		path = target
	}
	return "", errors.New("too many links")
}

// write puts the new text in the place of the old in one step, with the same mode and owner; false if the file has changed since it was read.
func (m merged) write() (bool, error) {
	f, err := os.CreateTemp(filepath.Dir(m.path), ".brokerctl-*")
	if err != nil {
		return false, err
	}
	defer os.Remove(f.Name()) // after the rename there is none of that name
	if err := m.fill(f); err != nil {
		return false, errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return false, err
	}
	if now, err := os.ReadFile(m.path); m.old == nil && err == nil || m.old != nil && !bytes.Equal(now, m.old) {
		return false, nil
	}
	return true, os.Rename(f.Name(), m.path)
}

// fill writes the text and gives the file the old one's mode and owner.
func (m merged) fill(f *os.File) error {
	mode := fs.FileMode(0o666) &^ umask()
	if m.info != nil {
		mode = m.info.Mode().Perm()
		if err := likeOwner(f, m.info); err != nil {
			return err
		}
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if _, err := f.Write(m.new); err != nil {
		return err
	}
	return f.Sync()
}

func fileError(c ide.Config, op string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err // the path is ours to tell: not the temporary file's
	}
	return &api.Error{
		Code: api.CodeConfig, Message: fmt.Sprintf("%s %s: %v", op, c.File, err),
		Hint: "see to the file, or paste what brokerctl ide prints without --write",
	}
}
