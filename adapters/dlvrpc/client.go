package dlvrpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// MaxAnswer bounds one answer in bytes. A list of a thousand breakpoints takes less than 1 MiB.
const MaxAnswer = 8 << 20

// maxErrorText bounds the text of a ServerError in bytes: it ends up in logs and records.
const maxErrorText = 1 << 10

// ErrTooLong says that the server sent more than MaxAnswer bytes in answer to one request.
var ErrTooLong = errors.New("answer too long")

// ServerError is a request that Delve answered with an error. Delve has no error codes: its text is all that it sends.
type ServerError struct {
	Method string
	Text   string
}

func (e *ServerError) Error() string { return e.Method + ": " + e.Text }

// Client is a conversation on one connection. It is for one goroutine at a time.
type Client struct {
	conn io.ReadWriteCloser
	in   bounded
	dec  *json.Decoder
	seq  uint64
}

// New starts a conversation on a fresh connection, which the Client then owns.
func New(conn io.ReadWriteCloser) *Client {
	c := &Client{conn: conn, in: bounded{r: conn}}
	c.dec = json.NewDecoder(&c.in)
	return c
}

// Close ends the connection. What the server is doing (a Continue) goes on.
func (c *Client) Close() error { return c.conn.Close() }

type request struct {
	Method string `json:"method"`
	Params [1]any `json:"params"`
	ID     uint64 `json:"id"`
}

type answer struct {
	ID     uint64          `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  any             `json:"error"`
}

// call asks and waits for the answer, skipping answers to earlier requests that nobody waited for.
func (c *Client) call(ctx context.Context, method string, params, result any) error {
	id, err := c.send(ctx, method, params)
	if err != nil {
		return err
	}
	release := c.interruptible(ctx)
	defer release()
	for {
		var a answer
		c.in.left = MaxAnswer
		if err := c.dec.Decode(&a); err != nil {
			return fmt.Errorf("read answer to %s: %w", method, because(ctx, err))
		}
		if a.ID != id {
			continue
		}
		if a.Error != nil {
			text := fmt.Sprint(a.Error)
			return &ServerError{Method: method, Text: text[:min(len(text), maxErrorText)]}
		}
		if result == nil {
			return nil
		}
		if err := json.Unmarshal(a.Result, result); err != nil {
			return fmt.Errorf("decode answer to %s: %w", method, err)
		}
		return nil
	}
}

// send writes a request in one piece and does not wait for its answer.
func (c *Client) send(ctx context.Context, method string, params any) (uint64, error) {
	if params == nil {
		params = struct{}{}
	}
	c.seq++
	data, err := json.Marshal(request{Method: "RPCServer." + method, Params: [1]any{params}, ID: c.seq})
	if err != nil {
		return 0, fmt.Errorf("encode %s: %w", method, err)
	}
	release := c.interruptible(ctx)
	defer release()
	if _, err := c.conn.Write(append(data, '\n')); err != nil {
		return 0, fmt.Errorf("send %s: %w", method, because(ctx, err))
	}
	return c.seq, nil
}

// interruptible closes the connection when ctx is done. The function that it returns ends that, and waits for a Close under way.
func (c *Client) interruptible(ctx context.Context) (release func()) {
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		_ = c.conn.Close() // the reader or writer that it interrupts reports
	})
	return func() {
		if !stop() {
			<-closed
		}
	}
}

// because prefers ctx's error to that of the connection which ctx closed.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// bounded reads at most left bytes more.
type bounded struct {
	r    io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, ErrTooLong
	}
	if len(p) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	b.left -= n
	return n, err
}
