package sandbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Stock knows what there was when it was taken: processes that bear the mark, TCP ports on which they listen, files in the TMPDIR.
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

// Left waits until nothing is left that has come into being since, and returns in words what is left when ctx is done.
func (s *Stock) Left(ctx context.Context) ([]string, error) {
	var left []string
	var err error
	Await(ctx, func() bool {
		left, err = s.Added()
		return err != nil || len(left) == 0
	})
	return left, err
}

// Added returns in words what has come into being since and is still there.
func (s *Stock) Added() ([]string, error) {
	all, err := s.look()
	if err != nil {
		return nil, err
	}
	var added []string
	for key, what := range all {
		if !s.before[key] {
			added = append(added, what)
		}
	}
	slices.Sort(added)
	return added, nil
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
	// Everything in there, not only what is named as a workspace: compilers and debug servers drop things too.
	entries, err := os.ReadDir(s.temp)
	if err != nil {
		return nil, fmt.Errorf("look for files: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(s.temp, e.Name())
		all["file "+path] = fmt.Sprintf("file %s (%s)", path, e.Type())
	}
	return all, nil
}
