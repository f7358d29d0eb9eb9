package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/configs/service"
)

// maxServiceFile bounds a service's file; ours has 2 KiB.
const maxServiceFile = 64 << 10

// rendered is the service's file as it should be for this place.
func (p place) rendered(m manager, env func(string) string) ([]byte, error) {
	program, err := p.brokerd()
	if err != nil {
		return nil, err
	}
	o := service.Options{Program: program, StateDir: p.stateDir, Socket: p.socket, SSHConfig: p.sshConfig}
	switch base := env("XDG_CONFIG_HOME"); {
	case p.configGiven:
		o.Config = p.config
	case filepath.IsAbs(base):
		// A manager need not know what the shell has there. PATH and the agent's socket are not among it: each request brings its
		// shell's own, and a service that changed with the shell would be started anew each time.
		o.Environment = append(o.Environment, "XDG_CONFIG_HOME="+base)
	}
	files, err := service.Render(m.kind(), o)
	if err != nil {
		return nil, &api.Error{Code: api.CodeDaemon, Message: fmt.Sprintf("write the service: %v", err), Hint: "use other paths: brokerd's, BROKER_STATE_DIR, --config"}
	}
	return files[0].Content, nil
}

// installed is the service's file as it is; nil where there is none. One that is not ours is an error: it is not touched.
func installed(m manager) (path string, content []byte, err error) {
	if path, err = m.file(); err != nil {
		return "", nil, err
	}
	content, err = readServiceFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path, nil, nil
	case err != nil:
		return path, nil, foreignFile(path, err.Error())
	}
	if _, ours := service.Socket(m.kind(), content); !ours {
		return path, nil, foreignFile(path, "brokerctl has not written it")
	}
	return path, content, nil
}

func readServiceFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0) // a pipe in its place must not hang
	if errors.Is(err, syscall.ELOOP) {
		return nil, errors.New("it is a symbolic link")
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		return nil, errors.Join(errors.New("it is no file"), err)
	}
	return io.ReadAll(io.LimitReader(f, maxServiceFile))
}

func foreignFile(path, why string) error {
	return &api.Error{Code: api.CodeDaemon, Message: fmt.Sprintf("a service is there already, %s: %s", path, why), Hint: "it is left alone; move it away if you want brokerctl's"}
}

// writeServiceFile puts content in path's place in one step, so that a manager never reads half of it.
func writeServiceFile(path string, content []byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write the service: %w", err)
		}
	}()
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".debugbroker-*") // mode 0600; not .service, which systemd would read
	if err != nil {
		return err
	}
	_, err = io.Copy(f, bytes.NewReader(content))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
