package frontend

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/google/go-dap"
)

// ErrRefused says that the server answered a request with success:false. The message is the server's.
var ErrRefused = errors.New("refused")

// DAP is a Debug Adapter Protocol client. Its methods may be called by several goroutines.
type DAP struct {
	conn    net.Conn
	said    transcript
	in      *inbox[DAPMessage]
	running sync.WaitGroup

	mu     sync.Mutex // seq and writes
	seq    int
	attach int // seq of the attach request
}

// DialDAP connects to addr (host:port).
func DialDAP(ctx context.Context, addr string) (*DAP, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("dial debug server: %w", err)
	}
	return NewDAP(conn), nil
}

// NewDAP speaks DAP over conn, which is then the client's.
func NewDAP(conn net.Conn) *DAP {
	c := &DAP{conn: conn, in: newInbox[DAPMessage]()}
	c.running.Go(c.read)
	return c
}

// Close closes the connection without a word, as a front end that crashes does.
func (c *DAP) Close() error {
	err := c.conn.Close()
	c.running.Wait()
	return err
}

// Transcript is what was said so far.
func (c *DAP) Transcript() string { return c.said.String() }

func (c *DAP) read() {
	r := bufio.NewReader(c.conn)
	for {
		m, err := readDAP(r)
		if err != nil {
			c.said.add("--", err.Error())
			c.in.end(fmt.Errorf("connection ended: %w", err))
			return
		}
		c.said.add("<-", string(m.Raw))
		c.in.put(m)
	}
}

// Send sends a request and returns its seq. args may be nil.
func (c *DAP) Send(command string, args any) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq++
	m := struct {
		Seq       int    `json:"seq"`
		Type      string `json:"type"`
		Command   string `json:"command"`
		Arguments any    `json:"arguments,omitempty"`
	}{c.seq, "request", command, args}
	body, err := json.Marshal(m)
	if err != nil {
		return 0, err
	}
	c.said.add("->", string(body))
	if _, err := c.conn.Write(frameDAP(body)); err != nil {
		return 0, fmt.Errorf("send %s: %w", command, err)
	}
	return c.seq, nil
}

// Answer waits for the response to the request seq and decodes its body, if body is not nil.
func (c *DAP) Answer(ctx context.Context, seq int, body any) error {
	m, err := c.in.take(ctx, fmt.Sprintf("the response to request %d", seq), func(m DAPMessage) bool {
		return m.Type == "response" && m.RequestSeq == seq
	})
	if err != nil {
		return err
	}
	return m.decode(body)
}

// Call sends a request and waits for its response.
func (c *DAP) Call(ctx context.Context, command string, args, body any) error {
	seq, err := c.Send(command, args)
	if err != nil {
		return err
	}
	return c.Answer(ctx, seq, body)
}

// WaitEvent waits for the next event of a name that was not taken yet, and decodes its body, if body is not nil.
func (c *DAP) WaitEvent(ctx context.Context, event string, body any) error {
	m, err := c.in.take(ctx, "event "+event, func(m DAPMessage) bool { return m.Type == "event" && m.Event == event })
	if err != nil {
		return err
	}
	return m.decode(body)
}

// WaitRequest waits for a request of the server's own (runInTerminal, startDebugging).
func (c *DAP) WaitRequest(ctx context.Context, command string) (DAPMessage, error) {
	return c.in.take(ctx, "request "+command, func(m DAPMessage) bool { return m.Type == "request" && m.Command == command })
}

// WaitClosed waits until the server has closed the connection.
func (c *DAP) WaitClosed(ctx context.Context) error {
	_, err := c.in.take(ctx, "the end", func(DAPMessage) bool { return false })
	if ctx.Err() != nil {
		return err
	}
	return nil
}

func (m DAPMessage) decode(body any) error {
	if m.Type == "response" && !m.Success {
		text := m.Message
		var detail dap.ErrorResponseBody
		if json.Unmarshal(m.Body, &detail) == nil && detail.Error != nil {
			text += ": " + detail.Error.Format
		}
		return fmt.Errorf("%s: %w: %s", m.Command, ErrRefused, text)
	}
	if body == nil {
		return nil
	}
	if err := json.Unmarshal(m.Body, body); err != nil {
		return fmt.Errorf("decode %s%s: %w", m.Command, m.Event, err)
	}
	return nil
}
