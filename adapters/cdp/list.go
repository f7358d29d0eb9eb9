package cdp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
)

// ErrHidden says that the inspector does not tell its websocket's path over HTTP (node --inspect-publish-uid without "http").
var ErrHidden = errors.New("the inspector hides its websocket")

// MaxPage bounds an answer over HTTP, in bytes: /json/protocol has one or two MiB.
const MaxPage = 8 << 20

// StatusError is an answer over HTTP that is no success.
type StatusError int

func (s StatusError) Error() string { return "the inspector answers " + strconv.Itoa(int(s)) }

// Get asks the inspector behind conn for a page (/json/list, /json/version, /json/protocol), and closes conn.
func Get(ctx context.Context, conn net.Conn, page string) ([]byte, error) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1"+page, nil)
	if err != nil {
		return nil, err
	}
	resp, err := over(conn).Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask inspector: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, StatusError(resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxPage+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read inspector's answer: %w", err)
	case len(body) > MaxPage:
		return nil, errors.New("read inspector's answer: it is too long")
	}
	return body, nil
}

// List asks the inspector behind conn what can be debugged, and closes conn. It returns the paths of the targets' websockets, each
// with its slash.
func List(ctx context.Context, conn net.Conn) ([]string, error) {
	body, err := Get(ctx, conn, "/json/list")
	var status StatusError
	switch {
	case errors.As(err, &status) && status == http.StatusNotFound:
		return nil, ErrHidden
	case err != nil:
		return nil, fmt.Errorf("list inspector targets: %w", err)
	}
	var listed []struct {
		URL string `json:"webSocketDebuggerUrl"`
	}
	if err := json.Unmarshal(body, &listed); err != nil {
		return nil, fmt.Errorf("decode inspector targets: %w", err)
	}
	var paths []string
	for _, l := range listed {
		u, err := url.Parse(l.URL)
		if err != nil || u.Path == "" {
			continue // another debugger has it, or nonsense
		}
		paths = append(paths, u.EscapedPath())
	}
	return paths, nil
}
