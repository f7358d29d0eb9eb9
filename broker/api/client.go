package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// VersionHeader carries Version in each request and answer.
const VersionHeader = "Debugbroker-Api"

// Client speaks to a daemon on its socket. It is safe for concurrent use. Methods return *Error for what the daemon answered, and
// ErrNotRunning where nobody listens.
type Client struct {
	http *http.Client
}

// ErrNotRunning says that no daemon answers on the socket.
var ErrNotRunning = errors.New("brokerd is not running")

// Dial connects to the socket at path.
type Dial func(ctx context.Context, path string) (net.Conn, error)

// Option changes how a Client works.
type Option func(*options)

type options struct{ dial Dial }

// WithDialer connects by dial instead of a plain net.Dialer: whoever must know who listens asks there, before anything is sent.
// An *Error that dial returns is found in the method's error by errors.As.
func WithDialer(dial Dial) Option { return func(o *options) { o.dial = dial } }

// NewClient returns a client for the socket at path. It does not connect yet.
func NewClient(path string, opts ...Option) *Client {
	o := options{dial: func(ctx context.Context, path string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}
	for _, opt := range opts {
		opt(&o)
	}
	return &Client{http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return o.dial(ctx, path)
		},
		DisableCompression: true,
	}}}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Info asks who the daemon is. It works across API versions.
func (c *Client) Info(ctx context.Context) (DaemonInfo, error) {
	return get[DaemonInfo](ctx, c, "/info")
}

// Open opens a session. onEvent is called for each progress line, the first one with the ID. Cancelling ctx cancels the session.
func (c *Client) Open(ctx context.Context, r OpenRequest, onEvent func(OpenEvent)) (Session, error) {
	for ev, err := range stream[OpenEvent](ctx, c, http.MethodPost, "/sessions", r) {
		switch {
		case err != nil:
			return Session{}, err
		case ev.Error != nil:
			return Session{}, ev.Error
		case ev.Session != nil:
			return *ev.Session, nil
		default:
			onEvent(ev)
		}
	}
	return Session{}, &Error{Code: CodeDaemon, Message: "brokerd ended the answer early", Hint: "see its log: brokerd.log in the state directory"}
}

// Sessions lists sessions, those that ended in the last 24 h too where all is set.
func (c *Client) Sessions(ctx context.Context, all bool) ([]Session, error) {
	return get[[]Session](ctx, c, "/sessions?all="+strconv.FormatBool(all))
}

// WatchSessions yields each session once and then again after each change.
func (c *Client) WatchSessions(ctx context.Context, all bool) iter.Seq2[Session, error] {
	return stream[Session](ctx, c, http.MethodGet, "/sessions?watch=true&all="+strconv.FormatBool(all), nil)
}

// Session returns one session.
func (c *Client) Session(ctx context.Context, id string) (Session, error) {
	return get[Session](ctx, c, "/sessions/"+url.PathEscape(id))
}

// CloseSession ends a session and waits until its remote is clean or known not to be.
func (c *Client) CloseSession(ctx context.Context, id string) (Closed, error) {
	return do[Closed](ctx, c, http.MethodPost, "/sessions/"+url.PathEscape(id)+"/close", struct{}{})
}

// Extend sets a session's time limit to ttl from now.
func (c *Client) Extend(ctx context.Context, id string, ttl time.Duration) (Session, error) {
	return do[Session](ctx, c, http.MethodPost, "/sessions/"+url.PathEscape(id)+"/extend", ExtendRequest{TTL: ttl})
}

// AddForwards asks for forwards, and returns them when they listen and it is known how their host is, in the order of the request. One
// without a name is not kept. The error is for when none is.
func (c *Client) AddForwards(ctx context.Context, r ForwardRequest) ([]Forward, error) {
	return do[[]Forward](ctx, c, http.MethodPost, "/forwards", r)
}

// Forwards lists the forwards.
func (c *Client) Forwards(ctx context.Context) ([]Forward, error) {
	return get[[]Forward](ctx, c, "/forwards")
}

// WatchForwards yields each forward once and then again after each change, of which the last is its removal.
func (c *Client) WatchForwards(ctx context.Context) iter.Seq2[Forward, error] {
	return stream[Forward](ctx, c, http.MethodGet, "/forwards?watch=true", nil)
}

// RemoveForward ends a forward. It returns the last that is known of it.
func (c *Client) RemoveForward(ctx context.Context, name string) (Forward, error) {
	return do[Forward](ctx, c, http.MethodPost, "/forwards/"+url.PathEscape(name)+"/remove", struct{}{})
}

