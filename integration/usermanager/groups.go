package usermanager

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// groups are control groups of one name, one a hierarchy.
type groups struct {
	name string
	dirs []string // those that systemd is put into
}

// makeGroups makes them below the one that we are in, where systemd looks for its own: in the hierarchy of version 2, and in version 1's that has
// no controller.
func makeGroups(name string) (*groups, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	g := &groups{name: name}
	for line := range strings.Lines(string(text)) { // 0::/path or 9:name=systemd:/path
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) != 3 {
			continue
		}
		var root string
		switch parts[1] {
		case "":
			root = "/sys/fs/cgroup/unified"
			if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
				root = "/sys/fs/cgroup"
			}
		case "name=systemd":
			root = "/sys/fs/cgroup/systemd"
		default:
			continue
		}
		dir := filepath.Join(root, parts[2], name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, errors.Join(fmt.Errorf("no control group can be made: %w", err), g.remove())
		}
		g.dirs = append(g.dirs, dir)
	}
	if len(g.dirs) == 0 {
		return nil, errors.New("no control groups here")
	}
	return g, nil
}

// adopt moves a process into a group that lies below ours, named as systemd names it.
func (g *groups) adopt(pid int, group string) error {
	for _, dir := range g.dirs {
		_, below, ok := strings.Cut(group, "/"+g.name)
		if !ok {
			return fmt.Errorf("%s is no control group of ours", group)
		}
		if err := os.WriteFile(filepath.Join(dir, below, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
			return err
		}
	}
	return nil
}

// all are the groups of that name in every hierarchy, since systemd makes them in those of the controllers too, and those below them, the
// deepest first.
func (g *groups) all() []string {
	var found []string
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && strings.Contains(path+"/", "/"+g.name+"/") {
			found = append(found, path)
		}
		return nil // one that goes meanwhile
	})
	slices.Reverse(found)
	return found
}

// remove kills what is in the groups and removes them.
func (g *groups) remove() error {
	var err error
	for end := time.Now().Add(endTimeout); time.Now().Before(end); time.Sleep(20 * time.Millisecond) { // killed is not gone
		all := g.all()
		if len(all) == 0 {
			return nil
		}
		for _, dir := range all {
			for _, pid := range members(dir) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			err = os.Remove(dir)
		}
	}
	return fmt.Errorf("control groups stay: %w", err)
}

func members(dir string) (pids []int) {
	f, err := os.Open(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return nil
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if pid, err := strconv.Atoi(s.Text()); err == nil && pid > 1 {
			pids = append(pids, pid)
		}
	}
	return pids
}
