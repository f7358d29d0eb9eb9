package tunnel

import (
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/ssh"
)

// maxLent bounds how many connections to the user's agent a server may have open at a time.
const maxLent = 8

// lending is the user's agent as a connection lends it to its server (ssh's ForwardAgent; OpenSSH's PROTOCOL.agent, and
// draft-ietf-sshm-ssh-agent, 6). Who rules the server can sign with the user's keys as long as the connection lives.
type lending struct {
	socks atomic.Pointer[[]string] // agent sockets, the newest first; nil: nothing is lent
	asked sync.Once
	open  atomic.Int32
}

// lend lets the server reach an agent of the user's.
func (c *Conn) lend(hop *Hop, agents []string) {
	switch hop.IdentityAgent {
	case "":
	case "none":
		return
	default:
		agents = []string{hop.IdentityAgent}
	}
	agents = slices.Clone(agents)
	c.lent.socks.Store(&agents)
}

// offerAgent tells the server that there is an agent to be reached, once for a connection: OpenSSH then has one socket for all of its commands.
func (c *Conn) offerAgent(channel ssh.Channel) {
	if c.lent.socks.Load() == nil {
		return
	}
	c.lent.asked.Do(func() {
		_, _ = channel.SendRequest("auth-agent-req@openssh.com", false, nil) // a server that does not know it has no SSH_AUTH_SOCK for its commands
	})
}

// lendAgent serves what the server opens towards the agent. It returns false where nothing is lent. It does not block.
func (c *Conn) lendAgent(nc ssh.NewChannel) bool {
	socks := c.lent.socks.Load()
	if socks == nil {
		return false
	}
	if c.lent.open.Add(1) > maxLent {
		c.lent.open.Add(-1)
		_ = nc.Reject(ssh.ResourceShortage, "too many connections at once")
		return true
	}
	if !c.group.spawn(func() { c.serveAgent(nc, *socks); c.lent.open.Add(-1) }) {
		c.lent.open.Add(-1)
	}
	return true
}

// serveAgent joins one channel to the first agent that answers, until either ends.
func (c *Conn) serveAgent(nc ssh.NewChannel, socks []string) {
	agent := dialLent(socks)
	if agent == nil {
		_ = nc.Reject(ssh.ConnectionFailed, "no agent answers")
		return
	}
	defer agent.Close()
	channel, requests, err := nc.Accept()
	if err != nil {
		return
	}
	var parts sync.WaitGroup
	defer parts.Wait()
	defer channel.Close()
	parts.Go(func() { ssh.DiscardRequests(requests) })
	parts.Go(func() {
		_, _ = io.Copy(agent, channel)
		_ = agent.Close() // no answer is wanted any more
	})
	_, _ = io.Copy(channel, agent)
}

// dialLent connects to the first of the agents that is the user's own and answers; nil where none does.
func dialLent(socks []string) net.Conn {
	for _, sock := range socks {
		if sock == "" || ourSocket(sock) != nil {
			continue
		}
		if conn, err := net.DialTimeout("unix", sock, agentDialTimeout); err == nil {
			return conn
		}
	}
	return nil
}
