package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/debugbroker/debugbroker/broker/api"
)

// maxWords and maxWordLines bound what is read and what is shown of what a daemon printed before it ended.
const (
	maxWords     = 64 << 10
	maxWordLines = 20
)

// lastWords is why a daemon that ended at once did so, from what it printed: lines `error: …` and `hint: …`, and `code: …` where
// it names one of the API's codes; anything else is shown as its output. Its exit status 1 or 2 becomes ours.
func lastWords(words *os.File, status syscall.WaitStatus) error {
	raw, err := io.ReadAll(io.NewSectionReader(words, 0, maxWords))
	if err != nil {
		raw = nil
	}
	return understand(string(raw), status)
}

func understand(words string, status syscall.WaitStatus) *api.Error {
	e := &api.Error{Code: api.CodeDaemon}
	var messages, hints, rest []string
	for line := range strings.Lines(words) {
		line = strings.TrimRight(line, "\r\n")
		if s, ok := strings.CutPrefix(line, "error: "); ok {
			messages = append(messages, s)
			// A Go program that panics ends with 2 as well, but says no `error:`.
			if e.Code == api.CodeDaemon && status.Exited() && status.ExitStatus() == api.CodeConfig.Exit() {
				e.Code = api.CodeConfig
			}
		} else if s, ok := strings.CutPrefix(line, "hint: "); ok {
			hints = append(hints, s)
		} else if s, ok := strings.CutPrefix(line, "code: "); ok && knownCode(api.Code(s)) {
			e.Code = api.Code(s)
		} else if line != "" && len(rest) < maxWordLines { // a panic tells its reason first
			rest = append(rest, line)
		}
	}
	e.Message, e.Hint, e.Output = strings.Join(messages, "\n"), strings.Join(hints, "; "), strings.Join(rest, "\n")
	if e.Message == "" {
		e.Message = "brokerd ended at once: " + describe(status)
	}
	if e.Hint == "" {
		e.Hint = "brokerd.log in the state directory may say more"
	}
	return e
}

func describe(status syscall.WaitStatus) string {
	if status.Signaled() {
		return "killed by " + unix.SignalName(status.Signal())
	}
	return fmt.Sprintf("exit status %d", status.ExitStatus())
}
