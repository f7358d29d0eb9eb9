package tunnel

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// pingChannel is a type of channel that no server knows. RFC 4254, 5.1: the opening of a channel is answered, with a failure where the
// type is not known; sshd says so at debug level only (serverloop.c, server_input_channel_open).
const pingChannel = "keepalive@debugbroker"

// turns is an SSH connection on which global requests that want an answer take turns. x/crypto's SendRequest makes them do so by a lock that
// nobody can see; here it can be seen that the server owes an answer, so that Ping goes another way.
type turns struct {
	ssh.Conn
	turn chan struct{} // holds a token while a request waits for its answer
}

func newTurns(c ssh.Conn) *turns { return &turns{Conn: c, turn: make(chan struct{}, 1)} }

// SendRequest waits for its turn, which comes at the latest when the connection ends, and fails then.
func (t *turns) SendRequest(name string, wantReply bool, payload []byte) (bool, []byte, error) {
	if wantReply {
		t.turn <- struct{}{}
		defer func() { <-t.turn }()
	}
	return t.Conn.SendRequest(name, wantReply, payload)
}

// pinger is what the Pings of one connection share.
type pinger struct {
	mu       sync.Mutex
	opening  bool          // a channel that only asks for an answer is being opened
	rtt      time.Duration // between the last answer and its question
	answered chan struct{} // closed, and replaced, at each answer
}

// Ping asks the server for an answer and returns how long that took. Any answer will do, also one to a question of another Ping that is under
// way. It asks by keepalive@openssh.com, as ssh's ServerAlive does, and where the server owes the answer to a global request already, by the
// opening of a channel: a request that is never answered says nothing about the connection.
func (c *Conn) Ping(ctx context.Context) (time.Duration, error) {
	c.ping.mu.Lock()
	answered := c.ping.answered
	c.ping.mu.Unlock()
	if !c.askForLife() {
		return 0, c.lossOr(ErrLinkLost)
	}
	select {
	case <-answered:
		if c.lost() {
			return 0, c.lossOr(ErrLinkLost)
		}
		c.ping.mu.Lock()
		defer c.ping.mu.Unlock()
		return c.ping.rtt, nil
	case <-c.done:
		return 0, c.lossOr(ErrLinkLost)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// askForLife sends a question unless one waits for its answer on each of the two ways. It returns false where the connection has ended.
// Neither way has a time limit; both end with the connection.
func (c *Conn) askForLife() bool {
	var turn chan<- struct{} // nil is never ready: a ControlMaster passes on no request
	if c.master == "" {
		turn = c.ssh.turn
	}
	select {
	case turn <- struct{}{}:
		if c.group.spawn(func() {
			defer func() { <-c.ssh.turn }()
			began := time.Now()
			if _, _, err := c.ssh.Conn.SendRequest("keepalive@openssh.com", true, nil); err == nil { // a refusal is an answer too
				c.ping.note(time.Since(began))
			}
		}) {
			return true
		}
		<-c.ssh.turn
		return false
	default:
	}
	c.ping.mu.Lock()
	defer c.ping.mu.Unlock()
	if c.ping.opening {
		return true
	}
	c.ping.opening = c.group.spawn(func() {
		began := time.Now()
		channel, requests, err := c.openForLife()
		took := time.Since(began)
		c.ping.mu.Lock()
		c.ping.opening = false
		c.ping.mu.Unlock()
		var refused *ssh.OpenChannelError
		if err != nil && !errors.As(err, &refused) {
			return // the connection has ended
		}
		c.ping.note(took)
		if channel != nil {
			drained(channel, requests)
		}
	})
	return c.ping.opening
}

// openForLife opens the channel that is to be answered; none is left open over a ControlMaster, which asks in its own way.
func (c *Conn) openForLife() (ssh.Channel, <-chan *ssh.Request, error) {
	if m, ok := c.ssh.Conn.(*masterConn); ok {
		return nil, nil, m.ask()
	}
	return c.ssh.OpenChannel(pingChannel, nil)
}

func (p *pinger) note(rtt time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rtt = rtt
	close(p.answered)
	p.answered = make(chan struct{})
}
