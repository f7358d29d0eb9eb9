package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/debugbroker/debugbroker/adapters/cdp"
)

const jsonType = "application/json; charset=UTF-8"

// frontend is the page of Chrome's that opens a websocket, as node names it in /json.
const frontend = "devtools://devtools/bundled/js_app.html?experiments=true&v8only=true&ws="

// inspector answers /json and what is below it.
func (c *client) inspector(ctx context.Context, req *http.Request, path string) httpAnswer {
	local := net.JoinHostPort(c.p.host, strconv.Itoa(c.p.port))
	switch path {
	case "json", "json/list":
		if c.p.cfg.WSPath != "" {
			return c.p.targets(local)
		}
		body, err := c.fetch(ctx, "/json/list")
		if err != nil {
			return c.badGateway(err)
		}
		if body, err = localize(body, local); err != nil {
			return c.badGateway(err)
		}
		return httpAnswer{http.StatusOK, jsonType, body}
	case "json/version", "json/protocol":
		body, err := c.fetch(ctx, "/"+path)
		var status cdp.StatusError
		switch {
		case err == nil:
			return httpAnswer{http.StatusOK, jsonType, body}
		case !errors.As(err, &status):
			return c.badGateway(err)
		case path == "json/version": // node that hides its address hides this too; front ends ask for it first
			return httpAnswer{http.StatusOK, jsonType, []byte(`{"Browser":"node.js","Protocol-Version":"1.1"}` + "\n")}
		}
	}
	return httpAnswer{status: http.StatusNotFound, body: []byte("no such page of the inspector\n")}
}

func (c *client) badGateway(err error) httpAnswer {
	c.p.events.refused(err.Error())
	return httpAnswer{status: http.StatusBadGateway, body: []byte(err.Error() + "\n")}
}

// target is an entry of /json, as node 20 writes it.
type target struct {
	Description       string `json:"description"`
	FrontendURL       string `json:"devtoolsFrontendUrl"`
	FrontendURLCompat string `json:"devtoolsFrontendUrlCompat"`
	ID                string `json:"id"`
	Title             string `json:"title"`
	Type              string `json:"type"`
	URL               string `json:"url"`
	WebSocketURL      string `json:"webSocketDebuggerUrl"`
}

// targets is the list for a server that tells its address only to the broker.
func (p *Proxy) targets(local string) httpAnswer {
	address := local + "/" + p.cfg.WSPath
	body, err := json.MarshalIndent([]target{{
		Description:       "node.js instance",
		FrontendURL:       frontend + address,
		FrontendURLCompat: strings.Replace(frontend, "js_app", "inspector", 1) + address,
		ID:                p.cfg.WSPath,
		Title:             p.cfg.Title,
		Type:              "node",
		URL:               "file://",
		WebSocketURL:      "ws://" + address,
	}}, "", "  ")
	if err != nil {
		return httpAnswer{status: http.StatusInternalServerError}
	}
	return httpAnswer{http.StatusOK, jsonType, append(body, '\n')}
}

// fetch gets a page from the server over a connection of its own.
func (c *client) fetch(ctx context.Context, page string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	far, err := c.p.cfg.Dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("reach debug server: %w", err)
	}
	return cdp.Get(ctx, far, page)
}

// localize makes the addresses in a /json list name the local port, and keeps every other member.
func localize(body []byte, local string) ([]byte, error) {
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("read inspector's list: %w", err)
	}
	for _, t := range list {
		var address string
		if json.Unmarshal(t["webSocketDebuggerUrl"], &address) != nil {
			continue // a target that another debugger has taken shows none
		}
		u, err := url.Parse(address)
		if err != nil {
			return nil, fmt.Errorf("read inspector's list: %w", err)
		}
		old := u.Host + u.Path
		u.Scheme, u.Host = "ws", local
		t["webSocketDebuggerUrl"], _ = json.Marshal(u.String())
		for _, name := range []string{"devtoolsFrontendUrl", "devtoolsFrontendUrlCompat"} {
			var page string
			if json.Unmarshal(t[name], &page) == nil {
				t[name], _ = json.Marshal(strings.Replace(page, "ws="+old, "ws="+local+u.Path, 1))
			}
		}
	}
	return json.MarshalIndent(list, "", "  ")
}
