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
)

// ErrHidden says that the inspector does not tell its websocket's path over HTTP (node --inspect-publish-uid without "http").
var ErrHidden = errors.New("the inspector hides its websocket")

// Target is one entry of an inspector's /json/list.
type Target struct {
	ID    string
	Title string // the script's path
	Path  string // of the websocket, with its slash
}

// maxList bounds the answer to /json/list in bytes.
const maxList = 1 << 20

// List asks the inspector behind conn for its targets, and closes conn.
func List(ctx context.Context, conn net.Conn) ([]Target, error) {
	client := over(conn)
	defer conn.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1/json/list", nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("list inspector targets: %w", err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil, ErrHidden
	default:
		return nil, fmt.Errorf("list inspector targets: status %d", resp.StatusCode)
	}
	var listed []struct {
		ID    string `json:"id"`
		Title string `json:"title"`
		URL   string `json:"webSocketDebuggerUrl"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxList)).Decode(&listed); err != nil {
		return nil, fmt.Errorf("decode inspector targets: %w", err)
	}
	var targets []Target
	for _, l := range listed {
		u, err := url.Parse(l.URL)
		if err != nil || u.Path == "" {
			continue // another debugger has it, or nonsense
		}
		targets = append(targets, Target{ID: l.ID, Title: l.Title, Path: u.EscapedPath()})
	}
	return targets, nil
}
