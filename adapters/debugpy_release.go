package adapters

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/google/go-dap"
)

// Times of debugpyRelease.
const (
	releaseTime = 5 * time.Second
	// releasePause is between two tries; with the bootstrap's adapter a session is taken down in some milliseconds.
	releasePause = 20 * time.Millisecond
	// stockPause is before each try with a stock adapter, which needs up to 300 ms and, in newer versions, never accepts a client
	// again when one comes in that time (it greets the old client about the new one, and its accepting thread dies of that).
	stockPause = 500 * time.Millisecond
)

// errStillDebugged is the adapter's answer while the last client's session is not taken down yet.
var errStillDebugged = errors.New("still being debugged")

// debugpyRelease makes sure that the program is free of its last client. debugpy resumes it and drops the breakpoints by itself when
// the client's connection goes, but a front end that comes back before that is done is told "already being debugged" and then never
// gets its initialized event. So it attaches itself until it may, and leaves by the front door: the answer to disconnect comes
// after the session is taken down.
// The pause is what each try waits first.
func debugpyRelease(pause time.Duration) func(context.Context, Dial) error {
	return func(ctx context.Context, dial Dial) error {
		ctx, cancel := context.WithTimeout(ctx, releaseTime)
		defer cancel()
		err := errStillDebugged
		for errors.Is(err, errStillDebugged) {
			select {
			case <-ctx.Done():
				return fmt.Errorf("release debugpy: %w", err)
			case <-time.After(pause):
				err = debugpyVisit(ctx, dial)
			}
		}
		return err
	}
}

// debugpyVisit attaches without breakpoints and disconnects. A program that waits for its front end goes on waiting, since
// configurationDone is not sent.
func debugpyVisit(ctx context.Context, dial Dial) error {
	conn, err := dial(ctx)
	if err != nil {
		return fmt.Errorf("dial debugpy: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()

	v := visit{in: bufio.NewReader(conn), out: conn}
	if _, err := v.ask("initialize", `{"adapterID":"debugbroker","pathFormat":"path"}`, ""); err != nil {
		return err
	}
	attached, err := v.ask("attach", `{"justMyCode":true}`, "initialized")
	if err != nil {
		return err
	}
	if _, err := v.ask("disconnect", `{"terminateDebuggee":false}`, ""); err != nil {
		return err
	}
	if !attached {
		return errStillDebugged
	}
	return nil
}

// visit is a front end of three requests.
type visit struct {
	in  *bufio.Reader
	out net.Conn
	seq int
}

// ask sends a request and reads until its response or the event orEvent. It reports whether the request succeeded; the connection's
// end is an error. The host is not trusted: what it sends is bounded by go-dap (4 MiB a message) and the connection's time.
func (v *visit) ask(command, arguments, orEvent string) (bool, error) {
	v.seq++
	request := fmt.Sprintf(`{"seq":%d,"type":"request","command":%q,"arguments":%s}`, v.seq, command, arguments)
	if err := writeWhole(v.out, request); err != nil {
		return false, fmt.Errorf("ask debugpy to %s: %w", command, err)
	}
	for {
		data, err := dap.ReadBaseMessage(v.in)
		if err != nil {
			return false, fmt.Errorf("await debugpy's %s: %w", command, err)
		}
		var m struct {
			Type       string `json:"type"`
			Event      string `json:"event"`
			RequestSeq int    `json:"request_seq"`
			Success    bool   `json:"success"`
		}
		if err := json.Unmarshal(data, &m); err != nil {
			return false, fmt.Errorf("read debugpy's %s: %w", command, err)
		}
		switch {
		case m.Type == "event" && orEvent != "" && m.Event == orEvent:
			return true, nil
		case m.Type == "response" && m.RequestSeq == v.seq:
			return m.Success, nil
		}
	}
}

// writeWhole writes header and body in one piece: in two, the second waits for the first one's acknowledgement.
func writeWhole(w io.Writer, body string) error {
	_, err := fmt.Fprintf(w, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return err
}
