package broker

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
)

const (
	maxLogBytes = 2 << 20 // kept a session, lineCost included; the oldest lines go first
	maxLogLine  = 16 << 10
	// lineCost is what a line takes beside its text: else empty ones would be kept by the million.
	lineCost   = 64
	readBuffer = 4 << 10 // a stream's, for the life of the program: most print little
	// partialWait is how long an unfinished line may wait for its end before it is shown: a prompt has none.
	partialWait = 200 * time.Millisecond
	// partingWait is how long the last output may take to arrive once everything else of the session is gone.
	partingWait = 2 * time.Second
)

// output keeps what a debuggee and its debug server printed, the last maxLogBytes of it.
type output struct {
	tracker Tracker

	mu     sync.Mutex
	lines  []api.LogLine
	first  int // sequence number of lines[0]: lines that are dropped keep their numbers
	bytes  int
	ending bool
}

func cost(l api.LogLine) int { return len(l.Text) + lineCost }

func (o *output) add(stream, text string, now time.Time) {
	o.mu.Lock()
	line := api.LogLine{Time: now, Stream: stream, Text: text}
	o.lines = append(o.lines, line)
	o.bytes += cost(line)
	drop := 0
	for o.bytes > maxLogBytes && drop < len(o.lines)-1 {
		o.bytes -= cost(o.lines[drop])
		drop++
	}
	o.drop(drop)
	o.mu.Unlock()
	o.tracker.Bump()
}

// drop forgets the first n lines. They are cut off, not copied over: append moves what is left when it needs room. mu is held.
func (o *output) drop(n int) {
	clear(o.lines[:n])
	o.lines = o.lines[n:]
	o.first += n
}

// size is about how much memory the lines take.
func (o *output) size() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes
}

// forget drops every line.
func (o *output) forget() {
	o.mu.Lock()
	o.drop(len(o.lines))
	o.lines, o.bytes = nil, 0
	o.mu.Unlock()
	o.tracker.Bump()
}

// next is the sequence number of the next line.
func (o *output) next() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.first + len(o.lines)
}

// end says that nothing more will come, so that followers stop.
func (o *output) end() {
	o.mu.Lock()
	o.ending = true
	o.mu.Unlock()
	o.tracker.Bump()
}

// since returns the lines from sequence number n on, the number to ask with next, and whether that was all there will ever be.
func (o *output) since(n int) (lines []api.LogLine, next int, ended bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]api.LogLine(nil), o.from(n)...), o.first + len(o.lines), o.ending
}

// tail returns the last lines from sequence number n on as text, at most limit bytes, and of each line its first maxLine: a long one must
// not hide what stands before it.
func (o *output) tail(n, limit, maxLine int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return tailOf(o.from(n), limit, maxLine)
}

// telling is tail without what the debug server says of itself, unless that is all there is.
func (o *output) telling(n, limit, maxLine int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.from(n)
	program := slices.DeleteFunc(slices.Clone(all), func(l api.LogLine) bool { return l.Stream == "server" })
	if len(program) == 0 {
		program = all
	}
	return tailOf(program, limit, maxLine)
}

// from is the lines from sequence number n on. mu is held.
func (o *output) from(n int) []api.LogLine { return o.lines[min(max(n-o.first, 0), len(o.lines)):] }

func tailOf(lines []api.LogLine, limit, maxLine int) string {
	var last []string
	for size, i := 0, len(lines)-1; i >= 0; i-- {
		text := lines[i].Text
		if len(text) > maxLine {
			text = strings.ToValidUTF8(text[:maxLine], "") + "…"
		}
		if size += len(text) + 1; size > limit {
			break
		}
		last = append(last, text)
	}
	var b strings.Builder
	for _, text := range slices.Backward(last) {
		b.WriteString(text)
		b.WriteByte('\n')
	}
	return b.String()
}

// splitLines reads r to its end and calls emit for each line, without its line end. A line longer than maxLogLine comes in pieces;
// one that is not finished comes after partialWait. It returns when r has ended, and partingWait after ctx at the latest: r ends when
// the far side says so, which may have lost the will to.
func splitLines(ctx context.Context, r io.Reader, emit func(line string)) {
	chunks := make(chan []byte)
	left := make(chan struct{})
	defer close(left)
	go func() { // ends with r, which ends with the host's connection at the latest
		defer close(chunks)
		buf := make([]byte, readBuffer)
		for {
			n, err := r.Read(buf)
			if n > 0 {
				select {
				case chunks <- bytes.Clone(buf[:n]):
				case <-left:
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	var partial []byte
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	flush := func() {
		if len(partial) > 0 {
			emit(strings.ToValidUTF8(strings.TrimSuffix(string(partial), "\r"), "\uFFFD"))
			partial = nil
		}
	}
	parting := time.NewTimer(time.Hour)
	defer parting.Stop()
	parting.Stop()
	ending := ctx.Done()
	for {
		select {
		case <-ending:
			ending = nil
			parting.Reset(partingWait)
		case <-parting.C:
			flush()
			return
		case chunk, ok := <-chunks:
			if !ok {
				flush()
				return
			}
			partial = append(partial, chunk...)
			for {
				i := bytes.IndexByte(partial, '\n')
				if i < 0 && len(partial) < maxLogLine {
					break
				}
				var line, rest []byte
				if i >= 0 && i <= maxLogLine {
					line, rest = partial[:i], partial[i+1:]
				} else {
					line, rest = partial[:maxLogLine], partial[maxLogLine:]
				}
				emit(strings.ToValidUTF8(strings.TrimSuffix(string(line), "\r"), "\uFFFD"))
				partial = rest
			}
			timer.Reset(partialWait)
		case <-timer.C:
			flush()
		}
	}
}
