package tunnel

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// A connection that carries little reads into a small buffer. One that fills it gets a larger one, of a pool, until it fills that no more:
	// what waits for its next byte holds no large one.
	smallBuffer = 4 << 10
	largeBuffer = 128 << 10
	// lingerWait is how long a near side may go on sending, to nobody, after the far side has closed both directions. Closing at once
	// would take from the client what it has not read yet.
	lingerWait = 3 * time.Second
)

var largeBuffers = sync.Pool{New: func() any { b := make([]byte, largeBuffer); return &b }}

// farHalf is a far connection as splice needs it.
type farHalf struct {
	r          io.Reader
	w          io.Writer
	closeWrite func() error
	// run starts a goroutine that may stay behind when the connection is closed. It ends with the link.
	run func(func()) bool
	// translate makes what reading or writing ended with an error of this package.
	translate func(err, atEnd error) error
	gone      <-chan struct{} // closed when the far side has closed both directions; nil where that cannot be told
	wait      func()          // for what run has started, once both connections are closed; nil where others do
}

// pumpEnd is how one direction ended. Neither error means end of file.
type pumpEnd struct{ read, write error }

// splice passes bytes on between near and far, counts what came from far (in) and what went there (out), and returns when both directions
// have ended; both connections are closed then. End of file is handed on, and the other direction stays. The end of ctx, an error on either
// side and the loss of the link reset near. An error of the near side's own is not returned: clients come and go.
func splice(ctx context.Context, near, far net.Conn, in, out *atomic.Uint64) error {
	half := farHalfOf(far)
	if half.wait != nil {
		defer half.wait()
	}
	defer near.Close()
	defer far.Close()
	inward, outward := make(chan pumpEnd, 1), make(chan pumpEnd, 1)
	started := half.run(func() { inward <- pump(near, half.r, in) })
	started = started && half.run(func() {
		end := pump(half.w, near, out)
		switch {
		case end == pumpEnd{}:
			end.write = half.closeWrite()
		case end.write != nil:
			_, _ = io.Copy(io.Discard, near) // until it ends, or the linger time does
		}
		outward <- end
	})
	if !started {
		reset(near)
		return half.translate(io.EOF, ErrLinkLost)
	}
	gone, ended := half.gone, false
	for inward != nil || outward != nil {
		select {
		case <-ctx.Done():
			reset(near)
			return context.Cause(ctx)
		case <-gone:
			gone, ended = nil, true
			if err := half.translate(io.EOF, io.EOF); errors.Is(err, ErrLinkLost) {
				reset(near)
				return err
			}
		case end := <-inward:
			inward = nil
			if end.write != nil {
				reset(near)
				return nil
			}
			if end.read == nil {
				end.read = half.translate(io.EOF, io.EOF)
			}
			if !errors.Is(end.read, io.EOF) {
				reset(near)
				return end.read
			}
			_ = closeWrite(near)
		case end := <-outward:
			outward = nil
			if end.read != nil && !errors.Is(end.read, os.ErrDeadlineExceeded) {
				return nil // near was reset; far is closed, not half-closed
			}
		}
		if ended && inward == nil && outward != nil {
			_ = near.SetReadDeadline(time.Now().Add(lingerWait))
		}
	}
	return nil
}

// pump copies r to w until either ends.
func pump(w io.Writer, r io.Reader, count *atomic.Uint64) pumpEnd {
	small := make([]byte, smallBuffer)
	buf := small
	var large *[]byte
	defer func() {
		if large != nil {
			largeBuffers.Put(large)
		}
	}()
	for {
		n, err := r.Read(buf)
		if n > 0 {
			m, err := w.Write(buf[:n])
			count.Add(uint64(m))
			if err != nil {
				return pumpEnd{write: err}
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return pumpEnd{}
		case err != nil:
			return pumpEnd{read: err}
		case large == nil && n == len(buf):
			large = largeBuffers.Get().(*[]byte)
			buf = *large
		case large != nil && n < smallBuffer:
			largeBuffers.Put(large)
			large, buf = nil, small
		}
	}
}

func farHalfOf(far net.Conn) farHalf {
	if s, ok := far.(*stream); ok {
		return s.half()
	}
	var both group
	return farHalf{
		r: far, w: far, run: both.spawn, wait: both.wait,
		closeWrite: func() error { return closeWrite(far) },
		translate:  func(_, atEnd error) error { return atEnd },
	}
}

func closeWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}
