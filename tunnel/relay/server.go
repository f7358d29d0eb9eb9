package relay

import (
	"context"
	"crypto/subtle"
	"fmt"
	"io"
	"sync"
)

// Server is the far end: it lets clients in that have its token, and has the streams of a client's run go on over that run's next carrier.
// There is one run at a time: a new one ends the streams of the one before.
type Server struct {
	token    Token
	instance Instance
	options  Options
	begin    func(*Mux)

	mu     sync.Mutex
	client Instance
	epoch  uint64
	mux    *Mux // nil before the first client
}

// ErrReplaced says that another run of the client has come.
var ErrReplaced = fmt.Errorf("%w: another client has come", ErrClosed)

// NewServer makes one. begin is called with the streams of each new run of a client, before any is there; it must not block.
func NewServer(token Token, instance Instance, o Options, begin func(*Mux)) *Server {
	o.Client = false
	return &Server{token: token, instance: instance, options: o, begin: begin}
}

// Serve serves one connection until it ends or ctx does. It closes conn.
//
// Errors wrap ErrNotRelay, ErrToken, ErrVersion, ErrStale, ErrReplaced, or what ended the connection.
func (s *Server) Serve(ctx context.Context, conn io.ReadWriteCloser) error {
	var epoch uint64
	m, err := bounded(ctx, conn, func() (*Mux, error) {
		h, err := readHello(conn)
		if err != nil {
			return nil, err
		}
		epoch = h.epoch
		m, replaced, ours := s.admit(h)
		if replaced != nil {
			replaced.Close(ErrReplaced)
		}
		if _, err := conn.Write(ours.append(nil)); err != nil {
			return nil, fmt.Errorf("answer: %w", err)
		}
		return m, ours.err()
	})
	if err != nil {
		_ = conn.Close()
		return err
	}
	return m.Carry(ctx, conn, epoch)
}

// admit decides about a client: which streams are its, and which end because of it.
func (s *Server) admit(h hello) (m, replaced *Mux, a answer) {
	a = answer{version: min(h.newest, Version), instance: s.instance}
	if subtle.ConstantTimeCompare(h.token[:], s.token[:]) != 1 {
		// Neither what runs here nor which version is for strangers.
		return nil, nil, answer{result: answerToken}
	}
	if h.newest < oldest || h.oldest > Version {
		return nil, nil, answer{version: Version, result: answerVersion, instance: s.instance}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.mux != nil && s.client == h.instance && h.epoch <= s.epoch:
		a.result = answerStale
		return nil, nil, a
	case s.mux != nil && s.client == h.instance:
		a.result = answerResumed
	default:
		replaced = s.mux
		s.mux = NewMux(s.options)
		s.client = h.instance
		s.begin(s.mux)
		a.result = answerNew
	}
	s.epoch = h.epoch
	return s.mux, replaced, a
}

// Close ends all streams.
func (s *Server) Close() {
	s.mu.Lock()
	m := s.mux
	s.mu.Unlock()
	if m != nil {
		m.Close(nil)
	}
}
