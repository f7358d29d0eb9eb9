package frontend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/coder/websocket"
)

// CDP is a Chrome DevTools Protocol client, as node's inspector serves it. Its methods may be called by several goroutines.
type CDP struct {
	ws      *websocket.Conn
	said    transcript
	in      *inbox[cdpMessage]
	running sync.WaitGroup
	stop    context.CancelFunc

	mu  sync.Mutex
	seq int
}

type cdpMessage struct {
	ID     int             `json:"id,omitempty"`
	Method string          `json:"method,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// Pause is Debugger.paused's body, as far as tests read it.
type Pause struct {
	Reason         string      `json:"reason"`
	HitBreakpoints []string    `json:"hitBreakpoints"`
	CallFrames     []CallFrame `json:"callFrames"`
}

// CallFrame is one frame of a Pause, the innermost first.
type CallFrame struct {
	ID           string `json:"callFrameId"`
	FunctionName string `json:"functionName"`
	URL          string `json:"url"`
	Location     struct {
		Line int `json:"lineNumber"` // from 0
	} `json:"location"`
	ScopeChain []struct {
		Type   string `json:"type"`
		Object struct {
			ID string `json:"objectId"`
		} `json:"object"`
	} `json:"scopeChain"`
}

// CDPTarget asks an inspector at addr (host:port) over HTTP for its first target's websocket URL, as Chrome does.
func CDPTarget(ctx context.Context, addr string) (string, error) {
	// A transport of its own: an idle connection left behind would count as a front end.
	transport := &http.Transport{DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/json/list", nil)
	if err != nil {
		return "", err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return "", fmt.Errorf("list inspector targets: %w", err)
	}
	defer resp.Body.Close()
	var targets []struct {
		URL string `json:"webSocketDebuggerUrl"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&targets); err != nil {
		return "", fmt.Errorf("list inspector targets: %s: %w", resp.Status, err)
	}
	if len(targets) == 0 || targets[0].URL == "" {
		return "", errors.New("list inspector targets: none that can be debugged")
	}
	return targets[0].URL, nil
}

// DialCDP connects to a websocket URL.
func DialCDP(ctx context.Context, url string) (*CDP, error) {
	transport := &http.Transport{DisableKeepAlives: true}
	ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		return nil, fmt.Errorf("dial inspector: %w", err)
	}
	ws.SetReadLimit(maxMessage)
	readCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	c := &CDP{ws: ws, in: newInbox[cdpMessage](), stop: stop}
	c.running.Go(func() { c.read(readCtx) })
	return c, nil
}

// Close leaves as a front end does that is shut down.
func (c *CDP) Close() error {
	err := c.ws.Close(websocket.StatusNormalClosure, "")
	c.stop()
	c.running.Wait()
	if websocket.CloseStatus(err) != -1 || errors.Is(err, io.EOF) {
		return nil // the other side was quicker
	}
	return err
}

// Abort drops the connection without the closing handshake.
func (c *CDP) Abort() {
	_ = c.ws.CloseNow() // an error says that it was closed already
	c.stop()
	c.running.Wait()
}

// Transcript is what was said so far.
func (c *CDP) Transcript() string { return c.said.String() }

func (c *CDP) read(ctx context.Context) {
	for {
		_, data, err := c.ws.Read(ctx)
		if err != nil {
			c.said.add("--", err.Error())
			c.in.end(fmt.Errorf("connection ended: %w", err))
			return
		}
		c.said.add("<-", string(data))
		var m cdpMessage
		if err := json.Unmarshal(data, &m); err != nil {
			c.in.end(fmt.Errorf("CDP message: %w", err))
			return
		}
		c.in.put(m)
	}
}

// Call calls a method and decodes its result, if result is not nil.
func (c *CDP) Call(ctx context.Context, method string, params, result any) error {
	if params == nil {
		params = struct{}{}
	}
	c.mu.Lock()
	c.seq++
	id := c.seq
	c.mu.Unlock()
	data, err := json.Marshal(map[string]any{"id": id, "method": method, "params": params})
	if err != nil {
		return err
	}
	c.said.add("->", string(data))
	if err := c.ws.Write(ctx, websocket.MessageText, data); err != nil {
		return fmt.Errorf("send %s: %w", method, err)
	}
	m, err := c.in.take(ctx, "the result of "+method, func(m cdpMessage) bool { return m.ID == id })
	if err != nil {
		return err
	}
	if m.Error != nil {
		return fmt.Errorf("%s: %w: %s", method, ErrRefused, m.Error.Message)
	}
	return decodeCDP(method, m.Result, result)
}

// WaitEvent waits for the next event of a name that was not taken yet, and decodes its parameters, if params is not nil.
func (c *CDP) WaitEvent(ctx context.Context, method string, params any) error {
	m, err := c.in.take(ctx, "event "+method, func(m cdpMessage) bool { return m.Method == method })
	if err != nil {
		return err
	}
	return decodeCDP(method, m.Params, params)
}

func decodeCDP(method string, data json.RawMessage, into any) error {
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("decode %s: %w", method, err)
	}
	return nil
}
