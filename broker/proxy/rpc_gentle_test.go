package proxy

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestForwardGently(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"as it came":      {`{"method":"RPCServer.State", "params":[{"NonBlocking":true}],"id":7}`, `{"method":"RPCServer.State", "params":[{"NonBlocking":true}],"id":7}` + "\n"},
		"kill":            {`{"method":"RPCServer.Detach","params":[{"Kill":true}],"id":8}`, `{"method":"RPCServer.Detach","params":[{"Kill":false}],"id":8}` + "\n"},
		"in other words":  {`{"id":8,"params":[{"kill":true}],"METHOD":"rpcserver.detach"}`, `{"method":"RPCServer.Detach","params":[{"Kill":false}],"id":8}` + "\n"},
		"hidden":          {`{"method":"x","method":"RPCServer.Det\u0061ch","params":[{"Kill":true}],"id":"a"}`, `{"method":"RPCServer.Detach","params":[{"Kill":false}],"id":"a"}` + "\n"},
		"two in one line": {`{"method":"a","id":1}{"method":"RPCServer.Detach","params":[{"Kill":true}],"id":2}`, `{"method":"a","id":1}` + "\n" + `{"method":"RPCServer.Detach","params":[{"Kill":false}],"id":2}` + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if err := forwardGently(&out, bufio.NewReader(strings.NewReader(c.in))); !errors.Is(err, io.EOF) {
				t.Errorf("ended with %v", err)
			}
			if out.String() != c.want {
				t.Errorf("got %q, want %q", out.String(), c.want)
			}
		})
	}
	var r refusal
	if err := forwardGently(io.Discard, bufio.NewReader(strings.NewReader("{]"))); !errors.As(err, &r) {
		t.Errorf("what is no JSON: %v", err)
	}
	if err := forwardGently(io.Discard, bufio.NewReader(io.MultiReader(strings.NewReader(`{"a":"`), strings.NewReader(strings.Repeat("x", maxRPC+1))))); err == nil {
		t.Error("a request without bounds was taken")
	}
}
