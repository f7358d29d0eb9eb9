package proxy

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// The JDWP specification: both sides send this, the debugger first; then packets whose header is 11 bytes and begins with the packet's
// length, header included.
const (
	jdwpHandshake = "JDWP-Handshake"
	jdwpHeader    = 11
)

var errPacket = errors.New("not a JDWP packet")

// serveJDWP serves one JDWP debugger.
func (c *client) serveJDWP(run, ctx context.Context, br *bufio.Reader) {
	if err := expectHandshake(br); err != nil {
		if !nothing(err) {
			c.p.events.refused(err.Error())
		}
		return
	}
	c.identified()
	leaving := func() {}
	if c.p.cfg.OneClient {
		seat, err := c.p.seats.take(ctx)
		if err != nil {
			// JDWP has no words before the handshake, and jdb shows none of them after it: the record has the reason.
			c.p.events.refused(err.Error())
			return
		}
		defer seat.release()
		leaving = seat.leave
	}
	err := c.withServer(run, ctx, c.dialJVM, func(far net.Conn) string {
		if _, err := io.WriteString(c.front, jdwpHandshake); err != nil {
			return endFront
		}
		return c.duplex(far,
			func() error { return packets(far, br, c.p.cfg.NeverTerminate) },
			func() error {
				defer leaving()
				return packets(c.front, bufio.NewReaderSize(far, copyBuffer), false)
			},
			func(<-chan struct{}) { leaving() })
	})
	if err != nil {
		c.p.events.refused(err.Error())
	}
}

// expectHandshake compares byte by byte, so that a wrong peer is told at its first one.
func expectHandshake(br *bufio.Reader) error {
	for i := range len(jdwpHandshake) {
		b, err := br.ReadByte()
		if err != nil {
			return err
		}
		if b != jdwpHandshake[i] {
			return errors.New("not a JDWP debugger")
		}
	}
	return nil
}

// dialJVM connects and shakes hands. A JVM takes a moment after a detach until it listens again, and a connection that it takes
// meanwhile may end without an answer: both are tried again for a while.
func (c *client) dialJVM(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, relistenTime)
	defer cancel()
	for {
		far, err := c.greetJVM(ctx)
		if err == nil {
			return far, nil
		}
		if !sleep(ctx, relistenStep) {
			return nil, err
		}
	}
}

func (c *client) greetJVM(ctx context.Context) (net.Conn, error) {
	far, err := c.p.cfg.Dial(ctx)
	if err != nil {
		return nil, err
	}
	far = prompt(far)
	// Not every connection has deadlines; all can be closed.
	stop := context.AfterFunc(ctx, func() { far.Close() })
	answer := make([]byte, len(jdwpHandshake))
	if _, err = io.WriteString(far, jdwpHandshake); err == nil {
		_, err = io.ReadFull(far, answer)
	}
	if err == nil && string(answer) != jdwpHandshake {
		err = errors.New("it does not speak JDWP")
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		far.Close()
		return nil, fmt.Errorf("shake hands with JVM: %w", err)
	}
	return far, nil
}

// packets forwards whole packets, as many as have come in one write. A packet that is larger than the buffer goes on as it comes, since
// its header has promised how much will. With gentle it ends at a debugger's VirtualMachine.Exit (JDWP specification: command set 1, command
// 10), which is not forwarded: the agent then lets the program run on, as at any debugger's end.
func packets(dst io.Writer, src *bufio.Reader, gentle bool) error {
	for {
		head, err := src.Peek(4)
		if err != nil {
			return err
		}
		size := int64(binary.BigEndian.Uint32(head))
		if size < jdwpHeader || size > maxPacket {
			return refusal{fmt.Errorf("%w: %d bytes", errPacket, size)}
		}
		if gentle {
			head, err := src.Peek(jdwpHeader)
			if err != nil {
				return err
			}
			const flags, set, command, reply = 8, 9, 10, 0x80
			if head[flags]&reply == 0 && head[set] == 1 && head[command] == 10 {
				return refusal{errTerminate}
			}
		}
		if size > int64(src.Size()) {
			if _, err := io.CopyN(dst, src, size); err != nil {
				return err
			}
			continue
		}
		packet, err := src.Peek(int(size))
		if err != nil {
			return err
		}
		if _, err := dst.Write(packet); err != nil {
			return err
		}
		if _, err := src.Discard(int(size)); err != nil {
			return err
		}
	}
}