// RestartForward drops a forward's connections and begins anew, with the same local port.
func (c *Client) RestartForward(ctx context.Context, name string) (Forward, error) {
	return do[Forward](ctx, c, http.MethodPost, "/forwards/"+url.PathEscape(name)+"/restart", struct{}{})
}

// Processes lists what can be debugged on a host.
func (c *Client) Processes(ctx context.Context, r ProcessesRequest) ([]Process, error) {
	return do[[]Process](ctx, c, http.MethodPost, "/processes", r)
}

// Doctor yields each check as it is made.
func (c *Client) Doctor(ctx context.Context, r DoctorRequest) iter.Seq2[Check, error] {
	return stream[Check](ctx, c, http.MethodPost, "/doctor", r)
}

// Logs yields a session's output; with follow it goes on until the session ends.
func (c *Client) Logs(ctx context.Context, id string, follow bool) iter.Seq2[LogLine, error] {
	return stream[LogLine](ctx, c, http.MethodGet, "/sessions/"+url.PathEscape(id)+"/logs?follow="+strconv.FormatBool(follow), nil)
}

// Events yields what happened; with follow it goes on until ctx is done.
func (c *Client) Events(ctx context.Context, follow bool) iter.Seq2[Event, error] {
	return stream[Event](ctx, c, http.MethodGet, "/events?follow="+strconv.FormatBool(follow), nil)
}

// Hosts lists the hosts of the ssh configuration.
func (c *Client) Hosts(ctx context.Context) ([]Host, error) { return get[[]Host](ctx, c, "/hosts") }

// HostNames lists the hosts of the ssh configuration by name only, which is quick.
func (c *Client) HostNames(ctx context.Context) ([]string, error) {
	hosts, err := get[[]Host](ctx, c, "/hosts?names=true")
	names := make([]string, 0, len(hosts))
	for _, h := range hosts {
		names = append(names, h.Name)
	}
	return names, err
}

// Stop asks the daemon to close what it has and end. It returns once the daemon has begun to; its socket is gone when it has ended.
func (c *Client) Stop(ctx context.Context) error {
	_, err := do[struct{}](ctx, c, http.MethodPost, "/stop", struct{}{})
	return err
}

func get[T any](ctx context.Context, c *Client, path string) (T, error) {
	return do[T](ctx, c, http.MethodGet, path, nil)
}

func do[T any](ctx context.Context, c *Client, method, path string, in any) (T, error) {
	var out T
	resp, err := c.send(ctx, method, path, in)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<20)).Decode(&out); err != nil {
		return out, fmt.Errorf("read brokerd's answer: %w", err)
	}
	return out, nil
}

// stream yields the lines of an NDJSON answer. A line {"error":…} that belongs to nothing with an id or a name ends it with that error.
func stream[T any](ctx context.Context, c *Client, method, path string, in any) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		resp, err := c.send(ctx, method, path, in)
		if err != nil {
			yield(zero, err)
			return
		}
		defer resp.Body.Close()
		r := bufio.NewReader(resp.Body)
		for {
			line, err := r.ReadBytes('\n')
			if len(bytes.TrimSpace(line)) > 0 {
				var end struct {
					ID    string `json:"id"`
					Name  string `json:"name"`
					Error *Error `json:"error"`
				}
				if json.Unmarshal(line, &end) == nil && end.ID == "" && end.Name == "" && end.Error != nil {
					yield(zero, end.Error)
					return
				}
				var v T
				if jerr := json.Unmarshal(line, &v); jerr != nil {
					yield(zero, fmt.Errorf("read brokerd's answer: %w", jerr))
					return
				}
				if !yield(v, nil) {
					return
				}
			}
			if err != nil {
				if !errors.Is(err, io.EOF) {
					yield(zero, fmt.Errorf("read brokerd's answer: %w", err))
				}
				return
			}
		}
	}
}

func (c *Client) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://brokerd/v1"+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set(VersionHeader, strconv.Itoa(Version))
	resp, err := c.http.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			return nil, fmt.Errorf("%w: %w", ErrNotRunning, op)
		}
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		var e struct {
			Error *Error `json:"error"`
		}
		if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&e); err != nil || e.Error == nil {
			return nil, &Error{Code: CodeDaemon, Message: "brokerd answered " + resp.Status, Hint: "restart it: brokerctl stop"}
		}
		return nil, e.Error
	}
	return resp, nil
}
