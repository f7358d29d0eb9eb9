package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// serveCDP serves one HTTP request on an inspector's port: /json and its kin, or the upgrade to a websocket, which makes the connection
// a front end. A further request needs a further connection.
func (c *client) serveCDP(run, ctx context.Context, br *bufio.Reader) {
	raw, err := readHeader(br)
	if err != nil {
		if !nothing(err) {
			c.refuseHTTP(http.StatusBadRequest, err.Error())
		}
		return
	}
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		c.refuseHTTP(http.StatusBadRequest, "not an HTTP request")
		return
	}
	if status, reason := allowed(req); reason != "" {
		c.refuseHTTP(status, reason)
		return
	}
	c.identified()
	path := strings.TrimPrefix(req.URL.Path, "/")
	switch {
	case isUpgrade(req):
		if c.p.cfg.WSPath != "" && subtle.ConstantTimeCompare([]byte(path), []byte(c.p.cfg.WSPath)) != 1 {
			c.refuseHTTP(http.StatusNotFound, "no such websocket: /json has the address")
			return
		}
		c.serveWebsocket(run, ctx, br, raw)
	case path == "json" || strings.HasPrefix(path, "json/"):
		c.answerHTTP(c.inspector(ctx, req, strings.TrimSuffix(path, "/")))
	default:
		c.answerHTTP(httpAnswer{status: http.StatusNotFound, body: []byte("only /json and the inspector's websocket are here\n")})
	}
}

func (c *client) serveWebsocket(run, ctx context.Context, br *bufio.Reader, request []byte) {
	err := c.withServer(run, ctx, c.p.cfg.Dial, func(far net.Conn) string {
		down, up := &frames{c: c}, &frames{begun: true}
		c.lend(down)
		return c.duplex(far,
			func() error {
				if _, err := far.Write(request); err != nil {
					return err
				}
				return forward(&followed{far, up}, br)
			},
			func() error {
				defer down.end()
				return forward(down, far)
			},
			func(downDone <-chan struct{}) { takeLeave(far, up, downDone) })
	})
	if err != nil {
		c.refuseHTTP(http.StatusBadGateway, err.Error())
	}
}

// readHeader reads a request up to its empty line, as it came.
func readHeader(br *bufio.Reader) ([]byte, error) {
	var raw []byte
	for {
		line, err := br.ReadSlice('\n')
		if len(raw)+len(line) > maxHTTP || errors.Is(err, bufio.ErrBufferFull) {
			return nil, errors.New("HTTP header too long")
		}
		raw = append(raw, line...)
		if err != nil {
			if errors.Is(err, io.EOF) && len(raw) > 0 {
				return nil, errors.New("half an HTTP request")
			}
			return nil, err
		}
		if len(raw) == len(line) && !bytes.Contains(line, []byte(" HTTP/1.")) {
			return nil, errors.New("not an HTTP request")
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			return raw, nil
		}
	}
}

// allowed keeps web pages out. A page reaches the port by its own origin, or by a name that its owner points at 127.0.0.1 (DNS
// rebinding), which Host then shows. Programs send no Origin, Chrome's own developer tools send theirs.
func allowed(req *http.Request) (status int, reason string) {
	if req.Method != http.MethodGet {
		return http.StatusMethodNotAllowed, "method " + req.Method
	}
	if !loopbackHost(req.Host) || req.URL.Host != "" {
		return http.StatusForbidden, "Host is not this machine"
	}
	origins := req.Header.Values("Origin")
	for _, o := range origins {
		if !strings.HasPrefix(o, "devtools://") && !strings.HasPrefix(o, "chrome-devtools://") {
			return http.StatusForbidden, "a web page may not use this port"
		}
	}
	// An image or script tag sends no Origin, but browsers say where it stands.
	if site := req.Header.Get("Sec-Fetch-Site"); site != "" && site != "none" && len(origins) == 0 {
		return http.StatusForbidden, "a web page may not use this port"
	}
	if req.ContentLength != 0 || len(req.TransferEncoding) > 0 {
		return http.StatusBadRequest, "a GET with a body"
	}
	return 0, ""
}

// loopbackHost tells whether a Host header names this machine by itself. Names but localhost are not looked up: that is the attack.
func loopbackHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	} else {
		name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(name)
	return err == nil && a.IsLoopback()
}

func isUpgrade(req *http.Request) bool {
	return strings.EqualFold(req.Header.Get("Upgrade"), "websocket")
}

// httpAnswer is a whole answer; the connection closes after it.
type httpAnswer struct {
	status int
	kind   string // Content-Type, "" is plain text
	body   []byte
}

func (a httpAnswer) bytes() []byte {
	if a.kind == "" {
		a.kind = "text/plain; charset=utf-8"
	}
	head := fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nCache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
		a.status, http.StatusText(a.status), a.kind, len(a.body))
	return append([]byte(head), a.body...)
}

func (c *client) answerHTTP(a httpAnswer) { c.dismiss(a.bytes()) }

func (c *client) refuseHTTP(status int, reason string) {
	c.p.events.refused(reason)
	c.answerHTTP(httpAnswer{status: status, body: []byte(reason + "\n")})
}
