package proxy

import (
	"encoding/json"
	"errors"

	"github.com/debugbroker/debugbroker/adapters/dap"
)

// What changes in DAP where the program ran before the session: it is not the front end's to start or to end.

var (
	errLaunch    = errors.New(`this session is for a program that runs already: use "request": "attach"`)
	errTerminate = errors.New("this program ran before the session, which does not end it: disconnecting leaves it running")
)

// refuses tells why a request of the front end is not forwarded; nil where it is.
func (p *Proxy) refuses(env dap.Envelope) error {
	if env.Type != "request" || !p.cfg.NeverTerminate {
		return nil
	}
	switch env.Command {
	case "launch":
		return errLaunch
	case "terminate":
		return errTerminate
	}
	return nil
}

// adapt is a message of the front end as the server gets it.
func (p *Proxy) adapt(m dap.Message, env dap.Envelope) dap.Message {
	if env.Type != "request" {
		return m
	}
	switch {
	case env.Command == "attach" && (len(p.cfg.AttachSet) > 0 || len(p.cfg.AttachDrop) > 0):
		set := make(map[string][]byte, len(p.cfg.AttachSet))
		for name, value := range p.cfg.AttachSet {
			text, err := json.Marshal(value)
			if err != nil {
				p.cfg.Log.Error("attach argument", "name", name, "error", err)
				continue
			}
			set[name] = text
		}
		m, _ = dap.SetMembers(m, "arguments", set, p.cfg.AttachDrop)
	case env.Command == "disconnect" && p.cfg.NeverTerminate:
		m, _ = dap.SetMembers(m, "arguments", map[string][]byte{"terminateDebuggee": []byte("false")}, []string{"suspendDebuggee"})
	}
	return m
}

// modest is a message of the server as the front end gets it: what would be refused is not offered.
func (p *Proxy) modest(m dap.Message, env dap.Envelope) dap.Message {
	if !p.cfg.NeverTerminate || env.Type != "response" || env.Command != "initialize" {
		return m
	}
	for _, name := range []string{"supportsTerminateRequest", "supportTerminateDebuggee"} {
		m, _ = dap.Replace(m, []byte("false"), "body", name)
	}
	return m
}
