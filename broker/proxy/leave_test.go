package proxy

import (
	"io"
	"net"
	"testing"
	"time"
)

func TestTakeLeave(t *testing.T) {
	masked := func(first byte, payload string) string {
		return string([]byte{first, wsMask | byte(len(payload)), 1, 2, 3, 4}) + payload
	}
	const leave = "\x88\x82\x00\x00\x00\x00\x03\xe9"
	for name, c := range map[string]struct{ said, want string }{
		"between messages":        {masked(0x81, "hello"), leave},
		"nothing said":            {"", leave},
		"in the midst":            {masked(0x81, "hello")[:8], ""},
		"between fragments":       {masked(0x01, "hello"), ""},
		"after the last fragment": {masked(0x01, "hello") + masked(0x80, "you"), leave},
		"after its own close":     {masked(0x88, "\x03\xe8"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := net.Pipe()
			got := make(chan string, 1)
			go func() {
				b, _ := io.ReadAll(far)
				got <- string(b)
			}()
			up := &frames{begun: true}
			if _, err := io.WriteString(&followed{near, up}, c.said); err != nil {
				t.Fatal(err)
			}
			answered := make(chan struct{})
			close(answered)
			began := time.Now()
			takeLeave(near, up, answered)
			if time.Since(began) > closeTime/2 {
				t.Error("waits though the inspector has answered")
			}
			near.Close()
			if all := <-got; all != c.said+c.want {
				t.Errorf("sent %q, want %q", all, c.said+c.want)
			}
		})
	}
}
