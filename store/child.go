package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
	"unicode"
)

// ChildVerifier returns an Options.Verify that runs `exe args… path`, which must end in VerifyMain. A child that crashes or does not
// end within 30 s means a damaged file; one that cannot be started means nothing about the file.
func ChildVerifier(exe string, args ...string) func(ctx context.Context, path string) error {
	return func(ctx context.Context, path string) error {
		bounded, cancel := context.WithTimeout(ctx, verifyLimit)
		defer cancel()
		cmd := exec.CommandContext(bounded, exe, append(append([]string(nil), args...), path)...)
		cmd.Env = append(os.Environ(), "GOTRACEBACK=none") // of a crash, one line is enough
		out := &firstBytes{max: 4 << 10}
		cmd.Stderr = out
		cmd.WaitDelay = 2 * time.Second
		err := cmd.Run()
		var exit *exec.ExitError
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("check database: %w", ctx.Err())
		case bounded.Err() != nil:
			return &DamagedError{Path: path, Why: fmt.Sprintf("checking it did not end within %v", verifyLimit)}
		case !errors.As(err, &exit):
			return fmt.Errorf("start check of database %s: %w", path, err)
		case exit.ExitCode() == exitDamaged:
			return &DamagedError{Path: path, Why: out.line("no reason given")}
		case exit.ExitCode() == exitUnknown:
			return fmt.Errorf("check database: %s", out.line("no reason given"))
		default:
			return &DamagedError{Path: path, Why: "checking it crashed: " + out.line(exit.String())}
		}
	}
}

// firstBytes keeps the first bytes that are written to it and swallows the rest.
type firstBytes struct {
	buf bytes.Buffer
	max int
}

func (w *firstBytes) Write(p []byte) (int, error) {
	w.buf.Write(p[:min(len(p), w.max-w.buf.Len())])
	return len(p), nil
}

// line returns the first line, printable and of a length to show.
func (w *firstBytes) line(otherwise string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(w.buf.String()), "\n")
	first = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, first)
	if first == "" {
		return otherwise
	}
	return first[:min(len(first), 300)]
}
