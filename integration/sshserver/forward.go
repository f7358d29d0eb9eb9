package sshserver

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// dialTimeout bounds the connection to a forward's target; it is on this machine.
const dialTimeout = 5 * time.Second

// serveTCP serves direct-tcpip (RFC 4254, section 7.2) to loopback.
func (s *Server) serveTCP(ctx context.Context, nc ssh.NewChannel) {
	var target struct {
		Host       string
		Port       uint32
		OriginHost string
		OriginPort uint32
	}
	switch {
	case s.cfg.Fault == RefuseTCP:
		refuse(nc, ssh.Prohibited, "TCP forwarding is off")
		return
	case ssh.Unmarshal(nc.ExtraData(), &target) != nil || target.Port > 65535:
		refuse(nc, ssh.ConnectionFailed, "malformed request")
		return
	case !loopback(target.Host):
		refuse(nc, ssh.Prohibited, "only loopback can be reached")
		return
	}
	s.forward(ctx, nc, "tcp", net.JoinHostPort(target.Host, strconv.Itoa(int(target.Port))))
}

// serveStreamLocal serves direct-streamlocal@openssh.com (OpenSSH's PROTOCOL, section 2.4).
func (s *Server) serveStreamLocal(ctx context.Context, nc ssh.NewChannel) {
	var target struct {
		Path      string
		Reserved  string
		Reserved2 uint32
	}
	switch {
	case s.cfg.Fault == RefuseStreamLocal:
		refuse(nc, ssh.Prohibited, "unix sockets are off")
	case ssh.Unmarshal(nc.ExtraData(), &target) != nil:
		refuse(nc, ssh.ConnectionFailed, "malformed request")
	default:
		s.forward(ctx, nc, "unix", target.Path)
	}
}

func (s *Server) forward(ctx context.Context, nc ssh.NewChannel, network, address string) {
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		refuse(nc, ssh.ConnectionFailed, err.Error())
		return
	}
	defer conn.Close()
	ch, requests, err := nc.Accept()
	if err != nil {
		return
	}
	defer ch.Close()
	var running sync.WaitGroup
	defer running.Wait()
	defer ch.Close() // ends requests
	defer conn.Close()
	running.Go(func() {
		ssh.DiscardRequests(requests)
		conn.Close() // the client has closed the channel, or the connection is lost
	})
	stop := context.AfterFunc(ctx, func() { conn.Close(); ch.Close() })
	defer stop()

	// Errors of the copies mean that one end has gone; the other is told by the closes.
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(conn, ch)
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	})
	both.Go(func() {
		_, _ = io.Copy(ch, conn)
		_ = ch.CloseWrite()
	})
	both.Wait()
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

func refuse(nc ssh.NewChannel, why ssh.RejectionReason, text string) {
	_ = nc.Reject(why, text) // an error says that the connection is over
}
