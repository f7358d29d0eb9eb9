package sshconfig

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/debugbroker/debugbroker/tunnel"
)

const (
	maxConfigFile  = 4 << 20 // bytes read of one file
	maxConfigFiles = 512
	maxInclude     = 16 // depth, as in ssh (readconf.c, READCONF_MAX_DEPTH)
)

// Why a file is not read, or not to its end.
var (
	// ErrInclude says that files Include each other in a circle, or too many or too deep.
	ErrInclude = errors.New("the Includes do not end")
	// ErrPermissions says that others may write a file, or own it: ssh refuses it, since it can name commands to run.
	ErrPermissions = errors.New("the ssh configuration may be changed by others")

	errTooLong = fmt.Errorf("it is longer than %d MiB", maxConfigFile>>20)
	errMark    = errors.New("it begins with a byte-order mark")
)

const byteOrderMark = "\ufeff"

// walker is told of what ssh reads, in the order in which ssh reads it. Any function may be nil.
type walker struct {
	include func(pattern string) string // fills in an Include's tokens; nil leaves them

	source func(path string) // a file, or the directory of an Include's pattern: before it is read
	enter  func()            // a file begins
	leave  func()            // and has ended
	line   func(configLine)  // all but Include
	broken func(error)       // a file cannot be read, or not as it stands; one that is not there is no error

	home  string
	files int
	stack []string
}

// scope is where a file's own Includes are looked for, and how strictly ssh looks at it.
type scope struct {
	base string // of relative Includes
	user bool   // the user's, where ~ may be used
	mine bool   // others may not write it
}

// sources are where a configuration begins.
type sources struct {
	file   string // of `ssh -F`: read in place of the user's and the system's; "" is theirs, "none" is no file
	home   string
	system string
}

// walkConfig reads the files as ssh does (ssh.c, process_config_files).
func walkConfig(from sources, w *walker) {
	w.home = from.home
	user := scope{base: filepath.Join(from.home, ".ssh"), user: true}
	switch from.file {
	case "":
		mine := user
		mine.mine = true
		w.walk(filepath.Join(user.base, "config"), mine)
		w.walk(from.system, scope{base: filepath.Dir(from.system)})
	case "none": // ssh(1): no file at all
	default:
		w.walk(from.file, user)
	}
}

func (w *walker) walk(path string, s scope) {
	switch w.files++; {
	case slices.Contains(w.stack, path):
		way := strings.Join(append(slices.Clone(w.stack), path), " includes ")
		w.fail(&tunnel.HintedError{
			Err:  fmt.Errorf("%w: %s", ErrInclude, way),
			Hint: "take the Include that leads back out of " + w.stack[len(w.stack)-1],
		})
		return
	case len(w.stack) > maxInclude:
		w.fail(fmt.Errorf("%w: %s is %d files deep", ErrInclude, path, len(w.stack)))
		return
	case w.files > maxConfigFiles:
		w.fail(fmt.Errorf("%w: %s is one more than %d files", ErrInclude, path, maxConfigFiles))
		return
	}
	if w.source != nil {
		w.source(path)
	}
	text, err := readConfig(path, s.mine)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			w.fail(err)
		}
		if !errors.Is(err, errTooLong) {
			return
		}
	}
	w.stack = append(w.stack, path)
	if w.enter != nil {
		w.enter()
	}
	number := 0
	text, marked := strings.CutPrefix(text, byteOrderMark)
	if marked {
		w.fail(&tunnel.HintedError{Err: fmt.Errorf("%s: %w", path, errMark), Hint: "ssh takes the mark for a part of the first line: save " + path + " without it"})
	}
	for raw := range strings.Lines(text) {
		number++
		line, ok := parseLine(raw)
		if !ok {
			continue
		}
		line.file, line.number = path, number
		if line.keyword == "include" && line.bad == "" {
			for _, pattern := range line.args {
				w.included(pattern, s)
			}
		} else if w.line != nil {
			w.line(line)
		}
	}
	if w.leave != nil {
		w.leave()
	}
	w.stack = w.stack[:len(w.stack)-1]
}

func (w *walker) fail(err error) {
	if w.broken != nil {
		w.broken(err)
	}
}

func (w *walker) included(pattern string, s scope) {
	if w.include != nil {
		pattern = w.include(pattern)
	}
	switch {
	case strings.HasPrefix(pattern, "~"):
		if !s.user {
			w.fail(fmt.Errorf("include %s: the system's configuration cannot name a home", pattern))
			return
		}
		pattern = (&expander{home: w.home}).tilde(pattern)
	case !filepath.IsAbs(pattern):
		pattern = filepath.Join(s.base, pattern)
	}
	if w.source != nil {
		// A new file changes what a pattern finds; a directory that is itself found by one does as well.
		for dir := filepath.Dir(pattern); strings.ContainsAny(pattern, "*?["); dir = filepath.Dir(dir) {
			if !strings.ContainsAny(dir, "*?[") {
				w.source(dir)
				break
			}
			dirs := glob(dir)
			for _, d := range dirs[:min(len(dirs), maxConfigFiles)] {
				w.source(d)
			}
		}
	}
	paths := glob(pattern)
	if len(paths) == 0 && w.source != nil {
		w.source(pattern)
	}
	s.mine = true
	for _, path := range paths {
		w.walk(path, s)
	}
}

// glob is glob(3): hidden files are found only where the pattern says their dot, and what is no pattern is a name.
func glob(pattern string) []string {
	paths, err := filepath.Glob(strings.ReplaceAll(pattern, "[!", "[^"))
	if err != nil {
		if exists(pattern) {
			return []string{pattern}
		}
		return nil
	}
	words := strings.Split(pattern, "/")
	return slices.DeleteFunc(paths, func(path string) bool {
		for i, word := range strings.Split(path, "/") {
			if i < len(words) && strings.HasPrefix(word, ".") && !strings.HasPrefix(words[i], ".") {
				return true
			}
		}
		return false
	})
}

// readConfig reads a file. mine refuses one that others may write, as ssh does (readconf.c, read_config_file_depth).
func readConfig(path string, mine bool) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would hold us up
	if errors.Is(err, fs.ErrPermission) {
		return "", &tunnel.HintedError{Err: err, Hint: "make it readable for " + currentAccount().name + ": " + path}
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if mine {
		if err := checkOwner(path, info); err != nil {
			return "", err
		}
	}
	if !info.Mode().IsRegular() {
		if info.Size() == 0 && info.Mode()&fs.ModeCharDevice != 0 {
			return "", nil // /dev/null
		}
		return "", &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxConfigFile+1))
	if len(data) > maxConfigFile {
		return string(data[:maxConfigFile]), fmt.Errorf("read %s: %w", path, errTooLong)
	}
	return string(data), err
}

func checkOwner(path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	if stat.Uid != 0 && int(stat.Uid) != os.Getuid() {
		return &tunnel.HintedError{
			Err:  fmt.Errorf("%w: %s belongs to uid %d", ErrPermissions, path, stat.Uid),
			Hint: fmt.Sprintf("have it belong to you: chown %d %s", os.Getuid(), path),
		}
	}
	if info.Mode().Perm()&0o022 != 0 {
		return &tunnel.HintedError{
			Err:  fmt.Errorf("%w: %s has mode %04o", ErrPermissions, path, info.Mode().Perm()),
			Hint: "chmod go-w " + path,
		}
	}
	return nil
}
