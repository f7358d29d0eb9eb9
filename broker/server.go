package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/tailscale/peercred"

	"github.com/debugbroker/debugbroker/broker/api"
)

const maxRequest = 4 << 20 // bytes of a request's body: arguments and environment

// Serve answers the API on l until ctx is done, then lets requests under way end, for grace at the longest, after which their contexts
// do. It closes l, and returns when no request is answered any more.
func (b *Broker) Serve(ctx context.Context, l net.Listener, grace time.Duration) error {
	var under requests
	srv := &http.Server{
		Handler:           under.count(b.Handler()),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          b.log.Named("http").StandardLogger(nil),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(&sameUser{Listener: l, refused: b.refuse}) }()
	defer under.wait()
	select {
	case err := <-served:
		srv.Close()
		return fmt.Errorf("serve the control socket: %w", err)
	case <-ctx.Done():
	}
	sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := srv.Shutdown(sctx); err != nil {
		srv.Close()
	}
	<-served
	return nil
}

// requests counts what is being answered: http.Server's Close does not wait for it.
type requests struct {
	mu    sync.Mutex
	over  bool
	under sync.WaitGroup
}

func (q *requests) count(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q.mu.Lock()
		if q.over {
			q.mu.Unlock()
			return
		}
		q.under.Add(1)
		q.mu.Unlock()
		defer q.under.Done()
		h.ServeHTTP(w, r)
	})
}

func (q *requests) wait() {
	q.mu.Lock()
	q.over = true
	q.mu.Unlock()
	q.under.Wait()
}

func (b *Broker) refuse(why error) { b.log.Warn("control connection refused", "reason", why) }

// sameUser lets only connections of our own user, and root's, through. The socket's mode says the same; this holds where a mode
// does not (a copied or re-created directory).
type sameUser struct {
	net.Listener
	refused func(error)
}

func (l *sameUser) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if err = checkPeer(c); err == nil {
			return c, nil
		}
		l.refused(err)
		c.Close()
	}
}

func checkPeer(c net.Conn) error {
	creds, err := peercred.Get(c)
	if err != nil {
		return fmt.Errorf("who connects: %w", err)
	}
	uid, ok := creds.UserID()
	if !ok {
		return errors.New("the system does not tell who connects")
	}
	if uid != "0" && uid != strconv.Itoa(os.Getuid()) {
		return fmt.Errorf("user %s is not ours", uid)
	}
	return nil
}

// Handler is the API without its socket.
func (b *Broker) Handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, f func(http.ResponseWriter, *http.Request) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if v := r.Header.Get(api.VersionHeader); v != strconv.Itoa(api.Version) {
				fail(w, apiErrorf(api.CodeVersion, "restart the daemon: brokerctl stop", "brokerd speaks API version %d, the request %q", api.Version, v))
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
			if err := f(w, r); err != nil {
				fail(w, err)
			}
		})
	}
	mux.HandleFunc("GET /v1/info", func(w http.ResponseWriter, _ *http.Request) { reply(w, b.info) })
	handle("POST /v1/sessions", b.serveOpen)
	handle("GET /v1/sessions", b.serveSessions)
	handle("GET /v1/sessions/{id}", b.serveSession)
	handle("POST /v1/sessions/{id}/close", b.serveClose)
	handle("POST /v1/sessions/{id}/extend", b.serveExtend)
	handle("GET /v1/sessions/{id}/logs", b.serveLogs)
	handle("GET /v1/events", b.serveEvents)
	handle("POST /v1/forwards", b.serveAddForwards)
	handle("GET /v1/forwards", b.serveForwards)
	handle("POST /v1/forwards/{name}/remove", b.serveRemoveForward)
	handle("POST /v1/forwards/{name}/restart", b.serveRestartForward)
	handle("GET /v1/hosts", b.serveHosts)
	handle("POST /v1/processes", b.serveProcesses)
	handle("POST /v1/doctor", b.serveDoctor)
	handle("POST /v1/auth", b.serveAuth)
	handle("POST /v1/prompts/{id}", b.serveAnswer)
	handle("POST /v1/stop", func(w http.ResponseWriter, _ *http.Request) error {
		reply(w, struct{}{})
		b.Stop()
		return nil
	})
	handle("/", func(w http.ResponseWriter, r *http.Request) error {
		return apiErrorf(api.CodeUsage, "brokerctl and brokerd may be of different releases", "no such call: %s %s", r.Method, r.URL.Path)
	})
	return mux
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v) // a client that has gone is no news
}

func fail(w http.ResponseWriter, err error) {
	e := asAPI(err)
	status := http.StatusUnprocessableEntity
	switch e.Code {
	case api.CodeUnknownSession, api.CodeUnknownForward:
		status = http.StatusNotFound
	case api.CodeUsage, api.CodeVersion:
		status = http.StatusBadRequest
	case api.CodeInternal:
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]*api.Error{"error": e})
}
