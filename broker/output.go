package broker

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
)

const (
	maxLogBytes = 2 << 20 // text kept a session; the oldest lines go first
	maxLogLine  = 16 << 10
	// partialWait is how long an unfinished line may wait for its end before it is shown: a prompt has none.
	partialWait = 200 * time.Millisecond
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

func (o *output) add(stream, text string, now time.Time) {
	o.mu.Lock()
	o.lines = append(o.lines, api.LogLine{Time: now, Stream: stream, Text: text})
	o.bytes += len(text) + 1
	drop := 0
	for o.bytes > maxLogBytes && drop < len(o.lines)-1 {
		o.bytes -= len(o.lines[drop].Text) + 1
		drop++
	}
	if drop > 0 {
		o.lines = append([]api.LogLine(nil), o.lines[drop:]...)
		o.first += drop
	}
	o.mu.Unlock()
	o.tracker.Bump()
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
	skip := min(max(n-o.first, 0), len(o.lines))
	return append([]api.LogLine(nil), o.lines[skip:]...), o.first + len(o.lines), o.ending
}

// tail returns the last lines as text, at most limit bytes, and of each line its first maxLine: a long one must not hide what
// stands before it.
func (o *output) tail(limit, maxLine int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var last []string
	for size, i := 0, len(o.lines)-1; i >= 0; i-- {
		text := o.lines[i].Text
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
// one that is not finished comes after partialWait. It returns when r has ended; r must be closed by whoever wants it to return.
func splitLines(r io.Reader, emit func(line string)) {
	chunks := make(chan []byte)
	go func() { // ends with r; the loop below reads until then
		defer close(chunks)
		buf := make([]byte, 32<<10)
		for {
			n, err := r.Read(buf)
			if n > 0 {
				chunks <- bytes.Clone(buf[:n])
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
	for {
		select {
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
