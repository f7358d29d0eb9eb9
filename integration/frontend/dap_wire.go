package frontend

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/textproto"
	"strconv"
)

// maxMessage bounds one DAP message that a test is willing to read.
const maxMessage = 64 << 20

// DAPMessage is the envelope of any DAP message. go-dap's own decoder refuses commands and events that it does not know, debugpy's
// debugpyAttach among them, hence an own one; its types serve for bodies.
type DAPMessage struct {
	Seq        int             `json:"seq"`
	Type       string          `json:"type"`
	Command    string          `json:"command,omitempty"`
	Event      string          `json:"event,omitempty"`
	RequestSeq int             `json:"request_seq,omitempty"`
	Success    bool            `json:"success,omitempty"`
	Message    string          `json:"message,omitempty"`
	Arguments  json.RawMessage `json:"arguments,omitempty"`
	Body       json.RawMessage `json:"body,omitempty"`

	// Raw is the message as it came.
	Raw []byte `json:"-"`
}

// readDAP reads one message: header lines, an empty line, Content-Length bytes of JSON (DAP overview, "Base protocol").
func readDAP(r *bufio.Reader) (DAPMessage, error) {
	var m DAPMessage
	header, err := textproto.NewReader(r).ReadMIMEHeader()
	if err != nil {
		return m, err
	}
	n, err := strconv.Atoi(header.Get("Content-Length"))
	if err != nil || n < 0 || n > maxMessage {
		return m, fmt.Errorf("DAP header: Content-Length %q", header.Get("Content-Length"))
	}
	m.Raw = make([]byte, n)
	if _, err := io.ReadFull(r, m.Raw); err != nil {
		return m, err
	}
	if err := json.Unmarshal(m.Raw, &m); err != nil {
		return m, fmt.Errorf("DAP message: %w", err)
	}
	return m, nil
}

// frameDAP makes one write of header and body: two would meet Nagle's algorithm and a delayed acknowledgement.
func frameDAP(body []byte) []byte {
	return append(fmt.Appendf(nil, "Content-Length: %d\r\n\r\n", len(body)), body...)
}
