package proxy

import (
	"encoding/json"
	"io"
	"net"
	"testing"

	"github.com/debugbroker/debugbroker/adapters/dap"
)

// A front end of a session on a running program speaks of that program, whatever its configuration says, and cannot end it.
func TestRequestsOfARunningProgram(t *testing.T) {
	cfg := Config{Protocol: "dap", AttachSet: map[string]any{"processId": 4242}, AttachDrop: []string{"connect", "port"}, NeverTerminate: true}
	for _, tt := range []struct{ name, in, want string }{
		{"attach", `{"seq":2,"type":"request","command":"attach","arguments":{"processId":1,"x":{"port":0},"port":3,"connect":{"port":4}}}`,
			`{"seq":2,"type":"request","command":"attach","arguments":{"processId":4242,"x":{"port":0}}}`},
		{"attach without arguments", `{"seq":2,"type":"request","command":"attach"}`, `{"arguments":{"processId":4242},"seq":2,"type":"request","command":"attach"}`},
		{"disconnect", `{"seq":2,"type":"request","command":"disconnect","arguments":{"restart":false,"terminateDebuggee":true,"suspendDebuggee":true}}`,
			`{"seq":2,"type":"request","command":"disconnect","arguments":{"terminateDebuggee":false,"restart":false}}`},
		{"bare disconnect", `{"seq":2,"type":"request","command":"disconnect"}`, `{"arguments":{"terminateDebuggee":false},"seq":2,"type":"request","command":"disconnect"}`},
		{"others", `{"seq":2,"type":"request","command":"next","arguments":{"port":1,"terminateDebuggee":true}}`, `{"seq":2,"type":"request","command":"next","arguments":{"port":1,"terminateDebuggee":true}}`},
		{"no request", `{"seq":2,"type":"response","command":"attach","arguments":{"port":1}}`, `{"seq":2,"type":"response","command":"attach","arguments":{"port":1}}`},
		{"launch", `{"seq":2,"type":"request","command":"launch","arguments":{"program":"/bin/true"}}`, ""},
		{"terminate", `{"seq":2,"type":"request","command":"terminate"}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const after = `{"seq":3,"type":"request","command":"threads"}`
			got := make(chan string, 3)
			cfg := cfg
			cfg.Dial = server(t, func(c net.Conn) {
				defer close(got)
				for r := dap.NewReader(c, dap.MaxBody); ; {
					m, err := r.Next()
					if err != nil {
						return
					}
					got <- string(m.Body())
				}
			})
			r := start(t, cfg)
			c := r.connect(t)
			_, _ = io.WriteString(c, frame(initialize)+frame(tt.in)+frame(after))
			if first := <-got; first != initialize {
				t.Fatalf("got %s", first)
			}
			if tt.want != "" {
				if second := <-got; second != tt.want {
					t.Errorf("the server got %s, want %s", second, tt.want)
				}
			}
			if last := <-got; last != after {
				t.Errorf("the server got %s, want %s", last, after)
			}
			if tt.want == "" {
				m, err := dap.NewReader(c, dap.MaxBody).Next()
				if err != nil {
					t.Fatal(err)
				}
				var answer object
				if err := json.Unmarshal(m.Body(), &answer); err != nil || answer["request_seq"] != 2.0 {
					t.Errorf("answer %s, %v", m.Body(), err)
				}
				refused(t, answer, "")
			}
		})
	}
}

// What would be refused is not offered; where the program is the session's own, nothing changes.
func TestCapabilitiesOfARunningProgram(t *testing.T) {
	const offered = `{"seq":1,"type":"response","request_seq":1,"success":true,"command":"initialize","body":{"supportsTerminateRequest":true, "supportTerminateDebuggee": true,"x":true}}`
	const modest = `{"seq":1,"type":"response","request_seq":1,"success":true,"command":"initialize","body":{"supportsTerminateRequest":false, "supportTerminateDebuggee": false,"x":true}}`
	for never, want := range map[bool]string{true: modest, false: offered} {
		r := start(t, Config{Protocol: "dap", NeverTerminate: never, Dial: server(t, func(c net.Conn) {
			_, _ = dap.NewReader(c, dap.MaxBody).Next()
			_, _ = io.WriteString(c, frame(offered))
			_, _ = io.Copy(io.Discard, c)
		})})
		c := r.connect(t)
		_, _ = io.WriteString(c, frame(initialize))
		m, err := dap.NewReader(c, dap.MaxBody).Next()
		if err != nil || string(m.Body()) != want {
			t.Errorf("never=%t: got %s, %v, want %s", never, m.Body(), err, want)
		}
	}
}
