package relay

import (
	"context"
	"net"
	"testing"
	"time"
)

// A download that fills the connection does not hold up a small message: at most what is being written, and one turn of the other's, goes first.
func TestSmallBeforeBulk(t *testing.T) {
	m := NewMux(Options{Client: true})
	defer m.Close(nil)
	bulk, err := m.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	small, err := m.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	a, b := net.Pipe() // nothing is written until it is read
	ended := make(chan error, 1)
	go func() { ended <- m.Carry(context.Background(), a, 1) }()
	defer func() { b.Close(); <-ended }()
	_ = b.SetDeadline(time.Now().Add(patience))
	if _, err := readTable(b); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Write(make([]byte, tableHead)); err != nil {
		t.Fatal(err)
	}
	r := frameReader{r: b}
	for range 2 {
		if f, err := r.next(); err != nil || f.kind != frameOpen {
			t.Fatalf("%+v, %v: want the streams opened", f, err)
		}
	}
	for _, s := range []*Stream{bulk, small} {
		if _, err := b.Write(frame{kind: frameAck, stream: s.id, limit: window}.append(nil)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := bulk.Write(make([]byte, window)); err != nil {
		t.Fatal(err)
	}
	if f, err := r.next(); err != nil || f.kind != frameData || f.stream != bulk.id {
		t.Fatalf("%+v, %v: want the download's first bytes", f, err)
	}
	if _, err := small.Write([]byte("step")); err != nil {
		t.Fatal(err)
	}
	for before := 0; ; {
		f, err := r.next()
		if err != nil {
			t.Fatal(err)
		}
		if f.stream == small.id {
			if string(f.body) != "step" {
				t.Errorf("%q", f.body)
			}
			return
		}
		if before += len(f.body); before > batch+quantum {
			t.Fatalf("%d bytes of the download go first", before)
		}
	}
}
