package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"unicode/utf8"
)

// maxSize bounds a configuration file, in bytes.
const maxSize = 1 << 20

// Load reads the file at path over the defaults. A file that is not there is the defaults, but an error where the user named it
// (explicit). Errors are *Error and tell all mistakes.
func Load(path string, explicit bool) (Config, error) {
	data, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) && !explicit {
		return Default(), nil
	}
	if err != nil {
		message := err.Error()
		var sys *fs.PathError
		if errors.As(err, &sys) {
			message = sys.Err.Error() // Error names the path itself
		}
		return Config{}, &Error{Path: path, Problems: []Problem{{Message: message}}, Err: err}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		home = "" // only matters to a file that says ~/
	}
	c, problems := parse(data, home)
	if len(problems) > 0 {
		return Config{}, &Error{Path: path, Problems: problems}
	}
	return c, nil
}

// readFile reads a small regular file that nobody else can write to: it says which programs are started.
func readFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe in its place must not hang
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, errors.New("it is a directory, not a file")
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("it is not a regular file (%v)", info.Mode().Type())
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return nil, fmt.Errorf("it belongs to another user (uid %d)", st.Uid)
	}
	if info.Mode().Perm()&0o002 != 0 {
		return nil, errors.New("every user can write to it; chmod o-w it")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxSize {
		return nil, fmt.Errorf("it is larger than %d KiB", maxSize>>10)
	}
	return data, nil
}

// text checks the encoding and takes off a byte order mark, which Windows editors write.
func text(data []byte) ([]byte, *Problem) {
	if bytes.HasPrefix(data, []byte{0xFF, 0xFE}) || bytes.HasPrefix(data, []byte{0xFE, 0xFF}) {
		return nil, &Problem{Message: "it is UTF-16; save it as UTF-8"}
	}
	data = bytes.TrimPrefix(data, []byte{0xEF, 0xBB, 0xBF})
	for line, rest := 1, data; len(rest) > 0; line++ {
		var this []byte
		this, rest, _ = bytes.Cut(rest, []byte{'\n'})
		if !utf8.Valid(this) {
			return nil, &Problem{Line: line, Message: "it is not UTF-8"}
		}
	}
	return data, nil
}
