package cdp

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/coder/websocket"
)

// MaxMessage bounds one message in bytes. A script's source can be in an event; larger ones end the conversation.
const MaxMessage = 64 << 20

// maxErrorText bounds an Error's text in bytes: it ends up in logs and records.
const maxErrorText = 1 << 10

// Error is a request that the inspector answered with an error (JSON-RPC's code and text).
type Error struct {
	Method string `json:"-"`
	Code   int    `json:"code"`
	Text   string `json:"message"`
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s (%d)", e.Method, e.Text, e.Code) }

// Client is one session of the inspector. It is for one goroutine at a time.
type Client struct {
	ws  *websocket.Conn
	seq int
}

// New makes conn, which the Client then owns, a websocket at path ("/" and the target's id). The Host header is 127.0.0.1: node
// refuses names other than localhost.
func New(ctx context.Context, conn net.Conn, path string) (*Client, error) {
	ws, resp, err := websocket.Dial(ctx, "ws://127.0.0.1"+path, &websocket.DialOptions{HTTPClient: over(conn)})
	if err != nil {
		_ = conn.Close()
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			return nil, fmt.Errorf("open inspector websocket: status %d", resp.StatusCode)
		}
		return nil, fmt.Errorf("open inspector websocket: %w", err)
	}
	ws.SetReadLimit(MaxMessage)
	return &Client{ws: ws}, nil
}

// over is an HTTP client for one exchange on conn.
func over(conn net.Conn) *http.Client {
	var used atomic.Bool
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives:  true,
		DisableCompression: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			if used.Swap(true) {
				return nil, net.ErrClosed
			}
			return conn, nil
		},
	}}
}

// Close ends the session without ceremony: what it had set (breakpoints, a pause) goes with it.
func (c *Client) Close() error { return c.ws.CloseNow() }

type message struct {
	ID     int             `json:"id,omitempty"`
	Method string          `json:"method,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *Error          `json:"error,omitempty"`
}

// Call asks and waits for the answer. params and result may be nil.
func (c *Client) Call(ctx context.Context, method string, params, result any) error {
	c.seq++
	request := message{ID: c.seq, Method: method}
	if params != nil {
		data, err := json.Marshal(params)
		if err != nil {
			return fmt.Errorf("encode %s: %w", method, err)
		}
		request.Params = data
	}
	data, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("encode %s: %w", method, err)
	}
	if err := c.ws.Write(ctx, websocket.MessageText, data); err != nil {
		return fmt.Errorf("send %s: %w", method, err)
	}
	for {
		m, err := c.read(ctx)
		if err != nil {
			return fmt.Errorf("read answer to %s: %w", method, err)
		}
		if m.ID != c.seq {
			continue
		}
		if m.Error != nil {
			m.Error.Method = method
			m.Error.Text = m.Error.Text[:min(len(m.Error.Text), maxErrorText)]
			return m.Error
		}
		if result == nil {
			return nil
		}
		if err := json.Unmarshal(m.Result, result); err != nil {
			return fmt.Errorf("decode answer to %s: %w", method, err)
		}
		return nil
	}
}

func (c *Client) read(ctx context.Context) (message, error) {
	var m message
	_, data, err := c.ws.Read(ctx)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("decode message: %w", err)
	}
	return m, nil
}
