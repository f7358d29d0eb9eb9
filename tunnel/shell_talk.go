package tunnel

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
)

const (
	maxNoise      = 1 << 20   // what login scripts may print before our marker, a stream
	maxStdout     = 4 << 20   // Result.Stdout
	maxStderr     = 256 << 10 // Result.Stderr
	maxErrorText  = 1 << 10   // remote text in an error
	maxStatusLine = 8 << 10   // what a script of ours says in one line
	talkBuffer    = 4 << 10   // a stream's, for the life of a process: hundreds may sit idle, and readers in a hurry bring their own
)

var (
	errTooMuch  = errors.New("too much output")
	errNoMarker = errors.New("shell ended before it ran our script")
)

// talk is a channel with a script running at its far end, both streams past the noise of the login.
type talk struct {
	ch             channel
	mark           marker
	stdout, stderr *bufio.Reader
	noise          int // bytes that the login printed before the marker, on both streams
}

// talk opens a channel, sends body and waits for the marker on both streams. Afterwards the far shell has read the whole script.
func (h *shellHost) talk(ctx context.Context, body string, mark marker, lateStderr bool) (*talk, error) {
	ch, err := h.carrier.exec(ctx, h.command)
	if err != nil {
		return nil, fmt.Errorf("open shell: %w", err)
	}
	t := &talk{ch: ch, mark: mark, stdout: bufio.NewReaderSize(ch.Stdout(), talkBuffer), stderr: bufio.NewReaderSize(ch.Stderr(), talkBuffer)}
	var sendErr, outErr, errErr error
	var outNoise, errNoise []byte
	var outTotal, errTotal int
	err = within(ctx, ch, func() error {
		var wg sync.WaitGroup
		wg.Go(func() { _, sendErr = io.WriteString(ch.Stdin(), mark.frame(body, lateStderr)) })
		wg.Go(func() {
			if outNoise, outTotal, outErr = skipNoise(t.stdout, mark); errors.Is(outErr, errTooMuch) {
				ch.Close() // or stderr would have to end by itself
			}
		})
		wg.Go(func() {
			// A script that says on stdout why it cannot go on ends without its marker here, and so does a shell that fails.
			if errNoise, errTotal, errErr = skipNoise(t.stderr, mark); errors.Is(errErr, errTooMuch) {
				ch.Close()
			}
		})
		wg.Wait()
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("run shell: %w", err)
	}
	t.noise = outTotal + errTotal
	if outErr == nil && errErr != nil && lateStderr {
		return t, &earlyEnd{text: cleanText(string(errNoise), maxErrorText)}
	}
	if err := errors.Join(outErr, errErr); err != nil {
		defer ch.Close()
		switch {
		case errors.Is(err, errTooMuch):
			err = fmt.Errorf("run shell: %w: the login scripts print more than %d bytes before anything can run", errTooMuch, maxNoise)
			return nil, hinted(classified(ErrUnreachable, err), "start-up files that every shell reads (.bashrc, .cshrc, config.fish) must print little where there is no terminal")
		case errors.Is(err, errNoMarker) && h.base != nil:
			return nil, sudoError(howEnded(ch, errNoMarker), errNoise)
		case errors.Is(err, errNoMarker):
			text := cleanText(string(errNoise)+" "+string(outNoise), maxErrorText)
			err = fmt.Errorf("run shell: %w: %s", howEnded(ch, errNoMarker), text)
			return nil, hinted(classified(ErrUnreachable, err), "the account must be allowed to run commands: does `ssh HOST /bin/sh -c true` work?")
		}
		return nil, fmt.Errorf("run shell: %w", err)
	}
	if sendErr != nil {
		ch.Close()
		return nil, fmt.Errorf("send script: %w", sendErr)
	}
	return t, nil
}

// within carries out do, which works on ch, and closes ch if ctx ends first. On a connection that is silently dead not even that
// wakes a reader; do is then left behind, to end with the connection, and what it writes must not be looked at.
func within(ctx context.Context, ch channel, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	ch.Close()
	bound := time.NewTimer(time.Second)
	defer bound.Stop()
	select {
	case <-done:
	case <-bound.C:
	}
	return ctx.Err()
}

// skipNoise reads up to and with the marker's line. It gives the last of what it skipped, for an error's text, and how much that was.
func skipNoise(r *bufio.Reader, mark marker) (tail []byte, total int, err error) {
	want := []byte(string(mark) + "B\n")
	for {
		// Peek what is buffered, at least one byte.
		if _, err := r.Peek(1); err != nil {
			if errors.Is(err, io.EOF) {
				err = errNoMarker
			}
			return tail, total, err
		}
		chunk, _ := r.Peek(r.Buffered())
		before := len(tail)
		tail = append(tail, chunk...)
		if at := bytes.Index(tail, want); at >= 0 {
			r.Discard(at + len(want) - before)
			return tail[:at], total + at - before, nil
		}
		r.Discard(len(chunk))
		if total += len(chunk); total > maxNoise {
			return tail, total, errTooMuch
		}
		if keep := maxErrorText; len(tail) > keep {
			tail = append(tail[:0], tail[len(tail)-keep:]...)
		}
	}
}

// readToEnd reads up to the end marker. Beyond limit it keeps the last bytes where last is set, and is errTooMuch otherwise.
func readToEnd(r io.Reader, mark marker, limit int, last bool) (data []byte, code int, err error) {
	want := []byte(string(mark) + "E")
	buf := make([]byte, 32<<10)
	from := 0
	for {
		n, readErr := r.Read(buf)
		data = append(data, buf[:n]...)
		if at := bytes.Index(data[from:], want); at >= 0 {
			at += from
			if line, _, ok := bytes.Cut(data[at+len(want):], []byte("\n")); ok {
				code, err := strconv.Atoi(string(line))
				if err != nil {
					return nil, 0, fmt.Errorf("read exit code: %w", err)
				}
				if data = data[:at]; len(data) > limit {
					if !last {
						return nil, 0, errTooMuch
					}
					data = data[len(data)-limit:]
				}
				return data, code, nil
			}
		}
		if readErr != nil {
			if readErr == io.EOF {
				readErr = io.ErrUnexpectedEOF
			}
			return data, 0, readErr
		}
		const room = 64 << 10
		if len(data) > limit+room {
			if !last {
				return nil, 0, errTooMuch
			}
			data = append(data[:0], data[len(data)-limit:]...)
		}
		from = max(0, len(data)-len(want)-8)
	}
}

// finish reads both streams to their end markers and closes the channel.
func (t *talk) finish(ctx context.Context, limit int) (Result, error) {
	defer t.ch.Close()
	var res Result
	err := within(ctx, t.ch, func() error {
		var outErr, errErr error
		var wg sync.WaitGroup
		wg.Go(func() {
			if res.Stdout, res.Code, outErr = readToEnd(t.stdout, t.mark, limit, false); outErr != nil {
				t.ch.Close() // or a script that prints for ever would not let stderr end
			}
		})
		wg.Go(func() { res.Stderr, _, errErr = readToEnd(t.stderr, t.mark, maxStderr, true) })
		wg.Wait()
		if outErr != nil {
			return outErr
		}
		return errErr
	})
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return Result{}, fmt.Errorf("shell ended in the midst: %w", howEnded(t.ch, err))
	case err != nil:
		return Result{}, err
	}
	return res, nil
}

