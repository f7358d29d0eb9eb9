package brokertest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// raceSettings makes a binary that was built with -race write what it finds to files of ours, and end without the second for which it
// else waits for more. Settings that are there come later and win.
func (b *Broker) raceSettings() string {
	own := "log_path=" + filepath.Join(b.dir, "race") + " atexit_sleep_ms=0"
	if given := os.Getenv("GORACE"); given != "" {
		own += " " + given
	}
	return "GORACE=" + own
}

// checkRaces fails the test for each data race, and each panic of the daemon that is its last.
func (b *Broker) checkRaces() {
	reports, err := filepath.Glob(filepath.Join(b.dir, "race.*"))
	if err != nil {
		b.t.Error(err)
	}
	for _, path := range slices.Sorted(slices.Values(reports)) {
		text, err := os.ReadFile(path)
		b.t.Errorf("data race (%v):\n%s", err, text)
	}
	words, err := os.ReadFile(filepath.Join(b.StateDir(), "brokerd.stderr"))
	if err == nil && (strings.Contains(string(words), "panic: ") || strings.Contains(string(words), "fatal error: ")) {
		b.t.Errorf("brokerd's last words:\n%s", words)
	}
}
