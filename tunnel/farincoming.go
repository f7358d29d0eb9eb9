package tunnel

import (
	"net"
	"net/netip"
	"slices"
	"strconv"

	"golang.org/x/crypto/ssh"
)

// serveChannels sorts what the server opens. x/crypto has one read loop for all, so nothing here may wait for anybody of ours: a listener whose
// queue is full refuses.
func (c *Conn) serveChannels(channels <-chan ssh.NewChannel) {
	for channel := range channels {
		if channel.ChannelType() == "auth-agent@openssh.com" && c.lendAgent(channel) {
			continue
		}
		in := &Incoming{conn: c, channel: channel}
		at, ok := in.place()
		asked, taken := ok, false
		if ok {
			asked, taken = c.far.hand(in, at)
		}
		switch {
		case !asked:
			c.far.strange()
			_ = channel.Reject(ssh.Prohibited, "not asked for")
		case !taken:
			_ = channel.Reject(ssh.ResourceShortage, "too many connections at once")
		}
	}
}

// place reads where a connection came in: forwarded-tcpip (RFC 4254, 7.2), forwarded-streamlocal@openssh.com (OpenSSH PROTOCOL, 2.4).
func (in *Incoming) place() (at Endpoint, ok bool) {
	switch in.channel.ChannelType() {
	case "forwarded-tcpip":
		var m struct {
			Host       string
			Port       uint32
			OriginHost string
			OriginPort uint32
		}
		if ssh.Unmarshal(in.channel.ExtraData(), &m) != nil || m.Port == 0 || m.Port > 65535 {
			return at, false
		}
		in.port = int(m.Port)
		in.address = net.JoinHostPort(cleanText(m.Host, maxErrorText), strconv.Itoa(in.port))
		return Endpoint{Host: m.Host, Port: in.port}, true
	case "forwarded-streamlocal@openssh.com":
		var m struct{ Path, Reserved string }
		if ssh.Unmarshal(in.channel.ExtraData(), &m) != nil || m.Path == "" {
			return at, false
		}
		in.address = cleanText(m.Path, maxErrorText)
		return Endpoint{Path: m.Path}, true
	}
	return at, false
}

// hand gives a connection to the listener that it is for. One that was asked for with port 0, and has not learned which port it got, takes
// what may be its own; Accept looks again. asked is false where there is none, taken where its queue is full.
func (f *farListeners) hand(in *Incoming, at Endpoint) (asked, taken bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fits := range []func(*FarListener) bool{
		func(l *FarListener) bool { return l.bound.Port == at.Port && askedHost(l.asked.Host) == at.Host },
		func(l *FarListener) bool {
			return l.bound.Port == at.Port && sameBind(askedHost(l.asked.Host), at.Host)
		},
		func(l *FarListener) bool { return l.bound.Port == 0 && sameBind(askedHost(l.asked.Host), at.Host) },
	} {
		i := slices.IndexFunc(f.all, func(l *FarListener) bool { return l.bound.Path == at.Path && (at.Path != "" || fits(l)) })
		if i < 0 {
			continue
		}
		select {
		case f.all[i].queue <- in:
			return true, true
		default:
			return true, false
		}
	}
	return false, false
}

// sameBind tells whether a server that was asked for one bind address may name it the other. sshd says what it was asked for (channels.c,
// port_open_helper), others the address that they bound: "", "0.0.0.0" and "::" are all, "localhost" and a loopback address are loopback, which
// is also what a server with GatewayPorts off makes of all.
func sameBind(asked, said string) bool {
	if asked == said {
		return true
	}
	addr, err := netip.ParseAddr(said)
	loopback := said == "localhost" || err == nil && addr.IsLoopback()
	all := said == "" || said == "*" || err == nil && addr.IsUnspecified()
	switch own, err := netip.ParseAddr(asked); {
	case asked == "" || asked == "*" || err == nil && own.IsUnspecified():
		return all || loopback
	case asked == "localhost":
		return loopback
	case err == nil:
		return addr == own || loopback
	}
	return err == nil // a name stands for any address
}

// strange counts a channel that nobody asked for, and says so once a connection.
func (f *farListeners) strange() {
	f.mu.Lock()
	f.unasked++
	first := f.unasked == 1
	f.mu.Unlock()
	if first {
		f.log.Warn("the server opens channels that nobody asked for; they are refused")
	}
}
