package proxy

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxRPC bounds one request of a JSON-RPC client, in bytes.
const maxRPC = 4 << 20

// forwardGently forwards a client's JSON-RPC and takes the word "kill" out of it: `dlv connect` asks at its end whether to kill the
// headless instance, and where Delve has attached, a yes would be the end of a program that ran before the session. A request is
// forwarded as it came unless it is a Detach (Delve 1.27, service/rpc2: RPCServer.Detach{Kill bool}).
func forwardGently(to io.Writer, from *bufio.Reader) error {
	limited := &io.LimitedReader{R: from, N: maxRPC}
	in := json.NewDecoder(limited)
	for {
		limited.N = maxRPC
		var raw json.RawMessage
		if err := in.Decode(&raw); err != nil {
			var syntax *json.SyntaxError
			if errors.As(err, &syntax) {
				return refusal{fmt.Errorf("not JSON-RPC: %w", err)}
			}
			return err
		}
		var request struct {
			Method string          `json:"method"`
			ID     json.RawMessage `json:"id"`
		}
		if json.Unmarshal(raw, &request) == nil && strings.EqualFold(request.Method, "RPCServer.Detach") {
			if len(request.ID) == 0 {
				request.ID = json.RawMessage("null")
			}
			raw = fmt.Appendf(nil, `{"method":"RPCServer.Detach","params":[{"Kill":false}],"id":%s}`, request.ID)
		}
		if _, err := to.Write(append(raw, '\n')); err != nil {
			return err
		}
	}
}
