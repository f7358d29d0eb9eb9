package proxy

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// inspecting is a server of websockets: handle gets each.
func inspecting(t *testing.T, handle func(context.Context, *websocket.Conn)) func(context.Context) (net.Conn, error) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		handle(r.Context(), c)
	}))
	t.Cleanup(s.Close)
	return dialer(s.Listener.Addr().String())
}

func TestDismissOfCDP(t *testing.T) {
	over := make(chan struct{})
	defer close(over)
	r := start(t, Config{Protocol: "cdp", WSPath: "secret", Dial: inspecting(t, func(ctx context.Context, c *websocket.Conn) {
		// A flood of messages, each in several fragments.
		for i := 0; ; i++ {
			w, err := c.Writer(ctx, websocket.MessageText)
			if err != nil {
				return
			}
			for _, part := range []string{`{"method":"flood","params":"`, strings.Repeat("x", i%300*37), `"}`} {
				if _, err := io.WriteString(w, part); err != nil {
					return
				}
			}
			if w.Close() != nil {
				return
			}
			select {
			case <-over:
				return
			default:
			}
		}
	})})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, "ws://"+r.addr+"/secret", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	c.SetReadLimit(1 << 20)
	told := make(chan struct{})
	defer func() { <-told }()
	floods := 0
	for {
		_, data, err := c.Read(ctx)
		if err != nil {
			t.Fatalf("before it was told: %v", err)
		}
		var m struct {
			Method string
			Params any
		}
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatalf("a message that is none: %v: %.100q", err, data)
		}
		if m.Method == "Inspector.detached" {
			if params, _ := m.Params.(map[string]any); params["reason"] != "time is up" {
				t.Errorf("params %v", m.Params)
			}
			break
		}
		if floods++; floods == 100 {
			go func() {
				defer close(told)
				r.dismissed(t, "time is up", dismissTime+leaveTime)
			}()
		}
	}
	if _, _, err := c.Read(ctx); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("after it: %v", err)
	}
}

// A server that stands still in the midst of a message is not spoken into.
func TestDismissInsideAMessage(t *testing.T) {
	over := make(chan struct{})
	defer close(over)
	r := start(t, Config{Protocol: "cdp", WSPath: "secret", Dial: inspecting(t, func(ctx context.Context, c *websocket.Conn) {
		w, err := c.Writer(ctx, websocket.MessageText)
		if err == nil {
			_, err = io.WriteString(w, strings.Repeat("half a message", 1000))
		}
		if err != nil {
			t.Error(err)
		}
		<-over
	})})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, "ws://"+r.addr+"/secret", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	_, reader, err := c.Reader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(reader, make([]byte, 5000)); err != nil {
		t.Fatal(err)
	}
	r.dismissed(t, "time is up", dismissTime+leaveTime)
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	rest := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(reader)
		rest <- b
	}()
	<-short.Done()
	c.CloseNow()
	if b := <-rest; bytes.Contains(b, []byte("Inspector.detached")) {
		t.Errorf("spoken into a message: %q", b)
	}
}

// However the bytes are cut, the pen is free between messages and nowhere else.
func TestFramesKnowWhereMessagesEnd(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	masked := []byte{wsFin | wsText, wsMask | 3, 1, 2, 3, 4, 'a', 'b', 'c'} // no server does it
	for round := range 50 {
		answer := []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
		stream := bytes.Clone(answer)
		ends := map[int]bool{len(stream): true}
		for range 20 {
			for range rng.IntN(3) { // fragments that are not the last, with a ping between them
				first := wsFrame(wsText, bytes.Repeat([]byte("f"), rng.IntN(300)))
				first[0] = byte(rng.IntN(2)) // text or continuation, without FIN
				stream = append(stream, first...)
				stream = append(stream, wsFrame(0x9, []byte("ping"))...)
			}
			switch rng.IntN(4) {
			case 0:
				stream = append(stream, masked...)
			case 1:
				long := bytes.Repeat([]byte("l"), 1<<16+5)
				stream = append(append(stream, wsFin|wsText, 127), binary.BigEndian.AppendUint64(nil, uint64(len(long)))...)
				stream = append(stream, long...)
			default:
				stream = append(stream, wsFrame(wsText, bytes.Repeat([]byte("x"), rng.IntN(1000)))...)
			}
			ends[len(stream)] = true
		}
		f := &frames{}
		for at, left := 0, stream; len(left) > 0; {
			n := 1 + rng.IntN(min(len(left), []int{1, 10, 1000, 1 << 17}[round%4]))
			f.follow(left[:n])
			at, left = at+n, left[n:]
			// Between two fragments a control frame may end too: that is no place for a message.
			if got := f.between(); got != ends[at] {
				t.Fatalf("round %d: after %d of %d bytes: between %v, want %v", round, at, len(stream), got, ends[at])
			}
		}
	}
}

func TestFramesThatAreNone(t *testing.T) {
	for _, answer := range []string{"HTTP/1.1 400 Bad Request\r\n\r\nno", "HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("x", 2*maxHTTP), "HTTP/1.1 101 x\r\n\r\n" + string(wsFrame(wsClose, nil))} {
		f := &frames{}
		f.follow([]byte(answer))
		if !f.between() || f.farewell("x") != nil {
			t.Errorf("%.40q: spoken into", answer)
		}
	}
	f := &frames{}
	f.follow([]byte("HTTP/1.1 101 x\r\n\r\n"))
	if f.farewell("x") == nil || f.farewell("x") != nil {
		t.Error("a farewell is said once")
	}
	f.c = &client{pen: newPen()}
	if _, err := f.Write([]byte("more")); !errors.Is(err, errShut) {
		t.Errorf("after the farewell: %v", err)
	}
	f.end()
	if !f.c.pen.take(t.Context()) {
		t.Error("the pen is not given back")
	}
}

// heard keeps what is written to it.
type heard struct {
	net.Conn
	bytes.Buffer
}

func (r *heard) Write(p []byte) (int, error) { return r.Buffer.Write(p) }
func (r *heard) Read(p []byte) (int, error)  { return r.Buffer.Read(p) }

// Where no piece of what the server says ends with a message, as in a flood, there is still a place for the broker's words.
func TestFramesInPiecesThatEndNowhere(t *testing.T) {
	front := &heard{}
	f := &frames{c: &client{pen: newPen(), front: front}, begun: true}
	message := wsFrame(wsText, bytes.Repeat([]byte("x"), 1000))
	write := func(p []byte) {
		t.Helper()
		if n, err := f.Write(p); n != len(p) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	write(message[:10])
	at := make(chan int, 1)
	go func() {
		if f.c.pen.take(t.Context()) {
			at <- front.Len()
			f.c.pen.drop()
		}
		close(at)
	}()
	for !f.c.pen.wanted() {
		time.Sleep(time.Millisecond)
	}
	write(slices.Concat(message[10:], message[:500]))
	if got := <-at; got != len(message) {
		t.Errorf("there was a place after %d bytes, want %d", got, len(message))
	}
	write(message[500:])
	if !bytes.Equal(front.Bytes(), slices.Concat(message, message)) {
		t.Error("what came through is not what was said")
	}
}
