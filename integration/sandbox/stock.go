package sandbox

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Stock knows what there was when it was taken: processes that bear the mark, TCP ports on which they listen, files in the TMPDIR, and
// workspaces. A workspace bears no mark, so those of other brokers on the machine are seen too where no process of theirs is in them any
// more: Left gives them the time to go.
type Stock struct {
	mark   string
	temp   string
	exempt func(Process) bool
	before map[string]bool
}

// Take takes stock. Processes for which exempt is true do not count, but what they listen on does. It returns ErrNoProc where processes
// cannot be found.
func Take(mark, temp string, exempt func(Process) bool) (*Stock, error) {
	s := &Stock{mark: mark, temp: temp, exempt: exempt, before: map[string]bool{}}
	all, err := s.look()
	if err != nil {
		return nil, err
	}
	for key := range all {
		s.before[key] = true
	}
	return s, nil
}

// workspaces is where the broker makes its directories on a host: it takes the first that will do.
var workspaces = []string{"/tmp/dbk-*", "/var/tmp/dbk-*"}

// Left waits until nothing is left of what has come into being between Take and this call, and returns in words what is left when ctx is done.
func (s *Stock) Left(ctx context.Context) ([]string, error) {
	suspects, err := s.added()
	if err != nil {
		return nil, err
	}
	gone := func() bool {
		var now map[string]string
		if now, err = s.added(); err != nil {
			return true
		}
		// What is newer than this call is none of its business.
		maps.DeleteFunc(suspects, func(key, _ string) bool { _, there := now[key]; return !there })
		return len(suspects) == 0
	}
	Await(ctx, gone)
	return slices.Sorted(maps.Values(suspects)), err
}

// Added returns in words what has come into being since Take and is still there.
func (s *Stock) Added() ([]string, error) {
	added, err := s.added()
	return slices.Sorted(maps.Values(added)), err
}

func (s *Stock) added() (map[string]string, error) {
	all, err := s.look()
	maps.DeleteFunc(all, func(key, _ string) bool {
		path, file := strings.CutPrefix(key, "file ")
		return s.before[key] || file && foreign(path, s.mark)
	})
	return all, err
}

// look maps what there is, by a key that is never used again, to words for it.
func (s *Stock) look() (map[string]string, error) {
	all := map[string]string{}
	processes, err := Marked(s.mark)
	if err != nil {
		return nil, err
	}
	for _, p := range processes {
		key := fmt.Sprintf("process %d started %s", p.PID, p.Start)
		if !s.exempt(p) {
			all[key] = p.String()
		}
		for _, port := range listeners(p.PID) {
			all[key+" "+port] = fmt.Sprintf("%s of %s", port, p)
		}
	}
	// Everything in there, not only workspaces: compilers and debug servers drop things too.
	for _, pattern := range append([]string{filepath.Join(s.temp, "*")}, workspaces...) {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("look for files: %w", err)
		}
		for _, path := range paths {
			if st, err := os.Lstat(path); err == nil {
				all["file "+path] = fmt.Sprintf("file %s (%s)", path, st.Mode())
			}
		}
	}
	return all, nil
}

// foreign tells whether a workspace names a process that runs, with another mark than ours. Its records are files .dbk-PID, one line
// each: VERSION BOOT PID START KIND GROUP ROLE and a dot.
func foreign(workspace, mark string) bool {
	records, err := filepath.Glob(filepath.Join(workspace, ".dbk-*"))
	if err != nil {
		return false
	}
	for _, r := range records {
		text, err := os.ReadFile(r)
		f := strings.Fields(string(text))
		if err != nil || len(f) != 8 {
			continue
		}
		dir := filepath.Join("/proc", f[2])
		fields, err := statFields(dir)
		if err != nil || fields[19] != f[3] {
			continue // it has ended, and its pid may be another's now
		}
		environ, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err == nil && len(environ) > 0 && variable(environ, MarkVariable) != mark {
			return true
		}
	}
	return false
}
