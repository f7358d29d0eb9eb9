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

// maxLastWords bounds what is read of what a daemon printed before it ended.
const maxLastWords = 8 << 10

// lastWords is why a daemon that ended at once did so, from what it printed: lines `error: …` and `hint: …`, and `code: …` where
// it names one of the API's codes; anything else is shown as its output. Its exit status 1 or 2 becomes ours.
func lastWords(words *os.File, status syscall.WaitStatus) error {
	// From the end: a panic's reason may be far up, but then there is no `error:` line to find either.
	size, _ := words.Seek(0, io.SeekEnd)
	raw, err := io.ReadAll(io.NewSectionReader(words, max(0, size-maxLastWords), maxLastWords))
	if err != nil {
		raw = nil
	}
	return understand(string(raw), status)
}

func understand(words string, status syscall.WaitStatus) *api.Error {
	e := &api.Error{Code: api.CodeDaemon}
	if status.Exited() && status.ExitStatus() == api.CodeConfig.Exit() {
		e.Code = api.CodeConfig
	}
	var messages, hints, rest []string
	for line := range strings.Lines(words) {
		line = strings.TrimRight(line, "\r\n")
		if s, ok := strings.CutPrefix(line, "error: "); ok {
			messages = append(messages, s)
		} else if s, ok := strings.CutPrefix(line, "hint: "); ok {
			hints = append(hints, s)
		} else if s, ok := strings.CutPrefix(line, "code: "); ok && knownCode(api.Code(s)) {
			e.Code = api.Code(s)
		} else if line != "" {
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
