package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"
)

// inputGrace is how long a program may take to read what was written before its input was closed, until it counts as one that does not
// read.
const inputGrace = 5 * time.Second

// processInput is a program's standard input: a channel of its own (scripts/feed.sh). On the program's channel bytes that nobody reads
// would stand before the end of file that tells its lifeline of our end.
type processInput struct {
	feed *talk
	to   io.WriteCloser // feed's
	p    *process
	once sync.Once
	err  error
}

// feed opens a channel into the standard input of pid, which waits for it. Bytes may be written at once.
func (h *shellHost) feed(ctx context.Context, workspace string, pid int) (*talk, error) {
	mark := newMarker()
	var s script
	body, err := s.set("dbk_ws", workspace).set("dbk_pid", strconv.Itoa(pid)).include("identity", "feed").done()
	if err != nil {
		return nil, err
	}
	t, err := h.talk(ctx, body, mark, false)
	if err != nil {
		return nil, err
	}
	line, err := t.statusLine(ctx)
	switch {
	case err == nil && line == "E stdin":
		err = errInputGone
	case err == nil && line != "I":
		err = fmt.Errorf("unexpected answer %q", cleanText(line, maxErrorText))
	}
	if err != nil {
		t.ch.Close()
		return nil, err
	}
	return t, nil
}

// errInputGone says that a program's input is not there: mostly, the program has ended before it could be opened.
var errInputGone = errors.New("the program's input is not there any more")

// overInput is the input of a program that has ended already.
type overInput struct{}

func (overInput) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
func (overInput) Close() error              { return nil }

// Write is an error once the program reads no more: it has closed its input, or ended.
func (in *processInput) Write(b []byte) (int, error) {
	n, err := in.to.Write(b)
	if errors.Is(err, io.EOF) {
		err = io.ErrClosedPipe
	}
	return n, err
}

// Close is as in Process. The lifeline's channel gets its end of file once the program has been given all that was written; then the
// lifeline waits for it to end by itself.
func (in *processInput) Close() error {
	in.once.Do(func() {
		in.err = in.to.Close()
		fed := make(chan struct{})
		go func() { // ends with the channel, which ends with the program's
			defer close(fed)
			in.feed.ch.Wait()
		}()
		go func() {
			bound := time.NewTimer(inputGrace)
			defer bound.Stop()
			select {
			case <-fed:
			case <-in.p.done:
			case <-bound.C:
			}
			in.p.t.ch.Stdin().Close()
		}()
	})
	return in.err
}
