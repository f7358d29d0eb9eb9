package tunnel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

// The SOCKS server is written here, since it is little more than the bounds that it must have. go-socks5, the library for it, sets no time limit on
// its handshake, resolves names on this side, tells refusals apart by their text, and knows no SOCKS4.

const (
	// handshakeWait bounds a client's whole handshake; maxHandshakes how many a forward has at once.
	handshakeWait = 10 * time.Second
	maxHandshakes = 256
	// maxSocksText bounds the user name and the host name of SOCKS4, which end in a zero byte.
	maxSocksText = 255
)

// errSocks is what a client gets wrong.
var errSocks = errors.New("malformed SOCKS request")

// SOCKS5's replies (RFC 1928, section 6) and those of SOCKS4 that we use.
const (
	socksDone        = 0
	socksFailed      = 1
	socksForbidden   = 2
	socksNoNetwork   = 3
	socksNoHost      = 4
	socksRefused     = 5
	socksNoCommand   = 7
	socksNoAddrType  = 8
	socks4Granted    = 90
	socks4Rejected   = 91
	socks5NoMethods  = 0xff
	socksCmdConnect  = 1
	socksAddrV4      = 1
	socksAddrName    = 3
	socksAddrV6      = 4
	socks5, socks4   = 5, 4
	socksAuthNothing = 0
)

// socksRequest is what a client wants.
type socksRequest struct {
	version byte
	address string // host:port; the host is as the client gave it, and is not resolved
}

// serveSocks serves a client up to its connection, which carry then has.
func (f *Forward) serveSocks(ctx context.Context, client net.Conn, dial func(context.Context, string, string) (net.Conn, error), carry func(net.Conn)) {
	select {
	case f.handshakes <- struct{}{}:
	default:
		reset(client)
		f.failed(fmt.Errorf("%w: %d SOCKS handshakes", errBusy, maxHandshakes))
		return
	}
	request, err := acceptSocks(client)
	<-f.handshakes
	if err != nil {
		_ = client.Close() // not reset: it would take the reply along
		if errors.Is(err, errSocks) {
			f.failedUnless(ctx, err)
		}
		return
	}
	target, err := dial(ctx, "tcp", request.address)
	if replyErr := request.reply(client, err); err != nil {
		_ = client.Close()
		f.failedUnless(ctx, err)
		return
	} else if replyErr != nil {
		_ = target.Close()
		_ = client.Close()
		return
	}
	carry(target)
}

// acceptSocks has the handshake with a client, within its time limit. A client that is wrong has its answer when it returns. It reads no byte
// more than the handshake has.
func acceptSocks(client net.Conn) (req socksRequest, err error) {
	if err := client.SetDeadline(time.Now().Add(handshakeWait)); err != nil {
		return req, err
	}
	var first [1]byte
	if _, err := io.ReadFull(client, first[:]); err != nil {
		return req, err
	}
	req.version = first[0]
	switch req.version {
	case socks5:
		err = req.read5(client)
	case socks4:
		err = req.read4(client)
	default:
		return req, fmt.Errorf("%w: version %d", errSocks, req.version) // a browser, or anything else: it gets nothing
	}
	if err != nil {
		return req, err
	}
	return req, client.SetDeadline(time.Time{})
}

// read5 is RFC 1928, sections 3 and 4, from behind the version.
func (r *socksRequest) read5(client net.Conn) error {
	methods, err := readSized(client)
	if err != nil {
		return err
	}
	method := byte(socks5NoMethods)
	for _, m := range methods {
		if m == socksAuthNothing {
			method = m
		}
	}
	if _, err := client.Write([]byte{socks5, method}); err != nil {
		return err
	}
	if method != socksAuthNothing {
		return fmt.Errorf("%w: the client does not offer to come without authentication", errSocks)
	}
	var head [4]byte
	if _, err := io.ReadFull(client, head[:]); err != nil {
		return err
	}
	if head[0] != socks5 {
		return r.refuse(client, socksFailed, "version %d in the request", head[0])
	}
	var host string
	switch head[3] {
	case socksAddrV4, socksAddrV6:
		raw := make([]byte, map[byte]int{socksAddrV4: 4, socksAddrV6: 16}[head[3]])
		if _, err := io.ReadFull(client, raw); err != nil {
			return err
		}
		addr, _ := netip.AddrFromSlice(raw)
		host = addr.Unmap().String()
	case socksAddrName:
		name, err := readSized(client)
		if err != nil {
			return err
		}
		host = string(name)
	default:
		return r.refuse(client, socksNoAddrType, "address type %d", head[3])
	}
	var port [2]byte
	if _, err := io.ReadFull(client, port[:]); err != nil {
		return err
	}
	if head[1] != socksCmdConnect {
		return r.refuse(client, socksNoCommand, "command %d: only CONNECT is served", head[1])
	}
	return r.set(client, host, port)
}

