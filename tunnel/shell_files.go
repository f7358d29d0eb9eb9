package tunnel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
)

// maxFile bounds both ways: files here are small, and they are held in memory.
const maxFile = 64 << 20

var errFileTooBig = errors.New("file too big")

// ReadFile is as in Host: a regular file of at most max bytes, through symbolic links. A longer one is an error, not a part of it.
func (h *shellHost) ReadFile(ctx context.Context, name string, max int64) ([]byte, error) {
	data, err := h.readFile(ctx, name, min(max, maxFile))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", cleanText(name, maxErrorText), err)
	}
	return data, nil
}

func (h *shellHost) readFile(ctx context.Context, name string, max int64) ([]byte, error) {
	if !path.IsAbs(name) {
		return nil, errors.New("no absolute path")
	}
	var s script
	s.set("dbk_path", name)
	s.words(`[ -e "$dbk_path" ] || exit 41; [ -f "$dbk_path" ] || exit 42; [ -r "$dbk_path" ] || exit 43`)
	s.words(`head -c ` + strconv.FormatInt(max+1, 10) + ` <"$dbk_path"`)
	res, err := h.runScript(ctx, &s, int(max)+1)
	if err != nil {
		return nil, err
	}
	switch {
	case res.Code == 41:
		return nil, ErrNoSuchFile
	case res.Code == 42:
		return nil, errors.New("not a regular file")
	case res.Code == 43:
		return nil, os.ErrPermission
	case res.Code != 0:
		return nil, errors.New(cleanText(string(res.Stderr), maxErrorText))
	case int64(len(res.Stdout)) > max:
		return nil, fmt.Errorf("%w: more than %d bytes", errFileTooBig, max)
	}
	return res.Stdout, nil
}

// WriteFile is as in Host. The bytes follow the script on the channel once the far side has asked for them, so that they need no
// encoding; they go to a new file beside path, which takes path's place when all have arrived. A link cut in between leaves path
// as it was, and nothing else.
func (h *shellHost) WriteFile(ctx context.Context, name string, data []byte, perm uint32) error {
	if err := h.writeFile(ctx, name, data, perm); err != nil {
		return fmt.Errorf("write %s: %w", cleanText(name, maxErrorText), err)
	}
	return nil
}

func (h *shellHost) writeFile(ctx context.Context, name string, data []byte, perm uint32) error {
	if !path.IsAbs(name) || path.Clean(name) != name || name == "/" {
		return errors.New("no absolute clean path")
	}
	if len(data) > maxFile {
		return errFileTooBig
	}
	mark := newMarker()
	var s script
	s.set("dbk_path", name).set("dbk_temp", path.Join(path.Dir(name), "."+NewWorkspaceName()))
	s.set("dbk_size", strconv.Itoa(len(data))).set("dbk_perm", fmt.Sprintf("%04o", perm&0o777))
	body, err := s.include("write").words(mark.end()).done()
	if err != nil {
		return err
	}
	t, err := h.talk(ctx, body, mark, false)
	if err != nil {
		return err
	}
	defer t.ch.Close()
	line, err := t.statusLine(ctx)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case line == "E missing":
		return fmt.Errorf("directory: %w", ErrNoSuchFile)
	case line == "E directory":
		return errors.New("is a directory")
	case line == "E create":
		return os.ErrPermission
	case err != nil:
		return fmt.Errorf("await shell: %w", err)
	case line != "I":
		return fmt.Errorf("unexpected answer %q", cleanText(line, maxErrorText))
	}
	err = within(ctx, t.ch, func() error {
		in := t.ch.Stdin()
		if _, err := in.Write(data); err != nil {
			return err
		}
		return in.Close()
	})
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	res, err := t.finish(ctx, maxStatusLine)
	if err != nil {
		return err
	}
	if res.Code != 0 {
		return fmt.Errorf("far side: %s", cleanText(string(res.Stderr), maxErrorText))
	}
	return nil
}