// howEnded adds to err, which is the end of ch's streams, how ch ended: a lost link, or the shell's exit. A shell that has closed
// its streams and runs on is not waited for.
func howEnded(ch channel, err error) error {
	ended := make(chan error, 1)
	go func() { // ends with the channel, which the caller closes
		exit, waitErr := ch.Wait()
		if waitErr == nil {
			waitErr = fmt.Errorf("%w (%s)", err, exit)
		}
		ended <- waitErr
	}()
	bound := time.NewTimer(time.Second)
	defer bound.Stop()
	select {
	case err = <-ended:
	case <-bound.C:
	}
	return err
}

// earlyEnd says that a script ended before its marker on stderr; stdout tells why.
type earlyEnd struct{ text string }

func (e *earlyEnd) Error() string { return e.text }

// statusLine reads one line that a script of ours prints.
func (t *talk) statusLine(ctx context.Context) (line string, err error) {
	err = within(ctx, t.ch, func() (err error) {
		line, err = t.readLine()
		return err
	})
	if err != nil && ctx.Err() != nil {
		return "", ctx.Err()
	}
	return line, err
}

func (t *talk) readLine() (string, error) {
	var b strings.Builder
	for b.Len() < maxStatusLine {
		c, err := t.stdout.ReadByte()
		if err != nil {
			return b.String(), err
		}
		if c == '\n' {
			return b.String(), nil
		}
		b.WriteByte(c)
	}
	return "", errTooMuch
}

// String says how a process ended.
func (e Exit) String() string {
	if e.Signal != "" {
		return "signal " + e.Signal
	}
	return "exit " + strconv.Itoa(e.Code)
}

// cleanText makes remote text fit for an error: one line, no control characters, at most limit bytes, the last ones.
func cleanText(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > limit {
		s = "…" + strings.ToValidUTF8(s[len(s)-limit:], "")
	}
	return s
}
