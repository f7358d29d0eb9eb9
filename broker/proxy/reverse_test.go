package proxy

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/debugbroker/debugbroker/adapters/dap"
)

const after = `{"seq":99,"type":"event","event":"output","body":{"output":"still here"}}`

// TestServerMayNotCommandTheFrontEnd has a hostile server ask for what front ends do on the user's machine without a question.
func TestServerMayNotCommandTheFrontEnd(t *testing.T) {
	attach := func(config string) string {
		return `{"seq":7,"type":"event","event":"debugpyAttach","body":{` + config + `}}`
	}
	start := func(request, config string) string {
		return `{"seq":7,"type":"request","command":"startDebugging","arguments":{"request":` + request + `,"configuration":{` + config + `}}}`
	}
	const child = `"request":"attach","subProcessId":42,"connect":{"host":"h","port":1}`
	for name, said := range map[string]string{
		"terminal":            `{"seq":7,"type":"request","command":"runInTerminal","arguments":{"cwd":"/","args":["sh","-c","evil"]}}`,
		"terminal, escaped":   `{"seq":7,"type":"r\u0065quest","command":"\u0072unInTerminal","arguments":{"args":["evil"]}}`,
		"terminal, twice":     `{"seq":7,"type":"event","command":"x","type":"request","command":"runInTerminal","arguments":{"args":["evil"]}}`,
		"trailing garbage":    `{"seq":7,"type":"request","command":"runInTerminal","arguments":{"args":["evil"]}} x`,
		"launch":              start(`"launch"`, child),
		"launch within":       start(`"attach"`, `"request":"launch","subProcessId":42,"connect":{"port":1}`),
		"no request":          start(`null`, child),
		"no subprocess":       start(`"attach"`, `"connect":{"port":1}`),
		"half a subprocess":   start(`"attach"`, `"connect":{"port":1},"subProcessId":1.5`),
		"event: launch":       attach(`"request":"launch","python":["sh","-c","evil"],"subProcessId":42,"connect":{"port":1}`),
		"event: launch again": attach(child + `,"request":"launch"`),
		"event: no request":   attach(`"subProcessId":42,"connect":{"port":1}`),
		"event: no port":      attach(`"request":"attach","subProcessId":42,"debugAdapterPath":"/tmp/evil"`),
		"event: odd connect":  attach(`"request":"attach","subProcessId":42,"connect":5,"port":1`),
		"event: local pid":    attach(child + `,"processId":1`),
		"event: task":         attach(child + `,"preLaunchTask":"build"`),
		"event: command":      attach(child + `,"name":"${command:evil}"`),
		"event: escaped":      attach(child + `,"pathMappings":[{"localRoot":"\u0024{env:SECRET}"}]`),
		"event: no body":      `{"seq":7,"type":"event","event":"debugpyAttach"}`,
		"event: large":        attach(child + `,"x":"` + strings.Repeat("y", maxReverse) + `"`),
	} {
		t.Run(name, func(t *testing.T) {
			answers := make(chan dap.Message, 1)
			r := startDAP(t, func(c net.Conn, in *dap.Reader) {
				_, _ = io.WriteString(c, frame(said)+frame(after))
				if strings.Contains(said, `"seq":7,"type":"r`) && !strings.HasSuffix(said, "x") {
					if m, err := in.Next(); err == nil {
						answers <- m
					}
				}
				close(answers)
			})
			f := r.front(t)
			_, _ = io.WriteString(f, frame(initialize))
			m, err := f.r.Next()
			if err != nil || string(m.Body()) != after {
				t.Fatalf("the front end got %.300q, %v", m.Raw, err)
			}
			r.awaitEvent(t, "refused: the debug server ")
			if m, ok := <-answers; ok {
				var a struct {
					RequestSeq int `json:"request_seq"`
					Success    bool
				}
				if err := json.Unmarshal(m.Body(), &a); err != nil || a.RequestSeq != 7 || a.Success {
					t.Errorf("the server was answered %s, %v", m.Body(), err)
				}
			}
		})
	}
}

// TestSubprocessesPass has a server say what debugpy says.
func TestSubprocessesPass(t *testing.T) {
	for _, said := range []string{
		`{"seq":7,"type":"event","event":"debugpyAttach","body":{"request":"attach","name":"Subprocess 42","subProcessId":42,"connect":{"host":"h","port":1},"k":"$x {y}"}}`,
		`{"seq":7,"type":"request","command":"startDebugging","arguments":{"request":"attach","configuration":{"subProcessId":42,"host":"h","port":1}}}`,
	} {
		r := startDAP(t, func(c net.Conn, in *dap.Reader) {
			_, _ = io.WriteString(c, frame(said))
			_, _ = in.Next()
		})
		f := r.front(t)
		_, _ = io.WriteString(f, frame(initialize))
		m, err := f.r.Next()
		want := strings.NewReplacer(`"host":"h","port":1`, fmt.Sprintf(`"host":"127.0.0.1","port":%d`, r.port)).Replace(said)
		if err != nil || string(m.Body()) != want {
			t.Errorf("the front end got %q, %v, want %q", m.Raw, err, want)
		}
	}
}

// startDAP runs a Proxy before a server that reads the first message and then calls talk.
func startDAP(t *testing.T, talk func(c net.Conn, in *dap.Reader)) *rig {
	t.Helper()
	return start(t, Config{Protocol: "dap", OneClient: true, Dial: server(t, func(c net.Conn) {
		in := dap.NewReader(bufio.NewReader(c), dap.MaxBody)
		if _, err := in.Next(); err == nil {
			talk(c, in)
		}
	})})
}
