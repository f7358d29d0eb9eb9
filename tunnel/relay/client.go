package relay

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// greetTime is how long the first words may take, on either side.
const greetTime = 15 * time.Second

// ErrRestarted says that the relay is not the one that it was: it holds none of the streams any more.
var ErrRestarted = errors.New("the relay was started anew")

// Client is the near end: its streams go on over any number of carriers to the same run of a relay.
type Client struct {
	*Mux
	token    Token
	instance Instance

	mu     sync.Mutex
	epoch  uint64
	server Instance // zero before the first carrier
}

// NewClient makes one that has no carrier yet. The relay may open as many streams as o says; o.Client is set.
func NewClient(token Token, o Options) *Client {
	o.Client = true
	c := &Client{Mux: NewMux(o), token: token}
	_, _ = rand.Read(c.instance[:]) // never fails
	return c
}

// Carry has conn, a new connection to the relay, carry the streams until it ends or ctx does. It closes conn.
//
// Errors wrap ErrNotRelay, ErrToken, ErrVersion, ErrStale, or what ended the connection. ErrRestarted ends all streams too, for good.
func (c *Client) Carry(ctx context.Context, conn io.ReadWriteCloser) error {
	epoch, err := c.greet(ctx, conn)
	if err != nil {
		_ = conn.Close()
		return err
	}
	return c.Mux.Carry(ctx, conn, epoch)
}

func (c *Client) greet(ctx context.Context, conn io.ReadWriteCloser) (epoch uint64, err error) {
	c.mu.Lock()
	c.epoch++
	ours := hello{oldest: oldest, newest: Version, token: c.token, instance: c.instance, epoch: c.epoch}
	c.mu.Unlock()
	theirs, err := bounded(ctx, conn, func() (answer, error) {
		if _, err := conn.Write(ours.append(nil)); err != nil {
			return answer{}, fmt.Errorf("say the first words: %w", err)
		}
		return readAnswer(conn)
	})
	if err == nil {
		err = theirs.err()
	}
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	first := c.server == Instance{}
	same := c.server == theirs.instance
	c.server = theirs.instance
	c.mu.Unlock()
	if !first && (!same || theirs.result != answerResumed) {
		c.Close(ErrRestarted)
		return 0, ErrRestarted
	}
	return ours.epoch, nil
}

// bounded does what must be over within greetTime, and before ctx is: conn is closed otherwise.
func bounded[T any](ctx context.Context, conn io.Closer, do func() (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, greetTime)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	v, err := do()
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return v, err
}
