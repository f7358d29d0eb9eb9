package tunnel

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	claimSuffix = ".json"
	// maxClaim bounds what is read of a record: a path or two.
	maxClaim = 16 << 10
	// claimTries is how often a new name is taken: a sweep may be looking at a record that has just been made.
	claimTries = 3
)

// masterClaim is a socket in a directory of ours, and a file beside it, which whoever uses the socket holds locked, and which says what a master was
// asked for. A forward outlives who asked for it; a record that nobody holds is one that is to be closed.
type masterClaim struct {
	socket string
	record *os.File
	master string
}

// claimed is what a record says.
type claimed struct {
	Master  string // its ControlPath
	Forward muxForward
}

// claim takes a socket for a forward. Forwards of the same place have the same; a port that is the server's to choose, and a place that is dialled,
// have a new one each time.
func (m *masterConn) claim(kind uint32, at muxPlace) (*masterClaim, error) {
	dir, err := m.directory()
	if err != nil {
		return nil, err
	}
	name := fmt.Appendf(nil, "%q %d %q %d", m.path, kind, at.Host, at.Port)
	anew := kind != muxRemote || at.Port == 0
	var c *masterClaim
	for range claimTries {
		if anew {
			name = fmt.Append(name, " ", rand.Uint64(), rand.Uint64())
		}
		sum := sha256.Sum256(name)
		c, err = claimAt(filepath.Join(dir, hex.EncodeToString(sum[:8])), os.O_CREATE)
		if err != nil {
			return nil, err
		}
		if c != nil || !anew {
			break
		}
	}
	if c == nil {
		return nil, fmt.Errorf("%w: another forward of ours does", ErrFarListen)
	}
	c.master = m.path
	if !c.settle() {
		c.leave()
		return nil, errors.New("the ControlMaster does not answer")
	}
	return c, nil
}

// claimAt takes the socket at a path. It returns nil where somebody has it, and, unless flag creates it, where it is not there.
func claimAt(socket string, flag int) (*masterClaim, error) {
	if len(socket) > maxSunPath {
		return nil, hinted(fmt.Errorf("make a socket for the ControlMaster: %s: %w: at most %d bytes", socket, syscall.ENAMETOOLONG, maxSunPath),
			"the system bounds the path of a unix socket: give brokerd a state directory with a shorter path (BROKER_STATE_DIR)")
	}
	for {
		f, err := os.OpenFile(socket+claimSuffix, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|flag, 0o600)
		if errors.Is(err, fs.ErrNotExist) && flag == 0 {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("note a forward: %w", err)
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			_ = f.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return nil, nil
			}
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		held, err := f.Stat()
		now, err2 := os.Lstat(f.Name())
		if err == nil && err2 == nil && os.SameFile(held, now) {
			return &masterClaim{socket: socket, record: f}, nil
		}
		_ = f.Close() // it was removed by who had it before
		if err != nil {
			return nil, fmt.Errorf("look at %s: %w", f.Name(), err)
		}
	}
}

// settle has closed what the record says that was asked for in an earlier life. It tells whether that is certain.
func (c *masterClaim) settle() bool {
	old, ok := c.read()
	return !ok || closeForward(old.Master, old.Forward)
}

// read returns what the record says. It is false for none, and for one that was not written to its end: nothing had been asked for.
func (c *masterClaim) read() (old claimed, ok bool) {
	data, err := io.ReadAll(io.NewSectionReader(c.record, 0, maxClaim))
	return old, err == nil && json.Unmarshal(data, &old) == nil
}

// note writes down what is about to be asked for.
func (c *masterClaim) note(f muxForward) error {
	data, err := json.Marshal(claimed{c.master, f})
	if err == nil && len(data) > maxClaim {
		err = syscall.ENAMETOOLONG
	}
	if err == nil {
		err = c.record.Truncate(0)
	}
	if err == nil {
		_, err = c.record.WriteAt(data, 0)
	}
	if err != nil {
		return fmt.Errorf("note a forward: %w", err)
	}
	return nil
}

// withdraw has the master close a forward, and gives the socket up.
func (c *masterClaim) withdraw(f muxForward) {
	if closeForward(c.master, f) {
		c.release()
		return
	}
	_ = os.Remove(c.socket) // whatever comes finds nobody
	c.leave()
}

// release gives the socket up: nothing is left of it.
func (c *masterClaim) release() {
	_ = os.Remove(c.socket)
	_ = os.Remove(c.record.Name()) // while it is locked
	c.leave()
}

// leave lets go of the record, which stays.
func (c *masterClaim) leave() { _ = c.record.Close() }

// sweepForwards closes forwards that a process of ours has left behind in masters: in the one at path, or in all where that is "". One that does not
// answer keeps its own, for the next time.
func sweepForwards(ctx context.Context, dir, path string) {
	if dir == "" || checkPrivate(dir) != nil {
		return
	}
	entries, _ := os.ReadDir(dir)
	silent := make(map[string]bool)
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), claimSuffix)
		if !ok || ctx.Err() != nil {
			continue
		}
		if c, err := claimAt(filepath.Join(dir, name), 0); err == nil && c != nil {
			c.sweep(path, silent)
		}
	}
}

func (c *masterClaim) sweep(path string, silent map[string]bool) {
	old, ok := c.read()
	switch {
	case !ok:
		c.release()
	case path != "" && old.Master != path || silent[old.Master]:
		c.leave()
	case !closeForward(old.Master, old.Forward):
		silent[old.Master] = true
		c.leave()
	default:
		c.release()
	}
}

// directory is where the sockets of a master's forwards are. Where none was given, it is one that ends with the connection.
func (m *masterConn) directory() (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dir == "" {
		dir, err := os.MkdirTemp("", "dbk-")
		if err != nil {
			return "", fmt.Errorf("make a directory for sockets: %w", err)
		}
		m.dir, m.ownDir = dir, true
		return dir, nil
	}
	if err := os.Mkdir(m.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("make a directory for sockets: %w", err)
	}
	return m.dir, checkPrivate(m.dir)
}

// checkPrivate refuses a directory that is not ours alone: who reaches its sockets reaches what is forwarded.
func checkPrivate(dir string) error {
	info, err := os.Lstat(dir)
	if err == nil && (!info.IsDir() || !ownedByUs(info) || info.Mode().Perm()&0o077 != 0) {
		err = fmt.Errorf("use %s: %w: it must be a directory of ours alone (mode 0700)", dir, fs.ErrPermission)
	}
	return err
}
