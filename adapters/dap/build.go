package dap

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/google/go-dap"
)

// ErrorID is the id of the error messages that the broker makes; a front end may key on it.
const ErrorID = 4100

// ErrorResponse is the refusal of a request, with a reason that front ends show to the user. command and requestSeq are the
// request's.
func ErrorResponse(requestSeq int, command, reason string) Message {
	format, variables := reason, map[string]string(nil)
	if strings.ContainsAny(reason, "{}") { // a front end would take what is in braces for a variable
		format, variables = "{reason}", map[string]string{"reason": reason}
	}
	r := dap.ErrorResponse{
		Response: dap.Response{
			ProtocolMessage: dap.ProtocolMessage{Type: "response"},
			RequestSeq:      requestSeq,
			Command:         command,
			Message:         reason,
		},
		Body: dap.ErrorResponseBody{Error: &dap.ErrorMessage{
			Id: ErrorID, Format: format, Variables: variables, ShowUser: true,
		}},
	}
	return encode(&r)
}

// DisconnectRequest asks a server to let go of the debuggee and leave it running.
func DisconnectRequest(seq int) Message {
	return encode(struct {
		dap.Request
		Arguments map[string]bool `json:"arguments"` // go-dap's omits an explicit false
	}{
		dap.Request{ProtocolMessage: dap.ProtocolMessage{Seq: seq, Type: "request"}, Command: "disconnect"},
		map[string]bool{"terminateDebuggee": false, "restart": false},
	})
}

// OutputEvent shows a line of the broker's own in the front end's console. Like all events here it has no seq of its own: a front end
// needs one to answer a request, and Delve numbers none of its messages either.
func OutputEvent(line string) Message {
	return encode(&dap.OutputEvent{Event: event("output"), Body: dap.OutputEventBody{Category: "console", Output: line + "\n"}})
}

// TerminatedEvent says that the session is over.
func TerminatedEvent() Message {
	return encode(&dap.TerminatedEvent{Event: event("terminated")})
}

func event(name string) dap.Event {
	return dap.Event{ProtocolMessage: dap.ProtocolMessage{Type: "event"}, Event: name}
}

func encode(v any) Message {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // structs of strings and numbers always encode
	}
	return frame(body)
}

// frame puts a header before a body.
func frame(body []byte) Message {
	raw := append([]byte("Content-Length: "), strconv.Itoa(len(body))...)
	raw = append(raw, "\r\n\r\n"...)
	head := len(raw)
	return Message{Raw: append(raw, body...), body: head}
}
