package brokertest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// leftoversLimit is how long what was ended may take to be gone.
const leftoversLimit = 15 * time.Second

// Leftovers tells what came into being since it was taken: processes that bear a Broker's mark, TCP ports on which they or the daemon
// listen, files in the TMPDIR of what the Broker starts.
type Leftovers struct {
	t        testing.TB
	mark     string
	temp     string
	isDaemon func(process) bool
	before   map[string]bool
}

// Leftovers takes stock. Check then tells what has been added. The daemon itself is not a leftover, what it listens on is.
func (b *Broker) Leftovers() *Leftovers {
	b.t.Helper()
	return takeStock(b.t, b.mark, b.temp, b.isDaemon)
}

func takeStock(t testing.TB, mark, temp string, isDaemon func(process) bool) *Leftovers {
	t.Helper()
	l := &Leftovers{t: t, mark: mark, temp: temp, isDaemon: isDaemon, before: map[string]bool{}}
	for key := range l.stock() {
		l.before[key] = true
	}
	return l
}

// Check waits until nothing is left, and fails the test with the names of what is if that does not come to pass.
func (l *Leftovers) Check() {
	l.t.Helper()
	for _, what := range l.Left() {
		l.t.Errorf("left behind: %s", what)
	}
}

// Left waits until nothing is left, but not for ever, and returns what is, in words.
func (l *Leftovers) Left() []string {
	l.t.Helper()
	await(leftoversLimit, func() bool { return len(l.added()) == 0 })
	return l.added()
}

func (l *Leftovers) added() []string {
	var added []string
	for key, what := range l.stock() {
		if !l.before[key] {
			added = append(added, what)
		}
	}
	return added
}

// stock maps what there is, by a key that is never used again, to words for it.
func (l *Leftovers) stock() map[string]string {
	l.t.Helper()
	all := map[string]string{}
	for _, p := range marked(l.t, l.mark) {
		key := fmt.Sprintf("process %d started %s", p.pid, p.start)
		if !l.isDaemon(p) {
			all[key] = p.String()
		}
		for _, port := range listeners(p.pid) {
			all[key+" "+port] = fmt.Sprintf("%s of %s", port, p)
		}
	}
	// Everything in there, not only what is named as a workspace: compilers and debug servers drop things too.
	entries, err := filepath.Glob(filepath.Join(l.temp, "*"))
	if err != nil {
		l.t.Fatal(err)
	}
	for _, path := range entries {
		if st, err := os.Lstat(path); err == nil {
			all["file "+path] = fmt.Sprintf("file %s (%s)", path, st.Mode())
		}
	}
	return all
}