// read4 is SOCKS4 and, where the address is 0.0.0.x, SOCKS4a, from behind the version.
func (r *socksRequest) read4(client net.Conn) error {
	var head [7]byte // command, port, address
	if _, err := io.ReadFull(client, head[:]); err != nil {
		return err
	}
	if _, err := readText(client); err != nil { // the user, who is anybody
		return err
	}
	addr := netip.AddrFrom4([4]byte(head[3:]))
	host := addr.String()
	if head[3] == 0 && head[4] == 0 && head[5] == 0 && head[6] != 0 {
		name, err := readText(client)
		if err != nil {
			return err
		}
		host = name
	}
	if head[0] != socksCmdConnect {
		return r.refuse(client, socksNoCommand, "command %d: only CONNECT is served", head[0])
	}
	return r.set(client, host, [2]byte(head[1:3]))
}

// set takes the target. A name with bytes that no name has goes no further: it would stand in logs, and in a channel's request.
func (r *socksRequest) set(client net.Conn, host string, port [2]byte) error {
	n := binary.BigEndian.Uint16(port[:])
	for i := range len(host) {
		if c := host[i]; c <= ' ' || c >= 0x7f {
			return r.refuse(client, socksNoHost, "host name %q", host)
		}
	}
	if host == "" || n == 0 {
		return r.refuse(client, socksFailed, "no host, or port 0")
	}
	r.address = net.JoinHostPort(host, strconv.Itoa(int(n)))
	return nil
}

// refuse answers a request that is not served, and says why as an error.
func (r *socksRequest) refuse(client net.Conn, code byte, format string, args ...any) error {
	_ = r.send(client, code) // a client that does not take it has gone, which is as well
	return fmt.Errorf("%w: "+format, append([]any{errSocks}, args...)...)
}

// reply tells the client how its connection came out.
func (r *socksRequest) reply(client net.Conn, err error) error {
	return r.send(client, socksCode(err))
}

func (r *socksRequest) send(client net.Conn, code byte) error {
	if err := client.SetWriteDeadline(time.Now().Add(handshakeWait)); err != nil {
		return err
	}
	answer := []byte{socks5, code, 0, socksAddrV4, 0, 0, 0, 0, 0, 0} // the address that the far side connects from is not known
	if r.version == socks4 {
		answer = []byte{0, socks4Granted, 0, 0, 0, 0, 0, 0}
		if code != socksDone {
			answer[1] = socks4Rejected
		}
	}
	if _, err := client.Write(answer); err != nil {
		return err
	}
	return client.SetWriteDeadline(time.Time{})
}

// socksCode is the reply that fits an error.
func socksCode(err error) byte {
	var far *farDialError
	var dns *net.DNSError
	switch {
	case err == nil:
		return socksDone
	case errors.Is(err, ErrForbidden), errors.Is(err, ErrLoop):
		return socksForbidden
	case errors.As(err, &far):
		switch far.reason {
		case farNoNetwork:
			return socksNoNetwork
		case farNoHost:
			return socksNoHost
		}
		return socksRefused
	case errors.Is(err, syscall.ECONNREFUSED):
		return socksRefused
	case errors.As(err, &dns), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ETIMEDOUT):
		return socksNoHost
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, ErrLinkLost), errors.Is(err, context.DeadlineExceeded):
		return socksNoNetwork
	}
	return socksFailed
}

// readSized reads bytes behind their count in one byte.
func readSized(r io.Reader) ([]byte, error) {
	var n [1]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return nil, err
	}
	data := make([]byte, n[0])
	_, err := io.ReadFull(r, data)
	return data, err
}

// readText reads up to a zero byte.
func readText(r io.Reader) (string, error) {
	var text []byte
	for {
		var b [1]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return "", err
		}
		if b[0] == 0 {
			return string(text), nil
		}
		if len(text) == maxSocksText {
			return "", fmt.Errorf("%w: a text of more than %d bytes", errSocks, maxSocksText)
		}
		text = append(text, b[0])
	}
}
